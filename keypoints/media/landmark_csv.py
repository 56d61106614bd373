"""Tracked faces as a CSV table for other programs: one row per face and frame."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keypoints.expression import eye_opening, mouth_opening
from keypoints.markup import IBUG68, Markup
from keypoints.system.atomic import replacing

WriteRow = Callable[[int, float, Sequence[Any]], None]  # of frame, timestamp and faces


def columns(markup: Markup) -> list[str]:
    """The names of the table's columns; pose and openings are there if the markup has them."""
    names = ["frame", "timestamp", "id", "left", "top", "width", "height", "score"]
    names += [f"{axis}{number}" for number in range(markup.count) for axis in "xy"]
    names += [f"uncertainty{number}" for number in range(markup.count)]
    return names + list(_measures(markup)) + ["origin"]


def _measures(markup: Markup) -> dict[str, Callable[[Any], str]]:
    """The columns behind the points, and the text of each for a face."""
    found: dict[str, Callable[[Any], str]] = {}
    if markup.rigid is not None:
        found["yaw"] = lambda face: f"{face.pose.yaw:z.1f}"
        found["pitch"] = lambda face: f"{face.pose.pitch:z.1f}"
        found["roll"] = lambda face: f"{face.pose.roll:z.1f}"
    if markup.has("right_eye_opening", "left_eye_opening"):
        found["eye_opening"] = lambda face: f"{eye_opening(face.points, markup):.3f}"
    if markup.has("mouth_opening"):
        found["mouth_opening"] = lambda face: f"{mouth_opening(face.points, markup):.3f}"
    return found


def no_rows(frame: int, timestamp: float, faces: Sequence[Any]) -> None:
    """In place of the function of `writing`, where nobody asked for a table."""


@contextmanager
def writing(path: Path | None, markup: Markup = IBUG68) -> Iterator[WriteRow]:
    """A function `(frame, timestamp, faces)` that adds the faces of one frame to `path`.

    `frame` counts from 0, `timestamp` is in seconds; a face has `id`, `box` `(4,)` left, top,
    width, height, `score`, `points` `(k, 2)` of `markup` and their `uncertainty` `(k,)`, in
    pixels of the frame, its `pose` in degrees, as in `keypoints.pose`, and its `origin`: how it
    came about. The openings are ratios of `keypoints.expression`. What is not known is nan. The
    file appears whole when the block ends well, and also when Ctrl-C ends it; a frame without
    faces adds no row. Without a path there is no table.
    """
    if path is None:
        yield no_rows
        return
    interrupt = None
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(columns(markup))
        measures = _measures(markup).values()

        def write(frame: int, timestamp: float, faces: Sequence[Any]) -> None:
            for face in faces:
                numbers = [*face.box, face.score, *face.points.reshape(-1), *face.uncertainty]
                texts = [f"{float(number):.2f}" for number in numbers]
                texts[4] = f"{float(face.score):.4f}"
                texts += [measure(face) for measure in measures]
                rows.writerow([frame, f"{timestamp:.4f}", face.id, *texts, face.origin])

        try:
            yield write
        except KeyboardInterrupt as error:
            interrupt = error
        file.flush()
    if interrupt is not None:
        raise interrupt
