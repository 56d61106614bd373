"""LabelMe's JSON, a file for each picture.

A shape of type `point` is a point, its label the name; the points of a face have the same
`group_id` where there are several faces. Other shapes are passed over. A flag `covered` or
`occluded` of a shape marks a covered point. `imageData` is not read. Source: LabelMe's own files,
version 5.
"""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from keypoints.data.annotations import (
    AnnotatedPicture,
    Annotations,
    Place,
    from_named,
    put,
)
from keypoints.system.atomic import write_text

COVERED = ("covered", "occluded")


def parse(content: dict[str, Any], file: str) -> Annotations:
    """The faces of parsed JSON with `shapes`; the picture is beside the file."""
    groups: dict[Any, dict[str, Place]] = {}
    try:
        # LabelMe names the picture from where the file was first saved, with the system's slashes.
        picture = PurePosixPath(str(content["imagePath"]).replace("\\", "/")).name
        for shape in content["shapes"]:
            if shape.get("shape_type", "point") != "point":
                continue
            (row,) = shape["points"]
            x, y = row
            flags = shape.get("flags") or {}
            covered = any(flags.get(name) is True for name in COVERED)
            group = groups.setdefault(str(shape.get("group_id")), {})
            put(group, str(shape["label"]), Place(x, y, covered))
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        return Annotations(file, problems=[f"{file}: not as LabelMe has it: {error}"])
    return from_named(file, [(picture, places) for places in groups.values()], [])


def write(folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]) -> None:
    """Write PICTURE.json beside each picture; covered points have the flag `covered`."""
    for picture in pictures:
        path = folder / picture.name
        shapes = [
            {
                "label": name,
                "points": [[round(x, 3), round(y, 3)]],
                "group_id": number,
                "shape_type": "point",
                "flags": {"covered": True} if covered else {},
            }
            for number, face in enumerate(picture.faces)
            for name, (x, y), covered in zip(names, face.points.tolist(), face.covered)
            if x == x  # not missing
        ]
        content: dict[str, Any] = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": path.name,
            "imageData": None,
            "imageHeight": picture.height,
            "imageWidth": picture.width,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path.with_suffix(".json"), json.dumps(content, indent=1))
