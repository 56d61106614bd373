"""Lists of WFLW: a line is a face of 98 points.

196 numbers, x and y in turn, then the box (x_min y_min x_max y_max), six flags (pose, expression,
illumination, make-up, occlusion, blur), and the picture's name, separated by spaces: 207 fields.
Lists of its subsets have no box and no flags: 197 fields. A picture with several faces is on
several lines. Source: README of the data set (Wu et al., "Look at Boundary", 2018).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keypoints.data.annotations import AnnotatedPicture, Annotations
from keypoints.system.atomic import write_text

POINTS = 98
FIELDS = (2 * POINTS + 4 + 6 + 1, 2 * POINTS + 1)


def parse(data: bytes, file: str) -> Annotations | None:
    """The faces of a list; None for another text file. Equal lines, as of subsets, are one face."""
    rows = [
        (line, row.split())
        for line, row in enumerate(data.decode(errors="replace").splitlines(), 1)
    ]
    rows = [(line, row) for line, row in rows if row]
    if not rows or len(rows[0][1]) not in FIELDS:
        return None
    found = Annotations(file, markup="wflw98")
    for line, row in rows:
        if len(row) not in FIELDS:
            expected = " or ".join(map(str, FIELDS))
            found.problems.append(
                f"{file}, line {line}: {len(row)} fields, {expected} are expected"
            )
        else:
            cells = row[: 2 * POINTS]
            found.add(row[-1], list(zip(cells[::2], cells[1::2])), where=f"line {line}")
    return found


def write(folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]) -> None:
    """Write `list_98pt_rect_attr.txt`; its flags are 0. Faces with missing points are left out."""
    lines = []
    for picture in pictures:
        for face in picture.faces:
            if np.isnan(face.points).any():
                continue
            box = [*np.floor(face.points.min(axis=0)), *np.ceil(face.points.max(axis=0))]
            numbers = [
                *(f"{value:.6f}" for value in face.points.ravel()),
                *(f"{x:.0f}" for x in box),
            ]
            lines.append(" ".join([*numbers, *["0"] * 6, picture.name]) + "\n")
    write_text(folder / "list_98pt_rect_attr.txt", "".join(lines))
