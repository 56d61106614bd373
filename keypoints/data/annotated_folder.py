"""A folder of one's own as examples: pictures and annotations in any of the formats."""

import functools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keypoints.checks import Table, json_object
from keypoints.data import annotations
from keypoints.data.annotation_files import AnnotatedFolder, arrange, read_annotations
from keypoints.data.correction import Correction
from keypoints.data.formats.tables import read_pairs
from keypoints.data.records import Example
from keypoints.errors import InputError, near_miss, refuse
from keypoints.markup import Markup

SPLITS, YAWS, LABELS = "splits.csv", "yaw.csv", "labels.json"
STANDARD_SPLITS = ("train", "validation", "test")
LARGEST_YAW = 91.0  # degrees; AFLW2000-3D has a few rows of more, which are no angles


def read_folder(
    folder: Path, split: str, *, labels: str, splits: tuple[str, ...] = ()
) -> tuple[Markup, Iterator[Example]]:
    """The markup of a folder, and examples of one split in the order of their pictures' paths.

    Hidden files and `__MACOSX` are passed over. Several faces of one picture are several examples:
    the second is called `PICTURE#1`. A picture's split is that of its line in splits.csv
    (`picture,split`), where there is one, else the hash of its identity decides; the split `all`
    is every picture. splits.csv may name the standard splits, `split` and `splits`. The identity is
    the name up to its last underscore in a folder of upstream's layout, whose pictures are
    PERSON_vf; every other picture is a person of its own, since `indoor_001` names nobody.

    yaw.csv (`picture,degrees`) has the yaw of each head. labels.json has the known errors of the
    folder's annotations, which `labels` `published` does not correct: `x_offset` is their offset to
    the right, in inter-ocular distances; `jaw_up_to_yaw` is the yaw, in degrees, beyond which the
    points of the jaw mark something else. Boxes are those of all points, that jaw included.

    Pictures are decoded when they are read. Raises InputError for an empty folder, and at the end
    one error with all problems of the files.
    """
    if not os.path.isdir(folder):
        raise InputError(f"data=folder:{folder}: no such folder")
    found = read_annotations(folder, passed_over=(SPLITS, YAWS, LABELS))
    markup = found.markup()
    arrange(found, markup)
    return markup, _examples(found, markup, split, labels, splits)


def _examples(
    found: AnnotatedFolder, markup: Markup, split: str, labels: str, splits: tuple[str, ...]
) -> Iterator[Example]:
    folder, problems = found.folder, found.problems
    pictures = {face.name: face.read for face in found.faces}
    # Faces of a file that could not be read are not known: that they are missing is no other fault.
    names = None if problems else set(pictures)
    known = dict.fromkeys([*STANDARD_SPLITS, split, *splits])
    listed, wrong = _read_splits(folder, names, [name for name in known if name != "all"])
    yaws, wrong_yaws = _read_yaws(folder, names)
    problems += wrong + wrong_yaws
    errors = _read_label_errors(folder) if labels == "corrected" else {}
    offset, largest_yaw = errors.get("x_offset", 0.0), errors.get("jaw_up_to_yaw", np.inf)
    correction = Correction(inter_ocular_shift=offset) if offset else None
    jaw = (
        markup.points_of("jaw", f"{folder / LABELS}: jaw_up_to_yaw")
        if largest_yaw < LARGEST_YAW
        else []
    )
    # The faces of a picture follow each other.
    decode = functools.lru_cache(maxsize=1)(lambda picture: pictures[picture]())
    seen: Counter[str] = Counter()
    for face in found.faces:
        picture = face.name
        name = f"{picture}#{seen[picture]}" if seen[picture] else picture
        seen[picture] += 1
        identity = face.person or picture
        assigned = listed.get(picture) if listed else annotations.split_of(identity)
        if split not in (assigned, "all"):
            continue
        points, yaw = face.points.copy(), yaws.get(picture, np.nan)
        if correction is not None:
            points = correction.apply(points, markup)
        box = markup.face_boxes(markup.complete(points))
        if abs(yaw) > largest_yaw:
            points[jaw] = np.nan
        try:
            image = decode(picture)
        except InputError as error:
            problems.append(str(error))
            continue
        yield Example(name, identity, image, points, box, yaw, pictures[picture], face.covered)
    refuse(list(dict.fromkeys(problems)), str(folder))


def _read_splits(
    folder: Path, pictures: set[str] | None, known: list[str]
) -> tuple[dict[str, str], list[str]]:
    """Split by picture of the folder's splits.csv, empty without one; and what is wrong with it."""
    rows, problems = _read_table(folder / SPLITS, pictures, "split")
    for picture, split in rows.items():
        if split not in known:
            hint = near_miss(split, known)
            problems.append(f"{SPLITS}: {picture}: the split {split!r} is not known{hint}")
    return rows, problems


def _read_yaws(folder: Path, pictures: set[str] | None) -> tuple[dict[str, float], list[str]]:
    """Yaw in degrees by picture of the folder's yaw.csv, without impossible ones; what is wrong."""
    rows, problems = _read_table(folder / YAWS, pictures, "degrees")
    yaws = {}
    for picture, cell in rows.items():
        try:
            yaws[picture] = float(cell)
        except ValueError:
            problems.append(f"{YAWS}: {picture}: {cell!r} is not a number")
    return {picture: yaw for picture, yaw in yaws.items() if abs(yaw) <= LARGEST_YAW}, problems


def _read_table(
    path: Path, pictures: set[str] | None, column: str
) -> tuple[dict[str, str], list[str]]:
    """The rows `picture,column` of a file that may not be there, and what is wrong with them."""
    if not os.path.exists(path):
        return {}, []
    return read_pairs(path, pictures, column, "annotated picture of the folder")


def _read_label_errors(folder: Path) -> dict[str, float]:
    """What the folder's labels.json says of its annotations; empty without one."""
    path = folder / LABELS
    if not os.path.exists(path):
        return {}
    table = Table(str(path), json_object(path.read_bytes(), str(path)))
    entries = {"x_offset": 0.0, "jaw_up_to_yaw": LARGEST_YAW}
    errors = {name: table.number(name, default) for name, default in entries.items()}
    table.close()
    return errors
