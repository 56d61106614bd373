import base64
import errno
import functools
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin, TiffImagePlugin

from keypoints.errors import InputError
from keypoints.media import formats, picture_writer, pictures
from keypoints.media.pictures import Picture, Still, decode_picture, encode_png


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


def test_an_absurdly_large_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "MAX_BYTES", 2_000_000)
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(2_000_001)
    with pytest.raises(InputError, match=r"a\.png: a picture file of more than 2 MB"):
        pictures.open_picture(tmp_path / "a.png")


def test_an_absurdly_large_picture_is_refused(pixels, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 14)
    with pytest.raises(InputError, match="5 x 3 pixels"):
        decode_picture(packed(Image.fromarray(pixels)), "a.png")


@functools.cache  # a profile holds the second in which it was made
def swapped_profile() -> bytes:
    """An ICC profile of linear values with red and green swapped: nobody mistakes it for sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {
        bytes(profile[132 + 12 * k : 136 + 12 * k]): 136 + 12 * k for k in range(count)
    }  # where each tag's offset and size are
    red, green = (bytes(profile[tags[name] : tags[name] + 8]) for name in (b"rXYZ", b"gXYZ"))
    profile[tags[b"rXYZ"] : tags[b"rXYZ"] + 8] = green
    profile[tags[b"gXYZ"] : tags[b"gXYZ"] + 8] = red
    return bytes(profile)


def hat(image: np.ndarray) -> np.ndarray:
    """A filter: a red band with a soft lower edge over the rows 4 to 9."""
    painted = image.copy()
    painted[4:8] = (200, 30, 40)
    painted[8:10] = (image[8:10].astype(int) + (200, 30, 40)) // 2
    return painted


def repainted(data: bytes, target: Path, paint=hat, *, name="in.x", **options) -> list[str]:
    source = Picture(data, name)
    stills = [still.painted(paint) for still in source.stills()]
    return source.notes + picture_writer.save(target, stills, source=source, **options)


def stills(path: Path) -> list[Still]:
    return list(pictures.open_picture(path).stills())


GRADIENT = np.stack(
    [np.tile(np.linspace(30, 220, 24), (20, 1)), np.full((20, 24), 90), np.full((20, 24), 160)], -1
).astype(np.uint8)  # 20 rows, 24 columns
LOSSLESS = [".png", ".tif", ".tiff"]
PROFILED = [".png", ".tif", ".jpg", ".webp", ".avif"]


@pytest.mark.parametrize("suffix", PROFILED)
def test_an_icc_profile_is_used_for_the_network_and_kept(tmp_path, suffix):
    """Red and green are swapped in the profile, so what is stored red is seen green."""
    data = packed(Image.fromarray(GRADIENT), icc_profile=swapped_profile())
    seen = decode_picture(data, "a.png")
    np.testing.assert_allclose(seen, GRADIENT[..., [1, 0, 2]], atol=2)
    assert repainted(data, tmp_path / f"out{suffix}") == []
    (still,) = stills(tmp_path / f"out{suffix}")
    assert still.profile == swapped_profile()
    np.testing.assert_allclose(still.rgb()[5:7, 3:20], [[(200, 30, 40)] * 17] * 2, atol=12)
    with Image.open(tmp_path / f"out{suffix}") as stored:  # the values are the profile's
        band = np.asarray(stored.convert("RGB")).astype(int)[5:7, 3:20]
    np.testing.assert_allclose(band, [[(30, 200, 40)] * 17] * 2, atol=12)
    if suffix in LOSSLESS:
        np.testing.assert_array_equal(still.pixels[10:], GRADIENT[10:])


def test_a_format_without_profiles_gets_srgb_and_says_so(tmp_path):
    data = packed(Image.fromarray(GRADIENT), icc_profile=swapped_profile())
    (note,) = repainted(data, tmp_path / "out.bmp")
    assert note.endswith("out.bmp: colours of its ICC profile are converted to sRGB")
    (still,) = stills(tmp_path / "out.bmp")
    np.testing.assert_allclose(still.pixels[10:], GRADIENT[10:][..., [1, 0, 2]], atol=2)


def test_srgbs_own_profile_changes_nothing(tmp_path):
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = packed(Image.fromarray(GRADIENT), icc_profile=own)
    np.testing.assert_array_equal(decode_picture(data, "a.png"), GRADIENT)
    assert repainted(data, tmp_path / "out.png") == []
    assert stills(tmp_path / "out.png")[0].profile == own


def test_a_profile_that_is_damaged_or_of_other_channels_is_passed_over():
    for profile in (b"nonsense", swapped_profile()[:200]):
        data = packed(Image.fromarray(GRADIENT), icc_profile=profile)
        np.testing.assert_array_equal(decode_picture(data, "a.png"), GRADIENT)
    gray = packed(Image.fromarray(GRADIENT[..., 0]), icc_profile=swapped_profile())
    np.testing.assert_array_equal(decode_picture(gray, "a.png")[..., 1], GRADIENT[..., 0])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif"])
def test_alpha_is_kept_and_stickers_show_on_transparency(tmp_path, suffix):
    alpha = np.full((20, 24), 255, np.uint8)
    alpha[:, :8] = 0
    alpha[12:, 8:16] = 100
    picture = Image.fromarray(np.dstack([GRADIENT, alpha]))
    assert repainted(packed(picture), tmp_path / f"out{suffix}") == []
    (still,) = stills(tmp_path / f"out{suffix}")
    expected = alpha.copy()
    expected[4:8] = 255  # opaque paint
    expected[8:10, :8] = 128  # half a cover over nothing
    np.testing.assert_allclose(still.alpha.astype(int), expected, atol=3)
    np.testing.assert_allclose(
        still.pixels[5:7, 1:23].astype(int), [[(200, 30, 40)] * 22] * 2, atol=12
    )
    if suffix in LOSSLESS:
        np.testing.assert_array_equal(still.pixels[10:, 8:], GRADIENT[10:, 8:])
        np.testing.assert_allclose(still.pixels[8:10, :8], [[(200, 30, 40)] * 8] * 2, atol=3)


def test_a_format_without_alpha_gets_white_and_says_so(tmp_path):
    alpha = np.tile(np.uint8([0, 255]), (20, 12))
    data = packed(Image.fromarray(np.dstack([GRADIENT, alpha])))
    (note,) = repainted(data, tmp_path / "out.bmp")
    assert note.endswith("transparency is laid over white")
    (still,) = stills(tmp_path / "out.bmp")
    assert (still.pixels[12:, ::2] == 255).all()
    opaque = packed(Image.fromarray(np.dstack([GRADIENT, np.full((20, 24), 255, np.uint8)])))
    assert repainted(opaque, tmp_path / "out.bmp") == []


DEEP = (np.arange(20 * 24 * 3).reshape(20, 24, 3) * 45 + 7).astype(np.uint16)
SOFT = np.tile(np.linspace(0, 65535, 24).astype(np.uint16), (20, 1))


@pytest.mark.parametrize("target", [".png", ".tif"])
@pytest.mark.parametrize("source", [".png", ".tiff"])
@pytest.mark.parametrize("kind", ["gray", "rgb", "rgba"])
def test_sixteen_bits_are_kept(tmp_path, source, target, kind):
    stored = {"gray": DEEP[..., 0], "rgb": DEEP, "rgba": np.dstack([DEEP, SOFT])}[kind]
    order = [2, 1, 0, 3][: stored.shape[-1]]
    data = cv2.imencode(source, stored if kind == "gray" else stored[..., order])[1].tobytes()
    assert repainted(data, tmp_path / f"out{target}") == []
    found = cv2.imread(str(tmp_path / f"out{target}"), cv2.IMREAD_UNCHANGED)
    assert found.dtype == np.uint16
    expected = np.repeat(DEEP[..., :1], 3, -1) if kind == "gray" else DEEP
    np.testing.assert_array_equal(found[10:, ..., 2::-1], expected[10:])
    np.testing.assert_array_equal(found[5, 5, 2::-1], np.array([200, 30, 40]) * 257)
    if kind == "rgba":
        np.testing.assert_array_equal(found[10:, ..., 3], SOFT[10:])
    gray = repainted(data, tmp_path / f"gray{target}", lambda image: image)
    assert gray == []  # unpainted, even gray stays as it is
    same = cv2.imread(str(tmp_path / f"gray{target}"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(same, stored if kind == "gray" else stored[..., order])


@pytest.mark.parametrize("target", [".png", ".tif"])
def test_sixteen_bits_keep_profile_exif_and_texts(tmp_path, target):
    exif = Image.Exif()
    exif[0x010F] = "Camera & Co"
    deep = Still(DEEP, profile=swapped_profile())
    like = Picture(packed(Image.fromarray(GRADIENT), exif=exif, dpi=(300, 300)), "a.png")
    assert picture_writer.save(tmp_path / f"out{target}", [deep], source=like) == []
    with Image.open(tmp_path / f"out{target}") as found:
        assert found.info["icc_profile"] == swapped_profile()
        assert found.getexif()[0x010F] == "Camera & Co"
        assert found.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    np.testing.assert_array_equal(stills(tmp_path / f"out{target}")[0].pixels, DEEP)


def test_eight_bits_instead_of_sixteen_are_said(tmp_path):
    data = cv2.imencode(".png", DEEP)[1].tobytes()
    (note,) = repainted(data, tmp_path / "out.webp")
    assert note.endswith("out.webp: 16 bits a value are written as 8")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_exif_is_kept_upright_and_without_its_thumbnail(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"  # turned by a quarter
    exif.get_ifd(0x8769).update({0x9003: "2020:01:02 03:04:05", 0xA002: 24, 0xA003: 20})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0)})
    data = packed(Image.fromarray(GRADIENT), "JPEG", exif=exif, quality=95, dpi=(72, 72))
    thumbnail = b"\xff\xd8 the face as it was \xff\xd9"
    data = data.replace(b"Camera\x00", b"Camera\x00") + thumbnail
    assert repainted(data, tmp_path / f"out{suffix}") == []
    with Image.open(tmp_path / f"out{suffix}") as found:
        assert found.size == (20, 24)
        kept = found.getexif()
        assert kept.get(0x0112, 1) == 1 and kept[0x010F] == "Camera"
        details = kept.get_ifd(0x8769)
        assert details[0x9003] == "2020:01:02 03:04:05"
        assert (details[0xA002], details[0xA003]) == (20, 24)
        assert kept.get_ifd(0x8825)[1] == "N"
    assert b"the face as it was" not in (tmp_path / f"out{suffix}").read_bytes()


def test_the_thumbnail_of_exif_is_left_out(tmp_path):
    """A first directory with one tag, and a second one with a thumbnail, as cameras write them."""
    thumbnail = packed(Image.new("RGB", (8, 8), "red"), "JPEG")
    first = struct.pack("<H HHI4s I", 1, 0x010F, 2, 4, b"Me!\0", 26)
    second = struct.pack("<H HHII HHII I", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(thumbnail), 0)
    block = b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + first + second + thumbnail
    data = packed(Image.fromarray(GRADIENT), "JPEG", exif=block)
    assert thumbnail in data
    repainted(data, tmp_path / "out.jpg")
    assert thumbnail not in (tmp_path / "out.jpg").read_bytes()
    with Image.open(tmp_path / "out.jpg") as found:
        assert found.getexif()[0x010F] == "Me!"


FRAMES = [np.roll(GRADIENT, 5 * k, axis=1) for k in range(4)]
DURATIONS = [100, 40, 200, 60]  # ms


def animation(kind: str) -> bytes:
    pages = [Image.fromarray(frame) for frame in FRAMES]
    options = {"lossless": True} if kind == "WEBP" else {}
    if kind != "TIFF":
        options |= {"duration": DURATIONS, "loop": 3}
    return packed(pages[0], kind, save_all=True, append_images=pages[1:], **options)


@pytest.mark.parametrize("target", [".webp", ".png", ".gif", ".avif"])
@pytest.mark.parametrize("kind", ["WEBP", "PNG", "GIF"])
def test_every_frame_of_an_animation_is_painted_and_keeps_its_time(tmp_path, kind, target):
    notes = repainted(animation(kind), tmp_path / f"out{target}")
    assert len(notes) == (target == ".gif" and kind != "GIF")
    found = stills(tmp_path / f"out{target}")
    assert [round(1000 * still.seconds) for still in found] == DURATIONS
    for still, frame in zip(found, FRAMES):
        np.testing.assert_allclose(
            still.rgb()[5:7, 2:22].astype(int), [[(200, 30, 40)] * 20] * 2, atol=14
        )
        assert np.abs(still.rgb()[12:].astype(int) - frame[12:]).mean() < 6
    with Image.open(tmp_path / f"out{target}") as file:
        assert target == ".avif" or file.info["loop"] == 3


def test_every_page_of_a_tiff_is_painted(tmp_path):
    pages = [
        Image.fromarray(GRADIENT),
        Image.fromarray(GRADIENT[:15, :, 0]),
        Image.fromarray(DEEP[..., 0]),
    ]
    data = packed(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert repainted(data, tmp_path / "out.tif") == []
    found = stills(tmp_path / "out.tif")
    assert [still.pixels.shape for still in found] == [(20, 24, 3), (15, 24, 3), (20, 24, 3)]
    assert found[2].pixels.dtype == np.uint16
    np.testing.assert_array_equal(found[1].pixels[10:, :, 1], GRADIENT[10:15, :, 0])
    np.testing.assert_array_equal(found[2].pixels[10:, :, 1], DEEP[10:, :, 0])
    for still in found:
        np.testing.assert_array_equal(still.rgb()[5, 5], (200, 30, 40))


def test_pages_of_a_tiff_that_are_previews_are_left_out(tmp_path):
    pages = [Image.fromarray(GRADIENT), Image.fromarray(GRADIENT[::4, ::4])]
    file = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(file) as writer:
        for page, kind in zip(pages, (0, 1)):
            page.save(writer, "TIFF", tiffinfo={254: kind})
            writer.newFrame()
    (note,) = repainted(file.getvalue(), tmp_path / "out.tif")
    assert note == "in.x: page 2 is left out: a preview"
    assert [still.pixels.shape for still in stills(tmp_path / "out.tif")] == [(20, 24, 3)]


def test_frames_that_a_format_cannot_hold_are_said_to_be_lost(tmp_path):
    (note,) = repainted(animation("WEBP"), tmp_path / "out.jpg")
    assert "out.jpg: only the first of 4 frames; .png, .webp" in note
    (note,) = repainted(animation("WEBP"), tmp_path / "out.tif")
    assert "times of an animation are left out" in note
    pages = [Image.fromarray(frame) for frame in FRAMES]
    both = packed(pages[0], "MPO", save_all=True, append_images=pages[1:2])
    (note,) = repainted(both, tmp_path / "out.jpg", name="phone.jpg")
    assert note == "phone.jpg: 1 further pictures in it are left out"


def test_an_animation_that_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_ANIMATION", 4 * 20 * 24 - 1)
    with pytest.raises(InputError, match=r"a\.webp: 24 x 20 x 4 pixels in all"):
        decode_picture(animation("WEBP"), "a.webp")


@pytest.mark.parametrize(
    "kind", ["GIF", "AVIF", "WEBP", "BMP", "PPM", "TGA", "JPEG2000", "PCX", "QOI"]
)
def test_formats_in(kind, tmp_path):
    data = packed(Image.fromarray(GRADIENT), kind)
    assert np.abs(decode_picture(data, "a").astype(int) - GRADIENT).mean() < 4
    repainted(data, tmp_path / "out.png")
    assert stills(tmp_path / "out.png")[0].pixels.shape == (20, 24, 3)


def test_heic_comes_with_its_plugin_or_says_what_to_install(tmp_path, monkeypatch):
    heic = b"\0\0\0\x18ftypheic" + bytes(20)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    message = r'pip install ".*\[heic\]"'
    with pytest.raises(InputError, match=f"a.heic: HEIC pictures need .*{message}"):
        decode_picture(heic, "a.heic")
    with pytest.raises(InputError, match=message):
        picture_writer.save(tmp_path / "out.heic", [Still(GRADIENT)])
    monkeypatch.undo()
    pytest.importorskip("pillow_heif")
    assert picture_writer.save(tmp_path / "out.heic", [Still(GRADIENT)]) == []
    assert np.abs(stills(tmp_path / "out.heic")[0].rgb().astype(int) - GRADIENT).mean() < 4


def test_cmyk_stays_in_jpeg_and_becomes_rgb_elsewhere(tmp_path):
    data = packed(Image.new("CMYK", (24, 20), (0, 200, 200, 0)), "JPEG", quality=95)
    for suffix, channels in ((".jpg", 4), (".tif", 4), (".png", 3)):
        assert repainted(data, tmp_path / f"out{suffix}") == []
        (still,) = stills(tmp_path / f"out{suffix}")
        assert still.pixels.shape[-1] == channels
        np.testing.assert_allclose(still.rgb()[6, 10].astype(int), (200, 30, 40), atol=12)
        np.testing.assert_allclose(still.rgb()[15, 10].astype(int), (255, 55, 55), atol=12)


def test_gray_stays_gray_until_colour_comes(tmp_path):
    data = packed(Image.fromarray(GRADIENT[..., 0]))
    repainted(data, tmp_path / "gray.png", lambda image: 255 - image)
    assert stills(tmp_path / "gray.png")[0].pixels.shape == (20, 24, 1)
    repainted(data, tmp_path / "red.png")
    (still,) = stills(tmp_path / "red.png")
    np.testing.assert_array_equal(still.pixels[10:], np.repeat(GRADIENT[10:, :, :1], 3, -1))


def test_quality_goes_by_names(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    for suffix in (".jpg", ".webp", ".avif"):
        sizes = []
        for quality in formats.QUALITIES:
            picture_writer.save(tmp_path / f"out{suffix}", [Still(noise)], quality=quality)
            sizes.append((tmp_path / f"out{suffix}").stat().st_size)
        assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(InputError, match="quality='best'"):
        picture_writer.save(tmp_path / "a.jpg", [Still(noise)], quality="best")


def test_the_real_reason_is_given(tmp_path):
    wide = Still(np.zeros((1, 16384, 3), np.uint8))
    with pytest.raises(InputError, match=r"cannot write .*out\.webp: .*16383"):
        picture_writer.save(tmp_path / "out.webp", [wide])
    with pytest.raises(InputError, match=r"cannot write .*out\.jpg: .*65500"):
        picture_writer.save(tmp_path / "out.jpg", [Still(np.zeros((1, 65501, 3), np.uint8))])
    with pytest.raises(InputError, match=r"cannot write .*gone/out\.png: No such file"):
        picture_writer.save(tmp_path / "gone" / "out.png", [wide])
    with pytest.raises(InputError, match=r"out\.txt: a picture's name ends in \.jpg"):
        picture_writer.save(tmp_path / "out.txt", [wide])
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*folder\.png: Is a directory"):
        picture_writer.save(tmp_path / "folder.png", [wide])
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from keypoints.media import picture_writer, pictures
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
try:
    picture_writer.save(Path(sys.argv[1]), [pictures.Still(noise)])
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_is_the_reason_that_is_given(tmp_path):
    """A limit on file sizes is the full disk that a test can make."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "out.png"],
        capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.startswith("InputError cannot write"), done.stderr
    assert os.strerror(errno.EFBIG) in done.stdout and list(tmp_path.iterdir()) == []


