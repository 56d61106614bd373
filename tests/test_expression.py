import numpy as np
import pytest

from keypoints import expression
from keypoints.markup import IBUG68


def face():
    points = np.zeros((68, 2))
    points[36:42] = [(0, 0), (3, -1), (6, -2), (10, 0), (6, 1), (3, 2)]  # heights 3 and 3, width 10
    points[42:48] = [(50, 0), (52, -1), (54, -1), (58, 0), (54, 1), (52, 2)]  # 3 and 2, width 8
    points[60:68] = [(20, 60), (24, 57), (28, 56), (32, 57), (36, 60), (32, 62), (28, 64), (24, 63)]
    return points


def test_openings_by_hand():
    assert expression.eye_opening(face()) == pytest.approx((3 / 10 + 2.5 / 8) / 2)
    assert expression.mouth_opening(face()) == pytest.approx((6 + 8 + 5) / 3 / 16)


def test_size_place_and_rotation_do_not_matter():
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    moved = np.stack([face(), 7 * face() @ turn + [100, -30]])
    for ratio in (expression.eye_opening, expression.mouth_opening):
        first, second = ratio(moved)
        assert first == pytest.approx(second)


def test_the_mean_face_looks_and_is_silent():
    assert 0.2 < expression.eye_opening(IBUG68.mean) < 0.35
    assert expression.mouth_opening(IBUG68.mean) < 0.15
