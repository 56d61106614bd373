"""Systematic errors of annotations, and how points are corrected for them.

The annotations of YouTube Faces lie to the right of the features, whatever the pose of the head,
and each point differs a little from hand labels of the same 68 points. Both differences are
measured by `experiments/label_correction` and subtracted here, where annotations are read.
`published` points are as their authors gave them, `corrected` points are without these errors.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keypoints.markup import IBUG68, Markup

LABELS = ("corrected", "published")


@dataclass(frozen=True)
class Correction:
    """What is subtracted from annotated points."""

    pixel_shift: float = 0.0  # of picture x, on every face
    inter_ocular_shift: float = 0.0  # of picture x, in inter-ocular distances
    # (68, 2), in inter-ocular distances and the face's frame, whose x runs along the eyes
    markup: np.ndarray | None = None

    def apply(self, points: np.ndarray, markup: Markup = IBUG68) -> np.ndarray:
        """The corrected `points` `(n, 2)` of one face, in pixels of its picture.

        Raises InputError for a markup without the corners of the eyes.
        """
        corners = [
            markup.points_of(role, "the correction of labels")[0]
            for role in ("right_eye_corner", "left_eye_corner")
        ]
        right, left = markup.complete(points)[corners]
        size = np.linalg.norm(left - right)
        moved = np.array(points, np.float64)
        moved[:, 0] -= self.pixel_shift + self.inter_ocular_shift * size
        if self.markup is not None:
            x, y = left - right  # the axis of the face, `size` long
            moved -= self.markup @ np.array([[x, y], [-y, x]])
        return moved.astype(np.float32)


def _read(path: Path) -> Correction:
    values = tomllib.loads(path.read_text())
    return Correction(**values | {"markup": np.array(values["markup"])})


YOUTUBE_FACES = _read(Path(__file__).with_name("youtube_faces.toml"))
