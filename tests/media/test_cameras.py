import time

import numpy as np
import pytest

from keypoints.errors import InputError
from keypoints.media import cameras

WIDTH, HEIGHT = 64, 48


class FakeCamera:
    """A camera of 100 frames a second; frame k is k bright. `script` gives None for a bad read."""

    def __init__(self, script, pause=0.01):
        self.script, self.pause, self.released = list(script), pause, False

    def isOpened(self):
        return self.script is not None

    def read(self):
        time.sleep(self.pause)
        frame = self.script.pop(0) if self.script else None
        return frame is not None, frame

    def release(self):
        self.released = True


def camera(monkeypatch, script, **more):
    made = FakeCamera(script, **more)
    monkeypatch.setattr("cv2.VideoCapture", lambda *source: made)
    monkeypatch.setattr(cameras, "TIMEOUT", 0.4)
    monkeypatch.setattr(cameras, "FIRST", 1.0)
    return made


def shade(level, size=(HEIGHT, WIDTH)):
    return np.full((*size, 3), level, np.uint8)


def until_lost(seen, frames):
    """Add the frames to `seen` until the source is lost."""
    with pytest.raises(InputError, match=r"the camera or stream is lost: no frame for 0\.4 s"):
        for seconds, image in frames:
            seen.append((seconds, image))


def test_a_slow_reader_gets_the_newest_frame_never_an_old_one(monkeypatch):
    made = camera(monkeypatch, [shade(k) for k in range(60)])
    seen = []
    with pytest.raises(InputError, match="is lost"):
        for seconds, image in cameras.live_frames("0"):
            seen.append((seconds, int(image[0, 0, 0])))
            time.sleep(0.1)
    levels = [level for _, level in seen]
    assert 2 <= len(levels) <= 20 and levels == sorted(levels) and levels[-1] == 59
    assert levels[1] - levels[0] >= 4  # those in between were dropped
    for seconds, level in seen:  # each as old as its number says, on a machine that is not idle
        assert seconds >= 0.0099 * (level - levels[0])
    assert made.released


def test_a_bad_frame_is_passed_over_and_a_camera_that_is_gone_ends(monkeypatch):
    made = camera(monkeypatch, [shade(1), None, shade(2), None], pause=0.08)
    seen = []
    until_lost(seen, cameras.live_frames("0"))
    assert [int(image[0, 0, 0]) for _, image in seen] == [1, 2] and made.released


def test_frames_of_another_size_are_fitted_into_that_of_the_first(monkeypatch):
    """96 x 100 become 50 x 48 of 64 x 48; the face in it keeps its shape."""
    camera(monkeypatch, [shade(100), shade(200, (96, 100)), shade(100)], pause=0.05)
    seen = []
    until_lost(seen, cameras.live_frames("0"))
    assert {image.shape for _, image in seen} == {(HEIGHT, WIDTH, 3)}
    assert (seen[1][1][:, :7] == 0).all() and (seen[1][1][:, 57:] == 0).all()
    assert (seen[1][1][:, 7:57] == 200).all()


class Stuck(FakeCamera):
    """A stream whose sender has gone: after its frames, a read blocks for 30 seconds."""

    def read(self):
        if not self.script:
            time.sleep(30)
        return super().read()


def test_a_stream_that_blocks_is_noticed_and_the_window_answers_meanwhile(monkeypatch):
    made, asked, seen = Stuck([shade(1), shade(2)], pause=0.05), [], []
    monkeypatch.setattr("cv2.VideoCapture", lambda *source: made)
    monkeypatch.setattr(cameras, "TIMEOUT", 0.4)
    started = time.monotonic()
    until_lost(seen, cameras.live_frames("udp://nowhere:1", lambda: bool(asked.append(1))))
    assert len(seen) == 2 and time.monotonic() - started < 3
    assert len(asked) >= 3  # in 0.4 s, a look each 0.05 s
    other, seen = Stuck([shade(1)]), []
    monkeypatch.setattr("cv2.VideoCapture", lambda *source: other)
    for frame in cameras.live_frames("udp://nowhere:1", lambda: bool(seen)):
        seen.append(frame)
    assert len(seen) == 1


def test_a_camera_that_blocks_when_it_is_opened_is_named(monkeypatch):
    monkeypatch.setattr("cv2.VideoCapture", lambda *source: time.sleep(30))
    monkeypatch.setattr(cameras, "FIRST", 0.2)
    monkeypatch.setattr(cameras, "TIMEOUT", 0.1)
    with pytest.raises(InputError, match="no frame comes from this camera or stream"):
        next(cameras.live_frames("rtsp://nowhere"))


def test_who_stops_early_frees_the_camera(monkeypatch):
    made = camera(monkeypatch, [shade(k) for k in range(100)])
    frames = cameras.live_frames("rtsp://somewhere")
    next(frames)
    frames.close()
    assert made.released


def test_a_camera_without_a_frame_is_named(monkeypatch):
    camera(monkeypatch, [None])
    with pytest.raises(InputError, match="3: no frame comes from this camera"):
        next(cameras.live_frames("3"))


def test_a_camera_that_fails_ends_with_the_reason(monkeypatch):
    made = camera(monkeypatch, [shade(1), shade(2)], pause=0.05)
    read = made.read

    def fail():
        if made.script:
            return read()
        raise OSError("the cable is loose")

    monkeypatch.setattr(made, "read", fail)
    frames = cameras.live_frames("0")
    assert next(frames)[1][0, 0, 0] == 1
    with pytest.raises(InputError, match="0: reading failed: the cable is loose"):
        for _ in frames:
            pass
    assert made.released


def test_numbers_of_cameras_that_open_and_that_do_not(monkeypatch):
    asked = []

    def run(code, *numbers, **options):
        asked.append(numbers)
        return "0 2\n"

    monkeypatch.setattr(cameras.sys, "platform", "darwin")
    assert set(cameras.local_cameras(60)) == {0, 1, 2, 3}  # really asked
    monkeypatch.setattr(cameras, "run_python", run)
    assert cameras.local_cameras() == {0: True, 1: False, 2: True, 3: False}
    monkeypatch.setattr(cameras.sys, "platform", "linux")
    names = ("video10", "video2", "video0", "videodev")
    monkeypatch.setattr(cameras.Path, "glob", lambda folder, pattern: map(cameras.Path, names))
    assert list(cameras.local_cameras().items()) == [(0, True), (2, True), (10, False)]
    monkeypatch.setattr(cameras.Path, "glob", lambda folder, pattern: iter(()))
    assert cameras.local_cameras() == {}
    assert asked == [("0", "1", "2", "3"), ("0", "2", "10")]
