"""Tar shards as examples, as WebDataset has them: a picture and its points are members of one name.

    0001.jpg  0001.pts    or .npy (68, 2), or .json {"points": [[x, y], ..]}

The JSON may also have "identity": "ada", "box": [left, top, width, height] and "yaw": degrees.

A shard is read once from start to end. Afterwards its pictures are read by their place in it, so
that a set that does not fit in memory is trained on in the very order, with the very augmentation,
of one that does.
"""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from functools import partial
from glob import glob
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from keypoints import geometry
from keypoints.crop import Crop
from keypoints.data import annotations
from keypoints.data.pipeline import WINDOW_SIDE, windows
from keypoints.data.records import Example, Records
from keypoints.errors import InputError, refuse
from keypoints.landmarks import COUNT
from keypoints.media.formats import is_picture
from keypoints.media.pictures import decode_picture
from keypoints.system.atomic import replacing

LABELS = (".pts", ".json", ".npy")


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


def read_shards(pattern: str, split: str) -> Iterator[Example]:
    """Examples of one split of the shards that fit the glob `pattern`, in their order.

    Where `{split}` is in the pattern the shards of its name are the split; otherwise the hash of an
    example's identity decides, or of its name where there is no identity, and `all` is every one.
    Members that are neither picture nor points are passed over. Raises InputError where no shard
    is, and at the end one for all that is wrong with them.
    """
    named = "{split}" in pattern
    paths = shard_paths(f"shards:{pattern}", split)
    if not paths:
        raise InputError(f"data=shards:{pattern}: no such file")
    problems: list[str] = []
    names: set[str] = set()
    for path in paths:
        if path.name in names:
            problems.append(f"{path}: two shards have this name")
        names.add(path.name)
        try:
            for place, label in _samples(path, problems):
                try:
                    points, identity, box, yaw = _parse(*label)
                    if not named and split not in (annotations.split_of(identity), "all"):
                        continue
                    image = _decode(place)
                except InputError as error:
                    problems.append(str(error))
                    continue
                read = partial(_decode, place)
                yield Example(place.name, identity, image, points, box, yaw, read)
        except (tarfile.TarError, OSError) as error:
            problems.append(f"{path}: not a whole .tar file without compression: {error}")
    refuse(problems, f"shards:{pattern}")


def _samples(path: Path, problems: list[str]) -> Iterator[tuple[_Place, tuple[bytes, str]]]:
    """Each picture of a shard with its points, a file's bytes and name, as both have come."""
    pictures: dict[str, _Place] = {}
    labels: dict[str, tuple[bytes, str]] = {}
    with tarfile.open(path, mode="r:") as shard:
        for member in shard:
            shard.members = []  # type: ignore[attr-defined]  # it would keep all of them
            name = PurePosixPath(member.name)
            if not member.isfile() or any(part.startswith(".") for part in name.parts):
                continue
            kind, key = name.suffix.lower(), str(name.with_suffix(""))
            whole = f"{path.name}/{member.name}"
            if is_picture(member.name):
                pictures[key] = _Place(path, member.offset_data, member.size, whole)
            elif kind in LABELS:
                file = shard.extractfile(member)
                labels[key] = (b"" if file is None else file.read(), whole)
            if key in pictures and key in labels:
                yield pictures.pop(key), labels.pop(key)
    problems += [f"{place.name}: no points of that name" for place in pictures.values()]
    problems += [f"{name}: no picture of that name" for _, name in labels.values()]


def _decode(place: _Place) -> np.ndarray:
    try:
        with open(place.shard, "rb") as file:
            data = os.pread(file.fileno(), place.size, place.offset)
    except OSError as error:
        raise InputError(f"{place.name}: {error.strerror}") from None
    return decode_picture(data, place.name)


def _parse(data: bytes, name: str) -> tuple[np.ndarray, str, np.ndarray | None, float]:
    """Points `(68, 2)`, identity, box `(4,)` if told, and yaw of a member.

    Without an identity its name is used.
    """
    facts: Any = {}
    try:
        if name.lower().endswith(".pts"):
            points = annotations.parse_pts(data.decode(errors="replace"), name)
        elif name.lower().endswith(".npy"):
            points = np.load(io.BytesIO(data), allow_pickle=False).astype(np.float32)
        else:
            facts = json.loads(data)
            rows = [[np.nan if x is None else x for x in row] for row in facts["points"]]
            points = np.array(rows, np.float32)
        box = np.array(facts["box"], np.float32) if facts.get("box") else None
        yaw = float(facts.get("yaw", np.nan))
    except (ValueError, TypeError, KeyError, AttributeError, EOFError) as error:
        raise InputError(f"{name}: no points: {error!r}") from None
    if points.shape != (COUNT, 2):
        raise InputError(f"{name}: points of shape {points.shape}, ({COUNT}, 2) is expected")
    if np.isinf(points).any() or np.isfinite(points).all(axis=1).sum() < 2:
        raise InputError(f"{name}: fewer than two points are annotated, or one is infinite")
    if box is not None and not (box.shape == (4,) and np.isfinite(box).all() and box[2:].min() > 0):
        raise InputError(f"{name}: box {facts['box']}: left, top, width, height are expected")
    return points, str(facts.get("identity") or name), box, yaw


def write_shard(path: Path, records: Records, *, resolution: int, quality: int) -> None:
    """Write the faces of `records` as one shard that `read_shards` reads: WebP pictures and JSON.

    Each picture is the window around a face that augmented crops can show, `resolution`
    pixels for the side of the plain crop; WebP of `quality`.
    """
    from PIL import Image

    side = round(WINDOW_SIDE * resolution)
    matrices = windows(records, side, Crop())
    with replacing(path) as temporary, tarfile.open(temporary, "w") as shard:
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
            members = {".webp": picture.getvalue(), ".json": json.dumps(facts).encode()}
            for suffix, data in members.items():
                member = tarfile.TarInfo(f"{i:06d}{suffix}")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))


def _rows(points: np.ndarray) -> list[list[float | None]]:
    return [[float(x) if np.isfinite(x) else None for x in row] for row in points.round(3)]
