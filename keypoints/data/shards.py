"""Tar shards as examples, as WebDataset has them: a picture and its points are members of one name.

    0001.jpg  0001.pts    or .json {"points": [[x, y], ..], "identity": "ada"}, or .npy (68, 2)

A shard is read once from start to end. Afterwards its pictures are read by their place in it, so
that a set that does not fit in memory is trained on in the very order, with the very jitter, of one
that does.
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

from keypoints.data import annotations
from keypoints.data.records import Example
from keypoints.errors import InputError
from keypoints.landmarks import COUNT
from keypoints.media.pictures import SUFFIXES, decode_picture

LABELS = (".pts", ".json", ".npy")


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
    paths = sorted(glob(os.path.expanduser(pattern.replace("{split}", split))))
    if not paths:
        raise InputError(f"data=shards:{pattern}: no such file")
    problems: list[str] = []
    names: set[str] = set()
    for path in map(Path, paths):
        if path.name in names:
            problems.append(f"{path}: two shards have this name")
        names.add(path.name)
        try:
            for place, label in _samples(path, problems):
                try:
                    points, identity = _parse(*label)
                    if not named and split not in (annotations.split_of(identity), "all"):
                        continue
                    image = _decode(place)
                except InputError as error:
                    problems.append(str(error))
                    continue
                yield Example(place.name, identity, image, points, read=partial(_decode, place))
        except (tarfile.TarError, OSError) as error:
            problems.append(f"{path}: not a whole .tar file without compression: {error}")
    annotations.refuse(problems, f"shards:{pattern}")


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
            if kind in SUFFIXES:
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


def _parse(data: bytes, name: str) -> tuple[np.ndarray, str]:
    """Points `(68, 2)` and identity of a member; its name stands for an identity not told."""
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
    except (ValueError, TypeError, KeyError, AttributeError, EOFError) as error:
        raise InputError(f"{name}: no points: {error!r}") from None
    if points.shape != (COUNT, 2):
        raise InputError(f"{name}: points of shape {points.shape}, ({COUNT}, 2) is expected")
    if np.isinf(points).any() or np.isfinite(points).all(axis=1).sum() < 2:
        raise InputError(f"{name}: fewer than two points are annotated, or one is infinite")
    return points, str(facts.get("identity") or name)
