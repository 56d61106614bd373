"""Where records come from: a prepared data set by name, a folder of one's own, a TFDS data set."""

import csv
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keypoints import geometry, landmarks
from keypoints.backend import tensorflow
from keypoints.config import json_object, near_miss
from keypoints.data import annotations
from keypoints.data.correction import Correction
from keypoints.data.records import Example, Records, join, make_records
from keypoints.errors import InputError
from keypoints.folders import data_folder
from keypoints.media.pictures import decode_picture

BUILDERS = ("youtube_faces_keypoints", "synthetic_faces", "synthetic_faces/large")
TFDS_NAMES = ("the300w_lp", "aflw2k3d")
SPLITS, YAWS, LABELS = "splits.csv", "yaw.csv", "labels.json"
MOST_YAW = 91.0  # degrees; AFLW2000-3D has a few rows of more, which are no angles
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def parse_sets(data: str) -> list[tuple[str, float]]:
    """The data sets in `data` and how often an epoch shows each of their pictures.

    `A+B*0.5` is all of A and half of B, another half in the next epoch. A `+` parts two sets only
    where a kind of data set follows it, so a path may hold one. Raises InputError for a share that
    is no positive number.
    """
    kinds = "|".join(["folder:", "tfds:", *map(re.escape, BUILDERS)])
    sets = []
    for part in re.split(rf"\+(?={kinds})", data):
        name, star, share = part.rpartition("*")
        try:
            sets.append((name, float(share)) if star else (part, 1.0))
        except ValueError:
            raise InputError(f"data={part}: a number is expected behind the *") from None
        if not 0 < sets[-1][1] < math.inf:
            raise InputError(f"data={part}: a share above 0 is expected")
    return sets


def load_records(data: str, split: str, **options: Any) -> Records:
    """The records of one split of all sets in `data`; `options` are those of `load_set`."""
    sets = parse_sets(data)
    return join(
        [load_set(name, split, **options) for name, _ in sets], [share for _, share in sets]
    )


