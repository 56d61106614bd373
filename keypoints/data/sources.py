"""Where records come from: a prepared data set by name, a folder of one's own, a TFDS data set."""

import importlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keypoints.data.annotated_folder import SPLITS, read_folder
from keypoints.data.correction import LABELS
from keypoints.data.records import Example, Records, join, make_records
from keypoints.data.shards import read_shards
from keypoints.data.tfrecords import reader
from keypoints.errors import InputError, near_miss
from keypoints.markup import IBUG68
from keypoints.system.backend import tensorflow
from keypoints.system.folders import data_folder

BUILDERS = ("youtube_faces_keypoints", "synthetic_faces", "synthetic_faces/large")
# Data sets of TFDS with 68 points, and the feature that has them in shares of width and height.
TFDS_POINTS = {"the300w_lp": "landmarks_2d", "aflw2k3d": "landmarks_68_3d_xy_normalized"}


def parse_sets(data: str) -> list[tuple[str, float]]:
    """The data sets in `data` and how often an epoch shows each of their pictures.

    `A+B*0.5` is all of A and half of B, another half in the next epoch. A `+` parts two sets only
    where a kind of data set follows it, so a path may hold one. Raises InputError for a share that
    is no positive number.
    """
    kinds = "|".join(["folder:", "shards:", "tfds:", *map(re.escape, BUILDERS)])
    sets = []
    for part in re.split(rf"\+(?={kinds})", data):
        name, star, share = part.rpartition("*")
        if share.endswith(".tar"):  # the star is of a glob
            star = ""
        try:
            sets.append((name, float(share)) if star else (part, 1.0))
        except ValueError:
            raise InputError(f"data={part}: a number is expected behind the *") from None
        if not 0 < sets[-1][1] < math.inf:
            raise InputError(f"data={part}: a share above 0 is expected")
    return sets


def set_name(data: str) -> str:
    """The name of one data set of `parse_sets` in reports and in the names of files."""
    kind, _, rest = data.partition(":")
    if kind == "folder" and rest:
        return _folder(rest).name
    if kind == "shards" and rest:
        return re.sub(r"\W*(\{split\}|[*?]|\[.*?\])\W*", "", Path(rest).stem) or kind
    return rest if kind == "tfds" else data.replace("/", "-")


def _folder(path: str) -> Path:
    return Path(os.path.normpath(Path(path).expanduser().absolute()))


