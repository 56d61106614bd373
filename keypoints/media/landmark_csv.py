"""Tracked faces as a CSV table for other programs: one row per face and frame."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from keypoints.expression import EYES, MOUTH, eye_opening, mouth_opening
from keypoints.markup import IBUG68, Markup
from keypoints.system.atomic import replacing

Measure = Callable[[Any], float]  # of a face


class Row(NamedTuple):
    """The faces of one frame."""

    frame: int  # counts from 0
    timestamp: float  # seconds
    # Each has `id`, `box` (4,) left, top, width, height, `score`, `points` (k, 2) of the markup and
    # their `uncertainty` (k,), in pixels of the frame, its `pose` in degrees, as in
    # `keypoints.pose`, and its `origin`: how it came about.
    faces: Sequence[Any]
    size: tuple[int, ...] = ()  # width and height of the frame
    file: str = ""


WriteRow = Callable[[Row], None]


def columns(markup: Markup) -> list[str]:
    """The names of the table's columns; pose and openings are there if the markup has them."""
    names = ["frame", "timestamp", "id", "left", "top", "width", "height", "score"]
    names += [f"{axis}{number}" for number in range(markup.count) for axis in "xy"]
    names += [f"uncertainty{number}" for number in range(markup.count)]
    return names + list(measures(markup)) + ["origin"]


def measures(markup: Markup) -> dict[str, tuple[Measure, int]]:
    """The columns behind the points: how each is measured on a face, and its decimal places."""
    found: dict[str, tuple[Measure, int]] = {}
    if markup.rigid is not None:
        found["yaw"] = (lambda face: face.pose.yaw, 1)
        found["pitch"] = (lambda face: face.pose.pitch, 1)
        found["roll"] = (lambda face: face.pose.roll, 1)
    if markup.has(*EYES):
        found["eye_opening"] = (lambda face: float(eye_opening(face.points, markup)), 3)
    if markup.has(MOUTH):
        found["mouth_opening"] = (lambda face: float(mouth_opening(face.points, markup)), 3)
    return found


def no_rows(row: Row) -> None:
    """In place of the function of `writing`, where nobody asked for a table."""


@contextmanager
def writing(path: Path, markup: Markup = IBUG68, *, files: bool = False) -> Iterator[WriteRow]:
    """A function that adds the faces of one frame to the table `path`.

    The openings are ratios of `keypoints.expression`. What is not known is nan. With `files` a last
    column names the file of each row. The table appears whole when the block ends well, and also
    when Ctrl-C ends it; a frame without faces adds no row.
    """
    interrupt = None
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow([*columns(markup), *["file"] * files])
        measured = measures(markup).values()

        def write(row: Row) -> None:
            own = [row.file.encode(errors="replace").decode()] if files else []
            for face in row.faces:
                numbers = [*face.box, face.score, *face.points.reshape(-1), *face.uncertainty]
                texts = [f"{float(number):.2f}" for number in numbers]
                texts[4] = f"{float(face.score):.4f}"
                texts += [f"{measure(face):z.{digits}f}" for measure, digits in measured]
                place = [row.frame, f"{row.timestamp:.4f}", face.id]
                rows.writerow([*place, *texts, face.origin, *own])

        try:
            yield write
        except KeyboardInterrupt as error:
            interrupt = error
        table.flush()
    if interrupt is not None:
        raise interrupt
