import errno
import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

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


def test_an_absurdly_large_picture_is_refused(pixels, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 14)
    with pytest.raises(InputError, match="5 x 3 pixels"):
        decode_picture(packed(Image.fromarray(pixels)), "a.png")


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
    message = r"pip install 'keypoints\[heic\]'"
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
