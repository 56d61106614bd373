"""Evaluation of points that are not the 68 of iBUG."""

import dataclasses

import numpy as np
import pytest

from keypoints import metrics
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.estimate import Estimate
from keypoints.evaluation import calibration, protocol, reports
from keypoints.evaluation.models import evaluate_model
from keypoints.markup import IBUG68, bundled
from keypoints.network import Network
from tests.faces import dotted_faces

FIVE = bundled("five")


@pytest.fixture
def records():
    return dotted_faces(6, name="dots/validation", markup=FIVE)


def test_errors_by_the_parts_and_the_normaliser_of_the_markup(records, tmp_path):
    predicted = records.points.copy()
    eyes = np.linalg.norm(predicted[:, 1] - predicted[:, 0], axis=1)
    predicted[:, 3:] += (0.1 * eyes)[:, None, None] * [0.6, 0.8]  # the mouth is 10 % off
    records.covered[2, 3] = True
    report = protocol.evaluate(records, predicted, model="m")
    assert report["normaliser"] == "inter_pupil"
    assert list(report["nme"]) == ["inter_pupil", "box_diagonal", "box"]
    assert report["nme"]["inter_pupil"] == pytest.approx(4.0, rel=1e-4)  # two of five points
    expected = {"eyes": 0.0, "nose": 0.0, "mouth": 10.0, "covered": 10.0}
    assert report["parts"] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert report["yaw"] == {}  # five points have no head pose
    box = np.sqrt(records.boxes[:, 2:].prod(axis=1))
    by_hand = 100 * (metrics.mean_error(records.points, predicted) / box).mean()
    assert report["nme"]["box"] == pytest.approx(by_hand)
    assert "inter-pupil" in reports.table(report)
    reports.write_report(tmp_path, report, records, predicted)
    header = (tmp_path / "per_image.csv").read_text().splitlines()[0]
    assert header.startswith("file,nme,eyes,nose,mouth,x0,y0") and header.endswith("x4,y4")
    with pytest.raises(InputError, match="normaliser=inter_ocular is not known"):
        protocol.evaluate(records, predicted, normaliser="inter_ocular")


def answers(crops):
    """The mean of the five points in every crop; more doubt in crops without dots."""
    points = np.tile(FIVE.mean * 160 + 111.5, (len(crops), 1, 1)).astype(np.float32)
    dots = (crops[:, 60:190, 60:190, 0] > 200).mean(axis=(1, 2))
    doubt = np.where(dots > 1e-3, 1.0, 9.0)
    return Estimate(points, np.repeat(doubt[:, None], 5, axis=1).astype(np.float32))


def test_a_network_is_evaluated_in_its_own_boxes_and_on_its_own_points_alone(records):
    network = Network(answers, Crop(1.4), markup=FIVE)
    unknown = dataclasses.replace(
        records, markup=dataclasses.replace(FIVE, face_box=None, mean=None), boxes=records.boxes / 2
    )
    found, again = evaluate_model(network, records), evaluate_model(network, unknown)
    np.testing.assert_allclose(found.points, again.points, atol=1e-4)
    assert found.points.shape == (6, 5, 2) and found.report["nme"]["inter_pupil"] < 10
    with pytest.raises(InputError, match="has other points than the network: ibug68 has 68"):
        evaluate_model(network, dotted_faces(2))


def test_the_score_is_that_of_the_face_box(records):
    network = Network(answers, Crop(1.4), markup=FIVE, half_score=0.02)
    report = calibration.measure(network, records)
    assert report["separation"]["roc_auc"] == 1.0
    # An uncertainty of a pixel of 224 where the face box is 160 by 152: 1 / 156 of it.
    median = report["separation"]["median_relative_uncertainty"][0]
    assert median == pytest.approx(1 / np.sqrt(0.964 * 0.917) / 160, rel=0.01)


def test_without_a_mean_there_is_no_baseline(records):
    alone = dataclasses.replace(records, markup=dataclasses.replace(FIVE, mean=None))
    report = protocol.evaluate(alone, records.points)
    assert report["mean_face"] is None and "mean face" not in reports.table(report)


def test_the_68_points_have_all_normalisers():
    assert IBUG68.normalisers == ("inter_ocular", "inter_pupil", "box_diagonal", "box")
