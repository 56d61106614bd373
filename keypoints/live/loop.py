"""The live loop: the frames of a source through the pipeline, shown and recorded."""

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from keypoints.errors import InputError
from keypoints.filters.pipeline import LEFT, Pipeline
from keypoints.live.keys import QUIT, Keys
from keypoints.live.sources import Source
from keypoints.media import video_writer
from keypoints.media.landmark_csv import WriteRow, no_rows

LATEST = 100  # frames over which speed is measured
# Shortest display time of the first frame, seconds: a window that is not painted before late frames
# arrive may stay black and ignore keys.
FIRST_WAIT = 0.3


@dataclass
class Speed:
    """Time from the arrival of a frame to its display, over the last `LATEST` frames."""

    frames: int = 0
    faces: int = 0  # in the last frame
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))
    ends: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))

    def add(self, started: float, ended: float, faces: int) -> None:
        """One more frame, from `started` to `ended` in seconds of one clock."""
        self.frames += 1
        self.faces = faces
        self.seconds.append(ended - started)
        self.ends.append(ended)

    def __str__(self) -> str:
        middle, slow = np.percentile(np.array(self.seconds) * 1000, [50, 95])
        rate = (len(self.ends) - 1) / max(self.ends[-1] - self.ends[0], 1e-6)
        count = f"{self.faces} face{'' if self.faces == 1 else 's'}"
        return f"{rate:.0f} frames/s, {middle:.0f} ms (95 %: {slow:.0f} ms), {count}"


class Show(Protocol):
    """Shows a frame, as `window.show`, for `wait` seconds; returns the pressed key, or ""."""

    def __call__(
        self, image: np.ndarray, text: str, wait: float, *, help: bool, recording: Path | None
    ) -> str: ...


@dataclass
class Played:
    """What came of a source."""

    speed: Speed = field(default_factory=Speed)
    seconds: float = 0.0  # time of the last frame
    left: int = 0  # faces that the last frame left uncovered
    width: int = 0
    height: int = 0
    interrupted: bool = False  # whether Ctrl-C ended it
    failure: InputError | None = None  # why the source ended early; the files so far are kept


def run(
    source: Source,
    pipeline: Pipeline,
    *,
    output: Path | None = None,
    quality: str = "high",
    write_row: WriteRow = no_rows,
    show: Show | None = None,
    max_frames: int = 0,
    report: Callable[[str | InputError], None] = print,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Played:
    """Play a source until it ends, a key or Ctrl-C quits, or `max_frames` were shown (0: no limit).

    `output` records what is shown in `quality`; it is kept when the loop is interrupted or the
    source fails. `show` opens a window, in which keys act. `report` gets the messages of keys, and
    errors of files that could not be written; the loop continues after them. `progress` gets the
    number of frames done, at first 0. Raises InputError where the source cannot be read or a file
    cannot be written.
    """
    played, keys = Played(), Keys(pipeline)
    with contextlib.ExitStack() as files:
        files.enter_context(keys.recorder)
        record: Callable[[np.ndarray, float], None] | None = None
        opened = 0.0
        try:
            for number, (timestamp, image) in enumerate(source.frames()):
                started = time.monotonic()
                if number == 0:
                    opened = started - timestamp
                    played.height, played.width = image.shape[:2]
                    progress(0, 0)
                shown = _process(pipeline, image, number, timestamp, write_row, played, started)
                if record is None and output is not None:
                    size = (played.width, played.height)
                    record = files.enter_context(
                        video_writer.recording(output, *size, source.rate, quality=quality)
                    )
                if record is not None:
                    record(shown, timestamp)
                keys.recorder.add(shown, timestamp)
                progress(number + 1, 0)
                # A file plays at its own speed if the machine is fast enough.
                wait = 0.0 if source.live else opened + timestamp - time.monotonic()
                wait = max(wait, FIRST_WAIT) if number == 0 else wait
                if show is not None and _serve(show, keys, shown, played, wait, report):
                    break
                if max_frames and number + 1 >= max_frames:
                    break
        except KeyboardInterrupt:
            played.interrupted = True
        except InputError as error:
            if not played.speed.frames:
                raise
            played.failure = error
    return played


def _process(
    pipeline: Pipeline,
    image: np.ndarray,
    number: int,
    timestamp: float,
    write_row: WriteRow,
    played: Played,
    started: float,
) -> np.ndarray:
    """The frame to show, counted in `pipeline` and `played`."""
    faces = pipeline.find(image, timestamp)
    write_row(number, timestamp, faces, image.shape[1::-1])
    pipeline.count(faces, timestamp)
    shown = pipeline.draw(image, faces, timestamp)
    played.left = sum(face.origin == LEFT for face in faces)
    played.speed.add(started, time.monotonic(), len(faces) - played.left)
    played.seconds = timestamp
    return shown


def _serve(
    show: Show,
    keys: Keys,
    shown: np.ndarray,
    played: Played,
    wait: float,
    report: Callable[[str | InputError], None],
) -> bool:
    """Show a frame and do what the pressed key says; returns whether it quits."""
    text = f"{played.speed}"
    if played.left:
        text += f", {played.left} NOT covered"
    key = show(shown, text, wait, help=keys.help, recording=keys.recorder.path)
    if key in QUIT:
        return True
    try:
        message = keys.press(key, shown)
        if message is not None:
            report(message)
    except InputError as error:
        report(error)
    return False
