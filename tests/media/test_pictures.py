import io

import numpy as np
import pytest
from PIL import Image

from keypoints.errors import InputError
from keypoints.media import pictures
from keypoints.media.pictures import decode_picture, encode_png


def packed(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def pixels():
    """A picture of 3 rows and 5 columns, all different."""
    return np.arange(45, dtype=np.uint8).reshape(3, 5, 3) * 5


def test_rgb_comes_back_as_it_is(pixels):
    found = decode_picture(packed(Image.fromarray(pixels)), "a.png")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(decode_picture(encode_png(pixels), "a.png"), pixels)


def test_opaque_alpha_is_dropped_and_transparency_shows_white(pixels):
    alpha = np.full((3, 5, 1), 255, np.uint8)
    alpha[0, 1] = 0
    found = decode_picture(packed(Image.fromarray(np.concatenate([pixels, alpha], -1))), "a.png")
    assert found[0, 1].tolist() == [255, 255, 255]
    found[0, 1] = pixels[0, 1]
    np.testing.assert_array_equal(found, pixels)


def test_palette_gray_one_bit_and_sixteen_bits():
    gray = np.array([[0, 80], [160, 240], [255, 7]], np.uint8)
    expected = np.repeat(gray[..., None], 3, -1)
    palette = Image.fromarray(gray).convert("P")
    deep = Image.fromarray(gray.astype(np.uint16) * 256 + 99)
    for picture in (Image.fromarray(gray), palette, deep):
        np.testing.assert_array_equal(decode_picture(packed(picture), "a.png"), expected)
    with_alpha = Image.merge("LA", [Image.fromarray(gray), Image.new("L", (2, 3), 255)])
    np.testing.assert_array_equal(decode_picture(packed(with_alpha), "a.png"), expected)
    bits = Image.fromarray(gray > 100)
    np.testing.assert_array_equal(
        decode_picture(packed(bits), "a.png")[..., 0], np.where(gray > 100, 255, 0)
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(orientation):
    """Stored as each orientation has it, a picture with one white corner is shown the same."""
    shown = np.zeros((24, 40, 3), np.uint8)
    shown[:8, :8] = 255
    turned = {
        1: shown, 2: shown[:, ::-1], 3: shown[::-1, ::-1], 4: shown[::-1],
        5: shown.transpose(1, 0, 2), 6: np.rot90(shown, 1),
        7: shown[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(shown, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = packed(Image.fromarray(np.ascontiguousarray(turned)), "JPEG", exif=exif, quality=95)
    found = decode_picture(data, "a.jpg")
    assert found.shape == shown.shape
    np.testing.assert_allclose(found.astype(int), shown, atol=40)


def test_cmyk_looks_as_it_should():
    data = packed(Image.new("CMYK", (6, 4), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = decode_picture(data, "a.jpg")[2, 3].tolist()
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_picture_is_refused(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    data = packed(Image.fromarray(noise), kind)
    with pytest.raises(InputError, match=r"photos/a\.png: not a whole picture"):
        decode_picture(data[: int(len(data) * share)], "photos/a.png")


@pytest.mark.parametrize("data", [b"", b"hello, this is text", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(InputError, match=r"a\.png: not a whole picture"):
        decode_picture(data, "a.png")


def test_an_absurdly_large_picture_is_refused(pixels, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 14)
    with pytest.raises(InputError, match="5 x 3 pixels"):
        decode_picture(packed(Image.fromarray(pixels)), "a.png")
