import errno
import os
import subprocess
import sys
import threading
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from keypoints.errors import InputError
from keypoints.media import colours, formats, video_writer, videos
from tests.clips import HEIGHT, MILLISECOND, WIDTH, bar, bar_widths, damage, rewrite, write_clip

ROOT = Path(__file__).parents[2]
COUNT = 9
BARS = [bar(k) for k in range(COUNT)]
WIDTHS = [4 * (k + 1) for k in range(COUNT)]


def times(path) -> list[float]:
    return [seconds for seconds, _ in videos.read_frames(path)]


def first_frame(path) -> np.ndarray:
    return next(videos.read_frames(path))[1].astype(int)


def picture_track(path):
    with av.open(str(path)) as file:
        context = file.streams.video[0].codec_context
        return context.width, context.height, colours.colours_of(context)


@pytest.mark.parametrize("suffix", formats.VIDEOS)
def test_frames_come_back_in_order_with_their_times(tmp_path, suffix):
    source = write_clip(tmp_path / "clip.mp4", BARS)
    assert rewrite(source, tmp_path / f"out{suffix}") == []
    assert times(tmp_path / f"out{suffix}") == pytest.approx([k / 10 for k in range(COUNT)])
    assert bar_widths(tmp_path / f"out{suffix}") == pytest.approx(WIDTHS, abs=1)
    assert first_frame(tmp_path / f"out{suffix}")[..., 2].mean() < 20  # red, not blue
    video = videos.probe(tmp_path / f"out{suffix}")
    assert (video.width, video.height, video.rate) == (WIDTH, HEIGHT, 10)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["clip.mp4", f"out{suffix}"])


VARIABLE = [0, 40, 100, 120, 500, 520, 530, 900, 1950]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_variable_frame_rate_keeps_its_times(tmp_path, suffix):
    source = write_clip(tmp_path / "vfr.mp4", BARS, times=VARIABLE, sound="aac", sound_seconds=2)
    assert rewrite(source, tmp_path / f"out{suffix}") == []
    expected = [t / 1000 for t in VARIABLE]
    assert times(source) == times(tmp_path / f"out{suffix}") == pytest.approx(expected, abs=1e-6)
    assert bar_widths(tmp_path / f"out{suffix}") == pytest.approx(WIDTHS, abs=1)


def test_avi_says_that_it_has_one_frame_rate(tmp_path):
    even = write_clip(
        tmp_path / "even.mp4", BARS, times=[0, 100, 200, 500, 600, 700, 800, 900, 1200]
    )
    assert rewrite(even, tmp_path / "even.avi") == []
    assert times(tmp_path / "even.avi") == pytest.approx(times(even))
    odd = write_clip(tmp_path / "odd.mkv", BARS, times=VARIABLE)
    assert "AVI starts with its first frame" in rewrite(odd, tmp_path / "odd.avi")[0]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_picture_that_starts_after_the_sound_keeps_its_offset(tmp_path, suffix):
    late = [500 + 100 * k for k in range(COUNT)]
    source = write_clip(tmp_path / "late.mp4", BARS, times=late, sound="aac", sound_seconds=1.5)
    rewrite(source, tmp_path / f"out{suffix}")
    assert times(tmp_path / f"out{suffix}") == pytest.approx([t / 1000 for t in late])
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        assert file.streams.audio[0].start_time == 0


def test_a_broadcast_that_starts_at_any_time_starts_at_zero(tmp_path):
    late = [90_000_000 + 9000 * k for k in range(COUNT)]  # 1000 s, in ticks of 1/90000 s
    source = write_clip(tmp_path / "late.ts", BARS, times=late, tick=Fraction(1, 90000))
    assert times(source) == pytest.approx([k / 10 for k in range(COUNT)])
    rewrite(source, tmp_path / "out.mp4")
    assert times(tmp_path / "out.mp4") == pytest.approx([k / 10 for k in range(COUNT)])


