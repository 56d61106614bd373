import numpy as np
import pytest

from keypoints.data.correction import YOUTUBE_FACES, Correction
from keypoints.markup import IBUG68

FACE = (IBUG68.mean * 100 + [80, 70]).astype(np.float32)
EYES = FACE[45, 0] - FACE[36, 0]


def turned(points, degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points @ np.array([[cos, sin], [-sin, cos]])


@pytest.mark.parametrize("degrees", [0, 35])
def test_an_offset_is_along_the_picture_and_a_markup_along_the_face(degrees):
    markup = np.zeros((68, 2))
    markup[8] = 0.1, 0.2
    face = turned(FACE, degrees)
    moved = Correction(pixel_shift=0.5, inter_ocular_shift=0.02, markup=markup).apply(face) - face
    np.testing.assert_allclose(moved[9], [-0.5 - 0.02 * EYES, 0], atol=1e-4)
    expected = turned(np.array([[-0.1, -0.2]]) * EYES, degrees)[0] + moved[9]
    np.testing.assert_allclose(moved[8], expected, atol=1e-4)


def test_missing_points_stay_missing():
    face = FACE.copy()
    face[36] = np.nan  # an eye corner: the mean face tells the distance
    moved = Correction(inter_ocular_shift=0.1).apply(face)
    assert np.isnan(moved[36]).all()
    np.testing.assert_allclose(moved[1:36] - face[1:36], [[-0.1 * EYES, 0]] * 35, atol=1e-3)


def test_the_markup_has_no_side():
    table = YOUTUBE_FACES.markup
    assert table.shape == (68, 2) and np.abs(table).max() < 0.08
    np.testing.assert_allclose(table[IBUG68.mirror] * [-1, 1], table, atol=1e-9)
