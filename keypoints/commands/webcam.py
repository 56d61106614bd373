"""Points or a filter live on a camera: `python -m tools.webcam`."""

import contextlib
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from keypoints.errors import InputError
from keypoints.pretrained import DEFAULT

WINDOW = "keypoints"
KEYS = "q quit   l landmarks   f filter   s snapshot   r record   h help"
SYNTHETIC = (640, 480)  # size of the made-up clip, pixels
LATEST = 100  # frames over which speed is measured
# Seconds that the first frame stays at least: a window that is not painted before frames come late
# one after the other may stay black and deaf.
FIRST_WAIT = 0.3


def webcam(
    model: str = DEFAULT,
    *,
    source: str = "0",
    filter: str | None = None,
    faces: int = 4,
    detector: str = "haar",
    output: str | None = None,
    points: str | None = None,
    headless: bool = False,
    max_frames: int = 0,
) -> None:
    """Show a camera with the 68 points of every face, or with a filter on them.

    Keys: q or Esc quits, l switches the points, f takes the next filter, s writes a snapshot, r
    starts a recording and ends it, h shows this. Ctrl-C ends it too, and keeps what was recorded.

    Args:
        model: pretrained, pretrained-small (quicker), a run folder or an export
        source: number of a camera, a video file, a stream's URL, or synthetic for a drawn face
        filter: name of a filter to start with, or a folder with one of your own
        faces: at most this many faces are followed
        detector: haar (comes with OpenCV), yunet (a download), or the path of YuNet's .onnx file
        output: video file to record what is shown
        points: CSV file to write box, score and 68 points of every face in every frame to
        headless: open no window, for servers; then output or points say what to leave
        max_frames: stop after this many frames; 0 goes on to the end
    """
    for name, value, low in (("faces", faces, 1), ("max_frames", max_frames, 0)):
        if type(value) is not int or value < low:
            raise InputError(f"--{name}={value!r}: a whole number of at least {low} is expected")
    require_window = (lambda: None) if headless else try_window()

    from keypoints.filters import load_filter
    from keypoints.inference.detectors import load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.inference.tracking import Tracker
    from keypoints.media import landmark_csv, videos

    source = str(source)
    view = View(load_filter(str(filter)) if filter is not None else None)
    finder = load_detector(str(detector))
    tracker = Tracker(Predictor.load(str(model)), faces=faces, detector=finder)
    seconds: deque[float] = deque(maxlen=LATEST)
    ends: deque[float] = deque(maxlen=LATEST)
    number, found, record, opened = -1, [], None, None
    require_window()
    with contextlib.ExitStack() as stack:
        stack.enter_context(view.recorder)
        note = None
        if points is not None:
            note = stack.enter_context(landmark_csv.writing(Path(str(points))))
        with contextlib.suppress(KeyboardInterrupt):
            for number, (timestamp, image) in enumerate(open_source(source)):
                started = time.monotonic()
                opened = started - timestamp if opened is None else opened
                found = tracker.update(image, timestamp)
                if note is not None:
                    note(number, timestamp, found)
                shown = view.paint(image, found, timestamp)
                seconds.append(time.monotonic() - started)
                ends.append(time.monotonic())
                if output is not None:
                    if record is None:
                        height, width = image.shape[:2]
                        rate = source_rate(source)
                        record = stack.enter_context(
                            videos.recording(Path(str(output)), width, height, rate)
                        )
                    record(shown, timestamp)
                view.recorder.add(shown, timestamp)
                if not headless:
                    text = readout(seconds, ends, len(found))
                    # A file plays at its own speed, where the machine is quick enough for that.
                    wait = 0.0 if is_live(source) else opened + timestamp - time.monotonic()
                    if number == 0:
                        wait = max(wait, FIRST_WAIT)
                    key = show(shown, text, wait, help=view.help, recording=view.recorder.path)
                    if key in ("q", "\x1b"):
                        break
                    view.press(key, shown)
                if max_frames and number + 1 >= max_frames:
                    break
    if ends:
        print(f"{number + 1} frames; {readout(seconds, ends, len(found))}")