def load_set(
    data: str,
    split: str,
    *,
    labels: str = "corrected",
    archive: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Records:
    """The records of one split, decoded; a data set that is not prepared yet is prepared first.

    `data` is a name of `BUILDERS`, `folder:PATH` or `tfds:NAME`; `labels` is one of
    `correction.LABELS`; `archive` is the YouTube Faces archive where it is on disk; `data_dir` is
    where TFDS keeps prepared data, by default `folders.data_folder()`. Raises InputError for
    unknown names, for an archive that is not there or is not the one that the data set was prepared
    from, for a split that is empty, and for everything wrong with the files, all at once.
    """
    if archive is not None:
        archive = Path(archive).expanduser()
        if not archive.is_file():
            raise InputError(f"archive={archive}: no such file")
    data_dir = Path(data_dir).expanduser() if data_dir else data_folder()
    kind, _, rest = data.partition(":")
    name = data
    if kind == "folder" and rest:
        folder = Path(os.path.normpath(Path(rest).expanduser().absolute()))
        name, examples = folder.name, _folder(folder, split, labels)
    elif kind == "tfds" and rest:
        name, examples = rest, _tfds(rest, split, data_dir)
    elif data in BUILDERS:
        name = data.replace("/", "-")
        examples = _prepared(data, split, labels, archive, data_dir)
    else:
        known = [*BUILDERS, "folder:PATH", *(f"tfds:{name}" for name in TFDS_NAMES)]
        raise InputError(f"data={data} is not known{near_miss(data, known)}")
    records = make_records(f"{name}/{split}", examples)
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
    options: dict[str, Any] = {"data_dir": data_dir}
    field = "points"
    if data == "youtube_faces_keypoints":
        from keypoints.data.datasets.youtube_faces_keypoints import (
            youtube_faces_keypoints_dataset_builder as module,
        )

        options["archive"] = archive
        field = labels
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
        yield Example(file, identity, example["image"], example[field])


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
        yield Example(f"{split}/{index:06d}", "", example["image"], points)


def _folder(folder: Path, split: str, labels: str) -> Iterator[Example]:
    """Examples of a folder of one's own: annotation CSVs, dlib's XML files, or .pts files.

    A picture's split is that of its line in splits.csv (`picture,split`), where there is one,
    else the hash of its identity decides; the split `all` is every picture. The identity is the
    name up to its last underscore in a folder of upstream's layout, whose pictures are
    PERSON_vf; any other picture is taken for a person of its own, since `indoor_001` is nobody.

    yaw.csv (`picture,degrees`) tells how far heads are turned. labels.json tells what is wrong with
    the folder's annotations, and `labels` `published` leaves it be: `x_offset` is how far they lie
    to the right, in inter-ocular distances; `jaw_up_to_yaw` is the yaw, in degrees, beyond which
    the points of the jaw mark something else. Boxes are those of all points, that jaw included.
    """
    if not folder.is_dir():
        raise InputError(f"data=folder:{folder}: no such folder")
    faces, problems = _folder_faces(folder)
    listed = _folder_table(folder, SPLITS)
    yaws = _folder_yaws(folder)
    wrong = _folder_labels(folder) if labels == "corrected" else {}
    correction = Correction(share=wrong.get("x_offset", 0.0))
    examples = []
    seen: Counter[Path] = Counter()
    for path, published, person in faces:
        picture = path.relative_to(folder).as_posix()
        # A second face of one picture has a name of its own.
        name = f"{picture}#{seen[path]}" if seen[path] else picture
        seen[path] += 1
        identity = person or picture
        assigned = listed.get(picture) if listed else annotations.split_of(identity)
        if split not in (assigned, "all"):
            continue
        points, yaw = correction.apply(published), yaws.get(picture, np.nan)
        box = geometry.landmark_box(landmarks.complete(points))
        if abs(yaw) > wrong.get("jaw_up_to_yaw", np.inf):
            points[landmarks.PARTS["jaw"]] = np.nan
        try:
            image = decode_picture(path.read_bytes(), picture)
            examples.append(Example(name, identity, image, points, box, yaw))
        except InputError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{picture}: {error.strerror}")
    annotations.refuse(problems, str(folder))
    yield from examples


def _folder_faces(folder: Path) -> tuple[list[tuple[Path, np.ndarray, str]], list[str]]:
    """Picture, points and person ("": not told) of each face by picture, and what is wrong.

    The pictures of DIR/NAME_frames_keypoints.csv are in DIR/NAME, as upstream has them; those
    of any other CSV are beside it, and so are those of a .pts file, under the same name. Names in
    an XML file lead from its folder. CSVs go before XML files, and these before .pts files.
    """
    found: list[tuple[Path, np.ndarray, str]] = []
    problems: list[str] = []
    tables = [p for p in sorted(folder.rglob("*.csv")) if p.name not in (SPLITS, YAWS)]
    tables = tables or sorted(folder.rglob("*.xml"))
    for table in tables:
        stem, upstream, _ = table.name.partition("_frames_keypoints")
        pictures = table.parent / stem if upstream else table.parent
        name = str(table.relative_to(folder))
        if table.suffix == ".csv":
            by_name, wrong = annotations.parse_rows(table.read_bytes(), name)
            rows = list(by_name.items())
        else:
            rows, wrong = annotations.parse_xml(table.read_bytes(), name)
        problems += wrong
        for row, points in rows:
            picture = Path(os.path.normpath(pictures / row))
            if picture.is_relative_to(folder):
                person = picture.stem.rpartition("_")[0] if upstream else ""
                found.append((picture, points, person))
            else:
                problems.append(f"{name}: {row}: not in the folder")
    for path in [] if tables else sorted(folder.rglob("*.pts")):
        name = str(path.relative_to(folder))
        picture = next((p for p in map(path.with_suffix, PICTURE_SUFFIXES) if p.exists()), None)
        if picture is None:
            problems.append(f"{name}: no picture of that name beside it")
            continue
        try:
            points = annotations.parse_pts(path.read_text(errors="replace"), name)
            found.append((picture, points, ""))
        except InputError as error:
            problems.append(str(error))
    if not found and not problems:
        raise InputError(f"data=folder:{folder}: no annotations in it: .csv, .xml or .pts files")
    return sorted(found, key=lambda face: face[0]), problems


def _folder_table(folder: Path, file: str) -> dict[str, str]:
    """Second column by picture name of the folder's splits.csv or yaw.csv; empty without one."""
    path = folder / file
    if not path.exists():
        return {}
    with open(path, newline="", errors="replace") as text:
        rows = [row for row in csv.reader(text) if row]
    column = {SPLITS: "split", YAWS: "degrees"}[file]
    problems = [
        f"{file}: {','.join(row)!r}: picture,{column} is expected" for row in rows if len(row) != 2
    ]
    annotations.refuse(problems, str(folder))
    return dict(rows)


def _folder_yaws(folder: Path) -> dict[str, float]:
    """Yaw in degrees by picture name of the folder's yaw.csv; impossible ones are left out."""
    yaws = {}
    problems = []
    for index, (picture, cell) in enumerate(_folder_table(folder, YAWS).items()):
        try:
            yaws[picture] = float(cell)
        except ValueError:
            if index:  # a header may come first
                problems.append(f"{YAWS}: {picture}: {cell!r} is not a number")
    annotations.refuse(problems, str(folder))
    return {picture: yaw for picture, yaw in yaws.items() if abs(yaw) <= MOST_YAW}


def _folder_labels(folder: Path) -> dict[str, float]:
    """What the folder's labels.json says of its annotations; empty without one."""
    path = folder / LABELS
    if not path.exists():
        return {}
    known = ["x_offset", "jaw_up_to_yaw"]
    facts = json_object(path.read_bytes(), str(path))
    for name, value in facts.items():
        if name not in known:
            raise InputError(f"{path}: unknown entry {name!r}{near_miss(name, known)}")
        if type(value) not in (int, float) or not math.isfinite(value):
            raise InputError(f"{path}: {name}={value!r}: a number is expected")
    return facts
