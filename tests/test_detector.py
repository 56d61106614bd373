import os

import numpy as np
import pytest

from keypoints import detector, geometry
from keypoints.datasets.synthetic_faces.drawing import draw_face


def test_no_face_is_an_empty_answer():
    for image in (np.zeros((80, 120, 3), np.uint8), np.full((3, 5, 3), 9, np.uint8)):
        found = detector.load_detector().detect(image)
        assert found.shape == (0, 4) and found.dtype == np.float32


def test_overlap_by_hand():
    a, b = np.array([0.0, 0, 4, 2]), np.array([2.0, 1, 4, 2])
    assert detector.overlap(a, b) == pytest.approx(2 / 14)  # 2 x 1 shared of 8 + 8 - 2
    assert detector.overlap(a, a) == 1 and detector.overlap(a, a + [9, 9, 0, 0]) == 0


def test_conversion_by_hand():
    squares = np.array([[10.0, 20, 100, 100], [0, 0, 50, 50]])
    boxes = np.array([[20.0, 40, 80, 60], [5, 10, 40, 30]])  # the same at another size
    centre, size = detector.fit_conversion(squares, boxes)
    np.testing.assert_allclose(centre, [0.5, 0.5])
    np.testing.assert_allclose(size, [0.8, 0.6])


def test_drawn_faces_are_found_where_they_are():
    overlaps = []
    for seed in range(30):
        image, points = draw_face(seed)
        found = detector.load_detector().detect(image)
        if len(found):
            overlaps.append(detector.overlap(found[0], geometry.landmark_box(points)))
    assert len(overlaps) >= 12 and np.median(overlaps) > 0.6


@pytest.mark.slow
@pytest.mark.skipif("KEYPOINTS_ARCHIVE" not in os.environ, reason="KEYPOINTS_ARCHIVE is not set")
def test_recall_and_constants_on_the_real_data(tmp_path):
    from keypoints.sources import load_records

    records = load_records("youtube_faces_keypoints", "validation", data_dir=tmp_path)
    truth = geometry.landmark_box(records.points)
    haar = detector.load_detector()
    squares, boxes, overlaps = [], [], []
    for i, box in enumerate(truth):
        image = records.image(i)
        found = haar.detect(image)
        overlaps.append(detector.overlap(found[0], box) if len(found) else 0)
        if overlaps[-1] > 0.4:
            squares.append(haar.squares(image)[0])
            boxes.append(box)
    assert np.mean(np.array(overlaps) > 0.4) > 0.93
    centre, size = detector.fit_conversion(np.array(squares), np.array(boxes))
    np.testing.assert_allclose(centre, detector.HAAR_CENTRE, atol=0.02)
    np.testing.assert_allclose(size, detector.HAAR_SIZE, atol=0.03)