def test_a_losslessly_trimmed_file_is_whole(tmp_path):
    """Cut by an edit list: the first 4 frames are stored for the others and not shown."""
    source = write_clip(tmp_path / "clip.mp4", BARS, sound="aac")
    trimmed = tmp_path / "trimmed.mp4"
    with av.open(str(source)) as read, av.open(str(trimmed), "w") as write:
        streams = [write.add_stream_from_template(s, opaque=True) for s in read.streams]
        for packet in read.demux():
            if packet.size:
                cut = round(Fraction(4, 10) / packet.time_base)
                packet.pts, packet.dts = packet.pts - cut, packet.dts - cut
                packet.stream = streams[packet.stream.index]
                write.mux(packet)
    assert bar_widths(trimmed) == pytest.approx(WIDTHS[4:], abs=1)
    for suffix in (".mp4", ".mkv"):
        assert rewrite(trimmed, tmp_path / f"out{suffix}") == []
        assert times(tmp_path / f"out{suffix}") == pytest.approx([k / 10 for k in range(5)])
        assert bar_widths(tmp_path / f"out{suffix}") == pytest.approx(WIDTHS[4:], abs=1)
        with av.open(str(tmp_path / f"out{suffix}")) as file:
            sound = file.streams.audio[0]
            played = list(file.decode(sound))
            assert played[0].time < 0.03
            assert played[-1].time + played[-1].samples / 44100 == pytest.approx(0.6, abs=0.03)


def test_a_damaged_stretch_costs_its_frames_and_no_others(tmp_path):
    images = [bar(k % 14) for k in range(60)]
    source = write_clip(tmp_path / "clip.mp4", images, options={"g": "10", "bf": "0"})
    damage(source, kind="video", packets=range(23, 26))
    (note,) = rewrite(source, tmp_path / "out.mp4")
    lost = int(note.split("left out")[0].split(": ")[2].split()[0])
    assert "frames are damaged" in note and 1 <= lost <= 3
    kept = times(tmp_path / "out.mp4")
    assert len(kept) == 60 - lost and kept[-1] == pytest.approx(5.9)
    widths = dict(
        zip(np.rint(np.array(kept) * 10).astype(int).tolist(), bar_widths(tmp_path / "out.mp4"))
    )
    for k in [*range(23), *range(30, 60)]:  # from the next key frame on, all is well
        assert widths[k] == pytest.approx(4 * (k % 14 + 1), abs=1)


def test_damaged_sound_is_left_out_with_a_warning(tmp_path):
    source = write_clip(tmp_path / "clip.mp4", BARS * 5, sound="aac", sound_seconds=4)
    damage(source, kind="audio", packets=range(20, 60))
    notes = rewrite(source, tmp_path / "out.mp4")
    assert any("audio track 1" in note and "s are damaged and left out" in note for note in notes)
    assert len(times(tmp_path / "out.mp4")) == 45
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert len(list(file.decode(audio=0))) > 50  # all that is left can be played


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".ts"])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_truncated_file_gives_what_it_holds(tmp_path, suffix, share):
    images = [
        np.random.default_rng(k).integers(0, 256, (48, 64, 3), dtype=np.uint8) for k in range(30)
    ]
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    source = write_clip(
        tmp_path / f"clip{suffix}", images, codec=codec, tick=Fraction(1, 10), sound="mp3",
        options={"qmin": "8", "qmax": "8"},
    )  # fmt: skip
    source.write_bytes(source.read_bytes()[: int(source.stat().st_size * share)])
    notes = rewrite(source, tmp_path / "out.mp4")
    assert 0.25 * 30 < len(times(tmp_path / "out.mp4")) < 30
    if suffix == ".avi":
        assert "breaks off at" in notes[-1] and "of 3.10 seconds" in notes[-1]


