"""Lists of WFLW: a line is a face of 98 points.

196 numbers, x and y in turn, then the box (x_min y_min x_max y_max), six flags (pose, expression,
illumination, make-up, occlusion, blur), and the picture's name, separated by spaces: 207 fields.
Lists of its subsets have no box and no flags: 197 fields. A picture with several faces is on
several lines. Source: README of the data set (Wu et al., "Look at Boundary", 2018).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keypoints.data.annotations import AnnotatedPicture, Annotations, coordinate
from keypoints.system.atomic import write_text

POINTS = 98
WHOLE, PART = 2 * POINTS + 4 + 6 + 1, 2 * POINTS + 1  # fields of a line


def parse(data: bytes, file: str) -> Annotations | None:
    """The faces of a list; None for another text file."""
    lines = enumerate(data.decode(errors="replace").splitlines(), 1)
    filled = [(number, line) for number, line in lines if line.strip()]
    if not filled or _numbers(filled[0][1].split()) <= POINTS:
        return None
    found = Annotations(file, markup="wflw98")
    for number, line in filled:
        row = line.split(maxsplit=WHOLE - 1)  # the name may have spaces
        if len(row) < WHOLE or _numbers(row[:-1]) < WHOLE - 1:
            row = line.split(maxsplit=PART - 1)
        if len(row) < PART:
            found.problems.append(
                f"{file}, line {number}: {len(row)} fields, {WHOLE} or {PART} are expected"
            )
        else:
            cells = row[: 2 * POINTS]
            found.add(row[-1].strip(), list(zip(cells[::2], cells[1::2])), where=f"line {number}")
    return found


def _numbers(cells: Sequence[str]) -> int:
    """How many of the cells are numbers."""
    count = 0
    for cell in cells:
        try:
            count += not np.isnan(coordinate(cell))
        except ValueError:
            continue
    return count


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
