import os
import stat
import sys
import time

import numpy as np
import pytest

from keypoints.errors import InputError
from keypoints.media import videos

WIDTH, HEIGHT, RATE, COUNT = 64, 48, 12.5, 9


def frames():
    """Frame k has its left part bright red, 4 (k + 1) pixels wide."""
    for number in range(COUNT):
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[:, : 4 * (number + 1), 0] = 250
        yield image


def write(path, **more):
    with videos.writing(path, WIDTH, HEIGHT, RATE, **more) as add:
        for image in frames():
            add(image)
    return path


@pytest.fixture(autouse=True)
def no_ffmpeg(monkeypatch):
    """Tests do not depend on what is installed; the one that wants ffmpeg brings its own."""
    monkeypatch.setattr(videos, "ffmpeg", lambda: None)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_frames_come_back_in_order_with_their_times(tmp_path, suffix):
    path = write(tmp_path / f"clip{suffix}")
    assert videos.probe(path) == videos.Video(WIDTH, HEIGHT, RATE, COUNT)
    times, images = zip(*videos.read_frames(path))
    assert times == pytest.approx([k / RATE for k in range(COUNT)], abs=2e-3)
    red = [int((image[HEIGHT // 2, :, 0] > 128).sum()) for image in images]
    assert red == pytest.approx([4 * (k + 1) for k in range(COUNT)], abs=1)
    assert all(image[..., 2].mean() < 60 for image in images)  # red, not blue


def test_nothing_is_left_behind(tmp_path):
    write(tmp_path / "clip.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_failure_keeps_the_file_that_was_there(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(KeyboardInterrupt), videos.writing(path, WIDTH, HEIGHT, RATE) as add:
        add(next(frames()))
        raise KeyboardInterrupt
    assert path.read_bytes() == b"precious"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["clip.txt", "clip"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"a video's name ends in \.mp4"):
        write(tmp_path / name)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*clip\.mp4"):
        write(tmp_path / "gone" / "clip.mp4")


def test_what_is_no_video_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        videos.probe(tmp_path / "gone.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(InputError, match=r"text\.mp4: not a video"):
        videos.probe(tmp_path / "text.mp4")


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
    monkeypatch.setattr("cv2.VideoCapture", lambda source: made)
    monkeypatch.setattr(videos, "PATIENCE", 0.4)
    return made


def shade(level, size=(HEIGHT, WIDTH)):
    return np.full((*size, 3), level, np.uint8)


def test_a_slow_reader_gets_the_newest_frame_never_an_old_one(monkeypatch):
    made = camera(monkeypatch, [shade(k) for k in range(60)])
    seen = []
    for seconds, image in videos.live_frames("0"):
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
    levels = [int(image[0, 0, 0]) for _, image in videos.live_frames("0")]
    assert levels == [1, 2] and made.released


def test_all_frames_have_the_size_of_the_first(monkeypatch):
    camera(monkeypatch, [shade(1), shade(2, (96, 100)), shade(3)], pause=0.05)
    shapes = {image.shape for _, image in videos.live_frames("0")}
    assert shapes == {(HEIGHT, WIDTH, 3)}


def test_who_stops_early_frees_the_camera(monkeypatch):
    made = camera(monkeypatch, [shade(k) for k in range(100)])
    frames = videos.live_frames("rtsp://somewhere")
    next(frames)
    frames.close()
    assert made.released


def test_a_camera_without_a_frame_is_named(monkeypatch):
    camera(monkeypatch, [None])
    with pytest.raises(InputError, match="3: no frame comes from this camera"):
        next(videos.live_frames("3"))


def fake_ffmpeg(folder, script):
    """A program that is called as ffmpeg would be, and notes its arguments."""
    path = folder / "ffmpeg"
    path.write_text(f"#!{sys.executable}\nimport sys\n{script}\n")
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return str(path)


def test_with_ffmpeg_frames_are_piped_and_the_sound_is_asked_for(tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    script = (
        "data = sys.stdin.buffer.read()\n"
        "open(sys.argv[-1], 'w').write(f'{len(data)} {sum(data)} ' + ' '.join(sys.argv[1:-1]))"
    )
    program = fake_ffmpeg(tools, script)
    monkeypatch.setattr(videos, "ffmpeg", lambda: program)
    text = write(tmp_path / "clip.mp4", sound=tmp_path / "voice.mov").read_text()
    total = sum(int(image.sum()) for image in frames())
    assert text.startswith(f"{COUNT * WIDTH * HEIGHT * 3} {total} ")
    assert "-s 64x48 -r 12.500000" in text
    assert f"-i {tmp_path}/voice.mov -map 0:v -map 1:a?" in text
    assert "1:a?" not in write(tmp_path / "mute.mp4").read_text()


@pytest.mark.parametrize(
    "script", ["sys.exit('no such codec')", "sys.stdin.close(); sys.exit('no such codec')"]
)
def test_what_ffmpeg_complains_about_is_passed_on(tmp_path, monkeypatch, script):
    program = fake_ffmpeg(tmp_path, script)
    monkeypatch.setattr(videos, "ffmpeg", lambda: program)
    path = tmp_path / "clip.mp4"
    refused = pytest.raises(InputError, match="cannot write the video: no such codec")
    with refused, videos.writing(path, 640, 480, 25) as add:
        for _ in range(20):
            add(np.zeros((480, 640, 3), np.uint8))
    assert not (tmp_path / "clip.mp4").exists()


def test_a_slow_camera_is_recorded_at_its_own_speed(tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    with videos.recording(tmp_path / "clip.avi", 64, 48, 30.0) as add:
        for timestamp in (7.0, 7.1, 7.5, 8.0):
            add(image, timestamp)
    assert videos.probe(tmp_path / "clip.avi").count == 31
