import numpy as np
import pytest

from keypoints.inference import detections


def test_overlap_by_hand():
    a, b = np.array([0.0, 0, 4, 2]), np.array([2.0, 1, 4, 2])
    assert detections.overlap(a, b) == pytest.approx(2 / 14)  # 2 x 1 shared of 8 + 8 - 2
    assert detections.overlap(a, a) == 1 and detections.overlap(a, a + [9, 9, 0, 0]) == 0


def test_conversion_by_hand():
    squares = np.array([[10.0, 20, 100, 100], [0, 0, 50, 50]])
    boxes = np.array([[20.0, 40, 80, 60], [5, 10, 40, 30]])  # the same at another size
    centre, size = detections.fit_conversion(squares, boxes)
    np.testing.assert_allclose(centre, [0.5, 0.5])
    np.testing.assert_allclose(size, [0.8, 0.6])
    np.testing.assert_allclose(detections.landmark_boxes(squares, centre, size), boxes)


def test_of_two_boxes_on_one_face_the_surer_stays():
    boxes = np.array([[0.0, 0, 10, 10], [2, 0, 10, 10], [40, 0, 10, 10], [6, 0, 10, 10]])
    scores = np.array([0.7, 0.9, 0.5, 0.6])
    # 8 x 10 of 120 with the second, 0.67; of the fourth and the second 6 x 10 of 140, 0.43.
    assert detections.distinct(boxes, scores).tolist() == [1, 2]
    assert detections.distinct(boxes[:0], scores[:0]).tolist() == []
