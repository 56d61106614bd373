import dataclasses

import numpy as np
import pytest

from keypoints import geometry
from keypoints.errors import InputError
from keypoints.evaluation.own_markup import (
    made_on,
    mean_points,
    measured,
    named_pairs,
    named_parts,
    named_roles,
    symmetric_pairs,
)
from keypoints.inference.detections import Detections
from keypoints.markup import IBUG68, NAMES, Markup, bundled
from tests.faces import dotted_faces

FIVE = bundled("five")


def test_the_mean_is_that_of_faces_of_all_places_sizes_and_rolls():
    rng = np.random.default_rng(0)
    faces = []
    for roll in (-20, -10, 10, 20):
        turn = geometry.rotation(roll)
        size = rng.uniform(30, 90)
        faces.append(size * FIVE.mean @ turn.T + rng.uniform(50, 200, 2))
    faces = np.array(faces)
    faces[1, 2] = np.nan
    found = mean_points(faces)
    sizes = np.ptp(found, axis=0).max() / np.ptp(FIVE.mean, axis=0).max()
    centred = FIVE.mean - FIVE.mean.mean(axis=0)
    np.testing.assert_allclose(found / sizes, centred, atol=2e-3)  # upright on average


def test_what_cannot_have_a_mean_is_said():
    with pytest.raises(InputError, match="no face has two"):
        mean_points(np.full((2, 3, 2), np.nan))
    faces = np.random.default_rng(0).random((2, 3, 2))
    faces[:, 1] = np.nan
    with pytest.raises(InputError, match="point 1 is annotated in no face"):
        mean_points(faces)


class Around:
    """A detector that finds the face box of each face of `records`, and half of it elsewhere."""

    def __init__(self, records, rolls=0.0):
        self.records, self.rolls, self.searched = records, rolls, 0

    def detect(self, image):
        box = self.records.boxes[self.searched % len(self.records)]
        self.searched += 1
        boxes = np.stack([box - [5, 5, -10, -10], box, box + [300, 0, 0, 0]]).astype(np.float32)
        return Detections(boxes, np.ones(3, "f4"), np.full(3, self.rolls, "f4"))


def test_the_face_box_is_the_one_that_the_detector_finds_around_the_points():
    records = dotted_faces(6, markup=FIVE)
    bare = dataclasses.replace(FIVE, mean=None, face_box=None)
    found = measured(dataclasses.replace(records, markup=bare), Around(records))
    np.testing.assert_allclose(found.face_box, FIVE.face_box, atol=2e-3)
    # Dotted faces are 1.1 times as high as the mean face, whose box then is 0.964 by 1.009.
    expected = FIVE.mean * [1, 1.1]
    expected = (expected - expected.mean(axis=0)) / (1.1 * 0.917)
    np.testing.assert_allclose(found.mean - found.mean.mean(axis=0), expected, atol=3e-3)
    np.testing.assert_allclose(found.face_boxes(found.mean)[2:].max(), 1, atol=1e-3)
    assert found.names == FIVE.names and found.pairs == FIVE.pairs
    tilted = measured(dataclasses.replace(records, markup=bare), Around(records, rolls=30.0))
    assert tilted.face_box == (0.5, 0.5, 1.0, 1.0)  # no upright face was found


def test_what_is_told_is_not_measured():
    assert measured(dotted_faces(2), None) == IBUG68


@pytest.mark.parametrize("name", [name for name in NAMES if bundled(name).mean is not None])
def test_pairs_by_the_symmetry_of_the_mean(name):
    markup = bundled(name)
    noisy = markup.mean + np.random.default_rng(0).normal(0, 0.002, markup.mean.shape)
    tilted = noisy @ geometry.rotation(6.0).T
    for mean in (noisy + [0.1, 0], tilted):
        found = {frozenset(pair) for pair in symmetric_pairs(mean)}
        assert found == {frozenset(pair) for pair in markup.pairs}


def test_pairs_by_names():
    names = ("left eye", "right_eye", "nose", "mouthLeft", "MouthRight", "ear L", "ear R", "brow")
    assert named_pairs(names) == ((0, 1), (3, 4), (5, 6))
    assert named_pairs(("0", "1", "upright", "bleft")) == ()
    assert set(named_pairs(bundled("cofw29").names)) <= set(bundled("cofw29").pairs)
    assert len(named_pairs(bundled("cofw29").names)) == 11
    assert named_pairs(Markup("x", ("left",)).names) == ()


def test_names_tell_parts_and_roles():
    names = ("rightEyebrow", "right eye", "left_eye", "nose tip", "nose base", "mouth corner R",
             "mouth corner L", "upper lip", "chin", "ear")  # fmt: skip
    assert named_parts(names) == {
        "brows": (0,), "eyes": (1, 2), "nose": (3, 4), "mouth": (5, 6, 7), "jaw": (8,),
    }  # fmt: skip
    assert named_roles(names) == {
        "right_eye": (1,), "left_eye": (2,), "mouth": (5, 6, 7), "mouth_corners": (5, 6),
        "nose_tip": (3,), "jaw": (8,),
    }  # fmt: skip
    assert named_roles(("right eye", "nose a", "nose b")) == named_parts(("0", "1")) == {}


class Nobody:
    """A detector that finds no face."""

    def detect(self, image):
        nothing = np.zeros(0, np.float32)
        return Detections(np.zeros((0, 4), np.float32), nothing, nothing)


@pytest.mark.parametrize("roll", [0.0, 25.0, -40.0])
def test_a_markup_of_one_face_is_upright_and_symmetric(roll):
    """The left eye is 2 lower and 2 nearer than it should be; the mole has no partner."""
    names = ("right eye", "left eye", "chin", "mole")
    places = np.array([[-20.0, -15], [18, -13], [0, 30], [9, 20]])
    markup = Markup("own", names, pairs=((0, 1),))
    points = places @ geometry.rotation(roll).T + [70, 60]
    image = np.zeros((120, 150, 3), np.uint8)
    found = made_on(image, points, markup, Nobody())
    assert found.face_box == (0.5, 0.5, 1.0, 1.0)
    right, left, chin, mole = found.mean.astype(float)
    np.testing.assert_allclose(left, right * [-1, 1], atol=1e-6)
    # Half of the distance between the eyes, over the longer side of the box in the picture.
    side = np.ptp(points, axis=0).max()
    assert left[0] * side == pytest.approx(np.hypot(38, 2) / 2, rel=1e-5)
    # Their line falls by 2 in 38; turned back by that, the middle of the eyes is at x = 0.
    level = (places - [-1, -14]) @ geometry.rotation(np.degrees(np.arctan2(2, 38)))
    np.testing.assert_allclose((mole - chin) * side, level[3] - level[2], atol=1e-4)
    assert mole[0] * side == pytest.approx(level[3, 0], abs=1e-4)


def test_a_markup_of_one_face_without_pairs_stays_as_it_is():
    points = np.array([[10.0, 10], [30, 12], [25, 50]])
    markup = Markup("own", ("a", "b", "c"), pairs=())
    found = made_on(np.zeros((60, 60, 3), np.uint8), points, markup, Nobody())
    np.testing.assert_allclose(found.mean * 40 + [20, 30], points, atol=1e-5)
