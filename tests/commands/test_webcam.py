"""tools.webcam with a stand-in network: by scripted keys, and in a real window where one opens."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from keypoints import geometry
from keypoints.commands.cli import run_command
from keypoints.commands.webcam import webcam
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.inference.predictor import Predictor
from keypoints.live import keys, loop, recorder, sources, virtual_camera, window
from keypoints.markup import IBUG68
from keypoints.media import videos
from keypoints.media.overlay import AXES
from keypoints.network import Network
from keypoints.synthetic.clip import drawn_clip
from tests.faces import estimated

ROOT = Path(__file__).parents[2]


def mean_face(crops):
    """A network that finds a face that fills its box, so that the box stays as it was."""
    left, top, width, height = geometry.landmark_box(IBUG68.mean)
    centred = (IBUG68.mean - [left + width / 2, top + height / 2]) / max(width, height)
    return estimated(np.tile(centred * 160 + 111.5, (len(crops), 1, 1)))


@pytest.fixture(autouse=True)
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Predictor, "load", lambda path: Predictor(Network(mean_face, Crop(1.4))))


def play(monkeypatch, keys: str, **options) -> list[tuple]:
    """Run the tool with one key after each frame ("." is none); returns what was shown."""
    shown, left = [], list(keys)

    def show(image, text, wait, *, help, recording, note):
        shown.append((image.copy(), text, help, recording, note))
        key = left.pop(0)
        return "" if key == "." else key

    monkeypatch.setattr(window, "try_window", lambda: lambda: None)
    monkeypatch.setattr(window, "show", show)
    webcam("model", **{"source": "synthetic", **options})
    return shown


def test_r_records_from_key_to_key_and_s_takes_a_picture(tmp_path, monkeypatch, capsys):
    shown = play(monkeypatch, "..r...rs..r.q")
    first, second = sorted(tmp_path.glob("recording-*.mp4"))
    assert [frame[3] is not None for frame in shown] == [*[False] * 3, *[True] * 4, *[False] * 4,
                                                         True, True]  # fmt: skip
    assert videos.probe(first).count == 4 and videos.probe(second).count == 2
    frames = [image for _, image in videos.read_frames(first)]
    assert np.abs(frames[0].astype(int) - shown[3][0]).mean() < 6
    (snapshot,) = tmp_path.glob("snapshot-*.png")
    out = capsys.readouterr().out
    assert first.name in out and snapshot.name in out and "13 frames; " in out


def test_the_window_tells_its_keys_at_the_start_and_where_files_went(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "KEYS_SHOWN", 1e9)
    shown = play(monkeypatch, "..s.r.r.q")
    notes = [frame[4] for frame in shown]
    assert notes[:3] == 3 * [keys.HELP] and "f filter" in keys.HELP
    (snapshot,), (recording,) = tmp_path.glob("snapshot-*"), tmp_path.glob("recording-*")
    assert notes[3:5] == 2 * [str(snapshot)]
    assert notes[5:7] == 2 * [f"records to {recording.name}"] and notes[8] == str(recording)
    monkeypatch.setattr(loop, "KEYS_SHOWN", -1)
    assert play(monkeypatch, "q")[0][4] == ""


class Camera:
    """A camera or stream that gives some frames and then nothing, as a driver that blocks."""

    def __init__(self, frames):
        self.frames, self.gone = list(frames), threading.Event()

    def isOpened(self):
        return True

    def read(self):
        time.sleep(0.02)
        if not self.frames:
            self.gone.wait(20)
            return False, None
        return True, self.frames.pop(0)

    def release(self):
        pass


def stream(monkeypatch, count=4):
    made = Camera(itertools.repeat(np.full((48, 64, 3), 90, np.uint8), count))
    monkeypatch.setattr("cv2.VideoCapture", lambda *source: made)
    monkeypatch.setattr(Predictor, "estimate", lambda *a, **b: None)
    monkeypatch.setattr("keypoints.filters.pipeline.Tracker.update", lambda *frame: [])


@pytest.mark.parametrize("source", ["udp://127.0.0.1:5123", "0"])
def test_a_lost_stream_is_noticed_in_two_seconds_and_the_window_answers(
    tmp_path, monkeypatch, capsys, source
):
    stream(monkeypatch)
    begin = time.monotonic()
    shown: list[str] = []

    def show(image, text, wait, **more):
        shown.append(text)
        return ""

    monkeypatch.setattr(window, "try_window", lambda: lambda: None)
    monkeypatch.setattr(window, "show", show)
    with pytest.raises(SystemExit) as end:
        run_command(webcam, ["m", f"--source={source}", "--output=o.mp4"])
    assert end.value.code == 2 and time.monotonic() - begin < 8
    out, error = capsys.readouterr()
    assert "the camera or stream is lost: no frame for 2 s" in error and " frames; " in out
    assert shown.count("no frame comes") > 10  # it is served some 20 times a second
    assert videos.probe(tmp_path / "o.mp4").count > 0


def test_q_quits_while_no_frame_comes(monkeypatch):
    stream(monkeypatch, 1)
    shown = play(monkeypatch, ".....q", source="udp://127.0.0.1:5123")
    assert len(shown) == 6 and shown[5][1] == "no frame comes"


class Device(types.ModuleType):
    """In place of pyvirtualcam: a camera that keeps what it is sent."""

    PixelFormat = types.SimpleNamespace(RGB="rgb")

    def __init__(self, error=None):
        super().__init__("pyvirtualcam")
        self.error, self.sent, self.asked = error, [], None

    def Camera(self, width, height, rate, *, fmt):
        if self.error is not None:
            raise self.error
        self.asked = (width, height, rate, fmt)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.sent.append("closed")

    device = "/dev/video7"

    def send(self, image):
        assert image.flags["C_CONTIGUOUS"] and image.dtype == np.uint8
        self.sent.append(image.copy())


def test_what_is_shown_becomes_a_camera(monkeypatch, capsys):
    device = Device()
    monkeypatch.setitem(sys.modules, "pyvirtualcam", device)
    shown = play(monkeypatch, "..q", virtual_camera=True, filter="sunglasses")
    assert device.asked == (640, 480, 30.0, "rgb") and device.sent[-1] == "closed"
    assert len(device.sent) == 4
    assert all((sent == frame[0]).all() for sent, frame in zip(device.sent, shown))
    assert "virtual camera: /dev/video7, 640 x 480" in capsys.readouterr().out


def test_a_virtual_camera_without_package_or_driver_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(InputError, match=r"needs pyvirtualcam: pip install .*\[camera\]"):
        webcam("m", source="synthetic", headless=True, virtual_camera=True)
    error = RuntimeError("'v4l2loopback' backend: No v4l2 loopback devices\nwere found")
    monkeypatch.setitem(sys.modules, "pyvirtualcam", Device(error))
    for system, how in (("linux", "v4l2loopback-dkms"), ("darwin", "OBS"), ("win32", "OBS")):
        monkeypatch.setattr(virtual_camera.sys, "platform", system)
        with pytest.raises(InputError, match="640 x 480: 'v4l2loopback' backend: No") as raised:
            webcam("m", source="synthetic", headless=True, virtual_camera=True)
        assert how in str(raised.value)


def test_lines_on_standard_output_and_reports_elsewhere(capsys):
    webcam("m", source="synthetic", headless=True, points="-", max_frames=3)
    out, error = capsys.readouterr()
    frames = [json.loads(line) for line in out.splitlines()]
    assert [frame["frame"] for frame in frames] == [0, 1, 2] and "3 frames; " in error
    assert (frames[0]["width"], frames[0]["height"]) == (640, 480)


def test_the_reader_of_the_docs_reads_them(capsys):
    webcam("m", source="synthetic", headless=True, points="-", max_frames=3)
    lines = capsys.readouterr().out
    reader = (ROOT / "docs" / "live.md").read_text().split("```py\n")[1].split("```")[0]
    assert len(reader.splitlines()) <= 10
    done = subprocess.run([sys.executable, "-c", reader], input=lines, text=True,
                          capture_output=True, check=True)  # fmt: skip
    said = done.stdout.splitlines()
    assert len(said) == 3 and re.match(r"0\.0 0 \[[\d.]+, [\d.]+\] -?[\d.]+ [\d.]+$", said[0])


def test_l_f_and_h(monkeypatch):
    shown = play(monkeypatch, "lfh.q")
    green = [(frame[0] == (70, 220, 90)).all(axis=2).sum() for frame in shown]
    assert green[0] > 50 and green[1] == green[2] == 0  # points, none, a filter
    assert np.abs(shown[2][0].astype(int) - shown[1][0]).max() > 20
    assert [frame[2] for frame in shown] == [False, False, False, True, True]


def test_a_shows_and_hides_the_axes_of_heads(monkeypatch):
    shown = play(monkeypatch, "laa.q")  # each key acts on the next frame
    red = [(np.abs(frame[0].astype(int) - AXES[0]).max(axis=2) < 8).sum() for frame in shown]
    assert red[2] > red[1] + 20 and red[3] < red[2] - 20
    assert (play(monkeypatch, "q", axes=True)[0][0] != shown[0][0]).any()


def test_where_nothing_can_be_written_the_show_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recorder, "now", lambda: "missing/1")
    assert len(play(monkeypatch, "rs.q")) == 4
    assert capsys.readouterr().err.count("error: cannot write") == 2


def test_ctrl_c_keeps_what_was_recorded(tmp_path, monkeypatch, capsys):
    def interrupted():
        clip = drawn_clip()
        for _ in range(5):
            yield next(clip)
        raise KeyboardInterrupt

    monkeypatch.setattr(sources.Source, "frames", lambda source, idle: interrupted())
    webcam("model", source="synthetic", headless=True, output="out.mp4", points="out.csv")
    assert videos.probe(tmp_path / "out.mp4").count == 5
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 1 + 5
    assert "5 frames; " in capsys.readouterr().out


def test_a_screen_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":4071")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(InputError, match=r"no window can open here \(DISPLAY is :4071\); add"):
        window.try_window()()


# A shell that starts the tests in the background may have told all to ignore Ctrl-C.
CHILD = """
import itertools
import signal
from keypoints.crop import Crop
from keypoints.inference.predictor import Predictor
from keypoints.network import Network
from tests.commands.test_webcam import mean_face
from keypoints.commands.cli import run_command
from keypoints.commands.webcam import webcam
from keypoints.synthetic import clip
Predictor.load = lambda path: Predictor(Network(mean_face, Crop(1.4)))
signal.signal(signal.SIGINT, signal.default_int_handler)
once = clip.drawn_clip
clip.drawn_clip = lambda: itertools.chain.from_iterable(
    ((10 * lap + t, image) for t, image in once()) for lap in itertools.count()
)  # without an end: a busy machine may take longer than the clip's ten seconds
run_command(webcam)
"""


def child(*arguments: str, **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    command = [sys.executable, "-c", CHILD, "--model=m", *arguments]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, **options)


def test_ctrl_c_on_a_terminal_reaches_the_program_group_and_still_keeps_the_video(tmp_path):
    started = child("--source=synthetic", "--headless=True", "--output=out.mp4", "--points=p.csv",
                    cwd=tmp_path, start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*.mp4")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    os.killpg(started.pid, signal.SIGINT)
    out, _ = started.communicate(timeout=60)
    assert " frames; " in out and videos.probe(tmp_path / "out.mp4").count > 0


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="takes Linux' /proc")
def test_memory_does_not_grow(monkeypatch):
    frames = [image for _, image in itertools.islice(drawn_clip(), 30)]

    def many():
        for number in range(1500):
            if number in (500, 1499):
                pages = Path("/proc/self/statm").read_text().split()[1]
                resident.append(int(pages) * os.sysconf("SC_PAGE_SIZE"))
            yield number / 30, frames[abs(number % 58 - 29)].copy()  # to and fro

    resident: list[int] = []
    monkeypatch.setattr(sources.Source, "frames", lambda source, idle: many())
    webcam("model", source="synthetic", headless=True, filter="googly_orange", points="points.csv")
    assert resident[1] < 1.02 * resident[0]


PROGRAMS = ("Xvfb", "xdotool", "import")


@pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)), reason=f"takes {', '.join(PROGRAMS)} (xvfb, ImageMagick)"
)
def test_a_real_window_shows_the_face_and_obeys_keys(tmp_path):
    import cv2

    read, write = os.pipe()
    # Without -noreset the server throws everybody out when its last client leaves: a screenshot,
    # say, while the tool is about to open its window.
    screen = subprocess.Popen(
        ["Xvfb", "-noreset", "-displayfd", str(write), "-screen", "0", "800x600x24"],
        pass_fds=[write], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    display = ":" + os.read(read, 16).decode().strip()
    environment = {"DISPLAY": display}

    def run(*command: str) -> str:
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True,
                              text=True, timeout=60)  # fmt: skip
        return done.stdout.strip()

    def screenshot(name: str) -> np.ndarray:
        run("import", "-window", "root", str(tmp_path / name))
        return cv2.imread(str(tmp_path / name))[..., ::-1].astype(int)

    def count(colour: tuple[int, int, int]) -> int:
        """Pixels of a colour on the screen."""
        return int((np.abs(screenshot("screen.png") - colour).max(axis=2) < 30).sum())

    def until(reached: Callable[[], bool]) -> None:
        """Wait for a condition; a busy machine may take long to get there."""
        deadline = time.monotonic() + 120
        while not reached():
            assert started.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)

    def find_window() -> str:
        """The toolkit's own child window of that name takes no keys; the last one is the outer."""
        found = run("xdotool", "search", "--onlyvisible", "--name", "^keypoints$").splitlines()
        return found[-1] if found else ""

    def painted() -> bool:
        """OpenCV's toolkit may miss that its window was mapped, and leave it black: map it again,
        as if it were minimised and opened."""
        if count(green) > 100:
            return True
        if window := find_window():
            run("xdotool", "windowunmap", "--sync", window, "windowmap", "--sync", window)
        return False

    def press(key: str) -> None:
        """The toolkit keeps only the last of the keys pressed in one frame: wait for the effect of
        each before the next."""
        run("xdotool", "key", "--window", window, key)

    green, red = (70, 220, 90), (230, 40, 40)
    started = child("--source=synthetic", cwd=tmp_path, env=environment)
    try:
        until(painted)
        points = count(green)
        window = find_window()
        run("xdotool", "windowfocus", window)
        press("r")
        until(lambda: count(red) > 40)  # it records
        press("l")
        until(lambda: count(green) < points / 4)
        press("h")
        press("q")  # also where both come in one frame
        out, _ = started.communicate(timeout=60)
    finally:
        started.kill()
        screen.terminate()
        screen.wait()
    (recording,) = tmp_path.glob("recording-*.mp4")
    assert videos.probe(recording).count > 5 and " frames; " in out
