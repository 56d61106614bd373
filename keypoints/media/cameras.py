"""Cameras and live streams: the newest frame, never a queue of old ones."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keypoints.errors import InputError
from keypoints.system.backend import quiet_opencv
from keypoints.system.processes import run_python

TIMEOUT = 2.0  # seconds without a readable frame after which a camera counts as gone


def is_live(source: str) -> bool:
    """Whether `source` is the number of a camera (and not a file name) or the URL of a stream.

    A URL that starts with http or https is a file on a server.
    """
    scheme, separator, _ = source.partition("://")
    if separator:
        return scheme.lower() not in ("file", "http", "https")
    return source.isdigit() and not Path(source).exists()


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


def live_frames(source: str) -> Iterator[tuple[float, np.ndarray]]:
    """The newest frame of a camera (a number) or a stream (a URL), each time one is requested.

    Frames that arrive while the last one is processed are dropped: a queue would add delay. Yields
    the seconds since the first frame and `(h, w, 3)` uint8 RGB, all of the size of the first one. A
    frame that cannot be read is skipped, and after `TIMEOUT` seconds without a frame the source
    has ended. Raises InputError if it cannot be opened, sends nothing, or cannot be read.
    """
    import cv2

    with quiet_opencv():
        capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
    newest: list[tuple[float, np.ndarray]] = []  # at most one
    failure: list[Exception] = []  # at most one
    arrival, stopped = threading.Condition(), threading.Event()

    def pump() -> None:
        last = time.monotonic()
        try:
            while not stopped.is_set() and time.monotonic() - last < TIMEOUT:
                good, frame = capture.read()
                if not good:
                    time.sleep(0.01)
                    continue
                last = time.monotonic()
                with arrival:
                    newest[:] = [(last, frame)]
                    arrival.notify()
        except Exception as error:  # any error of a driver: it is raised in the reader
            failure.append(error)
        finally:
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
            thread.join(TIMEOUT)
    if failure:
        raise InputError(f"source={source}: reading failed: {failure[0]}") from failure[0]
    if start is None:
        raise InputError(f"source={source}: no frame comes from this camera or stream")