def test_xmp_is_kept_upright_and_without_thumbnails(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6" dc:title="T"/></x:xmpmeta>'
    for source, target in (
        ("JPEG", ".jpg"),
        ("WEBP", ".webp"),
        ("JPEG", ".png"),
        ("JPEG", ".avif"),
    ):
        data = packed(Image.fromarray(GRADIENT), source, xmp=xmp)
        repainted(data, tmp_path / f"out{target}")
        with Image.open(tmp_path / f"out{target}") as found:
            assert b'tiff:Orientation="1" dc:title="T"' in found.info["xmp"]
    data = packed(Image.fromarray(GRADIENT), "JPEG", xmp=xmp.replace(b"dc:title", b"xmpGImg:image"))
    repainted(data, tmp_path / "out.jpg")
    assert b"xmpGImg" not in (tmp_path / "out.jpg").read_bytes()


SECRET = packed(Image.new("RGB", (32, 32), (255, 0, 255)), "JPEG")  # a preview of the bare face


def raw_profile(kind: str, data: bytes) -> tuple[str, str]:
    """Key and text as ImageMagick and exiftool write EXIF and others into PNG."""
    digits = data.hex()
    lines = [digits[k : k + 72] for k in range(0, len(digits), 72)]
    return f"Raw profile type {kind}", f"\n{kind}\n{len(data):8}\n" + "\n".join(lines) + "\n"


def with_texts(*texts: tuple[str, str], **options) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts:
        info.add_text(key, text)
    return packed(Image.fromarray(GRADIENT), pnginfo=info, **options)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_previews_in_exif_are_dropped_wherever_they_are(tmp_path, suffix, private):
    """A maker's note with a preview in it, and a comment that holds one."""
    for tag, data in ((0x927C, b"OLYMP\0\1\0" + SECRET), (0x927C, bytes(3000)), (0x9286, SECRET)):
        exif = Image.Exif()
        exif.get_ifd(0x8769).update({0x9003: "2020:01:02 03:04:05", tag: data})
        source = packed(Image.fromarray(GRADIENT), "JPEG", exif=exif)
        (line,) = repainted(source, tmp_path / f"out{suffix}", private=private)
        assert ExifTags.TAGS[tag] in line and line.startswith("in.x: left out, since it may ")
        assert SECRET not in (tmp_path / f"out{suffix}").read_bytes()
        with Image.open(tmp_path / f"out{suffix}") as found:
            kept = found.getexif().get_ifd(0x8769)
            assert tag not in kept and kept[0x9003] == "2020:01:02 03:04:05"


@pytest.mark.parametrize(
    "text",
    [
        raw_profile("exif", turned(1) + SECRET),
        raw_profile("APP1", b"Exif\0\0" + SECRET),
        raw_profile("8bim", b"8BIM\x04\x0c\0\0" + SECRET),
        ("Thumbnail", base64.b64encode(SECRET).decode()),
        ("workflow", "data:image/png;base64," + base64.b64encode(encode_png(GRADIENT)).decode()),
        ("preview", SECRET.hex().upper()),
    ],
    ids=lambda text: text[0],
)
def test_texts_of_png_that_hold_a_picture_are_dropped(tmp_path, text):
    data = with_texts(text, ("Author", "me"))
    (line,) = repainted(data, tmp_path / "out.png")
    assert line.endswith(f"may show the picture as it was: {text[0]}")
    with Image.open(tmp_path / "out.png") as found:
        assert found.text == {"Author": "me"}
    (line,) = repainted(data, tmp_path / "out.png", private=True)
    assert line.endswith(f"may show or name people: {text[0]}, Author")
    with Image.open(tmp_path / "out.png") as found:
        assert found.text == {}


@pytest.mark.parametrize("kind", ["exif", "APP1"])
def test_an_orientation_in_a_text_is_applied_once(tmp_path, kind):
    data = with_texts(raw_profile(kind, turned(6)))
    with Image.open(io.BytesIO(data)) as before:
        shown = np.asarray(ImageOps.exif_transpose(before))
    repainted(data, tmp_path / "out.png", lambda image: image)
    with Image.open(tmp_path / "out.png") as after:
        assert after.text == {} and after.getexif().get(0x0112, 1) == 1
        np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(after)), shown)


