import numpy as np
import pytest

from keypoints import geometry
from keypoints.estimate import Estimate
from keypoints.inference import upright
from keypoints.inference.settling import boxes_again, settled
from keypoints.markup import IBUG68

FACE = IBUG68.mean * 200 + 150
# 50 degrees clockwise about the corner of the picture.
TILTED = (FACE - 150) @ np.array([[0.642788, 0.766044], [-0.766044, 0.642788]]) + [300, 200]


def faces(points, scores, uncertainty=1.0):
    points = np.asarray(points, np.float32)
    return Estimate(points, np.full((len(points), 68), uncertainty, "f4"), np.array(scores))


def test_faces_are_estimated_again_where_their_box_overlaps_that_of_their_points_too_little():
    left, top, width, height = geometry.landmark_box(FACE)
    # Longer by a fifth and a third: they overlap by 1 / 1.2 = 0.83 and 1 / 1.33 = 0.75.
    boxes = np.array([[left, top, width * grown, height] for grown in (1.2, 1.33, np.nan, 1)])
    boxes[3, :2] = geometry.landmark_box(TILTED)[:2]  # that of the picture as it is
    found = faces([FACE, FACE, FACE, TILTED], [0.9, 0.1, 0.9, 0.9])
    again, places, rolls = boxes_again(found, boxes)
    assert again.tolist() == [1, 3]
    np.testing.assert_allclose(places[0], [left, top, width, height], atol=1e-3)
    np.testing.assert_allclose(places[1], upright.upright_boxes(TILTED[None])[0][0], atol=1e-3)
    assert rolls[0] == 0 and rolls[1] == pytest.approx(35, abs=0.1)


@pytest.mark.parametrize(
    ("before", "after", "taken"),
    [(0.9, 0.6, True), (0.9, 0.4, False), (0.3, 0.35, True), (0.3, 0.2, False), (0, 0, False)],
)
def test_a_second_estimate_is_taken_unless_it_makes_a_face_none(before, after, taken):
    far = FACE + [900, 0]  # another face, which stays as it is
    found = faces([far, FACE], [0.8, before])
    boxes = geometry.landmark_box(found.points)
    mended = settled(found, boxes, np.array([1]), faces([FACE + 9], [after], 2.0))
    expected = (FACE + 9, 2, after) if taken else (FACE, 1, before)
    np.testing.assert_allclose(mended.points, np.stack([far, expected[0]]), atol=1e-3)
    np.testing.assert_array_equal(mended.uncertainty[:, 3], [1, expected[1]])
    assert mended.scores.tolist() == [0.8, expected[2]]
    np.testing.assert_allclose(found.points[1], FACE, atol=1e-3)  # left as it was


def test_a_second_estimate_stays_with_the_box_of_its_detector():
    found = faces([FACE], [0.1])
    left, top, width, height = geometry.landmark_box(FACE)
    # Moved by half and by 0.6 of the width, they overlap by 1 / 3 and by 1 / 4.
    for moved, taken in ((0.5, True), (0.6, False)):
        boxes = np.array([[left - moved * width, top, width, height]])
        mended = settled(found, boxes, np.array([0]), faces([FACE + 0.01], [0.9]))
        assert mended.scores[0] == (0.9 if taken else 0.1)


def test_a_second_estimate_takes_no_other_face_of_the_picture():
    beside = FACE + [0.4 * np.ptp(FACE[:, 0]), 0]  # overlaps FACE by 0.6 / 1.4 = 0.43
    left, top, width, height = geometry.landmark_box(FACE)
    boxes = np.array([[left + 0.5 * width, top, width, height], [left, top, width, height]])
    for rival, taken in ((0.7, False), (0.4, True)):  # which is a face, or is none
        found = faces([FACE + [width, 0], FACE], [0.3, rival])
        mended = settled(found, boxes, np.array([0]), faces([beside], [0.9]))
        assert mended.scores[0] == (0.9 if taken else 0.3)
    # Of two that go to the same place the one with the higher score does.
    found = faces([FACE + [width, 0], FACE - [width, 0]], [0.3, 0.3])
    others = faces([beside, FACE], [0.8, 0.9])
    mended = settled(found, boxes, np.array([0, 1]), others)
    assert mended.scores.tolist() == [0.3, 0.9]
    np.testing.assert_allclose(mended.points[1], FACE, atol=1e-3)
