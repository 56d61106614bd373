"""The live loop: the frames of a source through the pipeline, shown and recorded."""

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keypoints.errors import InputError
from keypoints.filters.pipeline import LEFT, Pipeline
from keypoints.live.keys import HELP, QUIT, Keys
from keypoints.live.sources import Source
from keypoints.live.virtual_camera import virtual_camera
from keypoints.media import video_writer
from keypoints.media.landmark_csv import Row, WriteRow, no_rows

LATEST = 100  # frames over which speed is measured
# Shortest display time of the first frame, seconds: a window that is not painted before late frames
# arrive may stay black and ignore keys.
FIRST_WAIT = 0.3
KEYS_SHOWN, NOTE_SHOWN = 6.0, 4.0  # seconds: the keys at the start, and what a key did


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


Report = Callable[[str | InputError], None]


Show = Callable[..., str]  # `window.show`, or what stands for it


@dataclass
class Played:
    """What came of a source."""

    speed: Speed = field(default_factory=Speed)
    seconds: float = 0.0  # time of the last frame
    left: int = 0  # faces that the last frame left uncovered
    width: int = 0
    height: int = 0
    failure: InputError | None = None  # why the source ended early; the files so far are kept


@dataclass
class Outputs:
    """Where the frames go, beside the window; opened with the first frame."""

    file: Path | None = None  # a video of what is shown
    quality: str = "high"  # of it
    camera: bool = False  # whether a virtual camera shows it
    write_row: WriteRow = no_rows
    sinks: list[Callable[[np.ndarray, float], None]] = field(default_factory=list)

    def open(
        self, files: contextlib.ExitStack, size: tuple[int, int], rate: float, report: Report
    ) -> None:
        """Open them for frames of `size`, width and height; `files` closes them."""
        if self.file is not None:
            recording = video_writer.recording(self.file, *size, rate, quality=self.quality)
            self.sinks.append(files.enter_context(recording))
        if self.camera:
            device, send = files.enter_context(virtual_camera(*size, rate))
            self.sinks.append(lambda image, timestamp: send(image))
            report(f"virtual camera: {device}, {size[0]} x {size[1]}")


def run(
    source: Source,
    pipeline: Pipeline,
    *,
    outputs: Outputs | None = None,
    show: Show | None = None,
    max_frames: int = 0,
    report: Report = print,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Played:
    """Play a source until it ends, a key or Ctrl-C quits, or `max_frames` were shown (0: no limit).

    `outputs` are kept when the loop is interrupted or the source fails. `show` opens a window, in
    which keys act, also while no frame comes. `report` gets the messages of keys, and errors of
    files that could not be written; the loop continues after them. `progress` gets the number of
    frames done, at first 0. Raises InputError where the source cannot be read or a file cannot be
    written.
    """
    played, keys, outputs = Played(), Keys(pipeline), outputs or Outputs()
    window = None if show is None else _Window(show, keys, played, report)
    with contextlib.ExitStack() as files:
        files.enter_context(keys.recorder)
        opened = 0.0
        try:
            frames = source.frames(idle=lambda: window is not None and window.wait())
            for number, (timestamp, image) in enumerate(frames):
                started = time.monotonic()
                if number == 0:
                    opened = started - timestamp
                    played.height, played.width = image.shape[:2]
                    progress(0, 0)
                faces = pipeline.find(image, timestamp)
                outputs.write_row(Row(number, timestamp, faces, image.shape[1::-1]))
                pipeline.count(faces, timestamp)
                shown = pipeline.draw(image, faces, timestamp)
                played.left = sum(face.origin == LEFT for face in faces)
                played.speed.add(started, time.monotonic(), len(faces) - played.left)
                played.seconds = timestamp
                if number == 0:
                    outputs.open(files, (played.width, played.height), source.rate, report)
                for sink in (*outputs.sinks, keys.recorder.add):
                    sink(shown, timestamp)
                progress(number + 1, 0)
                # A file plays at its own speed if the machine is fast enough.
                wait = 0.0 if source.live else opened + timestamp - time.monotonic()
                wait = max(wait, FIRST_WAIT) if number == 0 else wait
                if window is not None and window.serve(shown, wait):
                    break
                if max_frames and number + 1 >= max_frames:
                    break
        except KeyboardInterrupt:
            pass  # what came so far is kept
        except InputError as error:
            if not played.speed.frames:
                raise
            played.failure = error
    return played


class _Window:
    """The window of a loop: shows frames, does what keys say, and tells it on the picture."""

    def __init__(self, show: Show, keys: Keys, played: Played, report: Report) -> None:
        self._show, self._keys, self._played, self._report = show, keys, played, report
        self._shown: np.ndarray | None = None  # the last frame
        self._note, self._until = HELP, time.monotonic() + KEYS_SHOWN

    def wait(self) -> bool:
        """Serve the window while no frame comes; returns whether a key quits."""
        return self._shown is not None and self.serve(self._shown, 0.0, "no frame comes")

    def serve(self, shown: np.ndarray, wait: float, text: str | None = None) -> bool:
        """Show a frame and do what the pressed key says; returns whether it quits."""
        if self._shown is None:
            self._until = time.monotonic() + KEYS_SHOWN
        self._shown = shown
        keys, left = self._keys, self._played.left
        text = f"{self._played.speed}" if text is None else text
        text += f", {left} NOT covered" if left else ""
        note = self._note if time.monotonic() < self._until else ""
        path = keys.recorder.path
        key = self._show(shown, text, wait, help=keys.help, recording=path, note=note)
        if key in QUIT:
            return True
        try:
            message = keys.press(key, shown)
            if message is not None:
                self._report(message)
                self._tell(message)
            elif keys.recorder.path not in (None, path):
                self._tell(f"records to {keys.recorder.path}")
        except InputError as error:
            self._report(error)
            self._tell(f"error: {error}")
        return False

    def _tell(self, note: str) -> None:
        self._note, self._until = note, time.monotonic() + NOTE_SHOWN
