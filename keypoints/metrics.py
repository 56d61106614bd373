"""How far predicted points are from annotated ones: NumPy functions, per image, averaged outside.

`truth` and `predicted` are `(n, 68, 2)` in pixels of their pictures. Where no face was found a
prediction is NaN, and so is what is computed from it; `auc` and `failure_rate` count it as a
failure.
"""

import numpy as np

from keypoints import geometry, landmarks

LIMIT = 0.08  # of the inter-ocular distance: beyond it an image counts as failed
SHORT_SIDE = 255  # to which the old project scaled pictures before it measured pixels
YAW_BINS = (10.0, 25.0, 40.0)  # degrees, edges of the bins of |yaw|


def point_errors(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Distance of each point `(n, 68)`, pixels."""
    return np.linalg.norm(np.asarray(predicted, np.float64) - truth, axis=-1)


def inter_ocular(truth: np.ndarray) -> np.ndarray:
    """Distance of the outer eye corners, points 36 and 45 `(n,)`, pixels."""
    right, left = landmarks.OUTER_EYE_CORNERS
    return np.linalg.norm(truth[:, left] - truth[:, right], axis=-1)


def inter_pupil(truth: np.ndarray) -> np.ndarray:
    """Distance of the eyes' centres, each the mean of its six points `(n,)`, pixels."""
    right, left = (truth[:, landmarks.PARTS[eye]].mean(1) for eye in ("right_eye", "left_eye"))
    return np.linalg.norm(left - right, axis=-1)


def box_diagonal(truth: np.ndarray) -> np.ndarray:
    """Diagonal of the tight landmark box `(n,)`, pixels."""
    return np.linalg.norm(geometry.landmark_box(truth)[:, 2:], axis=-1)


NORMALISERS = {
    "inter_ocular": inter_ocular,
    "inter_pupil": inter_pupil,
    "box_diagonal": box_diagonal,
}


def inter_ocular_nme(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean point distance over the outer eye corners' distance `(n,)`, as a share."""
    return point_errors(truth, predicted).mean(axis=1) / inter_ocular(truth)


def mean_offset(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean of predicted minus annotated x and y `(2,)` over all points and the faces found.

    In shares of each face's inter-ocular distance; right and down are positive. What all points
    have in common is no error of finding: it is how two markups differ, or a shift of the pixels.
    """
    away = np.asarray(predicted, np.float64) - truth
    return np.nanmean(away.mean(axis=1) / inter_ocular(truth)[:, None], axis=0)


def auc(nme: np.ndarray, limit: float = LIMIT) -> float:
    """Area under the cumulative error distribution up to `limit`, over `limit`: 1 is perfect.

    Exact for the step function of the sample: each image adds max(0, limit - nme) / limit.
    """
    gain = np.clip(limit - np.nan_to_num(nme, nan=np.inf), 0, None)
    return float(gain.mean() / limit)


def failure_rate(nme: np.ndarray, limit: float = LIMIT) -> float:
    """Share of images whose error is above `limit`, or that have no prediction."""
    return float(np.mean(~(nme <= limit)))


def pixel_differences(truth: np.ndarray, predicted: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Coordinate differences `(n, 136)` with each picture's short side scaled to 255 pixels.

    `shapes` `(n, 2)`: height and width of the pictures. The old project's protocol.
    """
    scale = SHORT_SIDE / np.min(shapes, axis=1)
    return (np.asarray(predicted, np.float64) - truth).reshape(len(truth), -1) * scale[:, None]


def smooth_l1(differences: np.ndarray) -> np.ndarray:
    """Mean over coordinates `(n,)`: half the square below one pixel, |d| - 0.5 above."""
    size = np.abs(differences)
    return np.where(size < 1, 0.5 * size**2, size - 0.5).mean(axis=1)


def bootstrap_interval(
    values: np.ndarray, groups: np.ndarray | None = None, *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the mean of `values` `(n,)` by resampling whole `groups` `(n,)`.

    Pictures of one person are not independent, so people are drawn, not pictures; without
    groups every value is its own. The percentile bootstrap (Efron, 1979).
    """
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    _, member = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(member, values), np.bincount(member)
    chosen = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