def named_picture(kind: str) -> bytes:
    exif = Image.Exif()
    for tag in (0x010E, 0x013B, 0x8298):
        exif[tag] = "Jane Doe"
    exif[0x0110] = "Model 5"
    details = {0x829A: (1, 50), 0x9003: "2020:01:02 03:04:05", 0x9286: b"ASCII\0\0\0Jane"}
    exif.get_ifd(0x8769).update(details | {0xA430: "Jane Doe", 0xA431: "S-123", 0xA435: "L-9"})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0)})
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a dc:creator="Jane Doe"/></x:xmpmeta>'
    options = {"comment": b"Jane Doe"} if kind == "JPEG" else {}
    picture = Image.fromarray(GRADIENT)
    return packed(picture, kind, exif=exif, xmp=xmp, icc_profile=swapped_profile(), **options)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_what_names_people_and_places_is_dropped_and_said(tmp_path, kind, suffix):
    (line,) = repainted(named_picture(kind), tmp_path / f"out{suffix}", private=True)
    for name in ("ImageDescription", "Artist", "Copyright", "UserComment", "CameraOwnerName",
                 "BodySerialNumber", "LensSerialNumber", "GPS", "XMP"):  # fmt: skip
        assert name in line
    written = (tmp_path / f"out{suffix}").read_bytes()
    assert b"Jane" not in written and b"S-123" not in written and b"L-9" not in written
    with Image.open(tmp_path / f"out{suffix}") as found:
        kept = found.getexif()
        assert kept[0x0110] == "Model 5" and not kept.get_ifd(0x8825)
        assert set(kept.get_ifd(0x8769)) == {0x829A, 0x9003}
        assert found.info["icc_profile"] == swapped_profile()
    repainted(named_picture(kind), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as found:
        kept = found.getexif()
        assert kept[0x013B] == "Jane Doe" and kept.get_ifd(0x8825)[1] == "N"
        assert kept.get_ifd(0x8769)[0xA431] == "S-123"


@pytest.mark.parametrize("deep", [False, True])
def test_nothing_stays_under_transparent_pixels(tmp_path, deep):
    """A face that was cut out by its alpha alone is in the file, for all who look."""
    alpha = np.full((20, 24), 255, np.uint8)
    alpha[:, :8], alpha[:, 8] = 0, 1
    colours = np.dstack([GRADIENT, alpha])
    if deep:
        colours = colours.astype(np.uint16) * 257
    data = cv2.imencode(".png", colours[..., [2, 1, 0, 3]])[1].tobytes()
    for private in (False, True):
        repainted(data, tmp_path / "out.png", lambda image: image, private=private)
        (still,) = stills(tmp_path / "out.png")
        expected = colours[..., :3].copy()
        if private:
            expected[:, :8] = 0
        np.testing.assert_array_equal(still.pixels, expected)
        np.testing.assert_array_equal(still.alpha, colours[..., 3])


def test_heic_keeps_and_drops_the_same(tmp_path):
    pytest.importorskip("pillow_heif")
    repainted(named_picture("JPEG"), tmp_path / "named.heic")
    data = (tmp_path / "named.heic").read_bytes()
    assert b"Jane Doe" in data and b"S-123" in data
    (line,) = repainted(data, tmp_path / "out.heic", private=True)
    assert "Artist" in line and "GPS" in line and "XMP" in line
    assert b"Jane" not in (tmp_path / "out.heic").read_bytes()
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x927C] = SECRET
    data = packed(Image.fromarray(GRADIENT), "HEIF", exif=exif.tobytes())
    assert SECRET in data
    (line,) = repainted(data, tmp_path / "out.heic")
    assert line.endswith("MakerNote") and SECRET not in (tmp_path / "out.heic").read_bytes()


