"""Where records come from: a prepared data set by name, a folder of one's own, a TFDS data set."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.backend import tensorflow
from keypoints.config import near_miss
from keypoints.data import annotations
from keypoints.data.records import Records, make_records
from keypoints.errors import InputError
from keypoints.folders import data_folder
from keypoints.media.pictures import decode_picture

BUILDERS = ("youtube_faces_keypoints", "synthetic_faces", "synthetic_faces/large")
TFDS_NAMES = ("the300w_lp", "aflw2k3d")
SPLITS = "splits.csv"
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")

Example = tuple[str, str, np.ndarray, np.ndarray]  # file, identity, image, points


def load_records(
    data: str,
    split: str,
    *,
    archive: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Records:
    """The records of one split, decoded; a data set that is not prepared yet is prepared first.

    `data` is a name of `BUILDERS`, `folder:PATH` or `tfds:NAME`; `archive` is the YouTube Faces
    archive where it is on disk; `data_dir` is where TFDS keeps prepared data, by default
    `folders.data_folder()`. Raises InputError for unknown names, for an archive that is not there
    or is not the one that the data set was prepared from, for a split that is empty, and for
    everything wrong with the files, all at once.
    """
    if archive is not None:
        archive = Path(archive).expanduser()
        if not archive.is_file():
            raise InputError(f"archive={archive}: no such file")
    data_dir = Path(data_dir).expanduser() if data_dir else data_folder()
    kind, _, rest = data.partition(":")
    if kind == "folder" and rest:
        examples = _folder(Path(rest).expanduser(), split)
    elif kind == "tfds" and rest:
        examples = _tfds(rest, split, data_dir)
    elif data in BUILDERS:
        examples = _prepared(data, split, archive, data_dir)
    else:
        known = [*BUILDERS, "folder:PATH", *(f"tfds:{name}" for name in TFDS_NAMES)]
        raise InputError(f"--data={data} is not known{near_miss(data, known)}")
    records = make_records(f"{data}/{split}", examples)
    if not len(records):
        hint = f"; say which pictures it has in {SPLITS}: picture,split" * (kind == "folder")
        raise InputError(f"--data={data}: the split {split!r} is empty{hint}")
    return records


def _prepared(data: str, split: str, archive: Path | None, data_dir: Path) -> Iterator[Example]:
    """Examples of one of our own builders, in the order they were written."""
    import tensorflow_datasets as tfds

    tensorflow()  # TFDS runs it
    options: dict[str, Any] = {"data_dir": data_dir}
    if data == "youtube_faces_keypoints":
        from keypoints.data.datasets.youtube_faces_keypoints import (
            youtube_faces_keypoints_dataset_builder as module,
        )

        options["archive"] = archive
    else:
        from keypoints.data.datasets.synthetic_faces import (
            synthetic_faces_dataset_builder as module,
        )

        options["config"] = data.partition("/")[2] or "small"
    builder = module.Builder(**options)
    tfds.disable_progress_bar()
    builder.download_and_prepare()
    if data == "youtube_faces_keypoints":
        builder.check_archive()
    if split not in builder.info.splits:
        known = list(builder.info.splits)
        raise InputError(f"{data} has no split {split!r}{near_miss(split, known)}")
    for example in builder.as_dataset(split=split).as_numpy_iterator():
        file, identity = (example[name].decode() for name in ("file", "identity"))
        yield file, identity, example["image"], example["points"]


def _tfds(name: str, split: str, data_dir: Path) -> Iterator[Example]:
    """Examples of a public 68-point TFDS data set, whose points are shares of width and height."""
    if name not in TFDS_NAMES:
        raise InputError(f"--data=tfds:{name} is not known{near_miss(name, list(TFDS_NAMES))}")
    import tensorflow_datasets as tfds

    tensorflow()  # TFDS runs it
    try:
        dataset = tfds.load(name, split=split, data_dir=data_dir)
    except (ValueError, OSError, tfds.download.DownloadError) as error:
        raise InputError(f"--data=tfds:{name}: {error}") from None
    for index, example in enumerate(dataset.as_numpy_iterator()):
        height, width = example["image"].shape[:2]
        points = example["landmarks_2d"] * [width, height]
        yield f"{split}/{index:06d}", "", example["image"], points


def _folder(folder: Path, split: str) -> Iterator[Example]:
    """Examples of a folder of one's own: annotation CSVs, or pictures with .pts beside them.

    A picture's split is that of its line in splits.csv (`picture,split`), where there is one,
    else the hash of its identity decides; the split `all` is every picture. The identity is the
    name up to its last underscore.
    """
    if not folder.is_dir():
        raise InputError(f"--data=folder:{folder}: no such folder")
    points, problems = _folder_points(folder)
    listed = _folder_splits(folder)
    chosen = []
    for path in points:
        name = path.relative_to(folder).as_posix()
        identity = path.stem.rpartition("_")[0] or path.stem
        assigned = listed.get(name) if listed else annotations.split_of(identity)
        if split in (assigned, "all"):
            chosen.append((name, identity, path))
    examples = []
    for name, identity, path in chosen:
        try:
            image = decode_picture(path.read_bytes(), name)
            examples.append((name, identity, image, points[path]))
        except InputError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{name}: {error.strerror}")
    annotations.refuse(problems, str(folder))
    yield from examples


def _folder_points(folder: Path) -> tuple[dict[Path, np.ndarray], list[str]]:
    """Points by picture path, in order of path, and what is wrong with the annotation files.

    The pictures of DIR/NAME_frames_keypoints.csv are in DIR/NAME, as upstream has them; those
    of any other CSV are beside it.
    """
    found: dict[Path, np.ndarray] = {}
    problems: list[str] = []
    tables = [p for p in sorted(folder.rglob("*.csv")) if p.name != SPLITS]
    for table in tables:
        stem, upstream, _ = table.name.partition("_frames_keypoints")
        pictures = table.parent / stem if upstream else table.parent
        name = str(table.relative_to(folder))
        rows, wrong = annotations.parse_rows(table.read_bytes(), name)
        problems += wrong
        for row, points in rows.items():
            if (pictures / row).is_relative_to(folder):
                found[pictures / row] = points
            else:
                problems.append(f"{name}: {row}: not in the folder")
    for path in [] if tables else sorted(folder.rglob("*.pts")):
        name = str(path.relative_to(folder))
        picture = next((p for p in map(path.with_suffix, PICTURE_SUFFIXES) if p.exists()), None)
        if picture is None:
            problems.append(f"{name}: no picture of that name beside it")
            continue
        try:
            found[picture] = annotations.parse_pts(path.read_text(errors="replace"), name)
        except InputError as error:
            problems.append(str(error))
    if not found and not problems:
        raise InputError(f"--data=folder:{folder}: neither annotation CSVs nor .pts files in it")
    return dict(sorted(found.items())), problems


def _folder_splits(folder: Path) -> dict[str, str]:
    """Split by picture name of the folder's splits.csv; empty where it has none."""
    path = folder / SPLITS
    if not path.exists():
        return {}
    with open(path, newline="", errors="replace") as file:
        rows = [row for row in csv.reader(file) if row]
    wrong = [
        f"{SPLITS}: {','.join(row)!r}: picture,split is expected" for row in rows if len(row) != 2
    ]
    annotations.refuse(wrong, str(folder))
    return dict(rows)
