"""How far eyes and mouth are open: ratios that need no calibration and no size of the face.

Each is the mean distance of opposite points of the upper and the lower lid or lip over the width.
For an eye that is the eye aspect ratio of Soukupova and Cech, "Real-Time Eye Blink Detection
using Facial Landmarks" (CVWW 2016): about 0.3 for an open eye, below 0.2 in a blink. The mouth
has the same ratio of its inner lips. A head that turns sideways narrows widths and raises both.
"""

import numpy as np

EYES = (((36, 39), (37, 41), (38, 40)), ((42, 45), (43, 47), (44, 46)))  # corners, then pairs
MOUTH = ((60, 64), (61, 67), (62, 66), (63, 65))


def eye_opening(points: np.ndarray) -> np.ndarray:
    """Mean of both eyes' ratio `(...)` of `points` `(..., 68, 2)`; infinite or NaN at width 0."""
    return np.mean([openings(points, eye) for eye in EYES], axis=0)


def mouth_opening(points: np.ndarray) -> np.ndarray:
    """The inner lips' ratio `(...)` of `points` `(..., 68, 2)`; infinite or NaN at width 0."""
    return openings(points, MOUTH)


def openings(points: np.ndarray, pairs: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Ratio `(...)` of `points` `(..., 68, 2)`: mean distance of the `pairs` after the first, over
    that of the first, the corners; infinite or NaN at width 0."""
    points = np.asarray(points, np.float64)
    ends = points[..., [list(pair) for pair in pairs], :]  # (..., pairs, 2, 2)
    width, *heights = np.moveaxis(np.linalg.norm(ends[..., 0, :] - ends[..., 1, :], axis=-1), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.mean(heights, axis=0) / width