def try_window() -> Callable[[], None]:
    """Find out beside other work whether a window can open; returns what waits for the answer.

    In a process of its own, since OpenCV's window toolkit ends the process where it cannot.
    Its window has another name, so that who looks for this tool's finds that alone.
    """
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    hint = "; add --headless=True"
    if sys.platform.startswith("linux") and not screen:
        raise InputError(f"no window can open here (DISPLAY is not set){hint}")
    command = [sys.executable, "-c", "import cv2; cv2.namedWindow('attempt')"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    attempt = subprocess.Popen(command, **quiet)

    def require_window() -> None:
        if attempt.wait() != 0:
            raise InputError(f"no window can open here (DISPLAY is {screen}){hint}")

    return require_window


def open_source(source: str) -> Iterator[tuple[float, Any]]:
    """Times in seconds and frames `(h, w, 3)` uint8 RGB of a camera, stream, file or drawn clip."""
    from keypoints.media import videos

    if source == "synthetic":
        return drawn_clip()
    return videos.live_frames(source) if is_live(source) else videos.read_frames(Path(source))


def source_rate(source: str) -> float:
    """Frames a second to record a source at: a file's own."""
    from keypoints.media import videos

    if is_live(source) or source == "synthetic":
        return videos.DEFAULT_RATE
    return videos.probe(Path(source)).rate


def is_live(source: str) -> bool:
    return source.isdigit() or "://" in source


def drawn_clip() -> Iterator[tuple[float, Any]]:
    """Ten seconds of one drawn face that moves about, at 30 frames a second."""
    import cv2
    import numpy as np

    from keypoints.synthetic.drawing import draw_face

    picture, _ = draw_face(8)  # one that the cascade finds in every frame
    width, height = SYNTHETIC
    for frame in range(300):
        t = frame / 30
        angle, scale = 0.2 * np.sin(1.3 * t), 1.7 + 0.2 * np.sin(0.7 * t)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        centre = np.array([picture.shape[1], picture.shape[0]]) / 2
        place = [width / 2 + 60 * np.sin(t), height / 2 + 15 * np.cos(1.7 * t)]
        turn = np.array([[cos, -sin], [sin, cos]])
        matrix = np.column_stack([turn, place - turn @ centre])
        yield t, cv2.warpAffine(picture, matrix, SYNTHETIC, borderMode=cv2.BORDER_REPLICATE)


class Recorder:
    """A recording that a key starts and ends; as a context, it ends with the program too."""

    def __init__(self) -> None:
        self.path: Path | None = None  # of the recording that runs
        self._stack = contextlib.ExitStack()
        self._write: Callable | None = None

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def switch(self, image: Any) -> None:
        from keypoints.media import videos

        if self.path is not None:
            path, self.path, self._write = self.path, None, None
            self._stack.close()
            print(path)
            return
        path = Path(f"recording-{now()}.mp4")
        height, width = image.shape[:2]
        self._write = self._stack.enter_context(videos.recording(path, width, height))
        self.path = path

    def add(self, image: Any, timestamp: float) -> None:
        if self._write is not None:
            self._write(image, timestamp)


@dataclass
class View:
    """What is laid over the picture, and how keys change it."""

    filter: Any  # None: none
    help: bool = False
    recorder: Recorder = field(default_factory=Recorder)

    def __post_init__(self) -> None:
        self.landmarks = self.filter is None

    def paint(self, image: Any, found: list, timestamp: float) -> Any:
        import numpy as np

        from keypoints.media.overlay import TRUTH, draw_points

        shown = image
        if self.filter is not None:
            faces = np.array([face.points for face in found], np.float32).reshape(-1, 68, 2)
            ids = [face.id for face in found]
            shown = self.filter.apply(image, faces, ids=ids, timestamp=timestamp)
        if self.landmarks:
            for face in found:
                shown = draw_points(shown, face.points, TRUTH)
        return shown

    def press(self, key: str, shown: Any) -> None:
        """Do what a key asks for; what cannot be written is said, and the show goes on."""
        from keypoints import filters

        try:
            if key == "f":
                names = [None, *filters.list_filters()]
                current = self.filter.spec.name if self.filter is not None else None
                place = names.index(current) + 1 if current in names else 0
                name = names[place % len(names)]
                self.filter = filters.load_filter(name) if name is not None else None
                self.landmarks = self.filter is None
            elif key == "l":
                self.landmarks = not self.landmarks
            elif key == "h":
                self.help = not self.help
            elif key == "s":
                print(snapshot(shown))
            elif key == "r":
                self.recorder.switch(shown)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)


def readout(seconds: deque, ends: deque, faces: int) -> str:
    """Frames a second, and how long a frame takes from its arrival to its picture."""
    import numpy as np

    middle, slow = np.percentile(np.array(seconds) * 1000, [50, 95])
    rate = (len(ends) - 1) / max(ends[-1] - ends[0], 1e-6)
    count = f"{faces} face{'' if faces == 1 else 's'}"
    return f"{rate:.0f} frames/s, {middle:.0f} ms (95 %: {slow:.0f} ms), {count}"


def show(image: Any, text: str, wait: float, *, help: bool, recording: Path | None) -> str:
    """Put a frame into the window for `wait` seconds, or a moment; returns a key that was pressed,
    or ""."""
    import cv2

    frame = image[..., ::-1].copy()
    for line, words in enumerate([text, KEYS] if help else [text]):
        for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            place = (8, 20 + 20 * line)
            cv2.putText(frame, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, width,
                        cv2.LINE_AA)  # fmt: skip
    if recording is not None:
        cv2.circle(frame, (frame.shape[1] - 18, 18), 7, (40, 40, 230), -1, cv2.LINE_AA)
    cv2.imshow(WINDOW, frame)
    key = cv2.waitKey(max(round(1000 * wait), 1))
    if cv2.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) < 1:
        return "q"  # the window was closed
    return chr(key & 0xFF) if key >= 0 else ""


def snapshot(image: Any) -> Path:
    """Write a frame beside where the tool was started; returns its path."""
    import cv2

    from keypoints.atomic import replacing

    path = Path(f"snapshot-{now()}.png")
    with replacing(path) as temporary:
        cv2.imwrite(str(temporary), image[..., ::-1])
    return path


def now() -> str:
    return datetime.now().strftime("%Y%m%d-%H%M%S-%f")[:-3]
