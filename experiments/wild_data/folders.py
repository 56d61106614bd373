"""Annotated folders in the package's own layout, from archives of pictures with `points.csv`.

An archive holds pictures and a table `file, x0, y0, ..` of the 68 points of iBUG. Which annotations
are learned from is decided here: systematic offsets go into labels.json, points that a picture's
border cuts off and contours that the picture does not show count as not annotated, and the pictures
of left_out.csv, whose points are wrong, are passed over.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from keypoints.data.annotations import AnnotatedPicture, Annotation
from keypoints.data.formats import tables
from keypoints.errors import InputError, refuse
from keypoints.markup import IBUG68
from keypoints.media.pictures import decode_picture
from keypoints.system.atomic import write_rows, write_text

JAW = slice(0, 17)
INNER = slice(17, 68)
EVERY = 8  # the first picture by name and each eighth after it are for validation
BORDER = 1.0  # pixels: a jaw point so near to the border was moved there by the annotators
FRONTAL = 15.0  # degrees of yaw up to which the jaw in 3D is the one that the picture shows
AGREE = 0.02  # of the root of the box's area: mean distance between the 2D and the 3D labels

Points = dict[str, np.ndarray]  # by picture, (68, 2), NaN where a point is not annotated


def read_points(data: bytes, file: str) -> Points:
    """The rows of a table `file, x0, y0, ..`; raises InputError for what is wrong with it."""
    found = tables.parse(data, file)
    if found is None:
        raise InputError(f"{file}: no row begins with the name of a picture")
    refuse(found.problems, file)
    return {face.picture: face.points for face in found.faces}


def archive_points(archive: Path) -> Points:
    """The points of the pictures in an archive."""
    with ZipFile(archive) as files:
        return read_points(files.read("points.csv"), f"{archive}, points.csv")


def read_yaws(path: Path) -> dict[str, float]:
    """Degrees by picture, of a table `picture,degrees`."""
    found, problems = tables.read_pairs(path, None, "degrees", "picture")
    refuse(problems, str(path))
    return {picture: float(degrees) for picture, degrees in found.items()}


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


def splits(names: Iterable[str]) -> dict[str, str]:
    """The split by picture: of the sorted `names` the first and every eighth for validation.

    Those of left_out.csv have none.
    """
    wrong = left_out()
    return {
        name: "train" if place % EVERY else "validation"
        for place, name in enumerate(sorted(names))
        if name not in wrong
    }


def left_out() -> set[str]:
    """The pictures whose points are wrong, of left_out.csv beside this file."""
    path = Path(__file__).with_name("left_out.csv")
    found, problems = tables.read_pairs(path, None, "reason", "picture")
    refuse(problems, path.name)
    return set(found)


def write_folder(
    folder: Path,
    archive: Path,
    points: Points,
    chosen: Mapping[str, str],
    *,
    labels: Mapping[str, float],
    yaws: Mapping[str, float] | None = None,
) -> None:
    """Write those pictures of `archive` that `chosen` gives a split, and what is known of them.

    `labels` become labels.json. `yaws`, in degrees, are those of whole pictures; without them,
    pictures are crops of faces, whose borders cut jaws off.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    with ZipFile(archive) as files:
        for name in chosen:
            content = files.read(name)
            (folder / name).write_bytes(content)
            height, width = decode_picture(content, name).shape[:2]
            face = points[name] if yaws is not None else cut_off(points[name], width, height)
            one = Annotation(name, face, np.zeros(len(face), bool))
            pictures.append(AnnotatedPicture(name, width, height, [one]))
    tables.write_csv(folder, pictures, IBUG68.names)
    write_rows(folder / "splits.csv", list(chosen.items()))
    write_text(folder / "labels.json", json.dumps(labels) + "\n")
    if yaws is not None:
        write_rows(folder / "yaw.csv", [[name, yaws[name]] for name in chosen if name in yaws])
