"""Video files: every frame with its time in, frames out at one rate, with the source's sound."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.atomic import replacing
from keypoints.errors import InputError

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm")
DEFAULT_RATE = 30.0  # frames/s, where a file does not tell
PATIENCE = 2.0  # seconds without a readable frame after which a camera counts as gone


@dataclass(frozen=True)
class Video:
    """What a video file says about itself."""

    width: int
    height: int
    rate: float  # frames/s
    count: int  # frames, as the file claims; 0: unknown


def is_live(source: str) -> bool:
    """Whether `source` names a stream (a URL) or a camera (a number that is no file's name)."""
    return "://" in source or (source.isdigit() and not Path(source).exists())


def ffmpeg() -> str | None:
    """The path of the ffmpeg program, or None where it is not installed."""
    return shutil.which("ffmpeg")


def probe(path: Path) -> Video:
    """Size, rate and length of the video at `path`, as a viewer shows it (turned upright).

    Raises InputError for a file that is not there or holds no frame that can be decoded.
    """
    import cv2

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    capture = cv2.VideoCapture(str(path))
    try:
        good, frame = capture.read()
        if not good:
            raise InputError(f"{path}: not a video that can be decoded")
        rate = capture.get(cv2.CAP_PROP_FPS)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    finally:
        capture.release()
    rate = rate if np.isfinite(rate) and 0 < rate <= 1000 else DEFAULT_RATE
    count = int(count) if np.isfinite(count) and count > 0 else 0
    return Video(frame.shape[1], frame.shape[0], rate, count)


def read_frames(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Every frame of a video in order: its time in seconds, and `(h, w, 3)` uint8 RGB.

    Times never go back: where a file's own do, the frame number over the rate counts on.
    """
    import cv2

    video = probe(path)
    capture = cv2.VideoCapture(str(path))
    last = -1 / video.rate
    try:
        while True:
            good, frame = capture.read()
            if not good:
                return
            told = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            last = told if np.isfinite(told) and told > last else last + 1 / video.rate
            yield last, np.ascontiguousarray(frame[..., ::-1])
    finally:
        capture.release()


def live_frames(source: str) -> Iterator[tuple[float, np.ndarray]]:
    """The newest frame of a camera (its number) or a stream (its URL), whenever one is asked for.

    Frames that came while the last one was worked on are dropped: a queue of them would show the
    past. Yields the seconds since the first frame and `(h, w, 3)` uint8 RGB, all of the first
    one's size; a frame that cannot be read is passed over, and after `PATIENCE` seconds of them
    the source has ended. Raises InputError where it cannot be opened or sends nothing.
    """
    import cv2

    capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
    newest: list[tuple[float, np.ndarray]] = []  # at most one
    arrival, stopped = threading.Condition(), threading.Event()

    def pump() -> None:
        last = time.monotonic()
        while not stopped.is_set() and time.monotonic() - last < PATIENCE:
            good, frame = capture.read()
            if not good:
                time.sleep(0.01)
                continue
            last = time.monotonic()
            with arrival:
                newest[:] = [(last, frame)]
                arrival.notify()
        capture.release()
        stopped.set()
        with arrival:
            arrival.notify()

    thread = threading.Thread(target=pump, daemon=True)
    start, size = None, None
    try:
        if capture.isOpened():
            thread.start()
        else:
            stopped.set()
        while True:
            with arrival:
                while not newest and not stopped.is_set():
                    arrival.wait(0.1)
                if not newest:
                    break
                arrived, frame = newest.pop()
            start = arrived if start is None else start
            size = frame.shape[1::-1] if size is None else size
            if frame.shape[1::-1] != size:
                frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
            yield arrived - start, np.ascontiguousarray(frame[..., ::-1])
    finally:
        stopped.set()
        if thread.ident is not None:
            thread.join(PATIENCE)
    if start is None:
        raise InputError(f"{source}: no frame comes from this camera or stream")


@contextmanager
def writing(
    path: Path, width: int, height: int, rate: float, *, sound: Path | None = None
) -> Iterator[Any]:
    """A function that takes one frame `(height, width, 3)` uint8 RGB after the other for `path`.

    The file appears when the block ends well, whole. With ffmpeg it holds the sound of the video
    `sound`, if that has any; without ffmpeg OpenCV writes it, silent. Raises InputError for a
    suffix that is no video's, and where the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: a video's name ends in {', '.join(SUFFIXES)}")
    with replacing(path) as temporary:
        temporary.touch()  # a folder that is not there or not writable is found out here
        open_writer = _pipe if ffmpeg() else _opencv
        with open_writer(temporary, width, height, rate, sound) as write:
            yield write


@contextmanager
def recording(
    path: Path, width: int, height: int, rate: float = DEFAULT_RATE
) -> Iterator[Callable[[np.ndarray, float], None]]:
    """A function of a frame and its time in seconds, for frames that come when they come.

    The file is one of `writing`; each frame is written as often as the clock says, so that the
    video plays at the true speed. Its first frame's time is its start.
    """
    written, start = 0, None
    with writing(path, width, height, rate) as write:

        def add(image: np.ndarray, timestamp: float) -> None:
            nonlocal written, start
            start = timestamp if start is None else start
            # A frame may be a hair early: times are counted in binary fractions.
            while written <= (timestamp - start) * rate + 0.01:
                write(image)
                written += 1

        yield add


@contextmanager
def _pipe(path: Path, width: int, height: int, rate: float, sound: Path | None) -> Iterator[Any]:
    # Encoders halve the colours' resolution, which takes even sides.
    colours = "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"
    command = [ffmpeg(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", f"{rate:.6f}", "-i", "-"]
    if sound is not None:
        command += ["-i", str(sound), "-map", "0:v", "-map", "1:a?"]
    command += ["-pix_fmt", colours, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    # In a session of its own Ctrl-C, which ends a recording, does not reach it before its end.
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        try:
            yield lambda image: process.stdin.write(np.ascontiguousarray(image).data)
            _, complaint = process.communicate()
        except BrokenPipeError:  # ffmpeg gave up; it says why
            complaint = process.stderr.read()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        reason = complaint.decode(errors="replace").strip().splitlines() or ["ffmpeg failed"]
        raise InputError(f"cannot write the video: {reason[-1]}")


@contextmanager
def _opencv(path: Path, width: int, height: int, rate: float, sound: Path | None) -> Iterator[Any]:
    import cv2

    codec = {".avi": "MJPG", ".webm": "VP90"}.get(path.suffix.lower(), "mp4v")
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (width, height))
    if not writer.isOpened():
        raise InputError(f"cannot write {path.suffix} videos here; try .mp4 or .avi")
    try:
        yield lambda image: writer.write(np.ascontiguousarray(image[..., ::-1]))
    finally:
        writer.release()
