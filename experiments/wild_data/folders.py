"""Annotated folders in the package's own layout, from archives of pictures with `points.csv`.

An archive holds pictures and a table `file, x0, y0, ..` of the 68 points of iBUG. Which annotations
are learned from is decided here: systematic offsets go into labels.json, points that a picture's
border cuts off and contours that the picture does not show count as not annotated, and the pictures
of left_out.csv, whose points are wrong, are passed over.
"""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from keypoints.media.pictures import decode_picture
from keypoints.system.atomic import write_rows, write_text

JAW = slice(0, 17)
INNER = slice(17, 68)
HEADER = ["file", *(f"{axis}{point}" for point in range(68) for axis in "xy")]
EVERY = 8  # the first picture by name and each eighth after it are for validation
BORDER = 1.0  # pixels: a jaw point so near to the border was moved there by the annotators
FRONTAL = 15.0  # degrees of yaw up to which the jaw in 3D is the one that the picture shows
AGREE = 0.02  # of the root of the box's area: mean distance between the 2D and the 3D labels

Points = dict[str, np.ndarray]  # by picture, (68, 2), NaN where a point is not annotated


def read_points(text: str) -> Points:
    """The rows of a table `file, x0, y0, ..` with a header; empty cells are missing points."""
    rows = list(csv.reader(io.StringIO(text)))[1:]
    return {
        name: np.array([float(cell or "nan") for cell in cells[:136]]).reshape(68, 2)
        for name, *cells in rows
    }


def archive_points(archive: Path) -> Points:
    """The points of the pictures in an archive."""
    with ZipFile(archive) as files:
        return read_points(files.read("points.csv").decode())


def cut_off(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """`points` `(68, 2)` without those of the jaw that lie on the border of their picture."""
    last = np.array([width, height]) - 1
    on_border = ((points <= BORDER) | (points >= last - BORDER)).any(axis=1)
    on_border[INNER] = False
    return np.where(on_border[:, None], np.nan, points)


def visible(in_2d: np.ndarray | None, in_3d: np.ndarray, yaw: float) -> np.ndarray:
    """The points `(68, 2)` of a face that has labels of a 3D model, and perhaps some by hand.

    Those by hand mark what the picture shows. Where they lack inner points, those in 3D stand in if
    both agree elsewhere. Without any, the jaw in 3D is used up to `FRONTAL` degrees of `yaw`.
    """
    if in_2d is None:
        points = in_3d.copy()
        points[JAW] = np.nan if abs(yaw) > FRONTAL else points[JAW]
        return points
    points = in_2d.copy()
    inner, other = points[INNER], in_3d[INNER]
    known = np.isfinite(inner[:, 0])
    side = np.sqrt(np.prod(in_3d.max(axis=0) - in_3d.min(axis=0)))
    apart = np.linalg.norm(inner[known] - other[known], axis=1)
    if known.any() and apart.mean() < AGREE * side:
        inner[~known] = other[~known]
    return points


def splits(names: list[str]) -> dict[str, str]:
    """The split by picture: of the sorted `names` the first and every eighth for validation."""
    return {
        name: "train" if place % EVERY else "validation" for place, name in enumerate(sorted(names))
    }


def left_out() -> set[str]:
    """The pictures whose points are wrong, of left_out.csv beside this file."""
    rows = csv.DictReader(io.StringIO(Path(__file__).with_name("left_out.csv").read_text()))
    return {row["picture"] for row in rows}


def write_folder(
    folder: Path,
    archive: Path,
    points: Points,
    *,
    x_offset: float,
    yaws: Mapping[str, float] | None = None,
    cropped: bool = True,
) -> dict[str, str]:
    """Write pictures of `archive`, `points` and what is known of them; returns their splits.

    `cropped`: the pictures are crops of faces, whose borders cut jaws off. `yaws`: degrees.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {name: split for name, split in splits(list(points)).items() if name not in left_out()}
    rows = []
    with ZipFile(archive) as files:
        for name in chosen:
            content = files.read(name)
            (folder / name).write_bytes(content)
            face = points[name]
            if cropped:
                height, width = decode_picture(content, name).shape[:2]
                face = cut_off(face, width, height)
            cells = ["" if np.isnan(value) else f"{value:.2f}" for value in face.ravel()]
            rows.append([name, *cells])
    write_rows(folder / "points.csv", [HEADER, *rows])
    write_rows(folder / "splits.csv", list(chosen.items()))
    write_text(folder / "labels.json", json.dumps({"x_offset": x_offset}) + "\n")
    if yaws is not None:
        write_rows(folder / "yaw.csv", [[name, yaws[name]] for name in chosen if name in yaws])
    return chosen
