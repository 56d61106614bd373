"""Tar shards as examples, as WebDataset has them: a picture and its points are members of one name.

    0001.jpg  0001.pts    or .npy (n, 2), or .json {"points": [[x, y], ..]}

The first member may be `markup.toml`; without it the points are the 68 of iBUG.

The JSON may also have "identity": "ada", "box": [left, top, width, height], "yaw": degrees and
"covered": [numbers of the points that something covers].

A shard is read once from start to end. Afterwards its pictures are read by their place in it, so
that a set that does not fit in memory is trained on in the very order, with the very augmentation,
of one that does.
"""

import io
import json
import math
import os
import tarfile
from collections.abc import Iterator
from functools import partial
from glob import glob
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from keypoints import checks, geometry
from keypoints.checks import json_object
from keypoints.crop import Crop
from keypoints.data import annotations
from keypoints.data.formats import pts
from keypoints.data.pipeline import WINDOW_SIDE, windows
from keypoints.data.records import Example, Records
from keypoints.errors import InputError, refuse
from keypoints.markup import FILE, IBUG68, MOST_BYTES, Markup, parse_markup
from keypoints.media.formats import MAX_BYTES, is_picture
from keypoints.media.pictures import decode_picture
from keypoints.system.atomic import replacing

LABELS = (".pts", ".json", ".npy")
# Errors of damaged shards. The last three are of crafted headers: sizes beyond all memory, headers
# within headers.
BROKEN = (tarfile.TarError, OSError, ValueError, OverflowError, MemoryError, RecursionError)
MAX_LABEL = 10_000_000  # bytes of a member with points; more is a mistake or an attack


def shard_paths(data: str, split: str) -> list[Path]:
    """The shards of one split of the data set `shards:GLOB`, by name; none of any other set."""
    kind, _, pattern = data.partition(":")
    if kind != "shards":
        return []
    return [
        Path(path) for path in sorted(glob(os.path.expanduser(pattern.replace("{split}", split))))
    ]


class _Place(NamedTuple):
    """Where the bytes of a member lie in its shard."""

    shard: Path
    offset: int
    size: int
    name: str  # SHARD/MEMBER, for messages and reports
    key: str  # the member's name without its suffix


def read_shards(pattern: str, split: str) -> tuple[Markup, Iterator[Example]]:
    """The markup of the shards that fit the glob `pattern`, and examples of one split in order.

    Where `{split}` is in the pattern the shards of its name are the split; otherwise the hash of an
    example's identity decides, or of its name where there is no identity, and `all` is every one.
    Members that are neither picture nor points are passed over. Raises InputError where no shard
    is, and at the end one for all that is wrong with them.
    """
    paths = shard_paths(f"shards:{pattern}", split)
    if not paths:
        raise InputError(f"data=shards:{pattern}: no such file")
    markups = {path: _read_markup(path) for path in paths}
    first = markups[paths[0]]
    for path, markup in markups.items():
        if difference := first.difference(markup):
            raise InputError(f"{paths[0].name} and {path.name}: {difference}")
    return first, _examples(paths, pattern, split, first)


def _read_markup(path: Path) -> Markup:
    """The markup of a shard: in its first member if that is `markup.toml`, else iBUG's."""
    try:
        with tarfile.open(path, mode="r:") as shard:
            member = shard.next()
            if member is None or member.name != FILE or not member.isfile():
                return IBUG68
            if member.size > MOST_BYTES:
                raise InputError(f"{path.name}/{FILE} has more than {MOST_BYTES} bytes")
            file = shard.extractfile(member)
            data = b"" if file is None else file.read()
    except BROKEN:
        return IBUG68  # what is wrong with the shard is told where it is read
    return parse_markup(data, f"{path.name}/{FILE}")


def _examples(paths: list[Path], pattern: str, split: str, markup: Markup) -> Iterator[Example]:
    named = "{split}" in pattern
    problems: list[str] = []
    names: set[str] = set()
    for path in paths:
        if path.name in names:
            problems.append(f"{path}: two shards have this name")
        names.add(path.name)
        try:
            for place, label in _samples(path, problems):
                try:
                    face = _parse(label, markup.count)
                    # Without the shard's name, which changes when members are packed anew.
                    assigned = annotations.split_of(face.identity or place.key)
                    if not named and split not in (assigned, "all"):
                        continue
                    image = _decode(place)
                except InputError as error:
                    problems.append(str(error))
                    continue
                yield Example(
                    file=place.name,
                    identity=face.identity or label.name,
                    image=image,
                    points=face.points,
                    box=face.box,
                    yaw=face.yaw,
                    read=partial(_decode, place),
                    covered=face.covered,
                )
        except BROKEN as error:
            problems.append(f"{path}: not a whole .tar file without compression: {error}")
    refuse(problems, f"shards:{pattern}")