def test_exif_that_is_damaged_is_passed_over(tmp_path):
    for exif in (b"Exif\0\0nonsense", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"):
        data = packed(Image.fromarray(GRADIENT), "JPEG", exif=exif, quality=95)
        assert np.abs(decode_picture(data, "a.jpg").astype(int) - GRADIENT).mean() < 4
        repainted(data, tmp_path / "out.jpg")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize(
    ("mode", "levels", "key"),
    [
        ("L", [0, 80, 255], 0),
        ("L", [0, 80, 255], 80),
        ("I;16", [0, 20000, 65535], 0),
        ("I;16", [0, 20000, 65535], 20000),
        ("1", [0, 255, 0], 0),
        ("1", [0, 255, 0], 1),
        ("1", [0, 255, 0], 255),  # of which PNG takes the lowest bit
        ("RGB", [0, 80, 255], (80, 80, 80)),
    ],
)
def test_one_transparent_value_of_a_png_stays_transparent(tmp_path, mode, levels, key, suffix):
    """Three columns; the one with the key's value is seen white, and is transparent in the copy."""
    if mode == "RGB":
        picture = Image.fromarray(np.tile(np.uint8(levels)[None, :, None], (4, 1, 3)))
    elif mode == "I;16":
        picture = Image.fromarray(np.tile(np.uint16(levels), (4, 1)))
    else:
        picture = Image.fromarray(np.tile(np.uint8(levels), (4, 1))).convert(mode)
    value = key[0] if isinstance(key, tuple) else key
    value = {0: 0, 1: 255, 255: 255}[key] if mode == "1" else value
    clear = np.array(levels) == value
    data = packed(picture, transparency=key)
    seen = decode_picture(data, "a.png")
    high = np.array(levels) >> 8 if mode == "I;16" else np.array(levels)
    np.testing.assert_array_equal(seen[2, :, 1], np.where(clear, 255, high))
    notes = repainted(data, tmp_path / f"out{suffix}", lambda image: image)
    assert notes == [] or (mode == "I;16" and suffix == ".webp")
    (still,) = stills(tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(pictures.high_byte(still.alpha)[2], np.where(clear, 0, 255))
    (note,) = repainted(data, tmp_path / "out.bmp", lambda image: image)[-1:]
    assert note.endswith("transparency is laid over white")


def test_gray_of_two_and_four_bits_has_its_transparent_value():
    for bits in (2, 4):
        rows = bytes([0, 0b00011011 if bits == 2 else 0x1F])  # no filter; levels 0 1 2 3, or 1 15
        count, scale = 8 // bits, 255 // (2**bits - 1)
        header = struct.pack(">IIBBBBB", count, 1, bits, 0, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"tRNS", b"\0\1"), (b"IDAT", zlib.compress(rows))]
        seen = decode_picture(png_file(*chunks, (b"IEND", b"")), "a.png")
        expected = [0, 1, 2, 3] if bits == 2 else [1, 15]
        assert seen[0, :, 0].tolist() == [255 if v == 1 else v * scale for v in expected]


def png_file(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def rebranded(data: bytes, first: bytes, *others: bytes) -> bytes:
    """A file of ISO media with other brands, in a box as long as it was."""
    (size,) = struct.unpack(">I", data[:4])
    brands = (b"".join(others) + 16 * b"miaf")[: size - 16]
    return data[:8] + first + data[12:16] + brands + data[size:]


def test_avif_is_known_by_any_of_its_brands(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = packed(Image.fromarray(GRADIENT), "AVIF", quality=95)
    for first in (b"avif", b"mif1", b"miaf"):
        found = decode_picture(rebranded(data, first, b"mif1", b"avif"), "a.avif")
        assert np.abs(found.astype(int) - GRADIENT).mean() < 4


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1", b"heim"])
def test_heic_is_known_by_any_of_its_brands(tmp_path, monkeypatch, brand):
    pytest.importorskip("pillow_heif")
    picture_writer.save(tmp_path / "a.heic", [Still(GRADIENT)])
    data = rebranded((tmp_path / "a.heic").read_bytes(), brand, b"mif1", b"heic")
    assert np.abs(decode_picture(data, "a.hif").astype(int) - GRADIENT).mean() < 4
    data = rebranded(data, b"abcd", brand, b"heic")
    assert np.abs(decode_picture(data, "a.hif").astype(int) - GRADIENT).mean() < 4
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r'pip install ".*\[heic\]"'):
        decode_picture(data, "a.hif")


def test_one_list_of_what_is_read():
    for name in ("a.jfif", "a.JPE", "a.ppm", "a.pgm", "a.pbm", "a.tga", "a.jp2", "a.mpo", "a.hif",
                 "a.heics", "a.heifs", "a.avifs", "a.dib", "a.ico", "b/c.QOI"):  # fmt: skip
        assert formats.is_picture(name) and not formats.is_video(name)
    for name in (
        "a.eps",
        "a.ps",
        "a.pdf",
        "a.wmf",
        "a.fits",
        "a.iim",
        "a.h5",
        "a.mpg",
        "a.txt",
        "a",
    ):
        assert not formats.is_picture(name)
    assert formats.writable("a.mpo", moving=False) == "a.mpo.png"
    assert formats.writable("a.JPG", moving=False) == "a.JPG"
    assert formats.writable("a.ts", moving=True) == "a.ts.mp4"


def test_every_format_that_is_named_is_opened_as_itself(tmp_path):
    """Of all extensions that Pillow can also write, a picture so named is read back."""
    Image.init()
    for suffix in formats.picture_inputs():
        kind = Image.registered_extensions().get(suffix)
        if kind not in Image.SAVE or kind in ("HEIF", "BLP", "IM"):
            continue
        mode = {"MSP": "1", "XBM": "1", "SPIDER": "F"}.get(kind, "RGB")
        try:
            data = packed(Image.fromarray(GRADIENT).convert(mode), kind)
        except OSError:
            continue
        shown = decode_picture(data, f"a{suffix}")
        if kind in ("ICO", "ICNS"):  # of sizes of their own
            continue
        assert shown.shape == GRADIENT.shape
        expected = Image.fromarray(GRADIENT).convert(mode).convert("RGB")
        assert np.abs(shown.astype(int) - np.asarray(expected)).mean() < 6, suffix


def test_no_picture_starts_a_program(tmp_path, monkeypatch):
    """PostScript, by content and inside of another file, is refused; Ghostscript is not asked."""
    monkeypatch.setenv("PATH", str(tmp_path))
    called = tmp_path / "called"
    (tmp_path / "gs").write_text(f"#!/bin/sh\n/bin/touch {called}\n")
    (tmp_path / "gs").chmod(0o755)
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n"
    binary = struct.pack("<4I", 0xC6D3D0C5, 32, len(program), 0) + bytes(16) + program
    windows = b"\xd7\xcd\xc6\x9a\0\0" + bytes(34)
    for data in (program, binary, windows, b"\x1c\x08\x0a\0\x01\0" + program):
        with pytest.raises(InputError, match=r"evil\.jpg: not a whole picture"):
            decode_picture(data, "evil.jpg")
    assert not called.exists()


def test_frames_of_a_deep_animation_are_themselves(tmp_path):
    """16 bits: red, then green; Pillow reads both, with their high bytes."""
    colours = [(65535, 0, 0), (0, 40000, 0)]
    rows = [zlib.compress(b"\0" + struct.pack(">3H", *colour) * 4) for colour in colours]
    control = [struct.pack(">5IHHBB", k, 4, 1, 0, 0, 1, 10, 0, 0) for k in (0, 1)]
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 4, 1, 16, 2, 0, 0, 0)),
        (b"acTL", struct.pack(">II", 2, 0)), (b"fcTL", control[0]), (b"IDAT", rows[0]),
        (b"fcTL", control[1]), (b"fdAT", struct.pack(">I", 2) + rows[1]), (b"IEND", b""),
    ]  # fmt: skip
    picture = Picture(png_file(*chunks), "a.png")
    seen = [still.rgb()[0, 0].tolist() for still in picture.stills()]
    assert seen == [[255, 0, 0], [0, 40000 >> 8, 0]]
    assert picture.notes == ["a.png: 16 bits a value of its frames are read as 8"]


