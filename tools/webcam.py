"""Points or a filter live on a camera: `python -m tools.webcam --model=RUN`."""

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keypoints.errors import InputError
from tools.command import run_command

WINDOW = "keypoints"
KEYS = "q quit   l landmarks   f filter   s snapshot   h help"
SYNTHETIC = (640, 480)  # size of the made-up clip, pixels
LATEST = 100  # frames over which speed is measured


def webcam(
    model: str | None = None,
    *,
    source: str = "0",
    filter: str | None = None,
    faces: int = 4,
    output: str | None = None,
    points: str | None = None,
    headless: bool = False,
    max_frames: int = 0,
) -> None:
    """Show a camera with the 68 points of every face, or with a filter on them.

    Keys: q or Esc quits, l switches the points, f takes the next filter, s writes a snapshot, h
    shows this.

    Args:
        model: a run folder or an export
        source: number of a camera, a video file, a stream's URL, or synthetic for a drawn face
        filter: name of a filter to start with
        faces: at most this many faces are followed
        output: video file to record what is shown
        points: CSV file to write box, score and 68 points of every face in every frame to
        headless: open no window, for servers; then output or points say what to leave
        max_frames: stop after this many frames; 0 goes on to the end
    """
    if model is None:
        raise InputError("--model is missing: a run folder or an export; tools.train makes one")
    for name, value, low in (("faces", faces, 1), ("max_frames", max_frames, 0)):
        if type(value) is not int or value < low:
            raise InputError(f"--{name}={value!r}: a whole number of at least {low} is expected")
    if not headless:
        require_window()

    from keypoints import face_table, filters, videos
    from keypoints.predictor import Predictor
    from keypoints.tracking import Tracker

    names = filters.list_filters()
    chosen = filters.load_filter(str(filter)) if filter is not None else None
    tracker = Tracker(Predictor.load(model), faces=faces)
    state = {"landmarks": chosen is None, "help": False}
    seconds: deque[float] = deque(maxlen=LATEST)
    ends: deque[float] = deque(maxlen=LATEST)
    note = write = None
    with contextlib.ExitStack() as stack:
        if points is not None:
            note = stack.enter_context(face_table.writing(Path(str(points))))
        for number, (timestamp, image) in enumerate(open_source(str(source))):
            started = time.monotonic()
            found = tracker.update(image, timestamp)
            if note is not None:
                note(number, timestamp, found)
            shown = paint(image, found, chosen, timestamp, landmarks=state["landmarks"])
            seconds.append(time.monotonic() - started)
            ends.append(time.monotonic())
            if output is not None:
                if write is None:
                    height, width = image.shape[:2]
                    record = videos.writing(Path(str(output)), width, height, videos.DEFAULT_RATE)
                    write = stack.enter_context(record)
                write(shown)
            if not headless:
                key = show(shown, readout(seconds, ends, len(found)), help=state["help"])
                if key in ("q", "\x1b"):
                    break
                if key == "f":
                    place = names.index(chosen.spec.name) + 1 if chosen is not None else 0
                    chosen = filters.load_filter(names[place]) if place < len(names) else None
                    state["landmarks"] = chosen is None
                elif key == "l":
                    state["landmarks"] = not state["landmarks"]
                elif key == "h":
                    state["help"] = not state["help"]
                elif key == "s":
                    print(snapshot(shown))
            if max_frames and number + 1 >= max_frames:
                break
    print(f"{number + 1} frames; {readout(seconds, ends, len(found))}")


def require_window() -> None:
    """Refuse to start where OpenCV's window toolkit would end the process."""
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not screen:
        raise InputError("no window can open here (DISPLAY is not set); add --headless=True")


def open_source(source: str) -> Iterator[tuple[float, Any]]:
    """Times in seconds and frames `(h, w, 3)` uint8 RGB of a camera, stream, file or drawn clip."""
    from keypoints import videos

    if source == "synthetic":
        return drawn_clip()
    if source.isdigit() or "://" in source:
        return videos.live_frames(source)
    return videos.read_frames(Path(source))


def drawn_clip() -> Iterator[tuple[float, Any]]:
    """Ten seconds of one drawn face that moves about, at 30 frames a second."""
    import cv2
    import numpy as np

    from keypoints.datasets.synthetic_faces.drawing import draw_face

    picture, _ = draw_face(1)
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


def paint(image: Any, found: list, chosen: Any, timestamp: float, *, landmarks: bool) -> Any:
    import numpy as np

    from keypoints.plots import TRUTH, draw_points

    shown = image
    if chosen is not None:
        faces = np.array([face.points for face in found], np.float32).reshape(-1, 68, 2)
        ids = [face.id for face in found]
        shown = chosen.apply(image, faces, ids=ids, timestamp=timestamp)
    if landmarks:
        for face in found:
            shown = draw_points(shown, face.points, TRUTH)
    return shown


def readout(seconds: deque, ends: deque, faces: int) -> str:
    """Frames a second, and how long a frame takes from its arrival to its picture."""
    import numpy as np

    middle, slow = np.percentile(np.array(seconds) * 1000, [50, 95])
    rate = (len(ends) - 1) / max(ends[-1] - ends[0], 1e-6)
    count = f"{faces} face{'' if faces == 1 else 's'}"
    return f"{rate:.0f} frames/s, {middle:.0f} ms (95 %: {slow:.0f} ms), {count}"


def show(image: Any, text: str, *, help: bool) -> str:
    """Put a frame into the window; returns the key that was pressed, or ""."""
    import cv2

    frame = image[..., ::-1].copy()
    for line, words in enumerate([text, KEYS] if help else [text]):
        for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            place = (8, 20 + 20 * line)
            cv2.putText(frame, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, width,
                        cv2.LINE_AA)  # fmt: skip
    cv2.imshow(WINDOW, frame)
    key = cv2.waitKey(1)
    if cv2.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) < 1:
        return "q"  # the window was closed
    return chr(key & 0xFF) if key >= 0 else ""


def snapshot(image: Any) -> Path:
    """Write a frame beside where the tool was started; returns its path."""
    import cv2

    from keypoints.files import replacing

    path = Path(time.strftime("snapshot-%Y%m%d-%H%M%S.png"))
    with replacing(path) as temporary:
        cv2.imwrite(str(temporary), image[..., ::-1])
    return path


if __name__ == "__main__":
    run_command(webcam)
