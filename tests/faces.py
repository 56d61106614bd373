"""Made-up annotated pictures for tests: dots on noise, and drawn faces that a detector finds."""

import csv
from pathlib import Path

import numpy as np

from keypoints.data.records import Records, make_records
from keypoints.estimate import Estimate
from keypoints.inference.detections import Detections
from keypoints.markup import IBUG68, Markup
from keypoints.media.pictures import encode_png
from keypoints.synthetic.drawing import draw_face

# Seeds of drawn faces that the default detector finds with a score well over its threshold, so
# that it does on every processor.
FOUND = (0, 1, 3, 5, 6, 9, 11, 13, 14, 15, 17, 20, 21, 23)


def estimated(points: np.ndarray, uncertainty: float = 1.0) -> Estimate:
    """The estimate of a network that finds `points` `(n, 68, 2)` or `(n, 136)`, crop pixels."""
    found = np.asarray(points, np.float32).reshape(-1, 68, 2)
    return Estimate(found, np.full((len(found), 68), uncertainty, np.float32))


def dotted_faces(
    count: int, *, seed: int = 0, name: str = "dots/train", markup: Markup = IBUG68
) -> Records:
    """`count` records whose landmarks are bright dots on noise; sizes and places all differ."""
    assert markup.mean is not None
    rng = np.random.default_rng(seed)

    def examples():
        for index in range(count):
            height, width = rng.integers(90, 130), rng.integers(140, 180)
            side, left, top = rng.uniform(50, 70), rng.uniform(45, 70), rng.uniform(42, 55)
            points = markup.mean * [side, 1.1 * side] + [left, top]
            image = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
            for x, y in np.rint(points).astype(int):
                image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = (230, 180, 120)
            yield f"{seed}/{index:04d}.png", f"person{index}", image, points

    return make_records(name, examples(), markup)


def drawn_faces(count: int, *, name: str = "drawn/train") -> Records:
    """`count` drawn faces, of `len(FOUND)` at most, each of which the default detector finds."""
    faces = [(f"{seed}.png", f"person{seed}", *draw_face(seed)) for seed in FOUND[:count]]
    return make_records(name, faces)


def write_folder(folder: Path) -> None:
    """Eight drawn faces as a user's data set: PNG files, faces.csv and splits.csv."""
    folder.mkdir()
    records = drawn_faces(8)
    with (
        open(folder / "faces.csv", "w", newline="") as table,
        open(folder / "splits.csv", "w", newline="") as splits,
    ):
        rows, parts = csv.writer(table), csv.writer(splits)
        rows.writerow(["file", *range(136)])
        for i, points in enumerate(records.points):
            (folder / f"{i}.png").write_bytes(encode_png(records.image(i)))
            rows.writerow([f"{i}.png", *points.ravel()])
            parts.writerow([f"{i}.png", "train" if i < 5 else "validation"])


def detections(boxes: np.ndarray, rolls: np.ndarray | None = None) -> Detections:
    """What a detector answers that is sure of all `boxes` `(n, 4)`."""
    rolls = np.zeros(len(boxes)) if rolls is None else rolls
    return Detections(boxes, np.ones(len(boxes), np.float32), np.float32(rolls))
