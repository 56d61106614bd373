import numpy as np
import pytest

from keypoints.data.records import make_records
from keypoints.evaluation import agreement
from keypoints.evaluation.agreement import check_against
from keypoints.markup import IBUG68, Markup, bundled


class Seer:
    """In place of the network: sees the face where it is, whatever box it is given."""

    def __init__(self, truth):
        self.truth = truth

    def predict(self, image, boxes):
        return self.truth[int(image[0, 0, 0])][None]


@pytest.fixture
def check(monkeypatch):
    """The findings of points that are changed after the network has seen the true ones."""
    rng = np.random.default_rng(0)
    places = rng.uniform([60, 50], [110, 80], (12, 2))
    truth = IBUG68.mean * [40, 50] + places[:, None] + rng.normal(0, 0.5, (12, 68, 2))
    monkeypatch.setattr(agreement.Predictor, "load", lambda name: Seer(truth))

    def found(change):
        points = change(truth)
        pictures = [np.full((130, 170, 3), i, np.uint8) for i in range(12)]
        examples = [(f"{i}", "", pictures[i], face) for i, face in enumerate(points)]
        return check_against(make_records("mine/train", examples))

    return found


def test_points_where_the_network_sees_them_are_fine(check):
    assert check(lambda truth: truth) == []
    assert check(lambda truth: truth + [1.5, -1.5]) == []  # 2.1 of 47 pixels
    part = np.arange(68)[:, None] < 17
    assert check(lambda truth: np.where(part, np.nan, truth)) == []


def test_a_constant_shift_is_told_with_its_direction(check):
    (finding,) = check(lambda truth: truth + [12, -9])  # the faces are 46.5 to 50 pixels high
    assert not finding.refused and len(finding.files) == 12
    assert "the points lie 26 % of the face right and 19 % above of where" in finding.reason


def test_points_of_other_pictures_are_told(check):
    (finding,) = check(lambda truth: np.roll(truth, 5, axis=0))
    assert "sees the points elsewhere" in finding.reason and len(finding.files) > 6
    (finding,) = check(lambda truth: [169, 0] + truth[:, IBUG68.mirror] * [-1, 1])
    assert "sees the points elsewhere" in finding.reason


@pytest.mark.parametrize("markup", [Markup("mine", ("a", "b", "c")), bundled("wflw98")])
def test_other_points_are_compared_where_the_network_has_them_too(monkeypatch, markup):
    """Points of WFLW far from where the network sees those that both have; mine have no map."""
    monkeypatch.setattr(
        agreement.Predictor, "load", lambda name: Seer(IBUG68.mean[None] * 80 + [50, 60])
    )
    points = np.zeros((markup.count, 2)) + np.arange(markup.count)[:, None]
    examples = [("a", "", np.zeros((130, 170, 3), np.uint8), points)]
    found = check_against(make_records("mine/train", examples, markup))
    assert bool(found) == (markup.name == "wflw98")
