import numpy as np
import pytest

from keypoints.crop import Crop
from keypoints.estimate import (
    Estimate,
    average,
    concatenate,
    flipped,
    in_picture,
    score_faces,
    unflatten,
)
from keypoints.markup import IBUG68

RNG = np.random.default_rng(0)


def test_the_flat_output_of_a_network_by_hand():
    outputs = RNG.random((3, 204)).astype(np.float32)
    found = unflatten(outputs)
    assert found.points[1, 5].tolist() == outputs[1, 10:12].tolist()
    assert found.uncertainty[1, 5] == outputs[1, 136 + 5]
    again = concatenate([found[:1], found[np.array([1, 2])]])
    np.testing.assert_array_equal(again.points, found.points)
    np.testing.assert_array_equal(again.uncertainty, found.uncertainty)


def test_a_flip_swaps_sides_of_points_and_uncertainties():
    points = np.zeros((1, 68, 2), np.float32)
    points[0, 36] = 50, 80  # the right eye's outer corner
    uncertainty = np.arange(68, dtype=np.float32)[None]
    found = flipped(Estimate(points, uncertainty), 224, IBUG68.mirror)
    assert found.points[0, 45].tolist() == [173, 80]  # 223 - 50
    assert found.uncertainty[0, 45] == 36
    assert found.points.dtype == np.float32


def test_average_by_hand():
    first = Estimate(np.full((1, 68, 2), 3.0), np.full((1, 68), 1.0))
    second = Estimate(np.full((1, 68, 2), 5.0), np.full((1, 68), 2.0))
    found = average(first, second)
    assert found.points[0, 7].tolist() == [4, 4] and found.uncertainty[0, 7] == 1.5


def test_uncertainty_scales_with_the_picture():
    matrices = Crop(1.4).matrices(np.array([[30, 40, 100, 80.0]]))
    found = in_picture(Estimate(np.full((1, 68, 2), 111.5), np.full((1, 68), 8.0)), matrices)
    np.testing.assert_allclose(found.points[0, 9], [80, 80], atol=1e-4)  # the box's centre
    np.testing.assert_allclose(found.uncertainty, 8 * 140 / 224, rtol=1e-5)
    assert found.points.dtype == found.uncertainty.dtype == np.float32


def test_relative_uncertainty_by_hand():
    points = np.zeros((2, 68, 2))
    points[0, 5:7] = [[16, 0], [0, 25]]  # a box of 16 x 25, eyes that coincide; all of them do
    found = Estimate(points, np.full((2, 68), 2.0)).relative_uncertainty()
    assert found[0] == 2 / 20 and np.isfinite(found[1]) and found[1] > 100


def test_relative_uncertainty_is_a_mean_over_the_points():
    points = np.zeros((1, 68, 2))
    points[0, 5:7] = [[16, 0], [0, 25]]
    uncertainty = np.full((1, 68), 2.0)
    uncertainty[0, :34] = 6.0
    assert Estimate(points, uncertainty).relative_uncertainty()[0] == pytest.approx(4 / 20)


def test_scores_stay_with_their_faces_and_are_unknown_in_a_crop():
    found = Estimate(np.zeros((3, 68, 2)), np.ones((3, 68)), np.array([0.1, 0.5, 0.9]))
    assert found[np.array([2, 0])].scores.tolist() == [0.9, 0.1]
    assert len(found[0]) == 1 and found[-1].scores.tolist() == [0.9]
    assert found[np.int64(1)].points.shape == (1, 68, 2)
    whole = concatenate([found[:1], Estimate(np.zeros((1, 68, 2)), np.ones((1, 68)))])
    assert whole.scores[0] == 0.1 and np.isnan(whole.scores[1])


def test_the_score_by_hand():
    """Points over a square of 100 pixels; the score is half gone at an uncertainty of 3.5."""
    points = np.tile(np.linspace(0, 100, 68)[:, None] + [50, 30], (5, 1, 1))
    uncertainty = np.tile(np.array([[0.0], [1.75], [7.1], [0], [0]]), 68)
    boxes = np.tile([50.0, 30, 100, 100], (5, 1))
    boxes[3] = 115, 30, 100, 100  # 65 pixels away, more than 0.6 sides
    boxes[4] = 0, -20, 200, 200  # twice as large: its logarithm is more than 0.6
    found = score_faces(Estimate(points, uncertainty), boxes, (200, 300, 3))
    np.testing.assert_allclose(found, [1, 0.75, 0, 0, 0])
    near = score_faces(Estimate(points, uncertainty), boxes - [6, 0, 0, 0], (200, 300, 3))
    assert near[3] == 1  # 59 pixels away
    # Each in a picture of its own: the second one's ends above the face.
    shapes = np.array([[200, 300], [30, 300], [200, 300], [200, 300], [200, 300]])
    found = score_faces(Estimate(points, uncertainty), boxes, shapes)
    np.testing.assert_allclose(found, [1, 0, 0, 0, 0])


def test_a_face_off_the_picture_has_no_score():
    points = np.tile(np.linspace(0, 100, 68)[:, None] + [50, 30], (1, 1, 1))
    estimate, box = Estimate(points, np.zeros((1, 68))), np.array([[50.0, 30, 100, 100]])
    assert score_faces(estimate, box, (31, 51)) == 1 and score_faces(estimate, box, (31, 50)) == 0
    assert score_faces(estimate, box, (30, 51)) == 0
    left = Estimate(points - [151, 0], np.zeros((1, 68)))
    assert score_faces(left, box - [151, 0, 0, 0], (200, 300)) == 0
