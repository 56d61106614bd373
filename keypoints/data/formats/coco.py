"""COCO keypoints: one JSON file of images, annotations, and the category that names the points.

`keypoints` is a flat list x, y, v of each point; v is 0 for a point that is not annotated, whose
numbers mean nothing, 1 for a covered one, 2 for a visible one. An annotation without points is no
face. Source: cocodataset.org, "Data format".
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.data.annotations import AnnotatedPicture, Annotations, shown
from keypoints.system.atomic import write_text

MISSING, COVERED, VISIBLE = 0, 1, 2


def parse(content: dict[str, Any], file: str) -> Annotations:
    """The faces of parsed JSON with `images` and `annotations`."""
    found = Annotations(file)
    images, names = {}, {}
    lines: dict[Any, tuple[tuple[int, ...], ...]] = {}
    try:
        images = {image["id"]: str(image["file_name"]) for image in content["images"]}
        for category in content.get("categories") or []:
            names[category["id"]] = tuple(map(str, category.get("keypoints") or ()))
            lines[category["id"]] = _lines(category)
        annotations = list(content["annotations"])
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        found.problems.append(f"{file}: not as COCO has it: {type(error).__name__} {error}")
        return found
    kinds: dict[tuple[str, ...], Any] = {}  # names of points, and a category that has them
    for number, annotation in enumerate(annotations):
        where = f"annotation {number}"
        try:
            values = annotation.get("keypoints") or []
            visibility = values[2::3]
            picture, kind = images[annotation["image_id"]], annotation.get("category_id")
            if not any(visibility):
                continue
            if len(values) % 3 or not set(visibility) <= {MISSING, COVERED, VISIBLE}:
                raise ValueError("x, y and 0, 1 or 2 are expected for each point")
            points = [
                (None, None) if v == MISSING else (x, y)
                for x, y, v in zip(values[::3], values[1::3], visibility)
            ]
            kinds[names.get(kind, ())] = kind
            found.lines = lines.get(kind, ())
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            found.problems.append(f"{file}, {where}: {shown(annotation)}: {error}")
            continue
        found.add(picture, points, [v == COVERED for v in visibility], where=where)
    if len(kinds) > 1:
        several = " and ".join(map(shown, kinds.values()))
        found.problems.append(f"{file}: the categories {several} have other points; keep one")
    if len(kinds) == 1:
        (found.names,) = kinds
    return found


def _lines(category: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
    """The edges of a skeleton, which count from 1, as long lines of points, from 0."""
    count = len(category.get("keypoints") or ())
    lines: list[list[int]] = []
    for one, other in category.get("skeleton") or []:
        if not (type(one) is type(other) is int and 1 <= one <= count and 1 <= other <= count):
            raise TypeError(f"skeleton: {shown([one, other])}: two points are expected")
        if lines and lines[-1][-1] == one - 1:
            lines[-1].append(other - 1)
        else:
            lines.append([one - 1, other - 1])
    return tuple(map(tuple, lines))


def write(folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]) -> None:
    """Write `coco.json`."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, 1):
        sides = {"width": picture.width, "height": picture.height}
        images.append({"id": number, "file_name": picture.name, **sides})
        for face in picture.faces:
            missing = np.isnan(face.points).any(axis=1)
            visibility = np.where(missing, MISSING, np.where(face.covered, COVERED, VISIBLE))
            low, high = np.nanmin(face.points, axis=0), np.nanmax(face.points, axis=0)
            box = [round(float(value), 3) for value in (*low, *(high - low))]
            rows = zip(np.nan_to_num(face.points).tolist(), visibility.tolist())
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "keypoints": [
                        value for (x, y), v in rows for value in (round(x, 3), round(y, 3), v)
                    ],
                    "num_keypoints": int((~missing).sum()),
                    "bbox": box,
                    "area": round(box[2] * box[3], 3),
                    "iscrowd": 0,
                }
            )
    category = {"id": 1, "name": "face", "keypoints": list(names), "skeleton": []}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    write_text(folder / "coco.json", json.dumps(content))
