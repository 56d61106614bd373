"""Error metrics of predicted points: NumPy functions that return one value per image.

Callers average. `truth` and `predicted` are `(n, k, 2)` in pixels of their images. A point that
is not annotated is NaN in `truth` and left out of every mean. A prediction is NaN where no face was
found, and so are its errors; `auc` and `failure_rate` count such an image as a failure.
"""

import numpy as np

from keypoints.errors import InputError, near_miss
from keypoints.markup import IBUG68, NORMALISERS, Markup

LIMIT = 0.08  # share of the normaliser; an image with a larger error is a failure
SHORT_SIDE = 255  # short side of images, pixels, at which the old project measured errors
YAW_BINS = (30.0, 60.0)  # degrees, bin edges of |yaw|


def point_errors(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Euclidean distance of each predicted point to its annotation `(n, k)`, pixels."""
    return np.linalg.norm(np.asarray(predicted, np.float64) - truth, axis=-1)


def mean_error(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean distance over the annotated points of each face `(n,)`, pixels."""
    return np.mean(point_errors(truth, predicted), axis=1, where=annotated(truth))


def annotated(truth: np.ndarray) -> np.ndarray:
    """Which points `(n, k)` are annotated."""
    return np.isfinite(truth).all(axis=-1)


def inter_ocular(truth: np.ndarray, markup: Markup = IBUG68) -> np.ndarray:
    """Distance between the outer eye corners `(n,)`, pixels; 36 and 45 of the points of iBUG."""
    return _distance(truth, markup, "inter_ocular")


def inter_pupil(truth: np.ndarray, markup: Markup = IBUG68) -> np.ndarray:
    """Distance between the eye centres, each the mean of an eye's points `(n,)`, pixels."""
    return _distance(truth, markup, "inter_pupil")


def _distance(truth: np.ndarray, markup: Markup, normaliser: str) -> np.ndarray:
    """Distance `(n,)` of the middles of two roles; points not annotated are estimated."""
    whole = markup.complete(truth)
    right, left = (
        whole[:, markup.points_of(role, f"the normaliser {normaliser}")].mean(axis=1)
        for role in NORMALISERS[normaliser]
    )
    return np.linalg.norm(left - right, axis=-1)


def sizes(truth: np.ndarray, boxes: np.ndarray, markup: Markup = IBUG68) -> dict[str, np.ndarray]:
    """Each face's size `(n,)` by the names of `markup.normalisers`, pixels.

    `boxes` `(n, 4)` are the face boxes. `box` is the square root of their area, as in the
    literature on AFLW2000-3D: unlike the distance of the eyes it is also valid for profiles.
    """
    measures = {
        "box_diagonal": np.linalg.norm(boxes[:, 2:], axis=-1),
        "box": np.sqrt(boxes[:, 2:].prod(axis=-1)),
    }
    return {
        name: measures[name] if name in measures else _distance(truth, markup, name)
        for name in markup.normalisers
    }


def nme(
    truth: np.ndarray,
    predicted: np.ndarray,
    boxes: np.ndarray,
    markup: Markup = IBUG68,
    normaliser: str | None = None,
) -> np.ndarray:
    """Mean point distance divided by the size `(n,)` of `sizes`, that of the markup unless named.

    Raises InputError for a normaliser that the markup does not have.
    """
    name = normaliser or markup.normaliser
    if name not in markup.normalisers:
        known = list(markup.normalisers)
        raise InputError(f"normaliser={name}: {markup.name} has no such{near_miss(name, known)}")
    return mean_error(truth, predicted) / sizes(truth, boxes, markup)[name]


def inter_ocular_nme(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean distance of the points of iBUG divided by that of the outer eye corners `(n,)`."""
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
    """Coordinate differences `(n, 2 k)` with the short side of each image scaled to 255 pixels.

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
    values: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    weights: np.ndarray | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of the mean of `values` `(n,)` by resampling whole `groups` `(n,)`.

    Images of one person are not independent, so people are resampled, not images. Without
    `groups` each value is a group of its own, without `weights` `(n,)` all weigh the same.
    Percentile bootstrap (Efron, 1979).
    """
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    weights = np.ones(len(values)) if weights is None else weights
    _, member = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(member, values * weights), np.bincount(member, weights)
    chosen = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
