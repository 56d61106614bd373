"""The live loop: finds faces in frames, draws them, shows and records the result."""

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keypoints.errors import InputError
from keypoints.inference.tracking import DETECT_EVERY, Tracker
from keypoints.live import sources, window
from keypoints.live.view import View
from keypoints.media import cameras, landmark_csv, videos

FACES = 4  # faces that are followed: more would delay each frame
LATEST = 100  # frames over which speed is measured


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


def run(
    source: str,
    tracker: Tracker,
    view: View,
    *,
    faces: int | None = None,
    output: Path | None = None,
    points: Path | None = None,
    headless: bool = False,
    max_frames: int = 0,
    report: Callable[[str | InputError], None],
) -> Speed:
    """Show a source until it ends, a key or Ctrl-C quits, or `max_frames` were shown (0: no limit).

    At most `faces` are followed; None: `FACES`, or all of them while a filter protects people. Then
    every frame of a file is searched.
    `output` records what is shown, `points` gets the table of landmarks; both are kept when the
    loop is interrupted or the source fails. `headless` opens no window. `report` gets the
    messages of keys, and errors of files that could not be written; the loop continues after them.
    Raises InputError where the source cannot be read or a file cannot be written.
    """
    speed, record, opened, live = Speed(), None, None, cameras.is_live(source)
    failure = None
    with contextlib.ExitStack() as stack:
        stack.enter_context(view.recorder)
        note = None if points is None else stack.enter_context(landmark_csv.writing(points))
        try:
            for number, (timestamp, image) in enumerate(sources.open_source(source)):
                started = time.monotonic()
                opened = started - timestamp if opened is None else opened
                protects = view.filter is not None and view.filter.protects
                tracker.faces = FACES if faces is None and not protects else faces
                tracker.detect_every = 0.0 if protects and not live else DETECT_EVERY
                found = tracker.update(image, timestamp)
                if note is not None:
                    note(number, timestamp, found)
                shown = view.paint(image, found, timestamp, ignored=tracker.ignored)
                speed.add(started, time.monotonic(), len(found))
                if output is not None:
                    if record is None:
                        height, width = image.shape[:2]
                        rate = sources.source_rate(source)
                        record = stack.enter_context(videos.recording(output, width, height, rate))
                    record(shown, timestamp)
                view.recorder.add(shown, timestamp)
                if not headless:
                    # A file plays at its own speed if the machine is fast enough.
                    wait = 0.0 if live else opened + timestamp - time.monotonic()
                    wait = max(wait, window.FIRST_WAIT) if number == 0 else wait
                    text = f"{speed}{view.warning}"
                    path = view.recorder.path
                    key = window.show(shown, text, wait, help=view.help, recording=path)
                    if key in ("q", "\x1b"):
                        break
                    try:
                        message = view.press(key, shown)
                        if message is not None:
                            report(message)
                    except InputError as error:
                        report(error)
                if max_frames and number + 1 >= max_frames:
                    break
        except KeyboardInterrupt:
            pass
        except InputError as error:
            if not speed.frames:
                raise
            failure = error  # the files so far are kept
    if failure is not None:
        raise failure
    return speed