def load_records(
    data: str,
    split: str,
    *,
    labels: str = "corrected",
    splits: tuple[str, ...] = (),
    archive: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Records:
    """The records of one split of all sets in `data`; the options are those of `load_set`."""
    shares = [share for _, share in parse_sets(data)]
    options: Any = {"labels": labels, "splits": splits, "archive": archive, "data_dir": data_dir}
    return join(load_each(data, split, **options), shares)


def load_each(data: str, split: str, **options: Any) -> list[Records]:
    """The records of one split of each set in `data`, all with the points of the first."""
    sets = [load_set(name, split, **options) for name, _ in parse_sets(data)]
    return [records.converted(sets[0].markup) for records in sets]


def refuse_output(data: str, field: str, path: Path) -> None:
    """Raise InputError if `path` is, or lies in, a folder of `data`, which reads all its files.

    `field` is what the message calls the path.
    """
    for name, _ in parse_sets(data):
        kind, _, rest = name.partition(":")
        if kind == "folder" and rest and path.resolve().is_relative_to(_folder(rest).resolve()):
            raise InputError(f"{field}={path} lies in the data set {name}; choose another folder")


def load_set(
    data: str,
    split: str,
    *,
    labels: str = "corrected",
    splits: tuple[str, ...] = (),
    archive: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Records:
    """The records of one split, decoded; a data set that is not prepared yet is prepared first.

    `data` is a name of `BUILDERS`, `folder:PATH`, `shards:GLOB` or `tfds:NAME`; `labels` is one of
    `correction.LABELS`; `splits` are further splits that a folder's splits.csv may name; `archive`
    is the YouTube Faces archive where it is on disk; `data_dir` is where TFDS keeps prepared data,
    by default `folders.data_folder()`. Raises InputError for unknown names, for an archive that is
    not there or is not the one that the data set was prepared from, for a split that is empty, and
    for everything wrong with the files, all at once.
    """
    if archive is not None:
        archive = Path(archive).expanduser()
        if not archive.is_file():
            raise InputError(f"archive={archive}: no such file")
    if labels not in LABELS:
        raise InputError(f"labels={labels}: one of {', '.join(LABELS)} is expected")
    data_dir = Path(data_dir).expanduser() if data_dir else data_folder()
    kind, _, rest = data.partition(":")
    markup = IBUG68
    if kind == "folder" and rest:
        markup, examples = read_folder(_folder(rest), split, labels=labels, splits=splits)
    elif kind == "shards" and rest:
        markup, examples = read_shards(rest, split)
    elif kind == "tfds" and rest:
        examples = _tfds(rest, split, data_dir)
    elif data in BUILDERS:
        examples = _prepared(data, split, labels, archive, data_dir)
    else:
        known = [*BUILDERS, "folder:PATH", "shards:GLOB", *(f"tfds:{name}" for name in TFDS_POINTS)]
        raise InputError(f"data={data} is not known{near_miss(data, known)}")
    records = make_records(f"{set_name(data)}/{split}", examples, markup)
    if not len(records):
        hint = f"; say which pictures it has in {SPLITS}: picture,split" * (kind == "folder")
        raise InputError(f"data={data}: the split {split!r} is empty{hint}")
    return records


def _prepared(
    data: str, split: str, labels: str, archive: Path | None, data_dir: Path
) -> Iterator[Example]:
    """Examples of one of our own builders, in the order they were written."""
    import tensorflow_datasets as tfds

    tensorflow()  # TFDS runs it
    name, _, config = data.partition("/")
    published = name == "youtube_faces_keypoints"  # else the faces are drawn
    options: dict[str, Any] = {"archive": archive} if published else {"config": config or "small"}
    module = f"keypoints.data.datasets.{name}.{name}_dataset_builder"
    builder = importlib.import_module(module).Builder(data_dir=data_dir, **options)
    tfds.disable_progress_bar()
    builder.download_and_prepare()
    if published:
        builder.check_archive()
    if split not in builder.info.splits:
        known = list(builder.info.splits)
        raise InputError(f"{data} has no split {split!r}{near_miss(split, known)}")
    placed = tfds.ReadConfig(add_tfds_id=True)
    for example in builder.as_dataset(split=split, read_config=placed).as_numpy_iterator():
        file, identity = (example[name].decode() for name in ("file", "identity"))
        read = reader(builder, example["tfds_id"])
        points = example[labels if published else "points"]
        yield Example(file, identity, example["image"], points, read=read)


def _tfds(name: str, split: str, data_dir: Path) -> Iterator[Example]:
    """Examples of a public 68-point TFDS data set, whose points are shares of width and height."""
    if name not in TFDS_POINTS:
        raise InputError(f"data=tfds:{name} is not known{near_miss(name, list(TFDS_POINTS))}")
    import tensorflow_datasets as tfds

    tensorflow()  # TFDS runs it
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare()
        placed = tfds.ReadConfig(add_tfds_id=True)
        dataset = builder.as_dataset(split=split, read_config=placed)
    except (ValueError, OSError, tfds.download.DownloadError) as error:
        raise InputError(f"data=tfds:{name}: {error}") from None
    for index, example in enumerate(dataset.as_numpy_iterator()):
        height, width = example["image"].shape[:2]
        points = example[TFDS_POINTS[name]] * [width, height]
        read = reader(builder, example["tfds_id"])
        yield Example(f"{split}/{index:06d}", "", example["image"], points, read=read)
