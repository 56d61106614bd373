"""Files that were joined: their times go on, as in players and the ffmpeg program."""

from fractions import Fraction

import av
import numpy as np
import pytest

from keypoints.media import videos
from tests.clips import bar, bar_widths, rewrite, write_clip

FRAME = Fraction(1, 25)
CODECS = {".ts": ("libx264", "aac"), ".m2ts": ("libx264", "ac3"), ".mpg": ("mpeg2video", "mp2")}


def part(path, *, start, sound, count=25):
    """`count` frames of 0.04 s, and a tone, from `start` seconds on."""
    codec, tone = CODECS[path.suffix]
    return write_clip(
        path, [bar(k % 14) for k in range(count)], tick=FRAME, rate=25, codec=codec,
        times=[25 * start + k for k in range(count)], sound=tone if sound else None,
        sound_seconds=0.04 * count, sound_start=start, options={"bf": "0", "g": "5"},
    )  # fmt: skip


def joined(path, *parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("suffix", list(CODECS))
@pytest.mark.parametrize("sound", [False, True])
@pytest.mark.parametrize("starts", [(0, 0), (0, 3600), (3600, 0), (0, 0, 50)])
def test_restarts_and_jumps_go_on_where_the_part_before_ended(tmp_path, suffix, sound, starts):
    parts = [
        part(tmp_path / f"{k}{suffix}", start=start, sound=sound) for k, start in enumerate(starts)
    ]
    source = joined(tmp_path / f"whole{suffix}", *parts)
    notes = rewrite(source, tmp_path / "out.mp4")
    for path in (source, tmp_path / "out.mp4"):
        times = np.array([seconds for seconds, _ in videos.read_frames(path)])
        assert len(times) == 25 * len(starts)
        np.testing.assert_allclose(times, 0.04 * np.arange(len(times)), atol=0.08 * len(starts))
        assert np.diff(times).max() < 0.13
    assert bar_widths(tmp_path / "out.mp4") == pytest.approx(
        [4 * (k % 14 + 1) for k in range(25)] * len(starts), abs=1
    )
    assert sum("its times restart or jump: what follows goes on at 1.0" in n for n in notes) == 1
    assert not any("damaged" in note or "breaks off" in note for note in notes)
    if sound:
        with av.open(str(tmp_path / "out.mp4")) as file:
            track = file.streams.audio[0]
            assert float(track.duration * track.time_base) == pytest.approx(len(starts), abs=0.15)


def test_sound_that_comes_after_the_picture_of_the_next_part_follows_it():
    """Packets as a demuxer gives them at a join: the last sound of the first part comes late."""
    timeline = videos.Timeline(FakeFile())
    times = [0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.0, 0.3, 0.0, 0.1, 0.1]
    order = list(
        zip(
            ["video", "audio"] * 3 + ["video", "video", "audio", "audio"] + ["video", "audio"],
            times,
        )
    )
    placed = []
    for kind, seconds in order:
        packet = FakePacket(kind, seconds)
        timeline.place(packet)
        placed.append(round(packet.pts / 1000, 3))
    assert placed == [0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.4, 0.3, 0.4, 0.5, 0.5]
    assert timeline.joins == [0.4]


def test_gaps_of_some_seconds_and_times_out_of_order_stay():
    timeline = videos.Timeline(FakeFile())
    placed = []
    for seconds in (5.0, 5.1, 13.0, 13.1, 13.05, 13.2):
        packet = FakePacket("video", seconds)
        timeline.place(packet)
        placed.append(packet.pts / 1000)
    assert placed == [5.0, 5.1, 13.0, 13.1, 13.05, 13.2] and timeline.joins == []


class FakeFile:
    start_time = 0

    class format:
        flags = av.format.Flags.ts_discont.value


class FakePacket:
    """A packet of 0.1 s, in milliseconds."""

    time_base, duration = Fraction(1, 1000), 100

    def __init__(self, kind, seconds):
        self.pts = self.dts = round(1000 * seconds)
        self.stream = type("Stream", (), {"type": kind, "index": int(kind == "audio")})


def test_files_that_are_no_broadcast_keep_their_times(tmp_path):
    late = [1000 + 100 * k for k in range(5)]
    source = write_clip(tmp_path / "late.mkv", [bar(k) for k in range(5)], times=late)
    assert next(videos.read_frames(source))[0] == pytest.approx(1.0)
