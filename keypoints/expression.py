"""How far eyes and mouth are open: ratios that need no calibration and no size of the face.

Each is the mean distance of opposite points of the upper and the lower lid or lip over the width.
For an eye that is the eye aspect ratio of Soukupova and Cech, "Real-Time Eye Blink Detection
using Facial Landmarks" (CVWW 2016): about 0.3 for an open eye, below 0.2 in a blink. The mouth
has the same ratio of its inner lips. A head that turns sideways narrows widths and raises both.
"""

import numpy as np

from keypoints.markup import IBUG68, Markup

EYES = ("right_eye_opening", "left_eye_opening")  # roles of a markup
MOUTH = "mouth_opening"


def eye_opening(points: np.ndarray, markup: Markup = IBUG68) -> np.ndarray:
    """Mean of both eyes' ratio `(...)` of `points` `(..., k, 2)`.

    Infinite or NaN at width 0; NaN where the markup does not have the roles.
    """
    return np.mean([opening(points, markup, eye) for eye in EYES], axis=0)


def mouth_opening(points: np.ndarray, markup: Markup = IBUG68) -> np.ndarray:
    """The inner lips' ratio `(...)` of `points` `(..., k, 2)`, as `eye_opening`."""
    return opening(points, markup, MOUTH)


def opening(points: np.ndarray, markup: Markup, role: str) -> np.ndarray:
    """Ratio `(...)` of `points` `(..., k, 2)`: mean distance of the pairs of points of `role` after
    the first, over that of the first, the corners; infinite or NaN at width 0, NaN without role."""
    points = np.asarray(points, np.float64)
    if not markup.has(role):
        return np.full(points.shape[:-2], np.nan)
    ends = points[..., np.reshape(markup.roles[role], (-1, 2)), :]  # (..., pairs, 2, 2)
    width, *heights = np.moveaxis(np.linalg.norm(ends[..., 0, :] - ends[..., 1, :], axis=-1), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.mean(heights, axis=0) / width
