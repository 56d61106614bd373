"""Formats of annotation files: a module for each family, which reads and writes them.

`parse` makes `annotations.Annotations` of a file; `write` writes pictures with their faces into a
folder. Numbers are those of the file: only formats that count pixels from 1 are moved.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keypoints.checks import json_value
from keypoints.data.annotations import AnnotatedPicture, Annotations
from keypoints.data.formats import (
    coco,
    cofw,
    label_studio,
    labelme,
    pts,
    tables,
    wflw,
    xml_files,
)
from keypoints.errors import InputError

MAX_BYTES = 1_000_000_000  # of an annotation file; those of COFW hold their pictures
# In this order; of a folder with several kinds, the files of the first are read.
SUFFIXES = (".csv", ".xml", ".json", ".txt", ".mat", ".pts")


@dataclass(frozen=True)
class Format:
    """How annotations are written, and what the format cannot hold."""

    write: Callable[[Path, Sequence[AnnotatedPicture], Sequence[str]], None]
    points: int = 0  # its number of points; 0: any
    covered: bool = False  # whether it can mark covered points
    missing: bool = True  # whether points may be missing
    names: bool = True  # whether it keeps the points' names
    stems: bool = False  # a file is named as its picture, without the picture's suffix


FORMATS = {
    "300w": Format(pts.write_300w, names=False, stems=True),
    "coco": Format(coco.write, covered=True),
    "cofw": Format(cofw.write, points=cofw.POINTS, covered=True, missing=False, names=False),
    "csv": Format(tables.write_csv, covered=True),
    "cvat": Format(xml_files.write_cvat, covered=True),
    "deeplabcut": Format(tables.write_deeplabcut),
    "imglab": Format(xml_files.write_imglab, names=False),
    "labelme": Format(labelme.write, covered=True, stems=True),
    "labelstudio": Format(label_studio.write),
    "labelstudio-proposals": Format(label_studio.write_proposals),
    "merl-rav": Format(
        pts.write_merl_rav, points=pts.MERL_RAV_POINTS, covered=True, names=False, stems=True
    ),
    "wflw": Format(wflw.write, points=wflw.POINTS, missing=False, names=False),
}


def parse(path: Path, file: str) -> Annotations | None:
    """The annotations of a file, called `file` in messages; None for one that holds none."""
    suffix = path.suffix.lower()
    try:
        if path.stat().st_size > MAX_BYTES:
            size = f"{MAX_BYTES / 1e6:.0f} MB"
            return Annotations(file, problems=[f"{file}: an annotation file of more than {size}"])
        if suffix == ".mat":
            return cofw.parse(path, file)
        return parse_bytes(path.read_bytes(), suffix, file)
    except OSError as error:
        return Annotations(file, problems=[f"{file}: {error.strerror}"])


def parse_bytes(data: bytes, suffix: str, file: str) -> Annotations | None:
    """`parse` of the content of a file whose name ends in `suffix`."""
    if suffix == ".csv":
        return tables.parse(data, file)
    if suffix == ".xml":
        return xml_files.parse(data, file)
    if suffix == ".json":
        return _parse_json(data, file)
    if suffix == ".txt":
        return wflw.parse(data, file)
    return pts.parse(data, file)


def _parse_json(data: bytes, file: str) -> Annotations | None:
    if not re.search(rb'"(keypoints|shapes|keypointlabels|annotations)"', data):
        return None  # some other program's
    try:
        content = json_value(data, file)
    except InputError as error:
        return Annotations(file, problems=[str(error)])
    if isinstance(content, list):
        return label_studio.parse(content, file)
    if isinstance(content, dict) and "shapes" in content:
        return labelme.parse(content, file)
    if isinstance(content, dict) and "images" in content and "annotations" in content:
        return coco.parse(content, file)
    return None
