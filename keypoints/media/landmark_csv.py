"""Tracked faces as a CSV table for other programs: one row per face and frame."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keypoints.expression import eye_opening, mouth_opening
from keypoints.system.atomic import replacing

COLUMNS = ["frame", "timestamp", "id", "left", "top", "width", "height", "score"]
COLUMNS += [f"{axis}{number}" for number in range(68) for axis in "xy"]
COLUMNS += [f"uncertainty{number}" for number in range(68)]
COLUMNS += ["yaw", "pitch", "roll", "eye_opening", "mouth_opening", "origin"]


WriteRow = Callable[[int, float, Sequence[Any]], None]  # of frame, timestamp and faces


def no_rows(frame: int, timestamp: float, faces: Sequence[Any]) -> None:
    """In place of the function of `writing`, where nobody asked for a table."""


@contextmanager
def writing(path: Path | None) -> Iterator[WriteRow]:
    """A function `(frame, timestamp, faces)` that adds the faces of one frame to `path`.

    `frame` counts from 0, `timestamp` is in seconds; a face has `id`, `box` `(4,)` left, top,
    width, height, `score`, `points` `(68, 2)` and their `uncertainty` `(68,)`, in pixels of the
    frame, its `pose` in degrees, as in `keypoints.pose`, and its `origin`: how it came about. The
    openings are ratios of `keypoints.expression`. What is not known of a face is nan. The file
    appears whole when the block ends well, and also when Ctrl-C ends it; a frame without faces
    adds no row. Without a path there is no table.
    """
    if path is None:
        yield no_rows
        return
    interrupt = None
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)

        def write(frame: int, timestamp: float, faces: Sequence[Any]) -> None:
            for face in faces:
                numbers = [*face.box, face.score, *face.points.reshape(-1), *face.uncertainty]
                texts = [f"{float(number):.2f}" for number in numbers]
                texts[4] = f"{float(face.score):.4f}"
                pose = face.pose
                texts += [f"{angle:z.1f}" for angle in (pose.yaw, pose.pitch, pose.roll)]
                texts += [f"{ratio(face.points):.3f}" for ratio in (eye_opening, mouth_opening)]
                rows.writerow([frame, f"{timestamp:.4f}", face.id, *texts, face.origin])

        try:
            yield write
        except KeyboardInterrupt as error:
            interrupt = error
        file.flush()
    if interrupt is not None:
        raise interrupt
