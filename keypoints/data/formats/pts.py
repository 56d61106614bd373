"""Point files of 300-W (.pts), one for each face, and those of MERL-RAV, which mark hidden points.

A line is a point, `x y`, between braces or without them; `#` and `//` begin a comment. A header may
have the number of points. The first pixel is 1, ours 0. `nan nan` is a point that is not annotated.
In MERL-RAV (-x, -y) is a point that something covers, at (x, y), and (-1, -1) one that the head
itself hides. Its files look like those of 300-W, where both coordinates are negative only above and
left of the picture: `hidden_points` tells them apart for a whole set.

Sources: the annotations of "300 Faces in-the-Wild Challenge" (Sagonas et al., 2013), menpo's
reader, and the README of MERL-RAV (Kumar et al., "LUVLi Face Alignment", 2020).
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keypoints.data.annotations import AnnotatedPicture, Annotation, Annotations
from keypoints.system.atomic import write_text

MERL_RAV_POINTS = 68


def parse(data: bytes, file: str) -> Annotations:
    """The face of one file; its picture is named by the file's own name, without the suffix."""
    found = Annotations(file)
    text = re.sub(r"(#|//).*", "", data.decode("utf-8-sig", errors="replace"))
    if ("{" in text) != ("}" in text):
        found.problems.append(f"{file}: one brace without the other")
        return found
    counted = re.search(r"^\s*n_points\s*:\s*(\d{1,9})\s*$", text, re.M)
    if "{" in text:
        text = text[text.index("{") + 1 : text.rindex("}")]
    else:
        text = re.sub(r"^\s*(version|n_points)\s*:.*$", "", text, flags=re.M)
    rows = [line.split() for line in text.splitlines() if line.strip()]
    wrong = [row for row in rows if len(row) != 2]
    if not rows:
        found.problems.append(f"{file}: no points in it")
    elif counted and len(rows) != int(counted[1]):
        found.problems.append(f"{file}: {len(rows)} points; its n_points says {counted[1]}")
    elif wrong:
        found.problems.append(f"{file}: {' '.join(wrong[0])[:40]!r}: two numbers are expected")
    else:
        found.add("", rows)
        found.problems = [problem.replace(": :", ":") for problem in found.problems]
        found.faces = [face._replace(points=face.points - 1) for face in found.faces]
    return found


def hidden_points(faces: Sequence[Annotation]) -> list[Annotation]:
    """The faces of a set of .pts files, with the marks of MERL-RAV read if it has any.

    A set has them if a point lies exactly at (-1, -1) of the file, or both coordinates are negative
    by more than half the size of the face's other points.
    """
    if not any(_has_marks(face.points) for face in faces):
        return list(faces)
    read = []
    for face in faces:
        points = face.points + 1
        negative = np.asarray((points < 0).all(axis=1))
        hidden = (points == -1).all(axis=1)
        points = np.where(negative[:, None], -points, points)
        points[hidden] = np.nan
        read.append(face._replace(points=points - 1, covered=negative & ~hidden))
    return read


def _has_marks(points: np.ndarray) -> bool:
    in_file = points + 1
    negative = np.asarray((in_file < 0).all(axis=1))
    if (in_file == -1).all(axis=1).any():
        return True
    rest = in_file[~negative & np.isfinite(in_file).all(axis=1)]
    if not negative.any() or len(rest) < 2:
        return bool(negative.any())
    return bool((in_file[negative] < -0.5 * np.ptp(rest, axis=0).max()).all(axis=1).any())


def write_300w(folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]) -> None:
    """Write PICTURE.pts for the first face of each picture, PICTURE_1.pts for the next, .."""
    for picture in pictures:
        for number, face in enumerate(picture.faces):
            _write(folder, picture, number, face.points + 1)


def write_merl_rav(
    folder: Path, pictures: Sequence[AnnotatedPicture], names: Sequence[str]
) -> None:
    """`write_300w` with the marks of MERL-RAV. A point left of and above its picture is lost."""
    for picture in pictures:
        for number, face in enumerate(picture.faces):
            points = face.points + 1
            lost = np.isnan(points).any(axis=1) | (points < 0).all(axis=1)
            points = np.where(face.covered[:, None], -points, points)
            points[lost] = -1
            _write(folder, picture, number, points)


def _write(folder: Path, picture: AnnotatedPicture, number: int, points: np.ndarray) -> None:
    path = folder / picture.name
    name = path.stem + (f"_{number}" if number else "")
    rows = "".join(f"{x:.3f} {y:.3f}\n" for x, y in points.tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(
        path.with_name(f"{name}.pts"), f"version: 1\nn_points: {len(points)}\n{{\n{rows}}}\n"
    )
