import cv2
import numpy as np
import pytest

from keypoints import geometry
from keypoints.crop import Crop

# A box of 40 x 80 at (10, 20) in a 120 x 200 picture: wider one way, off-centre both ways.
BOX = np.array([10.0, 20.0, 40.0, 80.0])


def test_landmark_box():
    points = np.array([[3.0, 9.0], [13.0, 4.0], [7.0, 5.0]])
    assert geometry.landmark_box(points).tolist() == [3, 4, 10, 5]


def test_boxes_of_a_smaller_picture_by_hand():
    """The first pixel of a picture of a quarter of the width covers four, from -0.5 to 3.5."""
    boxes = geometry.scaled_boxes(np.array([[-0.5, 9.5, 2, 3]]), np.array([4.0, 2]))
    assert boxes.tolist() == [[-0.5, 19.5, 8, 6]]
    assert geometry.scaled_boxes(np.array([[0.0, 0, 1, 1]]), np.array([4.0, 2])).tolist() == [
        [1.5, 0.5, 4, 2]
    ]


def test_matrix_then_inverse_returns_the_points():
    points = np.random.default_rng(0).uniform(-50, 250, (3, 68, 2))
    boxes = np.array([[10, 20, 40, 80], [-9, 3, 70, 31], [100, 7, 5, 6]], float)
    matrices = Crop(1.3).matrices(boxes)
    there = geometry.apply(matrices, points)
    np.testing.assert_allclose(geometry.apply(geometry.invert(matrices), there), points, atol=1e-3)


def test_compose_applies_first_then_second():
    first = np.array([[0.0, -2.0, 3.0], [1.0, 0.0, 4.0]])
    second = np.array([[1.0, 0.5, 0.0], [0.0, 3.0, -1.0]])
    # (5, 7) -> (-14 + 3, 5 + 4) = (-11, 9) -> (-11 + 4.5, 27 - 1)
    both = geometry.apply(geometry.compose(second, first), np.array([[5.0, 7.0]]))
    assert both.tolist() == [[-6.5, 26.0]]


@pytest.mark.parametrize("side", [60.0, 700.0])
def test_a_bright_dot_stays_under_its_point(side):
    """Enlarging and, past a factor of two, shrinking: non-square picture, off-centre box."""
    image = np.zeros((900, 1100, 3), np.uint8)
    dot = np.array([420.0, 333.0])
    half = int(side / 40)
    image[333 - half : 334 + half, 420 - half : 421 + half] = 255
    matrix = Crop(1.4).matrices(
        np.array([dot[0] - side * 0.3, dot[1] - side * 0.6, side, side * 0.8])
    )
    crop = geometry.crop(image, matrix).astype(float).sum(axis=-1)
    y, x = np.mgrid[:224, :224]
    found = [(crop * x).sum() / crop.sum(), (crop * y).sum() / crop.sum()]
    np.testing.assert_allclose(found, geometry.apply(matrix, dot[None])[0], atol=0.1)


def test_shrinking_averages_instead_of_skipping_pixels():
    stripes = np.zeros((1000, 1000, 3), np.uint8)
    stripes[:, ::2] = 200
    matrix = Crop(1.0).matrices(np.array([100.0, 100, 800, 800]))
    crop = geometry.crop(stripes, matrix).astype(float)
    assert abs(crop.mean() - 100) < 3 and crop.std() < 35


def test_outside_the_picture_is_black():
    image = np.full((50, 80, 3), 255, np.uint8)
    crop = geometry.crop(image, Crop(2.0).matrices(np.array([0.0, 0, 80, 50])))
    assert crop[0].max() == 0 and crop[112, 112].min() == 255


def test_enlargement_undoes_reduce():
    # Pixel centres 0, 1, 2 average to 1: the reduced pixel 0 lies at 1 of the original.
    moved = geometry.apply(geometry.enlargement(3), np.array([[0.0, 2.0]]))
    assert moved.tolist() == [[1.0, 7.0]]
    picture = 4 * np.arange(2 * 6 * 3, dtype=np.uint8).reshape(2, 6, 3)
    assert geometry.reduce(picture, 2)[0, 0].tolist() == [
        picture[:2, :2, c].mean() for c in range(3)
    ]


def test_partial_blocks_at_the_edge_are_cut_off():
    """Each pixel is the mean of a whole block: 7 columns make 3 of two, 5 rows make 2."""
    picture = np.zeros((5, 7, 3), np.uint8)
    picture[4], picture[:, 6] = 255, 255  # the partial blocks
    picture[:2, :2] = 100
    small = geometry.reduce(picture, 2)
    assert small.shape == (2, 3, 3) and small[0, 0].tolist() == [100] * 3
    assert not small[1].any() and not small[:, 1:].any()


def test_what_a_crop_covers_ends_at_the_edges_of_its_pixels():
    """A pixel reaches half a pixel around its centre, in the crop as in the picture."""
    half = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]])  # the picture at half its size
    low, high = geometry.seen(half, size=10)
    np.testing.assert_allclose((low, high), [[-0.5, -0.5], [19.5, 19.5]])


def test_a_crop_of_a_photograph_is_that_of_its_part():
    """Cutting to the part that is shown changes no bit, and a side may be of any length."""
    rng = np.random.default_rng(0)
    part = rng.integers(0, 256, (60, 90, 3), dtype=np.uint8)
    wide = np.zeros((60, 40_000, 3), np.uint8)
    wide[:, 35_000:35_090] = part
    small = Crop(1.4).matrices(np.array([40, 20, 30, 25]))
    there = Crop(1.4).matrices(np.array([35_040, 20, 30, 25]))
    np.testing.assert_array_equal(geometry.crop(wide, there), geometry.crop(part, small))
    photograph = rng.integers(0, 256, (1300, 1700, 3), dtype=np.uint8)
    matrix = Crop(1.4).matrices(np.array([400, 300, 500, 640]))  # 4 pixels to one
    reduced = geometry.reduce(photograph, 4)
    whole = geometry.compose(matrix, geometry.enlargement(4))
    shown = cv2.warpAffine(reduced, whole, (224, 224), flags=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(geometry.crop(photograph, matrix), shown)
    outside = Crop(1.4).matrices(np.array([9000, 300, 900, 900]))
    assert not geometry.crop(photograph, outside).any()


def test_a_rolled_crop_by_hand():
    # A box around (50, 40), rolled clockwise by 90 degrees: right of it is what was above.
    matrix = Crop(1.12).matrices(np.array([40.0, 30, 20, 20]), 90.0)
    points = np.array([[50.0, 40], [60, 40], [50, 45]])
    # 224 pixels for 22.4: ten to one.
    expected = [[111.5, 111.5], [111.5, 11.5], [161.5, 111.5]]
    np.testing.assert_allclose(geometry.apply(matrix, points), expected, atol=1e-3)
    np.testing.assert_allclose(geometry.rotation(90.0), [[0, -1], [1, 0]], atol=1e-12)
    assert geometry.rotation(np.zeros((4, 3))).shape == (4, 3, 2, 2)
