"""What a network answers to a crop: 68 points, and how sure it is of each."""

from collections.abc import Callable

import numpy as np

from keypoints import geometry
from keypoints.landmarks import COUNT, MIRROR, OUTER_EYE_CORNERS

# Crops `(n, 224, 224, 3)` RGB 0..255 to answers `(n, 204)` float32 in crop pixels: x0, y0, ..,
# x67, y67, then the uncertainty of each point, the mean absolute error to expect of its x and y.
Predict = Callable[[np.ndarray], np.ndarray]


def split(answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points `(n, 68, 2)` and uncertainties `(n, 68)` of answers `(n, 204)`."""
    return answers[:, : 2 * COUNT].reshape(-1, COUNT, 2), answers[:, 2 * COUNT :]


def join(points: np.ndarray, uncertainty: np.ndarray) -> np.ndarray:
    """The answers `(n, 204)` whose `split` gives these."""
    return np.concatenate([points.reshape(-1, 2 * COUNT), uncertainty], axis=1)


def mirrored(answers: np.ndarray) -> np.ndarray:
    """Answers `(n, 204)` to mirrored crops as answers to the crops themselves."""
    points, uncertainty = split(answers)
    points = points * [-1, 1] + [geometry.CROP - 1, 0]
    return join(points[:, MIRROR], uncertainty[:, MIRROR])


def in_picture(answers: np.ndarray, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points `(n, 68, 2)` and uncertainties `(n, 68)`, float32, in pixels of the pictures.

    `matrices` `(n, 2, 3)` are those by which the crops were made.
    """
    points, uncertainty = split(answers)
    scale = geometry.scale_of(matrices)[:, None]
    return geometry.apply(geometry.invert(matrices), points), (uncertainty / scale).astype("f4")


def doubt(points: np.ndarray, uncertainty: np.ndarray) -> np.ndarray:
    """Mean uncertainty over the distance of the outer eye corners `(n,)`: low on a face."""
    right, left = OUTER_EYE_CORNERS
    eyes = np.linalg.norm(points[:, left] - points[:, right], axis=1)
    return uncertainty.mean(axis=1) / np.maximum(eyes, 1e-3)
