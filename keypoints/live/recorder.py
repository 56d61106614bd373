"""Recordings and snapshots that keys save in the current folder, named by the time."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import numpy as np

from keypoints.media import picture_writer, pictures, video_writer


class Recorder(ExitStack):
    """A recording that is started and ended by `switch`; as a context, it ends with the block."""

    def __init__(self) -> None:
        super().__init__()
        self.path: Path | None = None  # of the current recording
        self._write: Callable | None = None

    def switch(self, image: np.ndarray) -> Path | None:
        """Start a recording of frames as large as `image`, or end it; returns the ended file.

        Raises InputError where the file cannot be written.
        """
        if self.path is not None:
            path, self.path, self._write = self.path, None, None
            self.close()
            return path
        path = Path(f"recording-{now()}.mp4")
        height, width = image.shape[:2]
        self._write = self.enter_context(video_writer.recording(path, width, height))
        self.path = path
        return None

    def add(self, image: np.ndarray, timestamp: float) -> None:
        """Record a frame, shown at `timestamp` seconds, if a recording runs."""
        if self._write is not None:
            self._write(image, timestamp)


def snapshot(image: np.ndarray) -> Path:
    """Write `image` `(h, w, 3)` uint8 RGB to a PNG file; returns its path.

    Raises InputError where it cannot be written.
    """
    path = Path(f"snapshot-{now()}.png")
    picture_writer.save(path, [pictures.Still(image)])
    return path


def now() -> str:
    """The local time as part of a file's name, to the millisecond."""
    return datetime.now().strftime("%Y%m%d-%H%M%S-%f")[:-3]
