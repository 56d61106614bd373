"""Systematic errors of annotations, and how points are corrected for them.

The annotations of YouTube Faces lie to the right of the features, whatever the pose of the head,
and each point differs a little from hand labels of the same 68 points. Both differences are
measured by `experiments/label_correction` and subtracted here, where annotations are read.
`published` points are as their authors gave them, `corrected` points are without these errors.
"""

from dataclasses import dataclass

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


# Fitted on the training split: `python -m experiments.label_correction`. Mirror symmetry gives the
# first two, hand labels of LFPW the third, whose x is mirror-symmetric.
# fmt: off
YOUTUBE_FACES = Correction(
    pixel_shift=0.38,
    inter_ocular_shift=0.0193,
    markup=np.array([
        (-0.023, 0.001), (-0.016, 0.011), (-0.003, -0.007), (-0.004, -0.026),
        (-0.011, -0.012), (-0.019, -0.007), (-0.043, -0.031), (-0.054, -0.034),
        (0.000, 0.010), (0.054, -0.034), (0.043, -0.031), (0.019, -0.007),
        (0.011, -0.012), (0.004, -0.026), (0.003, -0.007), (0.016, 0.011),
        (0.023, 0.001), (0.005, -0.011), (-0.004, 0.006), (-0.013, 0.009),
        (-0.037, 0.004), (-0.069, -0.020), (0.069, -0.020), (0.037, 0.004),
        (0.013, 0.009), (0.004, 0.006), (-0.005, -0.011), (0.000, 0.054),
        (0.000, 0.065), (0.000, 0.072), (0.000, 0.046), (0.015, 0.038),
        (0.000, 0.028), (0.000, 0.017), (-0.000, 0.028), (-0.015, 0.038),
        (-0.009, 0.001), (-0.011, 0.019), (-0.012, 0.020), (-0.001, 0.003),
        (0.007, 0.004), (-0.002, 0.004), (0.001, 0.003), (0.012, 0.020),
        (0.011, 0.019), (0.009, 0.001), (0.002, 0.004), (-0.007, 0.004),
        (0.003, 0.015), (-0.003, 0.019), (0.015, 0.014), (0.000, 0.006),
        (-0.015, 0.014), (0.003, 0.019), (-0.003, 0.015), (-0.006, 0.003),
        (0.011, 0.008), (0.000, 0.009), (-0.011, 0.008), (0.006, 0.003),
        (-0.028, 0.006), (-0.006, 0.008), (0.000, 0.001), (0.006, 0.008),
        (0.028, 0.006), (0.004, 0.023), (0.000, 0.022), (-0.004, 0.023),
    ]),
)
# fmt: on
