"""Annotated faces as a file holds them, whatever its format, and the checks that all share.

Points are `(n, 2)` float32, x then y, in pixels of the picture; the centre of its first pixel is at
0. A point that is not annotated is NaN. A covered one has a place, which the annotator estimated
behind hair, a hand or glasses.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

LARGEST = 1e9  # pixels: wider than any picture, and far below the limit of float32
SHOWN = 40  # characters of a wrong value in a message


class Annotation(NamedTuple):
    """One annotated face."""

    picture: str  # as the file names it
    points: np.ndarray  # (n, 2)
    covered: np.ndarray  # (n,) bool
    person: str = ""  # "" where the file does not tell


class AnnotatedPicture(NamedTuple):
    """A picture and its faces, to be written."""

    name: str  # path in the folder of the annotations
    width: int
    height: int
    faces: list[Annotation]


class Place(NamedTuple):
    """Where a named point lies, as a file has it."""

    x: Any
    y: Any
    covered: bool = False


@dataclass
class Annotations:
    """The faces of one file, and what is wrong with it."""

    file: str  # for messages
    names: tuple[str, ...] = ()  # of the points; empty where the file has only their order
    keyed: bool = False  # the names tell which point is which; else their order does
    markup: str = ""  # of a format that has one markup only
    columns: int = 0  # of a table
    lines: tuple[tuple[int, ...], ...] = ()  # of points that the file joins to draw them
    faces: list[Annotation] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    # Reads a picture that is in the file itself, `(h, w, 3)` uint8 RGB.
    read: Callable[[str], np.ndarray] | None = None

    def add(
        self,
        picture: str,
        points: Any,
        covered: Any = None,
        *,
        where: str = "",
        person: str = "",
    ) -> None:
        """Append a face of rows (x, y), numbers or text; if a value is wrong, a problem."""
        try:
            found = to_points(points)
            if self.faces and len(found) != (count := len(self.faces[0].points)):
                raise ValueError(f"{len(found)} points; the faces before it have {count}")
        except ValueError as error:
            place = f"{self.file}, {where}" if where else self.file
            self.problems.append(f"{place}: {picture}: {error}")
            return
        hidden = np.zeros(len(found), bool) if covered is None else np.array(covered, bool)
        self.faces.append(Annotation(picture, found, hidden, person))


def from_named(
    file: str, faces: Iterable[tuple[str, Mapping[str, Place]]], problems: list[str]
) -> Annotations:
    """The annotations of `(picture, points by name)`.

    Names that are numbers are sorted as numbers, others in the order in which they come.
    """
    found = list(faces)
    names = list(dict.fromkeys(name for _, places in found for name in places))
    if all(name.isdecimal() and len(name) < 10 for name in names):
        names.sort(key=int)
    annotations = Annotations(file, tuple(names), keyed=True, problems=problems)
    missing = Place(None, None)
    for picture, places in found:
        rows = [places.get(name, missing) for name in names]
        annotations.add(picture, [row[:2] for row in rows], [row.covered for row in rows])
    return annotations


def put(places: dict[str, Place], name: str, place: Place) -> None:
    """Add a point of a face; raises ValueError for a second one of its name: `00` is `0`."""
    key = name.strip()
    if key.isdecimal():
        key = key.lstrip("0") or "0"
    if key in places:
        raise ValueError(f"two points are called {shown(name)}")
    places[key] = place


def to_points(rows: Any) -> np.ndarray:
    """Points `(n, 2)` from rows (x, y), numbers or text; None, empty and `nan` are missing.

    Raises ValueError for another value, for half a point, and for fewer than two points.
    """
    if not isinstance(rows, list | tuple | np.ndarray):
        raise ValueError(f"{shown(rows)}: a list of points is expected")
    points = _plain(rows)
    if points is None:
        pairs = []
        for row in rows:
            if not isinstance(row, list | tuple | np.ndarray) or len(row) != 2:
                raise ValueError(f"{shown(row)}: two numbers are expected")
            pairs.append([coordinate(value) for value in row])
        points = np.array(pairs, np.float32).reshape(-1, 2)
    missing = np.isnan(points)
    halves = np.flatnonzero(missing[:, 0] != missing[:, 1])
    if len(halves):
        raise ValueError(f"point {halves[0]} has one coordinate without the other")
    if len(points) - missing[:, 0].sum() < 2:
        raise ValueError("fewer than two points are annotated")
    return points


def _plain(rows: Any) -> np.ndarray | None:
    """Points of rows in which each value is a number: all at once, since tables have many rows.

    None where a value has to be looked at: it is missing, wrong or too large.
    """
    if not set(map(type, rows)) <= {list, tuple, np.ndarray}:
        return None
    try:
        if set(map(len, rows)) != {2}:
            return None
        values = list(chain.from_iterable(rows))
        points = np.array(list(map(float, values))).reshape(-1, 2)
    except (ValueError, TypeError, OverflowError):
        return None
    truths = bool in map(type, values)  # which are numbers to Python
    within = (np.abs(points) <= LARGEST).all()
    return points.astype(np.float32) if within and not truths else None


def coordinate(value: Any) -> float:
    """`value`, a number or text, in pixels; NaN for None, empty and `nan`; else ValueError."""
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "nan")):
        return math.nan
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{shown(value)} is not a number") from None
    except OverflowError:
        raise ValueError(f"{shown(value)} lies beyond any picture") from None
    if math.isinf(number):
        raise ValueError(f"{shown(value)} is not finite")
    if abs(number) > LARGEST:
        raise ValueError(f"{shown(value)} lies beyond any picture")
    return number


def shown(value: Any) -> str:
    """A wrong value in a message, of at most some forty characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a whole number of thousands of digits, a deep list
        text = type(value).__name__
    return text if len(text) <= SHOWN else text[:SHOWN] + ".."


def split_of(identity: str) -> str:
    """`train`, `validation` or `test`; all pictures of a person are in the same split."""
    bucket = int(hashlib.sha256(identity.encode(errors="replace")).hexdigest(), 16) % 100
    return "test" if bucket < 10 else "validation" if bucket < 20 else "train"
