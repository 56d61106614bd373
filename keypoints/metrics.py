"""Error metrics of predicted points: NumPy functions that return one value per image.

Callers average. `truth` and `predicted` are `(n, 68, 2)` in pixels of their images. A point that
is not annotated is NaN in `truth` and left out of every mean. A prediction is NaN where no face was
found, and so are its errors; `auc` and `failure_rate` count such an image as a failure.
"""

import numpy as np

from keypoints import landmarks

LIMIT = 0.08  # share of the normaliser; an image with a larger error is a failure
SHORT_SIDE = 255  # short side of images, pixels, at which the old project measured errors
YAW_BINS = (30.0, 60.0)  # degrees, bin edges of |yaw|


def point_errors(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Euclidean distance of each predicted point to its annotation `(n, 68)`, pixels."""
    return np.linalg.norm(np.asarray(predicted, np.float64) - truth, axis=-1)


def mean_error(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean distance over the annotated points of each face `(n,)`, pixels."""
    return np.mean(point_errors(truth, predicted), axis=1, where=annotated(truth))


def annotated(truth: np.ndarray) -> np.ndarray:
    """Which points `(n, 68)` are annotated."""
    return np.isfinite(truth).all(axis=-1)


def inter_ocular(truth: np.ndarray) -> np.ndarray:
    """Distance between the outer eye corners, points 36 and 45 `(n,)`, pixels.

    A corner that is not annotated is estimated (`landmarks.complete`).
    """
    right, left = landmarks.OUTER_EYE_CORNERS
    whole = landmarks.complete(truth)
    return np.linalg.norm(whole[:, left] - whole[:, right], axis=-1)


def inter_pupil(truth: np.ndarray) -> np.ndarray:
    """Distance between the eye centres, each the mean of six points `(n,)`, pixels."""
    whole = landmarks.complete(truth)
    right, left = (whole[:, landmarks.PARTS[eye]].mean(1) for eye in ("right_eye", "left_eye"))
    return np.linalg.norm(left - right, axis=-1)


NORMALISERS = ("inter_ocular", "inter_pupil", "box_diagonal", "box")


def sizes(truth: np.ndarray, boxes: np.ndarray) -> dict[str, np.ndarray]:
    """Each face's size `(n,)` by the names of `NORMALISERS`, pixels.

    `boxes` `(n, 4)` are tight boxes of whole faces. `box` is the square root of their area, as in
    the literature on AFLW2000-3D: unlike the distance of the eyes it is also valid for profiles.
    """
    measures = (
        inter_ocular(truth),
        inter_pupil(truth),
        np.linalg.norm(boxes[:, 2:], axis=-1),
        np.sqrt(boxes[:, 2:].prod(axis=-1)),
    )
    return dict(zip(NORMALISERS, measures))


def inter_ocular_nme(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean point distance divided by the distance of the outer eye corners `(n,)`."""
    return mean_error(truth, predicted) / inter_ocular(truth)


def mean_offset(truth: np.ndarray, predicted: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Mean signed error of x and y `(2,)`: predicted minus annotated, over all points and faces.

    In shares of each face's `size` `(n,)`; right and down are positive. Images without a prediction
    are left out. An offset that all points share is the difference between two markups or a shift
    of the pixels, not an error of localisation.
    """
    away = np.asarray(predicted, np.float64) - truth
    face = np.mean(away, axis=1, where=annotated(truth)[..., None])
    return np.nanmean(face / size[:, None], axis=0)


def auc(nme: np.ndarray, limit: float = LIMIT) -> float:
    """Area under the cumulative error distribution from 0 to `limit`, divided by `limit`.

    1 is perfect. Exact for the empirical step function: the mean of max(0, limit - nme) / limit.
    """
    gain = np.clip(limit - np.nan_to_num(nme, nan=np.inf), 0, None)
    return float(gain.mean() / limit)


def failure_rate(nme: np.ndarray, limit: float = LIMIT) -> float:
    """Share of images with an error above `limit` or without a prediction."""
    return float(np.mean(~(nme <= limit)))


def pixel_differences(truth: np.ndarray, predicted: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Coordinate differences `(n, 136)` with the short side of each image scaled to 255 pixels.

    NaN where not annotated. `shapes` `(n, 2)`: height and width of the images. This is the protocol
    of the old project.
    """
    scale = SHORT_SIDE / np.min(shapes, axis=1)
    return (np.asarray(predicted, np.float64) - truth).reshape(len(truth), -1) * scale[:, None]


def smooth_l1(differences: np.ndarray) -> np.ndarray:
    """SmoothL1, mean over coordinates `(n,)`: d^2 / 2 below one pixel, |d| - 0.5 above."""
    size = np.abs(differences)
    return np.nanmean(np.where(size < 1, 0.5 * size**2, size - 0.5), axis=1)


def bootstrap_interval(
    values: np.ndarray, groups: np.ndarray | None = None, *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the mean of `values` `(n,)` by resampling whole `groups` `(n,)`.

    Images of one person are not independent, so people are resampled, not images. Without
    `groups` each value is a group of its own. Percentile bootstrap (Efron, 1979).
    """
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    _, member = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(member, values), np.bincount(member)
    chosen = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
