import dataclasses

import numpy as np
import pytest

from benchmarks import detection
from keypoints import geometry
from tests.faces import detections, dotted_faces


def test_the_note_by_hand():
    records = dotted_faces(4)
    side = records.boxes[:, 2:].max(axis=1)
    boxes = records.boxes.copy()
    boxes[:, :2] += np.array([0.06, 0.10, 0.14])[[0, 1, 2, 0], None] * side[:, None] * [0.6, 0.8]
    answers = [boxes[[0]], boxes[[1]], np.stack([boxes[2], boxes[2] + 500]), boxes[:0]]
    turned = dataclasses.replace(records, yaw=np.float32([5, -31, 0, 70]))
    answer = iter(answers)
    row = detection.measure("one", lambda image: detections(next(answer)), turned)
    assert row.samples == 4 and row.unit == "ms"
    assert row.note == (
        "recall 75.0% (0°+ 100.0%, 30°+ 100.0%, 60°+ 0.0%), false 0.250, centre 10.0%, size 0.0%"
    )


@pytest.mark.parametrize("degrees", [45, 90])
def test_turned_pictures_and_points_go_together(degrees):
    records = dotted_faces(2)
    turned = detection.turn(records, degrees)
    for index in range(2):
        image, points = turned.image(index), np.rint(turned.points[index]).astype(int)
        assert (image[points[:, 1], points[:, 0]].astype(int).sum(axis=1) > 300).all()  # on dots
    down = turned.points[:, 8] - turned.points[:, 27]  # from the nose's root to the chin
    tilt = np.degrees(np.arctan2(-down[:, 0], down[:, 1]))
    before = records.points[:, 8] - records.points[:, 27]
    straight = np.degrees(np.arctan2(-before[:, 0], before[:, 1]))
    np.testing.assert_allclose(tilt - straight, degrees, atol=0.01)
    np.testing.assert_allclose(turned.boxes, geometry.landmark_box(turned.points), atol=1e-3)


def test_the_face_of_a_picture_of_any_size_is_as_high():
    for width, height in ((320, 240), (640, 480)):
        image = detection.shown_at(dotted_faces(1), width, height)
        assert image.shape == (height, width, 3)
        dots = np.argwhere(image.astype(int).sum(axis=2) > 400)
        low, high = dots.min(axis=0), dots.max(axis=0)
        assert max(high - low) == pytest.approx(detection.HEIGHT * height, rel=0.15)
        assert (low + high) / 2 == pytest.approx([height / 2, width / 2], abs=0.05 * height)
