"""Annotation files: rows of a CSV file in the upstream layout, and .pts files."""

import csv
import hashlib
import io
import math

import numpy as np

from keypoints.errors import InputError
from keypoints.landmarks import COUNT

COLUMNS = 1 + 2 * COUNT
MAX_MESSAGES = 20  # beyond it only a count is given


def parse_rows(data: bytes, name: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Points `(68, 2)` by picture name from a CSV file with one header row, and what is wrong.

    Rows are `picture, x0, y0, .., x67, y67`, in pixels of the picture, the first pixel's centre
    at 0. A row with a fault is named with its line and left out.
    """
    found: dict[str, np.ndarray] = {}
    problems = []
    try:
        rows = list(csv.reader(io.StringIO(data.decode())))
    except (UnicodeDecodeError, csv.Error) as error:
        return {}, [f"{name}: not a CSV file in UTF-8: {error}"]
    for line, row in enumerate(rows[1:], 2):
        where = f"{name}, line {line}"
        if not row:
            continue
        if len(row) != COLUMNS:
            problems.append(f"{where}: {len(row)} columns, {COLUMNS} are expected")
        elif row[0] in found:
            problems.append(f"{where}: {row[0]} has a row already")
        elif reason := _not_finite(row[1:]):
            problems.append(f"{where}: {row[0]}: {reason}")
        else:
            found[row[0]] = np.array(row[1:], np.float32).reshape(COUNT, 2)
    return found, problems


def parse_pts(text: str, name: str) -> np.ndarray:
    """Points `(68, 2)` of a .pts file of 300-W; its first pixel is 1, ours 0.

    Raises InputError, naming the file, for another count than 68 and for what is not a number.
    """
    if "{" not in text or "}" not in text:
        raise InputError(f"{name}: no points between braces")
    rows = [line.split() for line in text[text.index("{") + 1 : text.index("}")].splitlines()]
    rows = [row for row in rows if row]
    if len(rows) != COUNT:
        raise InputError(f"{name}: {len(rows)} points, {COUNT} are expected")
    for row in rows:
        if len(row) != 2 or _not_finite(row):
            raise InputError(f"{name}: {' '.join(row)!r}: two finite numbers are expected")
    return np.array(rows, np.float32) - 1


def split_of(identity: str) -> str:
    """`train`, `validation` or `test`: every picture of a person falls into the same."""
    bucket = int(hashlib.sha256(identity.encode()).hexdigest(), 16) % 100
    return "test" if bucket < 10 else "validation" if bucket < 20 else "train"


def refuse(problems: list[str], source: str) -> None:
    """Raise one InputError for all of `problems`, if there are any."""
    if problems:
        rest = len(problems) - MAX_MESSAGES
        more = f"\n  and {rest} more" if rest > 0 else ""
        listed = "\n  ".join(problems[:MAX_MESSAGES])
        raise InputError(f"{source} has {len(problems)} bad entries:\n  {listed}{more}")


def _not_finite(cells: list[str]) -> str:
    for cell in cells:
        try:
            if not math.isfinite(float(cell)):
                return f"{cell!r} is not finite"
        except ValueError:
            return f"{cell!r} is not a number"
    return ""
