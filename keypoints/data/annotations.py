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
LARGEST = 1e9  # pixels: wider than any picture, and far below the limit of float32


def parse_rows(data: bytes, name: str) -> tuple[list[tuple[str, np.ndarray]], list[str]]:
    """Names of pictures and points `(68, 2)` from a CSV file, and a list of its errors.

    Rows are `picture, x0, y0, .., x67, y67`, in pixels of the picture, the first pixel's centre
    at 0; a header may come first. Commas, semicolons (then with decimal commas, if any) or tabs
    separate; a byte order mark and the line ends of any system are accepted. Both cells of a point
    that is not annotated are empty or `nan`; such points are NaN. Rows of the same picture are
    several faces, unless they are equal. A row with an error is skipped and listed with its line.
    """
    found: list[tuple[str, np.ndarray]] = []
    lines: dict[tuple[str, bytes], int] = {}
    problems = []
    try:
        rows = read_cells(data, columns=COLUMNS)
    except ValueError as error:
        return [], [f"{name}: not a CSV file in UTF-8: {error}"]
    for line, row in enumerate(rows, 1):
        where = f"{name}, line {line}"
        if not any(row) or (line == 1 and _is_header(row)):
            continue
        if len(row) != COLUMNS:
            problems.append(f"{where}: {len(row)} columns, {COLUMNS} are expected")
            continue
        picture, *cells = row
        try:
            points = _points(cells)
        except ValueError as error:
            problems.append(f"{where}: {picture}: {error}")
            continue
        first = lines.setdefault((picture, points.tobytes()), line)
        if first != line:
            problems.append(f"{where}: {picture}: the same row is in line {first} already")
        else:
            found.append((picture, points))
    return found, problems


def read_cells(data: bytes, *, columns: int) -> list[list[str]]:
    """The rows of a CSV file, their cells without spaces around them.

    The separator is the one of semicolon, tab and comma that gives `columns` columns; with the
    first two, commas within numbers are decimal points. Raises ValueError for a file that is not
    UTF-8 text or that the csv module cannot read.
    """
    text = io.StringIO(data.decode("utf-8-sig"), newline=None).read()
    start = text.splitlines()[:10]
    separator = next(
        (mark for mark in ";\t" for line in start if line.count(mark) == columns - 1), ","
    )
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    cells = [[cell.strip() for cell in row] for row in rows]
    if separator != ",":
        cells = [[*row[:1], *(cell.replace(",", ".") for cell in row[1:])] for row in cells]
    return cells


def _is_header(row: list[str]) -> bool:
    """Whether the first row of a table names its columns: by words, or by counting them."""
    counted = [[str(start + i) for i in range(len(row) - 1)] for start in (0, 1)]
    return row[1:] in counted or all(_not_finite([cell]) for cell in row[1:])


def parse_pts(text: str, name: str) -> np.ndarray:
    """Points `(68, 2)` of a .pts file of 300-W; its first pixel is 1, ours 0.

    A point that is not annotated is `nan nan`. Raises InputError with the file's name
    for a number of points other than 68 and for a value that is not a number.
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
    """Names of pictures and points `(68, 2)` from an XML file of dlib's imglab, and its errors.

    Each box of an image is a face; its parts are named 00 to 67, their pixels counted from 0. A
    part that is missing is NaN. The boxes are not read: they come from a detector.
    """
    found = []
    problems = []
    try:
        images = ElementTree.fromstring(data).iter("image")
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # also unknown encodings
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
    """`train`, `validation` or `test`; all pictures of a person are in the same split."""
    bucket = int(hashlib.sha256(identity.encode()).hexdigest(), 16) % 100
    return "test" if bucket < 10 else "validation" if bucket < 20 else "train"


def _points(cells: list[str]) -> np.ndarray:
    """Points `(68, 2)` from cells x0, y0, x1, ..; raises ValueError for other cells."""
    cells = ["nan" if cell.strip().lower() in ("", "nan") else cell for cell in cells]
    if reason := _not_finite([cell for cell in cells if cell != "nan"]):
        raise ValueError(reason)
    points = np.array([float(cell) for cell in cells], np.float32).reshape(COUNT, 2)
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
            if abs(float(cell)) > LARGEST:
                return f"{cell!r} lies beyond any picture"
        except ValueError:
            return f"{cell!r} is not a number"
    return ""
