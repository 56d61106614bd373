"""What players do with a frame before they show it: deinterlace, fit, lay over a colour."""

from fractions import Fraction

import av
import numpy as np
import pytest

from keypoints.errors import InputError
from keypoints.media import display, videos
from tests.clips import bar, rewrite, write_clip

FRAME = Fraction(1, 25)


def comb(number):
    """A bright bar that moves by 4 pixels from one field, the odd rows, to the next."""
    image = np.full((96, 128, 3), 40, np.uint8)
    image[1::2, 8 * number + 8 : 8 * number + 40] = 220
    image[::2, 8 * number + 12 : 8 * number + 44] = 220
    return image


def combing(image):
    """The mean difference of neighbouring rows."""
    return np.abs(np.diff(image[8:-8].astype(float), axis=0)).mean()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mpg"])
def test_interlaced_frames_become_whole_pictures(tmp_path, suffix):
    options = {"x264-params": "interlaced=1", "crf": "10"}
    codec = "libx264"
    if suffix == ".mpg":
        codec, options = "mpeg2video", {"flags": "+ildct+ilme", "qmin": "2", "qmax": "2"}
    source = write_clip(
        tmp_path / f"a{suffix}", [comb(k) for k in range(8)], codec=codec, options=options,
        tick=FRAME, times=list(range(8)), rate=25
    )  # fmt: skip
    with av.open(str(source)) as file:
        assert next(file.decode(video=0)).interlaced_frame
    (note,) = rewrite(source, tmp_path / "out.mp4")
    assert note.endswith("interlaced frames are deinterlaced: one picture from two fields")
    frames = list(videos.read_frames(tmp_path / "out.mp4"))
    np.testing.assert_allclose([t for t, _ in frames], 0.04 * np.arange(8), atol=1e-3)
    assert combing(comb(3)) > 10
    for number, (_, image) in enumerate(frames[1:-1], 1):
        assert combing(image) < 2.5
        left = np.argmax(image[48, :, 1] > 130)  # where the first field has it
        assert abs(left - (8 * number + 8)) <= 2
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert not any(frame.interlaced_frame for frame in file.decode(video=0))


def test_progressive_frames_are_left_as_they_are(tmp_path):
    source = write_clip(tmp_path / "a.mp4", [comb(k) for k in range(3)], options={"crf": "1"})
    assert rewrite(source, tmp_path / "out.mp4") == []
    for number, (_, image) in enumerate(videos.read_frames(tmp_path / "out.mp4")):
        assert np.abs(image.astype(int) - comb(number)).mean() < 8


