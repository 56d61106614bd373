"""Which points a network finds and what they mean: a markup, a value read from TOML.

Left and right are those of the person: the right eye appears on the left side of an image. A file
has the fields of `Markup`; a point is written as its number, its name, or a span such as "0-16":

    name = "mine"
    points = ["right eye", "left eye", "nose", "right mouth corner", "left mouth corner"]
    pairs = [["right eye", "left eye"], [3, 4]]  # what a horizontal flip swaps

    [parts]  # means of a report
    mouth = ["3-4"]

    [roles]  # of `ROLES`: what others may ask for
    right_eye = ["right eye"]
    left_eye = ["left eye"]

Data that say nothing else have the 68 points of iBUG, `IBUG68`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keypoints import checks, geometry
from keypoints.checks import Table
from keypoints.errors import InputError, near_miss

FILE = "markup.toml"  # in a data set's folder, in shards and in a run folder
FOLDER = Path(__file__).parent / "markups"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))  # bundled
MOST = 1000  # points of a markup, at most
MOST_BYTES = 2**20  # of a file
LONGEST = 64  # characters of a point's name
FITS = 10  # of one mean face to the other
STRETCHED = 1.4  # at most, of the height and the width of a face to those of another
NEAR = 0.06  # of the face: a point at least as near in another mean face stands for one
_NAME = re.compile(r"[\w][\w .:+-]{0,63}")

# What points may stand for, and how many of them: None is any number of at least one. Corners of
# an eye are the outer ones. An opening is the two ends of an eye or mouth, then opposite points of
# the upper and the lower lid or lip in turn.
ROLES: dict[str, int | None] = {
    "right_eye": None, "left_eye": None, "right_eye_corner": 1, "left_eye_corner": 1,
    "right_eye_opening": None, "left_eye_opening": None, "nose_tip": 1, "mouth": None,
    "mouth_corners": 2, "mouth_opening": None, "jaw": None, "upper_face": None, "rigid": None,
}  # fmt: skip
# Distances that errors may be divided by, and the roles that each needs.
NORMALISERS: dict[str, tuple[str, ...]] = {
    "inter_ocular": ("right_eye_corner", "left_eye_corner"),
    "inter_pupil": ("right_eye", "left_eye"),
    "box_diagonal": (),
    "box": (),
}


class Outline(NamedTuple):
    """A line to draw through points; a closed one returns to its start."""

    points: tuple[int, ...]
    closed: bool


@dataclass(frozen=True, eq=False)
class Markup:
    """The points of a data set or of a network, compared by value.

    The face box is the one that detectors give and crops are made around: the tight box of the 68
    points of iBUG. `face_box` has its centre and size in tight boxes of these points, so that any
    points stand for the same box.
    """

    name: str
    names: tuple[str, ...]  # of the points, in order; their numbers unless given
    pairs: tuple[tuple[int, int], ...] | None = None  # swapped by a flip; None: not known
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    outlines: Mapping[str, Outline] = field(default_factory=dict)
    roles: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    normaliser: str = "box"  # of `NORMALISERS`
    # (n, 2) float32 of an upright face; the unit is the longer side of the face box, the origin
    # its centre. None: measured on the training data.
    mean: np.ndarray | None = None
    depth: np.ndarray | None = None  # (n,) towards the viewer, the same unit; None: no head pose
    face_box: tuple[float, float, float, float] | None = None  # None: measured on training data
    # For each point of another markup, by that one's name, the point of this one; -1: none.
    maps: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Markup) and self.content() == other.content()

    def __hash__(self) -> int:
        return hash((self.name, self.names))

    @property
    def count(self) -> int:
        return len(self.names)

    @cached_property
    def mirror(self) -> np.ndarray | None:
        """The order of points after a flip, `flipped[i] = reflected[mirror[i]]`; None: not known.

        Points of no pair are their own mirror image.
        """
        if self.pairs is None:
            return None
        order = np.arange(self.count)
        for one, other in self.pairs:
            order[one], order[other] = other, one
        return order

    @cached_property
    def shape(self) -> np.ndarray | None:
        """The points of an average head `(n, 3)`: `mean` and `depth`; None without them.

        Head frame: x to the viewer's right, y down, z towards the viewer.
        """
        if self.mean is None or self.depth is None:
            return None
        return np.column_stack([self.mean, self.depth])

    @cached_property
    def rigid(self) -> tuple[list[int], np.ndarray] | None:
        """The points that keep their place on a head, and where `(k, 3)`; None: no head pose.

        Those of the role `rigid`, or of that of the points of iBUG where this markup has them.
        """
        if self.shape is not None and self.has("rigid"):
            points = list(self.roles["rigid"])
            return points, self.shape[points]
        if self.name == "ibug68":
            return None
        try:
            order = self.map_to(IBUG68)
        except InputError:
            return None
        there, shape = IBUG68.rigid or ([], np.empty((0, 3)))
        points = [order[point] for point in there]
        return (points, shape) if min(points, default=-1) >= 0 else None

    @property
    def normalisers(self) -> tuple[str, ...]:
        """The names of `NORMALISERS` whose points this markup has."""
        return tuple(name for name, roles in NORMALISERS.items() if set(roles) <= set(self.roles))

    def has(self, *roles: str) -> bool:
        return all(role in self.roles for role in roles)

    def points_of(self, role: str, user: str) -> list[int]:
        """The points of a role; raises InputError, which says what `user` needs, without it."""
        self.require(user, role)
        return list(self.roles[role])

    def require(self, user: str, *roles: str) -> None:
        """Raise InputError if a role is missing that `user`, words for a message, needs."""
        missing = [role for role in roles if role not in self.roles]
        if missing:
            raise InputError(
                f"{user} needs the role {missing[0]}, which the markup {self.name} does not have"
            )

    def face_boxes(self, points: np.ndarray) -> np.ndarray:
        """Face boxes `(..., 4)` of points `(..., n, 2)`: left, top, width, height in pixels."""
        tight = geometry.landmark_box(points)
        if self.face_box is None or self.face_box == (0.5, 0.5, 1.0, 1.0):
            return tight
        x, y, *size = self.face_box
        sides = np.maximum(tight[..., 2:], 1e-6) * size
        middle = tight[..., :2] + tight[..., 2:] * [x, y]
        return np.concatenate([middle - sides / 2, sides], axis=-1).astype(tight.dtype)

    def complete(self, points: np.ndarray) -> np.ndarray:
        """Points `(..., n, 2)` whose missing ones, NaN, are those of the mean put over the rest.

        By the rotation, scale and shift that fit best in least squares. A face of fewer than two
        points stays as it is, and so does one without missing points; so do all without `mean`.
        """
        whole = np.array(points, order="C")
        faces = whole.reshape(-1, self.count, 2)
        missing = np.isnan(faces).any(axis=-1)
        if self.mean is None or not missing.any():
            return whole
        known = np.column_stack([self.mean @ [1, 1j], np.ones(self.count)])
        for index in np.flatnonzero(missing.any(axis=1) & ((~missing).sum(axis=1) >= 2)):
            face, gaps = faces[index], missing[index]
            fit, *_ = np.linalg.lstsq(known[~gaps], (face @ [1, 1j])[~gaps], rcond=None)
            placed = known[gaps] @ fit
            face[gaps] = np.column_stack([placed.real, placed.imag])
        return whole

    def map_to(self, other: Markup) -> tuple[int, ...]:
        """For each point of `other` the point of this markup that is the same; -1: none.

        From `maps` of either of the two, else by the names of points. Raises InputError where
        neither says it.
        """
        if other.names == self.names and other.name == self.name:
            return tuple(range(self.count))
        if other.name in self.maps:
            return self._map_of(other)
        if self.name in other.maps:
            there = other._map_of(self)
            return tuple(there.index(i) if i in there else -1 for i in range(other.count))
        shared = {name for name in self.names if not name.isdecimal()} & set(other.names)
        if not shared:
            raise InputError(
                f"the markups {self.name} and {other.name} share no names of points, and neither "
                "has a map to the other"
            )
        return tuple(self.names.index(n) if n in shared else -1 for n in other.names)

    def stand_ins(self, other: Markup) -> np.ndarray:
        """For each point of `other` the point of this markup that stands for it `(n,)`; -1: none.

        As names or maps tell it; where they do not, the nearest in the mean faces, within `NEAR`. A
        mean face may be that of one person: its height and width are fitted to the other's first.
        """
        try:
            return np.array(self.map_to(other))
        except InputError:
            if self.mean is None or other.mean is None:
                return np.full(other.count, -1)
        laid = other.mean.astype(np.float64)
        for _ in range(FITS):
            away = np.linalg.norm(laid[:, None] - self.mean, axis=-1)
            nearest, close = away.argmin(axis=1), away.min(axis=1) <= 2 * NEAR
            spread = other.mean[close].std(axis=0) if close.sum() > 2 else np.zeros(2)
            if spread.min() < NEAR:
                break
            there = self.mean[nearest[close]]
            mine = other.mean[close] - other.mean[close].mean(axis=0)
            slope = (mine * (there - there.mean(axis=0))).mean(axis=0) / spread**2
            slope = np.clip(slope, 1 / STRETCHED, STRETCHED)
            laid = (other.mean - other.mean[close].mean(axis=0)) * slope + there.mean(axis=0)
        away = np.linalg.norm(laid[:, None] - self.mean, axis=-1)
        return np.where(away.min(axis=1) <= NEAR, away.argmin(axis=1), -1)

    def _map_of(self, other: Markup) -> tuple[int, ...]:
        """The entry of `maps` for `other`; raises InputError if it is of another length."""
        found = self.maps[other.name]
        if len(found) != other.count:
            raise InputError(
                f"{self.name}: maps: {other.name} has {other.count} points, its map {len(found)}"
            )
        return found

    def order_of(self, other: Markup) -> np.ndarray | None:
        """For each point of `other` the point of this markup `(k,)`; None if it lacks any."""
        try:
            order = np.array(self.map_to(other))
        except InputError:
            return None
        return order if (order >= 0).all() else None

    def converted(self, points: np.ndarray, other: Markup) -> np.ndarray:
        """Points `(..., n, 2)` of this markup as those of `other`; NaN where it has no such."""
        order = np.array(self.map_to(other))
        found = np.asarray(points)[..., order, :].copy()
        found[..., order < 0, :] = np.nan
        return found

    def difference(self, other: Markup) -> str:
        """How the points of `other` are others than these, in words; "" if they are the same.

        What is measured on data (`mean`, `face_box`) or only told (parts, outlines) may differ, and
        so may the name where the points have names.
        """
        if self.count != other.count:
            return f"{self.name} has {self.count} points, {other.name} has {other.count}"
        for mine, theirs in zip(self.names, other.names):
            if mine != theirs:
                return f"a point is {mine!r} in {self.name} and {theirs!r} in {other.name}"
        if _sorted(self.pairs) != _sorted(other.pairs):
            return f"{self.name} and {other.name} have other mirror pairs"
        if self.name == other.name or not all(map(str.isdecimal, self.names)):
            return ""
        return f"one is {self.name}, one {other.name}"

    def content(self) -> dict[str, Any]:
        """The markup as plain values for JSON and TOML; `read_content` reads them."""
        numbered = self.names == tuple(map(str, range(self.count)))
        values: dict[str, Any] = {
            "name": self.name,
            "points": self.count if numbered else list(self.names),
            "normaliser": self.normaliser,
        }
        if self.pairs is not None:
            values["pairs"] = [list(pair) for pair in self.pairs]
        if self.face_box is not None:
            values["face_box"] = list(self.face_box)
        for name in ("mean", "depth"):
            if (array := getattr(self, name)) is not None:
                values[name] = np.round(np.asarray(array, np.float64), 7).tolist()
        open_or_closed: dict[str, Any] = {"open": {}, "closed": {}}
        for name, outline in self.outlines.items():
            open_or_closed["closed" if outline.closed else "open"][name] = list(outline.points)
        tables = {"parts": self.parts, "outlines": open_or_closed, "roles": self.roles,
                  "maps": self.maps}  # fmt: skip
        for name, table in tables.items():
            filled = {key: list(v) if isinstance(v, tuple) else v for key, v in table.items() if v}
            if filled:
                values[name] = filled
        return values

    def stated(self) -> str | dict[str, Any]:
        """Its name if it is bundled, else its `content`; `read_content` reads both."""
        return self.name if self.name in NAMES and self == bundled(self.name) else self.content()

    def to_toml(self) -> str:
        """The file of this markup."""
        return _toml(self.content())


def bundled(name: str) -> Markup:
    """The markup of that name that comes with the package, one of `NAMES`."""
    if name not in NAMES:
        raise InputError(f"markup={name} is not known{near_miss(name, list(NAMES))}")
    return _bundled(name)


@cache
def _bundled(name: str) -> Markup:
    return read_markup(FOLDER / f"{name}.toml")


def read_markup(path: str | Path) -> Markup:
    """The markup of a TOML file, or of the `markup.toml` in a folder; raises InputError."""
    path = Path(path) / FILE if os.path.isdir(path) else Path(path)
    try:
        size, data = path.stat().st_size, b""
        if size <= MOST_BYTES:
            data = path.read_bytes()
    except OSError as error:
        raise InputError(f"markup={path}: {error.strerror}") from None
    except ValueError:  # NUL
        raise InputError(f"markup={str(path)!r}: no file has such a name") from None
    if size > MOST_BYTES:
        raise InputError(f"{path} has more than {MOST_BYTES} bytes; a markup has less")
    return parse_markup(data, str(path))


def parse_markup(data: bytes, source: str) -> Markup:
    """The markup in the bytes of a TOML file; raises InputError, which names the file `source`."""
    return read_content(checks.toml_table(data, source), source)


def read_content(values: Any, source: str) -> Markup:
    """The markup from its fields, as TOML or JSON has them, or the name of a bundled one.

    Raises InputError for what is wrong.
    """
    if isinstance(values, str):
        return bundled(values)
    table = Table(source, values)
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise InputError(f"{source}: name={name!r}: up to 64 letters, digits, '_' and '-'")
    names = _names(table)
    pairs = _pairs(table, names) if "pairs" in table.content else None
    groups = {key: _groups(table, key, names) for key in ("parts", "roles")}
    for key, group in groups.items():
        for part, points in group.items():
            if twice := [point for point in points if points.count(point) > 1]:
                point = names[twice[0]]
                raise InputError(f"{source}: {key}: {part}: point {point} stands there twice")
    roles = groups["roles"]
    for role, points in roles.items():
        checks.one_of(role, f"{source}: roles", list(ROLES))
        wanted = ROLES[role]
        odd = role.endswith("opening") and (len(points) < 4 or len(points) % 2)
        if (wanted and len(points) != wanted) or odd:
            expected = "two ends, then pairs of points" if odd else f"{wanted} points are expected"
            raise InputError(f"{source}: roles: {role} has {len(points)} points; {expected}")
    outlines: dict[str, Outline] = {}
    table.known += ["pairs", "outlines", "face_box"]
    if "outlines" in table.content:
        lines = table.table("outlines")
        for closed in (False, True):
            kind = "closed" if closed else "open"
            found = _groups(lines, kind, names)
            if both := outlines.keys() & found:
                raise InputError(f"{source}: outlines: {min(both)} is open and closed")
            outlines |= {key: Outline(points, closed) for key, points in found.items()}
        lines.close()
    known = [n for n, needed in NORMALISERS.items() if set(needed) <= set(roles)]
    usual = next((n for n in known if NORMALISERS[n]), "box")
    normaliser = table.one_of("normaliser", list(NORMALISERS), default=usual)
    if normaliser not in known:
        needed = " and ".join(NORMALISERS[normaliser])
        raise InputError(f"{source}: normaliser={normaliser!r} needs the roles {needed}")
    mean, depth = (
        _array(table, key, len(names), width) for key, width in (("mean", 2), ("depth", 0))
    )
    face_box = None
    if "face_box" in table.content:
        x, y, width, height = table.numbers("face_box", 4)
        if not (0 < width <= 100 and 0 < height <= 100 and abs(x) <= 100 and abs(y) <= 100):
            raise InputError(f"{source}: face_box: centre and size in boxes of the points")
        face_box = (x, y, width, height)
    maps = _maps(table, len(names))
    table.close()
    parts = groups["parts"]
    return Markup(
        name, names, pairs, parts, outlines, roles, normaliser, mean, depth, face_box, maps
    )


def _names(table: Table) -> tuple[str, ...]:
    value = table.take("points")
    if type(value) is int:
        count = checks.whole(value, f"{table.name}: points", low=1, high=MOST)
        return tuple(map(str, range(count)))
    if not isinstance(value, list) or not 1 <= len(value) <= MOST:
        raise InputError(f"{table.name}: points: how many, or a list of up to {MOST} names")
    for name in value:
        good = isinstance(name, str) and name.isprintable() and name == name.strip()
        if not good or not 1 <= len(name) <= LONGEST:
            raise InputError(
                f"{table.name}: points: {checks.shown(name)} is no name of a point: 1 to {LONGEST} "
                "characters without line breaks"
            )
    if doubled := sorted({name for name in value if value.count(name) > 1}):
        raise InputError(f"{table.name}: points: {doubled[0]!r} stands there twice")
    return tuple(value)


def _indices(value: Any, name: str, names: tuple[str, ...]) -> tuple[int, ...]:
    """The points of a list of numbers, names and spans such as "0-16"."""
    found: list[int] = []
    for item in value if isinstance(value, list) else [value]:
        span = re.fullmatch(r"(\d{1,4})-(\d{1,4})", item) if isinstance(item, str) else None
        if isinstance(item, str) and item in names:
            found.append(names.index(item))
        elif span and int(span[1]) < int(span[2]) < len(names):
            found += range(int(span[1]), int(span[2]) + 1)
        elif type(item) is int and 0 <= item < len(names):
            found.append(item)
        else:
            hint = near_miss(item, list(names)) if isinstance(item, str) and not span else ""
            raise InputError(
                f"{name}: {item!r} is no point: a number from 0 to {len(names) - 1}, a name or a "
                f'span such as "0-2"{hint}'
            )
    return tuple(found)


def _pairs(table: Table, names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    value, where = table.take("pairs"), f"{table.name}: pairs"
    if not isinstance(value, list):
        raise InputError(f"{where}={value!r}: a list of pairs is expected")
    seen: dict[int, Any] = {}
    pairs = []
    for item in value:
        points = _indices(item, where, names)
        if not isinstance(item, list) or len(points) != 2 or points[0] == points[1]:
            raise InputError(f"{where}: {item!r}: two points are expected")
        for point in points:
            if point in seen:
                raise InputError(f"{where}: point {names[point]} is in {seen[point]} and in {item}")
            seen[point] = item
        pairs.append((points[0], points[1]))
    return tuple(pairs)


def _groups(table: Table, key: str, names: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    if key not in table.content:
        table.known.append(key)
        return {}
    inner = table.table(key)
    groups = {}
    for name, value in inner.content.items():
        groups[name] = _indices(value, f"{inner.name}: {name}", names)
        if not groups[name]:
            raise InputError(f"{inner.name}: {name} has no points")
    return groups


def _array(table: Table, key: str, count: int, width: int) -> np.ndarray | None:
    """The numbers `(count, width)`, or `(count,)` for a width of 0, of a field; None without."""
    if key not in table.content:
        table.known.append(key)
        return None
    value = table.take(key)
    rows = value if isinstance(value, list) else []
    cells = [row if width else [row] for row in rows]
    if len(rows) != count or not all(
        isinstance(c, list) and len(c) == max(width, 1) for c in cells
    ):
        kind = f"{width} numbers" if width else "a number"
        raise InputError(
            f"{table.name}: {key}={checks.shown(value)}: {kind} for each of the {count} points"
        )
    flat = [checks.number(x, f"{table.name}: {key}", low=-100, high=100) for c in cells for x in c]
    return np.array(flat, np.float32 if width else np.float64).reshape(
        (count, width) if width else count
    )


def _maps(table: Table, count: int) -> dict[str, tuple[int, ...]]:
    if "maps" not in table.content:
        table.known.append("maps")
        return {}
    inner = table.table("maps")
    maps = {}
    for name, value in inner.content.items():
        if not isinstance(value, list) or not 1 <= len(value) <= MOST:
            raise InputError(f"{inner.name}: {name}: a list of points is expected")
        where = f"{inner.name}: {name}"
        if name in NAMES and len(value) != (points := bundled(name).count):
            raise InputError(f"{where}: {len(value)} points; {name} has {points}")
        maps[name] = tuple(checks.whole(item, where, low=-1, high=count - 1) for item in value)
    return maps


def _sorted(pairs: tuple[tuple[int, int], ...] | None) -> list[tuple[int, ...]] | None:
    return None if pairs is None else sorted(tuple(sorted(pair)) for pair in pairs)


def _toml(values: Mapping[str, Any], path: str = "") -> str:
    """TOML of plain values; lists of lists have a line for each inner one."""
    lines, tables = [], []
    for key, value in values.items():
        quoted = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)
        if isinstance(value, Mapping):
            tables.append(_toml(value, f"{path}.{quoted}" if path else quoted))
        elif isinstance(value, list) and value and isinstance(value[0], list):
            rows = "".join(f"    {json.dumps(row)},\n" for row in value)
            lines.append(f"{quoted} = [\n{rows}]")
        else:
            lines.append(f"{quoted} = {json.dumps(value, ensure_ascii=False)}")
    head = f"\n[{path}]\n" if path and lines else ""
    return head + "".join(f"{line}\n" for line in lines) + "".join(tables)


IBUG68 = bundled("ibug68")
