"""`--points`: the landmarks of a command as a CSV table, or as lines on standard output."""

import contextlib
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from keypoints.errors import InputError

if TYPE_CHECKING:
    from keypoints.markup import Markup
    from keypoints.media.landmark_csv import WriteRow

LINES = "-"  # in place of a file: lines of JSON on standard output


def points_output(points: str | None) -> list[tuple[str, Path]]:
    """The file of --points as an output for `keep_apart`."""
    return [] if points is None or points == LINES else [("--points", Path(points))]


def check_points(points: str | None) -> None:
    """Raise InputError if the file of --points has another ending than .csv."""
    for _, path in points_output(points):
        if path.suffix.lower() != ".csv":
            raise InputError(f"--points={path}: a .csv file is expected, or - for standard output")


@contextlib.contextmanager
def writing_points(
    points: str | None, markup: "Markup", *, files: bool = False
) -> Iterator["WriteRow"]:
    """The function that takes the faces of each frame, which have the points of `markup`.

    `files` as in `landmark_csv.writing`.
    """
    from keypoints.media import landmark_csv, landmark_lines

    if points is None:
        yield landmark_csv.no_rows
    elif points == LINES:
        yield functools.partial(landmark_lines.write_line, sys.stdout, markup, files)
    else:
        with landmark_csv.writing(Path(points), markup, files=files) as write_row:
            yield write_row


def report_stream(points: str | None) -> TextIO:
    """Where a command reports what it did: standard output, unless the points go there."""
    return sys.stderr if points == LINES else sys.stdout