@pytest.mark.parametrize("turn", [90, 180, 270])
@pytest.mark.parametrize("hflip", [False, True])
def test_rotation_is_shown_as_players_show_it(tmp_path, turn, hflip):
    """A red corner: turned against the clock by an angle, then mirrored."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:16, :16, 0] = 250
    source = write_clip(tmp_path / "clip.mp4", [image], turned={"degrees": turn, "hflip": hflip})
    angle = np.radians(-turn)
    shown = first_frame(source)
    x, y = -24.0, -16.0  # the corner from the middle, x to the right and y down
    x, y = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
    x = -x if hflip else x
    height, width = (64, 48) if turn % 180 else (48, 64)
    assert shown.shape[:2] == (height, width)
    assert shown[round(height / 2 + y), round(width / 2 + x), 0] > 200
    assert (shown[..., 0] > 128).sum() == pytest.approx(16 * 16, abs=20)
    rewrite(source, tmp_path / "out.mp4")
    assert np.abs(first_frame(tmp_path / "out.mp4") - shown).mean() < 2


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi"])
@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(8, 9)])
def test_pixel_aspect_is_kept_and_frames_are_square(tmp_path, suffix, aspect):
    source = write_clip(tmp_path / "clip.mp4", BARS, aspect=aspect)
    shown = (round(WIDTH * aspect), HEIGHT) if aspect > 1 else (WIDTH, round(HEIGHT / aspect))
    assert first_frame(source).shape[1::-1] == shown
    rewrite(source, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        stream = file.streams.video[0]
        display = stream.width / stream.height * (stream.sample_aspect_ratio or 1)
    assert display == pytest.approx(shown[0] / shown[1], rel=1e-2)
    assert np.abs(first_frame(tmp_path / f"out{suffix}") - first_frame(source)).mean() < 3


RED = np.full((48, 64, 3), (220, 30, 40), np.uint8)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    "told",
    [
        (1, 1, 1, 1),
        (2, 1, 1, 1),
        (1, 5, 6, 5),
        (1, 6, 6, 6),
        (1, 9, 14, 9),
        (1, 1, 13, 1),
        (0, 2, 2, 2),
    ],
)
def test_colours_and_what_the_file_says_of_them_stay(tmp_path, told, suffix):
    source = write_clip(tmp_path / "red.mp4", [RED] * 3, colours=told)
    np.testing.assert_allclose(first_frame(source), RED, atol=3)
    assert rewrite(source, tmp_path / f"out{suffix}") == []
    assert picture_track(tmp_path / f"out{suffix}")[2] == colours.Colours(*told)
    np.testing.assert_allclose(first_frame(tmp_path / f"out{suffix}"), RED, atol=3)


def test_hd_that_does_not_say_is_taken_as_bt709(tmp_path):
    image = np.full((720, 1280, 3), (220, 30, 40), np.uint8)
    source = write_clip(tmp_path / "hd.mp4", [image], colours=(1, 1, 1, 1))
    told = write_clip(tmp_path / "told.mp4", [image], colours=(1, 2, 2, 1))
    with av.open(str(told)) as file:
        frame = next(file.decode(video=0))
    untold = colours.conversion_matrix(colours.Colours(0, 2, 2, 2), frame.width, frame.height)
    assert untold == colours.conversion_matrix(colours.Colours(1, 1, 1, 1), 64, 48)
    np.testing.assert_allclose(first_frame(source), image, atol=3)


def test_conversions_do_not_shift_values(tmp_path):
    """Ten generations of a gray ramp: swscale's defaults would take a level off each."""
    ramp = np.tile(np.linspace(20, 235, 64).astype(np.uint8)[None, :, None], (48, 1, 3))
    source = write_clip(tmp_path / "0.mp4", [ramp], options={"crf": "5"})
    before = first_frame(source).mean()
    for number in range(10):
        rewrite(tmp_path / f"{number}.mp4", tmp_path / f"{number + 1}.mp4")
    assert first_frame(tmp_path / "10.mp4").mean() == pytest.approx(before, abs=0.5)


# `bframes=0`: of clips shorter than its B-frame delay libx265 gives times that no file can hold.
@pytest.mark.parametrize(("transfer", "name"), [(colours.PQ, "PQ"), (colours.HLG, "HLG")])
def test_hdr_becomes_sdr_that_says_so(tmp_path, transfer, name):
    levels = np.linspace(0.05, 0.75, 8)
    signal = np.repeat(np.repeat(levels[None, :, None], 48, 0), 8, 1) * [1.0, 0.9, 0.8]
    image = np.rint(signal * 65535).astype(np.uint16)
    source = write_clip(
        tmp_path / "hdr.mp4", [image] * 3, codec="libx265", pixels="yuv420p10le",
        colours=(1, 9, transfer, 9), options={"x265-params": "log-level=none:bframes=0:crf=4"},
    )  # fmt: skip
    expected = np.rint(255 * colours.to_sdr(signal[0, 4::8], transfer))
    np.testing.assert_allclose(first_frame(source)[24, 4::8], expected, atol=8)
    (note,) = rewrite(source, tmp_path / "out.mp4")
    assert note.endswith(f"HDR ({name}) is written as SDR (BT.709)")
    assert picture_track(tmp_path / "out.mp4") == (64, 48, colours.SDR)
    np.testing.assert_allclose(first_frame(tmp_path / "out.mp4")[24, 4::8], expected, atol=10)


def test_ten_bits_of_sdr_are_said_to_become_eight(tmp_path):
    source = write_clip(
        tmp_path / "deep.mp4", [RED] * 2, codec="libx265", pixels="yuv420p10le",
        colours=(1, 1, 1, 1), options={"x265-params": "log-level=none:bframes=0"},
    )  # fmt: skip
    (note,) = rewrite(source, tmp_path / "out.mp4")
    assert note.endswith("10 bits per colour are written as 8")
    np.testing.assert_allclose(first_frame(tmp_path / "out.mp4"), RED, atol=4)