@pytest.mark.parametrize("value", [0, 255, 256, 257, 32767, 32768, 65535])
def test_sixteen_bits_lose_their_low_byte_by_any_decoder(value):
    """The high byte, also where Pillow (gray) and where OpenCV (colours) decodes it."""
    gray = np.full((2, 3), value, np.uint16)
    for stored in (
        gray,
        np.dstack([gray] * 3),
        np.dstack([gray] * 3 + [np.full_like(gray, 65535)]),
    ):
        for kind in (".png", ".tiff"):
            data = cv2.imencode(kind, stored)[1].tobytes()
            assert (decode_picture(data, "a") == value >> 8).all()


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG", "TIFF", "WEBP", "PPM", "TGA"])
def test_a_header_that_says_too_much_takes_no_memory(kind):
    """Sizes of 60,000 pixels and more in a file of some bytes."""
    data = bytearray(packed(Image.fromarray(GRADIENT), kind))
    if kind == "PNG":
        data[16:24] = struct.pack(">II", 60000, 60000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "JPEG":
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", 60000, 60000)
    elif kind == "PPM":
        data = b"P6 60000 60000 255 " + bytes(100)
    else:
        places = {"GIF": (6, "<HH"), "BMP": (18, "<ii"), "TGA": (12, "<HH")}
        if kind == "TIFF":
            exif = struct.pack("<2sHIH", b"II", 42, 8, 4)
            entries = [(256, 4, 1, 60000), (257, 4, 1, 60000), (258, 3, 1, 8), (273, 4, 1, 8)]
            data = exif + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
        elif kind == "WEBP":
            data = bytearray(packed(Image.fromarray(GRADIENT), kind, lossless=True))
            data[21:25] = b"\xff\xff\xff\x0f"
        else:
            place, form = places[kind]
            struct.pack_into(form, data, place, 60000, 60000)
    with pytest.raises(InputError, match=r"more than 100 million|exceeds limit"):
        decode_picture(bytes(data), "a")
