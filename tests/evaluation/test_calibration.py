import dataclasses

import numpy as np
import pytest

from keypoints import geometry
from keypoints.crop import Crop
from keypoints.estimate import Estimate
from keypoints.evaluation import calibration
from keypoints.inference.detections import overlap
from keypoints.network import Network
from tests.faces import dotted_faces, estimated


def test_calibration_by_hand():
    expected = np.arange(20.0).reshape(4, 5)
    rows = calibration.calibration(2 * expected, expected)
    assert [row["points"] for row in rows] == [2] * 10
    assert rows[0] == {"expected": 0.5, "actual": 1.0, "points": 2}
    assert rows[9]["expected"] == 18.5 and rows[9]["actual"] == 37.0


def test_groups_are_of_equal_uncertainty_not_of_equal_error():
    expected = np.repeat(np.arange(1.0, 11), 2)
    rows = calibration.calibration(expected[::-1] * 3, expected)
    assert [row["expected"] for row in rows] == list(range(1, 11))
    assert [row["actual"] for row in rows] == [3 * (11 - n) for n in range(1, 11)]


def test_errors_are_of_annotated_points_in_a_unit_of_the_face():
    """Points that are 3 off in x and 1 in y, on faces whose unit is 1 and a half pixel."""
    records = dotted_faces(2)
    truth = records.points.copy()
    truth[0, :60] = np.nan
    records = dataclasses.replace(records, points=truth)
    points = np.nan_to_num(truth, nan=7.0) + np.float32([3, -1])
    found = Estimate(points, np.repeat(np.float32([[4], [6]]), 68, axis=1))
    errors, expected = calibration.errors_of(found, records, np.array([1.0, 2.0]))
    np.testing.assert_allclose(errors, [2] * 8 + [4] * 68, atol=1e-4)
    np.testing.assert_allclose(expected, [4] * 8 + [12] * 68)


def test_separation_by_hand():
    found = calibration.separation(np.array([1.0, 2, 5]), np.array([2.0, 4, 6, 8]))
    # Pairs in which the face has less doubt: 4, 3 and a tie, 2; of 12.
    assert found["roc_auc"] == pytest.approx((4 + 3.5 + 2) / 12)
    # A hundredth of the background lies below 2.06: two of three faces do.
    assert found["threshold"] == pytest.approx(2.06) and found["recall"] == pytest.approx(2 / 3)


def test_separation_at_the_threshold_of_the_face_score():
    faces, background = np.array([1.0, 3, 5]), np.array([2.0, 4, 6, 8])
    found = calibration.separation(faces, background, half_score=3.0)
    assert found["taken_for_faces"] == pytest.approx([2 / 3, 1 / 4])


def test_background_boxes_lie_in_the_picture_beside_the_face():
    records = dotted_faces(12)
    boxes, placed = calibration.background_boxes(records, seed=1)
    faces = geometry.landmark_box(records.points)
    assert placed.sum() >= 6
    for box, face, (height, width) in zip(boxes[placed], faces[placed], records.shapes[placed]):
        assert (box[:2] >= 0).all() and (box[:2] + box[2:] <= [width, height]).all()
        assert overlap(box, face) < 0.05 and 0.4 * face[2:].max() <= box[2] <= face[2:].max()
    again, _ = calibration.background_boxes(records, seed=1)
    assert (boxes == again).all()


def test_no_background_in_a_picture_that_is_smaller_than_a_box():
    records = dotted_faces(3)
    side = records.shapes.max() / calibration.BACKGROUND_SIDES[0] + 10
    outside = np.tile(np.float32([-5 * side, 0, side, side]), (3, 1))  # beside the picture
    _, placed = calibration.background_boxes(dataclasses.replace(records, boxes=outside))
    assert not placed.any()


def test_a_network_that_is_uncertain_of_the_background(monkeypatch):
    records = dotted_faces(6, name="dots/validation")

    def network(crops):
        middle = crops[:, 40:184, 40:184, 0]  # where a face has most of its dots
        bright = (middle > 200).mean(axis=(1, 2))
        found = estimated(np.tile(np.linspace(40, 180, 136), (len(crops), 1)))
        found.uncertainty[:] = np.where(bright > 0.03, 1.0, 9.0)[:, None]
        return found

    report = calibration.measure(Network(network, Crop(1.4)), records, model="m")
    assert report["separation"]["roc_auc"] == 1.0 and report["model"] == "m"
    assert report["split_sha256"] == records.digest()
    tight = calibration.background_boxes
    monkeypatch.setattr(
        calibration, "background_boxes", lambda records: (tight(records)[0], np.zeros(6, bool))
    )
    alone = calibration.measure(Network(network, Crop(1.4)), records)
    assert alone["separation"] is None and "no picture has room" in calibration.table(alone)
    text = calibration.table(report)
    assert "ROC AUC 1.0000" in text and "dots/validation" in text
