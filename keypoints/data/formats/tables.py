"""Tables: the CSV of the YouTube Faces keypoint data, and the CSV of DeepLabCut.

Ours: `picture, x0, y0, x1, y1, ..`, in any number of points; a header may name them, `NAME_x` and
`NAME_y`. Both cells of a point that is not annotated are empty or `nan`. A row may have one more
cell: empty, or `covered` and the numbers, from 0, of the covered points: `covered 3 17`. Commas,
semicolons (then with decimal commas, if any) or tabs separate; a byte order mark and the line ends
of any system are accepted.

DeepLabCut's (`CollectedData_SCORER.csv`) has three header rows, `scorer`, `bodyparts` and `coords`,
or four, with `individuals` after the first; the path of a picture is in one column, or its three
last parts in three. Points of the individual `single` belong to the picture, and are no face's.
Source: DeepLabCut's own files and documentation, version 2 and 3.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath

import numpy as np

from keypoints.data.annotations import SHOWN, AnnotatedPicture, Annotations, coordinate
from keypoints.media.formats import is_picture
from keypoints.system.atomic import write_rows

HEADERS = ("scorer", "individuals", "bodyparts", "coords")  # of DeepLabCut
SCORER = "keypoints"  # that DeepLabCut's files are written for
COVERED = "covered"


def parse(data: bytes, file: str) -> Annotations | None:
    """The faces of a CSV file of either kind; None where no row begins with a picture's name.

    Rows of the same picture are several faces, unless they are equal.
    """
    try:
        rows = read_cells(data, are_points)
    except ValueError as error:
        return Annotations(file, problems=[f"{file}: not a CSV file in UTF-8: {error}"])
    if rows and rows[0] and rows[0][0].lower() == "scorer":
        return _deeplabcut(rows, file)
    filled = [row for row in rows if any(row)]
    if filled and not any(is_picture(row[0]) for row in filled):
        return None
    return _rows(rows, file)


def read_cells(data: bytes, fits: Callable[[int], bool]) -> list[list[str]]:
    """The rows of a CSV file, their cells without spaces around them.

    The separator is the first of semicolon and tab of which a line has a number that `fits`, else
    the comma; with the first two, commas within numbers are decimal points. Raises ValueError for a
    file that is not UTF-8 text or that the csv module cannot read.
    """
    text = io.StringIO(data.decode("utf-8-sig"), newline=None).read()
    separator = separator_of(text, fits)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    cells = [list(map(str.strip, row)) for row in rows]
    if separator != ",":
        cells = [[*row[:1], *(cell.replace(",", ".") for cell in row[1:])] for row in cells]
    return cells


def read_pairs(
    path: Path, pictures: Collection[str] | None, column: str, kind: str
) -> tuple[dict[str, str], list[str]]:
    """The rows `picture,column` of a CSV file, and what is wrong with them; a header may be first.

    Each picture is one of `pictures`, which a message calls `kind`; None: any. Rows that say the
    same twice are one, and blank ones are none.
    """
    try:
        rows = read_cells(path.read_bytes(), lambda separators: separators == 1)
    except (OSError, ValueError) as error:
        return {}, [f"{path.name}: not a CSV file in UTF-8: {error}"]
    found: dict[str, str] = {}
    problems = []
    for line, row in enumerate(rows, 1):
        where = f"{path.name}, line {line}"
        if not any(row) or (line == 1 and not PurePosixPath(row[0]).suffix):
            continue  # blank, or a header: a picture's name has an ending
        if len(row) != 2:
            problems.append(f"{where}: {','.join(row)!r}: picture,{column} is expected")
            continue
        picture = PurePosixPath(row[0].replace("\\", "/")).as_posix()
        if pictures is not None and picture not in pictures:
            problems.append(f"{where}: {row[0]!r} is no {kind}")
        elif found.setdefault(picture, row[1]) != row[1]:
            problems.append(f"{where}: {picture} has another {column} already: {found[picture]}")
    return found, problems


def separator_of(text: str, fits: Callable[[int], bool]) -> str:
    """The separator of a table, as in `read_cells`."""
    start = text.splitlines()[:10]
    return next((mark for mark in ";\t" for line in start if fits(line.count(mark))), ",")


def are_points(separators: int) -> bool:
    """Whether a line of our layout may have so many separators."""
    return separators >= 4


def _rows(rows: list[list[str]], file: str) -> Annotations:
    found = Annotations(file)
    marks = {line: row.pop() for line, row in enumerate(rows, 1) if _has_mark(row)}
    numbered = [(line, row) for line, row in enumerate(rows, 1) if any(row)]
    if numbered and numbered[0][0] == 1 and _is_header(numbered[0][1]):
        found.names = _names(numbered.pop(0)[1])
    # A row of another length than most is wrong; that most are is the whole file's mistake.
    columns = Counter(len(row) for _, row in numbered).most_common(1)[0][0] if numbered else 0
    found.columns = columns
    lines: dict[tuple[str, bytes], int] = {}
    for line, (picture, *cells) in numbered:
        where = f"line {line}"
        if 1 + len(cells) != columns or len(cells) % 2:
            odd = columns if columns % 2 else "an odd number"
            found.problems.append(f"{file}, {where}: {1 + len(cells)} columns, {odd} are expected")
            continue
        try:
            covered = _covered(marks.get(line, ""), len(cells) // 2)
        except ValueError as error:
            found.problems.append(f"{file}, {where}: {picture}: {error}")
            continue
        before = len(found.faces)
        found.add(picture, list(zip(cells[::2], cells[1::2])), covered, where=where)
        if len(found.faces) == before:
            continue
        first = lines.setdefault((picture, found.faces[-1].points.tobytes()), line)
        if first != line:
            found.faces.pop()
            found.problems.append(
                f"{file}, {where}: {picture}: the same row is in line {first} already"
            )
    if len(found.names) != (columns - 1) // 2:
        found.names = ()
    return found


def _has_mark(row: list[str]) -> bool:
    return len(row) % 2 == 0 and bool(row) and row[-1].split(" ")[0] in ("", COVERED)


def _covered(mark: str, count: int) -> np.ndarray:
    """Which of `count` points `(n,)` a mark calls covered; raises ValueError."""
    covered = np.zeros(count, bool)
    for number in mark.split()[1:]:
        if not number.isdecimal() or len(number) > 9 or int(number) >= count:
            raise ValueError(f"{mark[:SHOWN]!r}: numbers of points from 0 to {count - 1} expected")
        covered[int(number)] = True
    return covered


def covered_mark(covered: np.ndarray) -> str:
    """The last cell of a row with the covered points `(n,)`; "" without any."""
    return " ".join([COVERED, *map(str, np.flatnonzero(covered))]) if covered.any() else ""


def _is_header(row: list[str]) -> bool:
    """Whether the first row names its columns: by words, or by counting them."""
    if is_picture(row[0]):
        return False
    counted = [[str(start + i) for i in range(len(row) - 1)] for start in (0, 1)]
    return row[1:] in counted or not any(_is_number(cell) for cell in row[1:])


def _is_number(cell: str) -> bool:
    try:
        return not np.isnan(coordinate(cell))
    except ValueError:
        return False


def _names(header: list[str]) -> tuple[str, ...]:
    """Names of points in a header of `NAME_x, NAME_y`; none where they are numbers or missing."""
    pairs = list(zip(header[1::2], header[2::2]))
    names = []
    for first, second in pairs:
        x, y = re.fullmatch(r"(.+)[_. -]x", first, re.I), re.fullmatch(r"(.+)[_. -]y", second, re.I)
        if not x or not y or x[1] != y[1]:
            return ()
        names.append(x[1])
    return tuple(names) if len(set(names)) == len(names) else ()


def _deeplabcut(rows: list[list[str]], file: str) -> Annotations:
    header: dict[str, list[str]] = {}
    rows = list(rows)
    while rows and rows[0] and rows[0][0].lower() in HEADERS:
        row = rows.pop(0)
        header[row[0].lower()] = row
    parts, coords = header.get("bodyparts"), header.get("coords")
    if not parts or not coords or len(parts) != len(coords):
        problem = f"{file}: the header rows scorer, bodyparts and coords of DeepLabCut are expected"
        return Annotations(file, problems=[problem])
    lead = next((i for i in range(1, len(parts)) if parts[i]), len(parts))  # columns of the path
    individuals = header.get("individuals", [""] * len(parts))
    columns = [i for i in range(lead, len(parts)) if individuals[i] != "single"]
    names = tuple(dict.fromkeys(parts[i] for i in columns))
    found = Annotations(file, names, keyed=True)
    people = [list(group) for _, group in groupby(columns, individuals.__getitem__)]
    for line, row in enumerate(rows, 1 + len(header)):
        if not any(row):
            continue
        if len(row) != len(parts):
            found.problems.append(
                f"{file}, line {line}: {len(row)} columns, {len(parts)} are expected"
            )
            continue
        picture = "/".join(cell for cell in row[:lead] if cell)
        for own in people:
            cells = {(parts[i], coords[i].lower()): row[i] for i in own}
            points = [(cells.get((name, "x")), cells.get((name, "y"))) for name in names]
            if any(cell for point in points for cell in point):
                found.add(picture, points, where=f"line {line}")
    return found


def write_csv(folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]) -> None:
    """Write `faces.csv` in our layout."""
    header = ["picture", *(f"{name}_{axis}" for name in names for axis in "xy")]
    faces = [(picture.name, face) for picture in pictures for face in picture.faces]
    rows = [[name, *_cells(face.points)] for name, face in faces]
    if any(face.covered.any() for _, face in faces):
        header.append(COVERED)
        rows = [[*row, covered_mark(face.covered)] for row, (_, face) in zip(rows, faces)]
    write_rows(folder / "faces.csv", [header, *rows])


def write_deeplabcut(
    folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]
) -> None:
    """Write `CollectedData_keypoints.csv`; with `individuals` where a picture has several faces."""
    most = max((len(picture.faces) for picture in pictures), default=1)
    columns = 2 * len(names)
    header = [["scorer", *[SCORER] * (columns * most)]]
    if most > 1:
        header += [["individuals", *(f"face{i}" for i in range(most) for _ in range(columns))]]
    header += [
        ["bodyparts", *[name for name in names for _ in "xy"] * most],
        ["coords", *["x", "y"] * (len(names) * most)],
    ]
    rows = []
    for picture in pictures:
        faces = [cell for face in picture.faces for cell in _cells(face.points)]
        rows.append([picture.name, *faces, *[""] * (columns * most - len(faces))])
    write_rows(folder / f"CollectedData_{SCORER}.csv", [*header, *rows])


def _cells(points: np.ndarray) -> list[str]:
    return ["" if np.isnan(value) else f"{value:.3f}" for value in points.ravel()]