@pytest.mark.parametrize("suffix", formats.VIDEOS)
@pytest.mark.parametrize("size", [(63, 47), (64, 47), (63, 48)])
def test_odd_sizes_stay(tmp_path, suffix, size):
    width, height = size
    images = [bar(k, width=width, height=height) for k in range(3)]
    source = write_clip(tmp_path / "odd.mkv", images, codec="ffv1", pixels="bgr0")
    rewrite(source, tmp_path / f"out{suffix}")
    assert first_frame(tmp_path / f"out{suffix}").shape == (height, width, 3)
    assert bar_widths(tmp_path / f"out{suffix}") == pytest.approx([4, 8, 12], abs=1)


CHAPTERS = [
    {"id": 1, "start": 0, "end": 300, "time_base": MILLISECOND, "metadata": {"title": "one"}},
    {"id": 2, "start": 300, "end": 900, "time_base": MILLISECOND, "metadata": {"title": "two"}},
]


def decoded_sound(path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.concatenate([f.to_ndarray()[0] for f in file.decode(audio=0)])


@pytest.mark.parametrize(
    ("source", "sound", "subtitles", "target"),
    [
        (".mp4", "aac", "mov_text", ".mp4"),
        (".mkv", "flac", "subrip", ".mkv"),
        (".mov", "pcm_s16le", None, ".mov"),
        (".webm", "libopus", "webvtt", ".webm"),
    ],
)
def test_sound_subtitles_chapters_and_metadata_are_copied(
    tmp_path, source, sound, subtitles, target
):
    codec = "libvpx-vp9" if source == ".webm" else "libx264"
    clip = write_clip(
        tmp_path / f"a{source}", BARS, codec=codec, sound=sound, subtitles=subtitles,
        chapters=CHAPTERS, metadata={"title": "T: t", "artist": "me"},
    )  # fmt: skip
    assert rewrite(clip, tmp_path / f"out{target}") == []
    np.testing.assert_array_equal(decoded_sound(tmp_path / f"out{target}"), decoded_sound(clip))
    with av.open(str(clip)) as before, av.open(str(tmp_path / f"out{target}")) as after:
        assert (
            after.streams.audio[0].codec_context.name == before.streams.audio[0].codec_context.name
        )
        assert [c["metadata"]["title"] for c in after.chapters()] == ["one", "two"]
        assert {key.lower(): text for key, text in after.metadata.items()}["artist"] == "me"
        assert after.metadata["title"] == "T: t"
        if subtitles:
            text = [p for p in after.demux(after.streams.subtitles[0]) if b"hello" in bytes(p)]
            assert [float(p.pts * p.time_base) for p in text] == [0.2]


@pytest.mark.parametrize(
    ("target", "codec"), [(".webm", "opus"), (".mp4", "flac"), (".avi", "mp3float")]
)
def test_what_a_file_cannot_hold_is_converted_or_said_to_be_lost(tmp_path, target, codec):
    clip = write_clip(
        tmp_path / "a.mkv", BARS, sound="flac", subtitles="subrip", chapters=CHAPTERS,
        metadata={"title": "T", "shoe size": "44"},
    )  # fmt: skip
    notes = "\n".join(rewrite(clip, tmp_path / f"out{target}"))
    with av.open(str(tmp_path / f"out{target}")) as file:
        assert file.streams.audio[0].codec_context.name == codec
        if target != ".avi":
            (text,) = [p for p in file.demux(file.streams.subtitles[0]) if b"hello" in bytes(p)]
            assert float(text.pts * text.time_base) == 0.2
    wave = decoded_sound(tmp_path / f"out{target}").astype(float)
    rate = 48000 if target == ".webm" else 44100
    loudest = np.abs(np.fft.rfft(wave[4096 : 4096 + rate // 2])).argmax() * 2
    assert loudest == pytest.approx(440, abs=4)
    assert ("subtitle track 2" in notes, "chapters are left out" in notes) == (
        target == ".avi",
    ) * 2
    assert ("SHOE_SIZE" in notes) == (target == ".mp4")


def test_attachments_and_a_second_picture_are_not_lost_in_silence(tmp_path):
    clip = tmp_path / "a.mkv"
    with av.open(str(clip), "w") as file:
        streams = [
            file.add_stream("mpeg4", rate=10, width=64, height=48, pix_fmt="yuv420p") for _ in "ab"
        ]
        file.add_attachment("font.ttf", "font/ttf", b"letters")
        for stream in streams:
            file.mux([*stream.encode(av.VideoFrame.from_ndarray(RED)), *stream.encode(None)])
    (note,) = rewrite(clip, tmp_path / "out.mkv")
    assert "video track 1 is left out" in note
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert file.streams.attachments[0].data == b"letters" and len(file.streams.video) == 1
    notes = rewrite(clip, tmp_path / "out.mp4")
    assert "font.ttf" in notes[1]


@pytest.mark.parametrize(
    "name", ["a: b.mp4", "http:x.mp4", "a %20b?c#d.mp4", "-ä'\"&.mp4", "caf\udce9.mp4"]
)
def test_any_name_is_read_and_written(tmp_path, monkeypatch, name):
    source = write_clip(tmp_path / "plain.mp4", BARS)
    monkeypatch.chdir(tmp_path)
    os.rename(source, name)
    rewrite(Path(name), Path(f"out-{name}"))
    rewrite(name, Path(f"again-{name}"))
    assert len(times(f"again-{name}")) == len(times(Path(f"out-{name}"))) == COUNT


def test_a_file_on_a_server_is_read_whole(tmp_path):
    source = write_clip(tmp_path / "clip.mp4", BARS, sound="aac")
    quiet = {"log_message": lambda *_: None}
    handler = partial(type("Handler", (SimpleHTTPRequestHandler,), quiet), directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert rewrite(f"{url}/clip.mp4", tmp_path / "out.mp4") == []
        with pytest.raises(InputError, match=r"gone\.mp4"):
            videos.probe(f"{url}/gone.mp4")
        server.shutdown()
    assert times(tmp_path / "out.mp4") == times(source)


def test_files_cannot_name_others_on_the_net_or_here(tmp_path):
    write_clip(tmp_path / "secret.mp4", BARS)
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(InputError, match=r"list\.mp4"):
        videos.probe(playlist)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi"])
def test_quality_goes_by_names_and_high_looks_like_the_source(tmp_path, suffix):
    y, x = np.mgrid[:144, :192]
    waves = [(127 + 90 * np.sin((x + 3 * k) / 7), 127 + 90 * np.cos(y / 9)) for k in range(8)]
    images = [np.stack([wave, still, 60 + 0 * x], -1).astype(np.uint8) for wave, still in waves]
    source = write_clip(tmp_path / "clip.mp4", images, options={"crf": "4"})
    before = [image.astype(float) for _, image in videos.read_frames(source)]
    luma, errors, sizes = np.array([0.299, 0.587, 0.114]), [], []
    for quality in formats.QUALITIES:
        target = tmp_path / f"{quality}{suffix}"
        rewrite(source, target, quality=quality)
        after = [image for _, image in videos.read_frames(target)]
        errors.append(np.mean([np.mean(((a - b) @ luma) ** 2) for a, b in zip(before, after)]))
        sizes.append(target.stat().st_size)
    assert errors == sorted(errors) and sizes == sorted(sizes, reverse=True)
    assert 10 * np.log10(255**2 / errors[0]) > 42  # dB; above 40 eyes see no difference
    with pytest.raises(InputError, match="quality='best'"):
        rewrite(source, tmp_path / "x.mp4", quality="best")


def test_ctrl_c_ends_the_video_there_and_goes_on(tmp_path):
    source = write_clip(tmp_path / "clip.mp4", BARS, sound="aac")
    with (
        pytest.raises(KeyboardInterrupt),
        video_writer.rewriting(source, tmp_path / "out.mp4") as frames,
    ):
        for number, (_, image) in enumerate(frames):
            frames.write(image)
            if number == 3:
                raise KeyboardInterrupt
    assert bar_widths(tmp_path / "out.mp4") == pytest.approx(WIDTHS[:4], abs=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


def test_a_failure_keeps_the_file_that_was_there(tmp_path):
    source, target = write_clip(tmp_path / "clip.mp4", BARS), tmp_path / "out.mp4"
    target.write_bytes(b"precious")
    with pytest.raises(ZeroDivisionError), video_writer.rewriting(source, target) as frames:
        frames.write(next(iter(frames))[1])
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), video_writer.rewriting(source, target):
        raise KeyboardInterrupt  # before any frame was written
    assert target.read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


@pytest.mark.parametrize("name", ["clip.txt", "clip"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"a video's name ends in \.mp4"):
        rewrite(write_clip(tmp_path / "clip.mp4", BARS), tmp_path / name)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    source = write_clip(tmp_path / "clip.mp4", BARS)
    with pytest.raises(InputError, match=r"cannot write .*out\.mp4: No such file"):
        rewrite(source, tmp_path / "gone" / "out.mp4")


FULL = """
import resource, signal, sys
from pathlib import Path
from tests.clips import rewrite
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    rewrite(Path(sys.argv[1]), Path(sys.argv[2]))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_full_disk_is_the_reason_that_is_given(tmp_path, suffix):
    """A limit on file sizes is the full disk that a test can make."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(20)]
    source = write_clip(tmp_path / "clip.mp4", noise)
    done = subprocess.run(
        [sys.executable, "-c", FULL, source, tmp_path / f"out{suffix}"],
        capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("InputError cannot write") and "out" in done.stdout, done.stderr
    assert os.strerror(errno.EFBIG) in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4"]


def test_what_is_no_video_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.mp4: No such file"):
        videos.probe(tmp_path / "gone.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(InputError, match=r"text\.mp4: not a video"):
        videos.probe(tmp_path / "text.mp4")
    with pytest.raises(InputError, match="Is a directory"):
        videos.probe(tmp_path)
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=44100)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 44100
        file.mux([*stream.encode(silence), *stream.encode(None)])
    with pytest.raises(InputError, match=r"sound\.mp4: no picture track"):
        videos.probe(tmp_path / "sound.mp4")


def test_recordings_keep_the_times_of_their_frames(tmp_path):
    for suffix in (".mp4", ".webm"):
        with video_writer.recording(tmp_path / f"clip{suffix}", WIDTH, HEIGHT) as add:
            for timestamp, image in zip((7.0, 7.1, 7.5, 8.0), BARS):
                add(image, timestamp)
        assert times(tmp_path / f"clip{suffix}") == pytest.approx([0, 0.1, 0.5, 1.0], abs=1e-3)
        assert bar_widths(tmp_path / f"clip{suffix}") == pytest.approx(WIDTHS[:4], abs=1)
    assert picture_track(tmp_path / "clip.mp4")[2] == colours.SDR
    with av.open(str(tmp_path / "clip.mp4")) as file:
        assert float(file.duration) / 1e6 == pytest.approx(1.0 + 1 / 30, abs=0.01)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_recordings_of_odd_sizes_play_everywhere(tmp_path, suffix):
    """H.264 with chroma of half the resolution, as all players know it, has even sides."""
    with video_writer.recording(tmp_path / f"clip{suffix}", 63, 47) as add:
        for number in range(3):
            add(bar(number, width=63, height=47), number / 10)
    assert bar_widths(tmp_path / f"clip{suffix}") == pytest.approx(WIDTHS[:3], abs=1)
    shape = (46, 62, 3) if suffix == ".mp4" else (47, 63, 3)
    assert first_frame(tmp_path / f"clip{suffix}").shape == shape
    with av.open(str(tmp_path / f"clip{suffix}")) as file:
        assert file.streams.video[0].codec_context.pix_fmt == "yuv420p"


@pytest.mark.slow
def test_memory_stays_flat(tmp_path):
    """A clip ten times as long takes no more memory."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 120, 160, 3), dtype=np.uint8)
    fast = {"options": {"preset": "ultrafast"}, "sound": "aac"}
    short = write_clip(tmp_path / "short.mp4", [*noise] * 8, sound_seconds=8, **fast)
    long = write_clip(tmp_path / "long.mp4", [*noise] * 80, sound_seconds=80, **fast)
    script = (
        "import sys, resource\nfrom pathlib import Path\n"
        "from tests.clips import rewrite\n"
        "rewrite(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = [
        int(subprocess.run([sys.executable, "-c", script, clip, tmp_path / "out.mp4"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout)
        for clip in (short, long)
    ]  # fmt: skip
    assert peaks[1] < 1.1 * peaks[0]


def test_encoders_that_the_installed_ffmpeg_lacks(monkeypatch):
    assert video_writer.encoders() == {"libx264": True, "libvpx-vp9": True, "mpeg4": True}
    monkeypatch.setitem(video_writer.ENCODERS, "webm", "no_such_encoder")
    assert video_writer.encoders() == {"libx264": True, "no_such_encoder": False, "mpeg4": True}
