"""Cameras and live streams: the newest frame, never a queue of old ones."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keypoints.errors import InputError
from keypoints.media.display import fitted
from keypoints.system.backend import quiet_opencv
from keypoints.system.processes import run_python

TIMEOUT = 2.0  # seconds without a readable frame after which a camera counts as lost
FIRST = 10.0  # seconds in which the first frame must come: cameras warm up, streams are agreed on
POLL = 0.05  # seconds between looks while no frame comes


def is_live(source: str) -> bool:
    """Whether `source` is the number of a camera (and not a file name) or the URL of a stream.

    A URL that starts with http or https is a file on a server.
    """
    scheme, separator, _ = source.partition("://")
    if separator:
        return scheme.lower() not in ("file", "http", "https")
    return source.isdigit() and not os.path.exists(source)


def local_cameras(timeout: float = 5.0) -> dict[int, bool]:
    """The numbers of this machine's cameras, and whether OpenCV can open each one now.

    On Linux the numbers of /dev/video*, some of which only hold metadata of a camera; elsewhere 0
    to 3. A new process opens them, for at most `timeout` seconds: drivers may hang, and OpenCV
    prints warnings. Raises InputError if that process fails.
    """
    if sys.platform == "linux":
        files = Path("/dev").glob("video*")
        numbers = sorted(int(path.name[5:]) for path in files if path.name[5:].isdigit())
    else:
        numbers = [0, 1, 2, 3]
    if not numbers:
        return {}
    code = (
        "import sys, cv2\nprint(*[n for n in sys.argv[1:] if cv2.VideoCapture(int(n)).isOpened()])"
    )
    printed = run_python(code, *map(str, numbers), failure="no cameras", timeout=timeout)
    opened = set(map(int, printed.split()))
    return {number: number in opened for number in numbers}


def live_frames(
    source: str, idle: Callable[[], bool] = lambda: False
) -> Iterator[tuple[float, np.ndarray]]:
    """The newest frame of a camera (a number) or a stream (a URL), each time one is requested.

    Frames that arrive while the last one is processed are dropped: a queue would add delay. Yields
    the seconds since the first frame and `(h, w, 3)` uint8 RGB, all of the size of the first one;
    others are fitted, with black bars. A frame that cannot be read is skipped. `idle` is called
    every `POLL` seconds while no frame comes; the frames end where it answers True. Raises
    InputError if the source cannot be opened, sends nothing for `FIRST` seconds, or is lost: it
    cannot be read, or sends nothing for `TIMEOUT` seconds.
    """
    reader = _Reader(source)
    start, size = None, None
    reader.start()
    try:
        while True:
            taken = reader.take(POLL)
            if taken is not None:
                arrived, frame = taken
                start = arrived if start is None else start
                size = frame.shape[1::-1] if size is None else size
                image = np.ascontiguousarray(frame[..., ::-1])
                if frame.shape[1::-1] != size:
                    image = fitted(image, *size)
                yield arrived - start, image
            elif reader.failure is not None:
                raise InputError(f"source={source}: reading failed: {reader.failure}")
            elif start is None and reader.silent(FIRST):
                raise InputError(f"source={source}: no frame comes from this camera or stream")
            elif start is not None and reader.silent(TIMEOUT):
                raise InputError(
                    f"source={source}: the camera or stream is lost: no frame for {TIMEOUT:g} s, "
                    f"after {reader.newest_at - start:.1f} s"
                )
            elif idle():
                return
    finally:
        reader.stop()


class _Reader(threading.Thread):
    """Reads a source in a thread of its own: drivers and networks block for a long time."""

    def __init__(self, source: str) -> None:
        super().__init__(daemon=True)
        self.failure: Exception | None = None
        self.newest_at = time.monotonic()  # when the newest frame came; at first, the start
        self._source = source
        self._newest: tuple[float, np.ndarray] | None = None
        self._arrival, self._stopped = threading.Condition(), threading.Event()

    @quiet_opencv()
    def run(self) -> None:
        capture = None
        try:
            capture = _open(self._source)
            while not self._stopped.is_set() and capture.isOpened():
                good, frame = capture.read()
                if not good:
                    time.sleep(0.01)
                    continue
                with self._arrival:
                    self.newest_at = time.monotonic()
                    self._newest = (self.newest_at, frame)
                    self._arrival.notify()
        except Exception as error:  # any error of a driver: it is raised in the reader
            self.failure = error
        finally:
            self._stopped.set()
            if capture is not None:
                capture.release()
            with self._arrival:
                self._arrival.notify()

    def take(self, seconds: float) -> tuple[float, np.ndarray] | None:
        """The newest frame that was not taken, and when it came; None after so many seconds."""
        with self._arrival:
            if self._newest is None and not self._stopped.is_set():
                self._arrival.wait(seconds)
            taken, self._newest = self._newest, None
            return taken

    def silent(self, seconds: float) -> bool:
        """Whether no frame came for so long, or none can come."""
        return self._stopped.is_set() or time.monotonic() - self.newest_at > seconds

    def stop(self) -> None:
        """End the thread, and wait for it unless it is blocked."""
        blocked = self.silent(TIMEOUT)
        self._stopped.set()
        self.join(5 * POLL if blocked else TIMEOUT)


def _open(source: str) -> Any:
    if source.isdigit():
        return cv2.VideoCapture(int(source))
    # FFmpeg would print a line for each frame that is not whole when a stream is joined.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "8")
    opening = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * FIRST)]
    frames = [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * TIMEOUT)]
    return cv2.VideoCapture(source, cv2.CAP_FFMPEG, opening + frames)
