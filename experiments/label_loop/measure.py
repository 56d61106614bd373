"""A scripted labeller of drawn faces, whose true points are known, and the points it must move."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keypoints.inference.predictor import Predictor
from keypoints.label.proposals import Proposer, face_size
from keypoints.markup import IBUG68, Markup
from keypoints.media.pictures import encode_png
from keypoints.synthetic.drawing import draw_face

OFF = 0.02  # of the face: a point that is off by more is moved to its true place
# The nine points and which of iBUG they are. Their names tell a network of iBUG nothing.
POINTS = {
    "right eye outer corner": 36, "right eye inner corner": 39, "left eye inner corner": 42,
    "left eye outer corner": 45, "nose tip": 30, "right mouth corner": 48, "left mouth corner": 54,
    "upper lip": 51, "lower lip": 57,
}  # fmt: skip
EYES = ([0, 1], [2, 3])  # points of the right and of the left eye


@dataclass(frozen=True)
class Face:
    """A drawn face and the true places of its nine points."""

    seed: int
    image: np.ndarray  # (h, w, 3) uint8 RGB
    points: np.ndarray  # (9, 2) in pixels of the image


def nine() -> Markup:
    """The markup of the nine points, with mean face and face box as those of iBUG have them."""
    assert IBUG68.mean is not None
    mean = IBUG68.mean[list(POINTS.values())]
    tight, whole = Markup("tight", tuple(POINTS)).face_boxes(mean), IBUG68.face_boxes(IBUG68.mean)
    x, y = (whole[:2] + whole[2:] / 2 - tight[:2]) / tight[2:]
    width, height = whole[2:] / tight[2:]
    box = tuple(round(float(value), 3) for value in (x, y, width, height))
    pairs = ((0, 3), (1, 2), (5, 6))
    return Markup("nine", tuple(POINTS), pairs, mean=mean, face_box=box)  # type: ignore[arg-type]


def drawn(seeds: range) -> list[Face]:
    """The drawn faces of some seeds."""
    pictures = ((seed, *draw_face(seed)) for seed in seeds)
    return [Face(seed, image, points[list(POINTS.values())]) for seed, image, points in pictures]


def from_scratch(face: Face, markup: Markup) -> np.ndarray:
    """The mean face laid over the two eyes, as two clicks lay it: points `(9, 2)`."""
    assert markup.mean is not None
    mean, true = (shape @ [1, 1j] for shape in (markup.mean, face.points))
    right, left = (mean[eye].mean() for eye in EYES)
    true_right, true_left = (true[eye].mean() for eye in EYES)
    laid = (mean - right) * (true_left - true_right) / (left - right) + true_right
    return np.column_stack([laid.real, laid.imag])


def proposed(face: Face, proposer: Proposer) -> tuple[np.ndarray, float]:
    """The points `(9, 2)` that a model proposes, and their doubt.

    Where it does not find the face, the labeller drags a box over it.
    """
    found = proposer.faces(face.image)
    size = face_size(proposer.markup, face.points)
    away = [np.linalg.norm(p.points - face.points, axis=1).mean() for p in found]
    if away and min(away) < size / 2:
        best = found[int(np.argmin(away))]
    else:
        best = proposer.face_in(face.image, proposer.markup.face_boxes(face.points))
    return best.points, best.doubt


def is_off(points: np.ndarray, face: Face, markup: Markup) -> np.ndarray:
    """Which of the points `(9, 2)` the labeller moves `(9,)`."""
    away = np.linalg.norm(points - face.points, axis=1)
    return away > OFF * face_size(markup, face.points)


def labelled(face: Face, points: np.ndarray, markup: Markup) -> np.ndarray:
    """What the labeller accepts `(9, 2)`: points that are near enough stay as they are."""
    return np.where(is_off(points, face, markup)[:, None], face.points, points)


def in_doubt_first(faces: list[Face], proposer: Proposer) -> list[Face]:
    """The faces in the order in which the label page shows them."""
    doubts = {face.seed: proposed(face, proposer)[1] for face in faces}
    return sorted(faces, key=lambda face: -doubts[face.seed])


def write_folder(folder: Path, faces: list[Face], points: list[np.ndarray]) -> None:
    """Pictures, `points.csv` and `markup.toml`, as the label page leaves them."""
    folder.mkdir(parents=True)
    with open(folder / "points.csv", "w", newline="") as file:
        for face, places in zip(faces, points):
            name = f"{face.seed}.png"
            (folder / name).write_bytes(encode_png(face.image))
            csv.writer(file).writerow([name, *(f"{value:.3f}" for value in places.ravel())])
    (folder / "markup.toml").write_text(nine().to_toml())


def row(name: str, faces: list[Face], points: list[np.ndarray]) -> str:
    """A line of the table: what is proposed, corrected points a face, mean distance."""
    markup = nine()
    moved = np.array([is_off(p, face, markup) for p, face in zip(points, faces)])
    away = [
        np.linalg.norm(p - face.points, axis=1).mean() / face_size(markup, face.points)
        for p, face in zip(points, faces)
    ]
    counts = moved.sum(axis=1)
    cells = f"{counts.mean():.1f} | {100 * (counts == 0).mean():.0f} %"
    return f"| {name} | {cells} | {100 * np.mean(away):.2f} % |"


def proposer_of(model: str) -> Proposer:
    """The proposer of the nine points of a bundled model or a run folder."""
    return Proposer(Predictor.load(model), nine())
