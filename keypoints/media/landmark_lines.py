"""Tracked faces as lines of JSON for other programs: one line for each frame, as it comes."""

import json
import math
from typing import Any, TextIO

from keypoints.markup import Markup
from keypoints.media.landmark_csv import Row, measures


def write_line(stream: TextIO, markup: Markup, files: bool, row: Row) -> None:
    """Write the line of one frame and flush it.

    An object with `frame`, `time` in seconds, `width`, `height` and `faces`, each with `id`,
    `origin`, `box`, `score`, `points` (x and y of each, pixels), and, if `markup` has them, `yaw`,
    `pitch` and `roll` in degrees, `eye_opening` and `mouth_opening`; what is not known is null.
    Without faces the list is empty. With `files` there is the `file` too.
    """
    width, height = row.size or (None, None)
    line: dict[str, Any] = {"frame": row.frame, "time": round(row.timestamp, 4)}
    line |= {"width": width, "height": height, "faces": [_face(f, markup) for f in row.faces]}
    if files:
        line["file"] = row.file
    stream.write(json.dumps(line) + "\n")
    stream.flush()


def _face(face: Any, markup: Markup) -> dict[str, Any]:
    known = not math.isnan(float(face.points[0, 0]))
    values = {
        "id": face.id,
        "origin": face.origin,
        "box": [_number(value, 2) for value in face.box],
        "score": _number(face.score, 4),
        "points": [[_number(x, 2), _number(y, 2)] for x, y in face.points] if known else None,
    }
    for name, (measure, digits) in measures(markup).items():
        values[name] = _number(measure(face), digits)
    return values


def _number(value: Any, digits: int) -> float | None:
    number = float(value)
    return round(number, digits) if math.isfinite(number) else None
