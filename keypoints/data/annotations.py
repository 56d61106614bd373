"""Annotation files: CSV in the upstream layout, .pts of 300-W, XML of dlib."""

import csv
import hashlib
import io
import math
from xml.etree import ElementTree

import numpy as np

from keypoints.errors import InputError
from keypoints.landmarks import COUNT

COLUMNS = 1 + 2 * COUNT
MAX_MESSAGES = 20  # beyond it only a count is given


def parse_rows(data: bytes, name: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Points `(68, 2)` by picture name from a CSV file with one header row, and what is wrong.

    Rows are `picture, x0, y0, .., x67, y67`, in pixels of the picture, the first pixel's centre
    at 0. Cells of a point that is not annotated are empty or `nan`, both of them; such points are
    NaN. A row with a fault is named with its line and left out.
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
        else:
            try:
                found[row[0]] = _points(row[1:])
            except ValueError as error:
                problems.append(f"{where}: {row[0]}: {error}")
    return found, problems


def parse_pts(text: str, name: str) -> np.ndarray:
    """Points `(68, 2)` of a .pts file of 300-W; its first pixel is 1, ours 0.

    A point that is not annotated is `nan nan`. Raises InputError, naming the file, for another
    count than 68 and for what is not a number.
    """
    if "{" not in text or "}" not in text:
        raise InputError(f"{name}: no points between braces")
    rows = [line.split() for line in text[text.index("{") + 1 : text.index("}")].splitlines()]
    rows = [row for row in rows if row]
    if len(rows) != COUNT:
        raise InputError(f"{name}: {len(rows)} points, {COUNT} are expected")
    for row in rows:
        if len(row) != 2:
            raise InputError(f"{name}: {' '.join(row)!r}: two numbers are expected")
    try:
        return _points([cell for row in rows for cell in row]) - 1
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def parse_xml(data: bytes, name: str) -> tuple[list[tuple[str, np.ndarray]], list[str]]:
    """Pictures' names and points `(68, 2)` from an XML file of dlib's imglab, and what is wrong.

    Each box of an image is a face; its parts are named 00 to 67, their pixels counted from 0. A
    part that is not there is missing, NaN. Boxes themselves are not read: they are a detector's.
    """
    found = []
    problems = []
    try:
        images = ElementTree.fromstring(data).iter("image")
    except ElementTree.ParseError as error:
        return [], [f"{name}: not an XML file: {error}"]
    for image in images:
        picture = image.get("file", "")
        for box in image.iter("box"):
            cells = {part.get("name", ""): (part.get("x"), part.get("y")) for part in box}
            try:
                if strange := [key for key in cells if not key.isdecimal() or int(key) >= COUNT]:
                    raise ValueError(f"part {strange[0]!r}: 00 to {COUNT - 1} are expected")
                placed = {int(key): pair for key, pair in cells.items()}
                pairs = [placed.get(index, ("", "")) for index in range(COUNT)]
                found.append((picture, _points([cell or "" for pair in pairs for cell in pair])))
            except ValueError as error:
                problems.append(f"{name}: {picture}: {error}")
    return found, problems


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


def _points(cells: list[str]) -> np.ndarray:
    """Points `(68, 2)` of x and y in turns; raises ValueError for cells that are none."""
    cells = ["nan" if cell.strip().lower() in ("", "nan") else cell for cell in cells]
    if reason := _not_finite([cell for cell in cells if cell != "nan"]):
        raise ValueError(reason)
    points = np.array(cells, np.float32).reshape(COUNT, 2)
    missing = np.isnan(points)
    halves = np.flatnonzero(missing[:, 0] != missing[:, 1])
    if len(halves):
        raise ValueError(f"point {halves[0]} has one coordinate without the other")
    if COUNT - missing[:, 0].sum() < 2:
        raise ValueError("fewer than two points are annotated")
    return points


def _not_finite(cells: list[str]) -> str:
    for cell in cells:
        try:
            if not math.isfinite(float(cell)):
                return f"{cell!r} is not finite"
        except ValueError:
            return f"{cell!r} is not a number"
    return ""
