import numpy as np
import pytest

from keypoints import geometry
from keypoints.checks import Table
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.errors import InputError

BOX = np.array([10.0, 20.0, 40.0, 80.0])


def test_matrix_by_hand():
    # Longer side 80, scale 1.4: 112 picture pixels on 224, so scale 2. Centre (30, 60) to 111.5.
    matrix = Crop(1.4).matrices(BOX)
    np.testing.assert_allclose(matrix, [[2, 0, 111.5 - 60], [0, 2, 111.5 - 120]])


def test_matrix_of_an_empty_box_is_finite_and_invertible():
    matrix = Crop(1.4).matrices(np.array([5.0, 6.0, 0.0, 0.0]))
    back = geometry.apply(geometry.invert(matrix), np.array([[111.5, 111.5]]))
    np.testing.assert_allclose(back, [[5, 6]], atol=1e-5)


def test_matrix_of_the_frame_scales_the_short_side_edge_to_edge():
    matrix = Crop(frame=True).matrices(np.zeros((1, 4)), shapes=(51, 102, 3))[0]  # scale 5
    corners = geometry.apply(matrix, np.array([[-0.5, -0.5], [101.5, 50.5]]))
    # The scaled picture is 510 x 255 and its middle 224 x 224 are kept, from -0.5 to 223.5.
    np.testing.assert_allclose(corners[0], [-0.5 - (510 - 224) / 2, -0.5 - (255 - 224) / 2])
    np.testing.assert_allclose(corners[1], [223.5 + (510 - 224) / 2, 223.5 + (255 - 224) / 2])


def test_matrices_of_the_frame_look_at_each_pictures_shape_and_at_no_box():
    boxes = np.array([BOX, np.full(4, np.nan)])
    found = Crop(frame=True).matrices(boxes, [90.0, 0.0], shapes=np.array([[51, 102], [255, 300]]))
    np.testing.assert_allclose(found[1], [[1, 0, 111.5 - 149.5], [0, 1, 111.5 - 127]])
    assert found[0, 0, 0] == pytest.approx(5) and found.shape == (2, 2, 3)


def test_a_smaller_crop_shows_the_same_in_fewer_pixels():
    corners = np.array([[-0.5, -0.5], [223.5, 223.5]])
    large, small = Crop(1.4).matrices(BOX, 30), Crop(1.4, 56).matrices(BOX, 30)
    shown = geometry.apply(geometry.invert(large), corners)
    np.testing.assert_allclose(geometry.apply(small, shown), (corners + 0.5) / 4 - 0.5, atol=1e-4)


def test_the_crop_of_a_config():
    assert Crop.of(Config(crop_scale=1.3)) == Crop(1.3, 224)
    assert Crop.of(Config(crop="frame")).frame


def test_a_crop_is_read_from_json_and_checked():
    assert Crop.read(Table("crop", {"scale": 2, "size": 224, "frame": False, "box": ""})) == Crop(
        2.0, 224
    )
    for values, field in (
        ({"scale": True, "size": 224, "frame": False}, "scale=True"),
        ({"scale": 1.4, "frame": False}, "size is missing"),
        ({"scale": 1.4, "size": 112, "frame": False}, "size=112 is not known"),
        ({"scale": 1.4, "size": 224, "frame": "face"}, "frame='face'"),
    ):
        with pytest.raises(InputError, match=field):
            Crop.read(Table("crop", values))
