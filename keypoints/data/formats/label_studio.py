"""Label Studio's JSON: tasks with annotations by people, and predictions, which wait for a person.

A point is a result of type `keypointlabels`: its label is its name, x and y are percent of the
stored picture's width and height. The points of a face have the same `parentID`, that of a region,
where there are several faces. The smaller export, JSON-MIN, has the points beside the picture.

Predictions are no annotations and are not read; tasks that nobody has annotated have no faces. A
point has no mark for "covered". Source: labelstud.io, "Label Studio task format" and
"KeyPointLabels".
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

from keypoints.data.annotations import (
    AnnotatedPicture,
    Annotations,
    Place,
    coordinate,
    from_named,
    put,
    shown,
)
from keypoints.media.formats import is_picture
from keypoints.system.atomic import write_text

LOCAL = "/data/local-files/?d="  # how Label Studio names files of a folder that it may read


def parse(tasks: list[Any], file: str) -> Annotations:
    """The faces of parsed JSON: a list of tasks."""
    faces: list[tuple[str, dict[str, Place]]] = []
    problems: list[str] = []
    seen = set()
    for number, task in enumerate(tasks, 1):
        try:
            picture = _picture(task)
            groups: dict[str, dict[str, Place]] = {}
            identity = task.get("id")
            if identity is not None and identity in seen:
                raise ValueError(f"a second annotation of the task {shown(identity)}; export one")
            seen.add(identity)
            for result in _results(task):
                value = result.get("value", result)
                if not isinstance(value, dict) or not value.get("keypointlabels"):
                    continue
                if turned := result.get("image_rotation"):
                    turn = f"image_rotation={shown(turned)}"
                    raise ValueError(f"the picture was rotated ({turn}); rotate its file instead")
                width = result.get("original_width", value.get("original_width"))
                height = result.get("original_height", value.get("original_height"))
                place = Place(_pixels(value.get("x"), width), _pixels(value.get("y"), height))
                group = groups.setdefault(str(result.get("parentID") or ""), {})
                put(group, str(value["keypointlabels"][0]), place)
            faces += [(picture, places) for places in groups.values()]
        except (TypeError, KeyError, AttributeError, ValueError, IndexError) as error:
            problems.append(f"{file}, task {number}: {error}")
    return from_named(file, faces, problems)


def _results(task: dict[str, Any]) -> list[dict[str, Any]]:
    """What a person has marked in a picture."""
    if "data" not in task:  # JSON-MIN
        lists = [value for value in task.values() if isinstance(value, list)]
        return [each for value in lists for each in value if isinstance(each, dict)]
    done = list(task.get("annotations", task.get("completions")) or [])
    done = [each for each in done if not each.get("was_cancelled")]
    chosen = [each for each in done if each.get("ground_truth")] or done
    if len(chosen) > 1:
        raise ValueError(f"{len(chosen)} annotations of one picture; mark one as ground truth")
    return [result for each in chosen for result in each["result"]]


def _picture(task: dict[str, Any]) -> str:
    """The path of a task's picture, without the address of a server."""
    fields = task.get("data", task)
    paths = [_path(value) for value in fields.values() if isinstance(value, str)]
    if not paths:
        raise ValueError(f"no picture is named in {shown(fields)}")
    return next(filter(is_picture, paths), paths[0])


def _path(value: str) -> str:
    address = urlsplit(value)
    if local := parse_qs(address.query).get("d"):
        return local[0]
    return unquote(address.path) if address.scheme or value.startswith("/") else value


def _pixels(percent: Any, side: Any) -> float:
    if not isinstance(side, int | float) or not coordinate(side) > 0:
        raise ValueError(f"original_width and original_height are expected, not {shown(side)}")
    return coordinate(percent) * side / 100


def write(folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]) -> None:
    """Write `tasks.json` with annotations, and `labels.xml`, the interface of a project."""
    _write(folder, pictures, names, "annotations")


def write_proposals(
    folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]
) -> None:
    """As `write`, with the faces as predictions, which a person accepts or corrects."""
    _write(folder, pictures, names, "predictions")


def _write(
    folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str], kind: str
) -> None:
    tasks = []
    for picture in pictures:
        results = []
        for number, face in enumerate(picture.faces):
            results += _regions(picture, number, face.points.tolist(), names)
        tasks.append({"data": {"image": LOCAL + quote(picture.name)}, kind: [{"result": results}]})
    write_text(folder / "tasks.json", json.dumps(tasks))
    labels = "".join(f"<Label value={quoteattr(name)}/>" for name in names)
    write_text(
        folder / "labels.xml",
        '<View><Image name="image" value="$image" zoom="true"/>'
        f'<KeyPointLabels name="points" toName="image">{labels}</KeyPointLabels>'
        '<RectangleLabels name="faces" toName="image"><Label value="face"/></RectangleLabels>'
        "</View>\n",
    )


def _regions(
    picture: AnnotatedPicture, number: int, points: list[list[float]], names: Sequence[str]
) -> list[dict[str, Any]]:
    """A rectangle, and a point for each that is annotated, which belongs to it."""
    placed = [
        (name, 100 * x / picture.width, 100 * y / picture.height)
        for name, (x, y) in zip(names, points)
        if x == x
    ]
    xs, ys = [x for _, x, _ in placed], [y for _, _, y in placed]
    common = {
        "original_width": picture.width,
        "original_height": picture.height,
        "image_rotation": 0,
        "to_name": "image",
    }
    sides = {"width": max(xs) - min(xs), "height": max(ys) - min(ys)}
    regions = [
        {
            **common,
            "id": f"face{number}",
            "from_name": "faces",
            "type": "rectanglelabels",
            "value": {"x": min(xs), "y": min(ys), **sides, "rectanglelabels": ["face"]},
        }
    ]
    for index, (name, x, y) in enumerate(placed):
        point = {"x": x, "y": y, "width": 0.5, "keypointlabels": [name]}
        regions.append(
            {
                **common,
                "id": f"face{number}_{index}",
                "parentID": f"face{number}",
                "from_name": "points",
                "type": "keypointlabels",
                "value": point,
            }
        )
    return regions