def _samples(path: Path, problems: list[str]) -> Iterator[tuple[_Place, _Place]]:
    """Each picture of a shard with its points, where both are, as both have come."""
    waiting: tuple[dict[str, _Place], dict[str, _Place]] = ({}, {})  # pictures, labels
    seen: tuple[dict[str, str], dict[str, str]] = ({}, {})  # the members of each name
    size = path.stat().st_size
    with tarfile.open(path, mode="r:") as shard:
        for member in shard:
            shard.members = []  # type: ignore[attr-defined]  # it would keep all of them
            name = PurePosixPath(member.name)
            if not member.isfile() or any(part.startswith(".") for part in name.parts):
                continue
            if not is_picture(name.name) and name.suffix.lower() not in LABELS:
                continue
            kind = 0 if is_picture(name.name) else 1
            key, whole = str(name.with_suffix("")), f"{path.name}/{member.name}"
            end = member.offset_data + member.size
            if member.size > (MAX_BYTES, MAX_LABEL)[kind] or end > size:
                problems.append(f"{whole}: {member.size} bytes: the shard is cut off or damaged")
            elif (first := seen[kind].setdefault(key, whole)) != whole:
                what = ("pictures", "files of points")[kind]
                problems.append(f"{first} and {whole}: two {what} of one name")
            else:
                waiting[kind][key] = _Place(path, member.offset_data, member.size, whole, key)
            if key in waiting[0] and key in waiting[1]:
                yield waiting[0].pop(key), waiting[1].pop(key)
    problems += [f"{place.name}: no points of that name" for place in waiting[0].values()]
    problems += [f"{place.name}: no picture of that name" for place in waiting[1].values()]


def _bytes(place: _Place) -> bytes:
    try:
        with open(place.shard, "rb") as file:
            file.seek(place.offset)
            return file.read(place.size)
    except OSError as error:
        raise InputError(f"{place.name}: {error.strerror}") from None


def _decode(place: _Place) -> np.ndarray:
    return decode_picture(_bytes(place), place.name)


class _Label(NamedTuple):
    """What the label of a member says."""

    points: np.ndarray  # (n, 2)
    covered: np.ndarray  # (n,) bool
    identity: str = ""
    box: np.ndarray | None = None  # (4,)
    yaw: float = np.nan


def _parse(place: _Place, count: int) -> _Label:
    """The label of a member, of `count` points; raises InputError that names it."""
    data, suffix = _bytes(place), PurePosixPath(place.name).suffix.lower()
    facts: dict[str, Any] = {}
    try:
        if suffix == ".pts":
            found = pts.parse(data, place.name)
            if found.problems:
                raise InputError(found.problems[0])
            points = found.faces[0].points
        elif suffix == ".npy":
            points = annotations.to_points(_array(data))
        else:
            facts = json_object(data, place.name)
            points = annotations.to_points(facts.get("points"))
        if len(points) != count:
            raise ValueError(f"{len(points)} points, {count} are expected")
        hidden = checks.indices(facts["covered"], "covered", count) if facts.get("covered") else ()
        box = None
        if facts.get("box"):
            box = np.array(checks.numbers(facts["box"], "box", 4), np.float32)
            if not (np.isfinite(box).all() and box[2:].min() > 0):
                raise ValueError(f"box={facts['box']}: left, top, width, height are expected")
        yaw = annotations.coordinate(facts.get("yaw"))
    except InputError as error:
        named = str(error).startswith(place.name)
        raise InputError(str(error) if named else f"{place.name}: {error}") from None
    except (ValueError, EOFError) as error:
        raise InputError(f"{place.name}: {error}") from None
    identity = facts.get("identity")
    covered = np.isin(np.arange(count), hidden)
    return _Label(points, covered, "" if identity is None else str(identity), box, yaw)


def _array(data: bytes) -> np.ndarray:
    """The array of an .npy file, which must not be larger than the file says it is."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):  # that of all arrays of numbers
        raise ValueError(f"an .npy file of version {version}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if len(shape) != 2 or dtype.kind not in "fiu":
        raise ValueError(f"an array of shape {shape} and type {dtype}; (n, 2) is expected")
    if math.prod(shape) * dtype.itemsize > len(data):
        raise ValueError(f"an array of shape {shape} in {len(data)} bytes")
    return np.load(io.BytesIO(data), allow_pickle=False).astype(np.float64)


def write_shard(path: Path, records: Records, *, resolution: int, quality: int) -> None:
    """Write the faces of `records` as one shard that `read_shards` reads: WebP pictures and JSON.

    Each picture is the window around a face that augmented crops can show, `resolution`
    pixels for the side of the plain crop; WebP of `quality`.
    """
    from PIL import Image

    side = round(WINDOW_SIDE * resolution)
    matrices = windows(records, side, Crop())
    with replacing(path) as temporary, tarfile.open(temporary, "w") as shard:
        _add(shard, FILE, records.markup.to_toml().encode())
        for i, matrix in enumerate(matrices):
            picture = io.BytesIO()
            crop = records.crop(i, matrix, size=side)
            Image.fromarray(crop).save(picture, "webp", quality=quality, method=6)
            scale = float(geometry.scale_of(matrix))
            corner = geometry.apply(matrix, records.boxes[i, None, :2])[0]
            facts = {
                "points": _rows(geometry.apply(matrix, records.points[i])),
                "box": [*map(float, corner), *map(float, records.boxes[i, 2:] * scale)],
                "identity": records.identities[i],
                "file": records.files[i],
            }
            if np.isfinite(records.yaw[i]):
                facts["yaw"] = float(records.yaw[i])
            if records.covered[i].any():
                facts["covered"] = np.flatnonzero(records.covered[i]).tolist()
            members = {".webp": picture.getvalue(), ".json": json.dumps(facts).encode()}
            for suffix, data in members.items():
                _add(shard, f"{i:06d}{suffix}", data)


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))


def _rows(points: np.ndarray) -> list[list[float | None]]:
    return [[float(x) if np.isfinite(x) else None for x in row] for row in points.round(3)]