def disc(width, height):
    """A bright disc of 32 pixels in the middle."""
    y, x = np.mgrid[:height, :width]
    inside = (x - width / 2 + 0.5) ** 2 + (y - height / 2 + 0.5) ** 2 < 16**2
    return np.where(inside[..., None], 230, 40 * np.ones(3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
@pytest.mark.parametrize("sizes", [((128, 96), (96, 128)), ((96, 128), (128, 96)),
                                   ((128, 96), (64, 64)), ((64, 64), (256, 192))])  # fmt: skip
def test_frames_of_another_size_keep_their_shape(tmp_path, suffix, sizes):
    """They are fitted into the first ones, with black bars; a disc stays a disc."""
    codec = "libx264" if suffix == ".ts" else "mpeg2video"
    data = b""
    for number, (width, height) in enumerate(sizes):
        clip = write_clip(
            tmp_path / f"{number}{suffix}", [disc(width, height)] * 4, codec=codec, tick=FRAME,
            times=list(range(4)), rate=25,
        )  # fmt: skip
        data += clip.read_bytes()
    source = tmp_path / f"whole{suffix}"
    source.write_bytes(data)
    notes = rewrite(source, tmp_path / "out.mp4")
    (width, height), (other, tall) = sizes
    line = f"s on, {other} x {tall} pixels are fitted into {width} x {height}, with black bars"
    assert sum(line in note for note in notes) == 1
    scale = min(width / other, height / tall)
    frames = [image for _, image in videos.read_frames(tmp_path / "out.mp4")]
    # FFmpeg's decoder of MPEG-2 drops the last picture before a change.
    assert len(frames) == (8 if suffix == ".ts" else 7)
    for image, expected in ((frames[1], 32), (frames[6], 32 * scale)):
        assert image.shape == (height, width, 3)
        bright = image[..., 1] > 140
        assert bright.any(axis=0).sum() == pytest.approx(expected, abs=3)
        assert bright.any(axis=1).sum() == pytest.approx(expected, abs=3)
    across = round(other * scale) < width
    bar_edge = frames[6][height // 2, 2] if across else frames[6][2, width // 2]
    assert (bar_edge < 20).all() or (
        round(other * scale) == width and round(tall * scale) == height
    )


@pytest.mark.parametrize(("suffix", "codec"), [(".ts", "libx264"), (".ts", "mpeg2video"),
                                               (".mpg", "mpeg2video")])  # fmt: skip
def test_a_change_of_the_pixel_aspect_keeps_the_shape(tmp_path, suffix, codec):
    """As broadcasts do between 4:3 and 16:9: 128 x 96 pixels are shown 128, then 171 wide."""
    data = b""
    for aspect in (Fraction(1), Fraction(4, 3)):
        clip = write_clip(
            tmp_path / f"part{suffix}", [disc(128, 96)] * 6, codec=codec, tick=FRAME, rate=25,
            times=list(range(6)), aspect=aspect, options={"bf": "0"},
        )  # fmt: skip
        data += clip.read_bytes()
    (tmp_path / f"whole{suffix}").write_bytes(data)
    frames = [image for _, image in videos.read_frames(tmp_path / f"whole{suffix}")]
    assert len(frames) == 12
    for image, width, height in ((frames[1], 32, 32), (frames[10], 32, 24)):
        assert image.shape == (96, 128, 3)  # the disc, 32 x 4/3 wide, is scaled by 3/4
        bright = image[..., 1] > 140
        assert bright.any(axis=0).sum() == pytest.approx(width, abs=2)
        assert bright.any(axis=1).sum() == pytest.approx(height, abs=2)


def test_fitted_by_hand():
    image = np.full((2, 4, 3), 200, np.uint8)
    found = display.fitted(image, 6, 6)
    expected = np.zeros((6, 6), np.uint8)
    expected[1:4] = 200  # 6 x 3, in the middle as near as can be
    np.testing.assert_array_equal(found[..., 0], expected)


def write_alpha(path, codec, pixels):
    """Left half transparent over a strong colour, right half opaque."""
    colours = np.zeros((48, 64, 4), np.uint8)
    colours[:, :32] = (250, 0, 250, 0)
    colours[:, 32:] = (30, 120, 60, 255)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        if codec.startswith("libvpx"):
            stream.options = {"auto-alt-ref": "0", "crf": "4", "b": "1M"}
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(colours, "rgba").reformat(format=pixels)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "png", "rgba"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.webm", "libvpx", "yuva420p"),
        ("a.mkv", "ffv1", "bgra"),
    ],
)
def test_transparent_videos_are_laid_over_white_and_it_is_said(tmp_path, name, codec, pixels):
    source = write_alpha(tmp_path / name, codec, pixels)
    notes = rewrite(source, tmp_path / "out.webm")
    assert sum("transparency is laid over white" in note for note in notes) == 1
    for path in (source, tmp_path / "out.webm"):
        image = next(videos.read_frames(path))[1].astype(int)
        assert (image[8:40, 4:26] > 240).all()
        np.testing.assert_allclose(image[8:40, 40:60].mean(axis=(0, 1)), (30, 120, 60), atol=8)
    with av.open(str(tmp_path / "out.webm")) as file:
        assert "alpha_mode" not in {key.lower() for key in file.streams.video[0].metadata}


def test_opaque_videos_say_nothing_of_transparency(tmp_path):
    source = write_clip(tmp_path / "a.mov", [bar(3)] * 2, codec="qtrle", pixels="rgb24")
    assert not any("transparency" in note for note in rewrite(source, tmp_path / "out.mp4"))


@pytest.mark.parametrize("rate", [1000, 500, 600])
def test_a_rate_that_is_the_resolution_of_times_is_not_believed(tmp_path, rate):
    """Recorders of browsers state 1000; the frames come each 40 ms."""
    times = [40 * k + k % 2 for k in range(30)]
    source = write_clip(
        tmp_path / "a.webm", [bar(k % 14) for k in range(30)], times=times, rate=rate,
        codec="libvpx", options={"deadline": "realtime"},
    )  # fmt: skip
    assert videos.probe(source).rate == pytest.approx(25, abs=0.5)
    rewrite(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert float(file.streams.video[0].average_rate) == pytest.approx(25, abs=1)
        assert file.streams.video[0].frames == 30
    found = [round(1000 * seconds) for seconds, _ in videos.read_frames(tmp_path / "out.mp4")]
    assert found == times


def test_a_high_rate_that_is_true_is_believed(tmp_path):
    images = [bar(k % 14) for k in range(24)]
    source = write_clip(
        tmp_path / "a.mp4", images, times=list(range(24)), tick=Fraction(1, 480), rate=480
    )
    assert videos.probe(source).rate == pytest.approx(480)


@pytest.mark.parametrize("size", [(63, 48), (64, 47)])
def test_odd_sides_are_said_to_need_full_chroma(tmp_path, size):
    width, height = size
    images = [bar(k, width=width, height=height) for k in range(3)]
    source = write_clip(
        tmp_path / "odd.webm", images, codec="libvpx-vp9", options={"deadline": "realtime"}
    )
    (note,) = rewrite(source, tmp_path / "out.mp4")
    assert f"since {width} x {height} is odd: H.264 High 4:4:4" in note
    assert rewrite(source, tmp_path / "out.webm") == []
    full = write_clip(tmp_path / "full.mp4", [bar(1)] * 2, pixels="yuv444p")
    (note,) = rewrite(full, tmp_path / "out.mp4")
    assert "since the input has it" in note


def test_a_video_whose_header_says_too_much_takes_no_memory(tmp_path, monkeypatch):
    source = write_clip(tmp_path / "a.mp4", [bar(1)] * 2)
    monkeypatch.setattr(videos, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(InputError, match=r"a\.mp4: 64 x 48 pixels are more than"):
        videos.probe(source)
