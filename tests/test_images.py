import numpy as np
import pytest

from keypoints.errors import InputError
from keypoints.images import as_rgb


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        (np.full((4, 6), 90, np.uint8), [90] * 3),
        (np.full((4, 6, 1), 90, np.uint8), [90] * 3),
        (np.full((4, 6, 2), 90, np.uint8), [90] * 3),
        (np.dstack([np.full((4, 6), v, np.uint8) for v in (1, 2, 3, 77)]), [1, 2, 3]),
        (np.full((4, 6, 3), 0.5), [128] * 3),
        (np.full((4, 6, 3), 200.0), [200] * 3),
        (np.full((4, 6, 3), 40_000, np.uint16), [156] * 3),
        (np.full((4, 6, 3), 200, np.uint16), [0] * 3),
        (np.full((4, 6, 3), 200, np.int32), [200] * 3),
        (np.full((4, 6, 3), 200), [200] * 3),
        (np.full((4, 6, 3), 40_000, np.int32), [156] * 3),
        (np.full((4, 6, 3), 2**62), [128] * 3),
        (np.full((4, 6, 3), 100, np.int8), [100] * 3),
        (np.full((4, 6, 3), True), [255] * 3),
        (np.full((4, 6, 3), np.nan), [0] * 3),
        (np.full((4, 6, 3), -5, np.int64), [0] * 3),
        (np.zeros((0, 6, 3), np.uint8), [0] * 3),
    ],
)
def test_any_picture_becomes_rgb(image, pixel):
    found = as_rgb(image)
    assert found.dtype == np.uint8 and found.shape[2] == 3
    assert found[0, 0].tolist() == pixel


@pytest.mark.parametrize(
    "image", [np.zeros((2, 3, 5), np.uint8), np.zeros(4), np.array([["a"]]), np.zeros((1, 2, 3, 3))]
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(InputError, match="is not known"):
        as_rgb(image)


def test_sixteen_bits_keep_their_high_byte():
    values = np.array([[0, 255, 256, 511, 32768, 65280, 65535]], np.uint16)
    expected = [0, 0, 1, 1, 128, 255, 255]
    assert as_rgb(values)[0, :, 0].tolist() == expected
    assert as_rgb(values.astype(np.int64))[0, :, 0].tolist() == expected
