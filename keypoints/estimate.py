"""The output of a network for face crops: points and a per-point uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keypoints import geometry
from keypoints.markup import IBUG68, Markup

# Faces with a lower score are none; see `score_faces`.
SCORE_THRESHOLD = 0.5
# `Estimate.relative_uncertainty` at which the score is a half. On the `train` splits of YouTube
# Faces, LFPW and AFLW2000-3D any threshold from 0.030 to 0.036 leaves 0.3 % of the faces and of the
# boxes beside them (`evaluation.calibration`) on the wrong side, a mean over the sets and both
# bundled models.
UNCERTAINTY_AT_HALF_SCORE = 0.035
# Largest distance of a face from its box, in sides of the box, and largest logarithm of the ratio
# of their sides.
NEAR = 0.6


@dataclass(frozen=True)
class Estimate:
    """Points and uncertainties of `n` faces, in pixels of a crop or of a picture."""

    points: np.ndarray  # (n, k, 2) float32, x then y, of the k points of a markup
    uncertainty: np.ndarray  # (n, k) float32, expected absolute error of each point's x and y
    # (n,) 0..1, how likely each is a face (`score_faces`); NaN where only the crops are known
    scores: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.scores is None:
            object.__setattr__(self, "scores", np.full(len(self.points), np.nan))

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: Any) -> Estimate:
        """The selected faces; `index`: a number, a slice, a mask `(n,)` or an array of indices."""
        if isinstance(index, int | np.integer):
            index = [index]
        return Estimate(self.points[index], self.uncertainty[index], self.scores[index])

    def relative_uncertainty(self, markup: Markup = IBUG68) -> np.ndarray:
        """Mean uncertainty divided by the square root of the area of the face box `(n,)`.

        Low on faces, high on background.
        """
        area = markup.face_boxes(self.points)[:, 2:].prod(axis=1)
        return self.uncertainty.mean(axis=1) / np.maximum(np.sqrt(area), 1e-3)


# A network as a function: crops `(n, 224, 224, 3)` RGB 0..255 to an estimate in crop pixels.
Predict = Callable[[np.ndarray], Estimate]


def unflatten(outputs: np.ndarray) -> Estimate:
    """Split the flat output `(n, 3 k)` of a network: x0, y0, x1, y1, .., then uncertainties."""
    coordinates = outputs.shape[1] // 3 * 2
    return Estimate(outputs[:, :coordinates].reshape(len(outputs), -1, 2), outputs[:, coordinates:])


def concatenate(estimates: Sequence[Estimate]) -> Estimate:
    """All faces of `estimates` in order."""
    return Estimate(
        np.concatenate([estimate.points for estimate in estimates]),
        np.concatenate([estimate.uncertainty for estimate in estimates]),
        np.concatenate([estimate.scores for estimate in estimates]),
    )


def average(first: Estimate, second: Estimate) -> Estimate:
    """The mean of two estimates of the same faces."""
    return Estimate(
        (first.points + second.points) / 2, (first.uncertainty + second.uncertainty) / 2
    )


def flipped(estimate: Estimate, size: int, mirror: np.ndarray) -> Estimate:
    """Convert an estimate on flipped crops, `size` pixels wide, to one on the original crops.

    `mirror` `(k,)` is that of the markup.
    """
    points = estimate.points * np.array([-1, 1], np.float32) + np.array([size - 1, 0], np.float32)
    return Estimate(points[:, mirror], estimate.uncertainty[:, mirror])


def in_picture(estimate: Estimate, matrices: np.ndarray) -> Estimate:
    """Convert an estimate from crop pixels to image pixels, float32.

    `matrices` `(n, 2, 3)` are the image-to-crop matrices of the crops.
    """
    scale = geometry.scale_of(matrices)[:, None]
    points = geometry.apply(geometry.invert(matrices), estimate.points)
    return Estimate(points, (estimate.uncertainty / scale).astype(np.float32))


def score_faces(
    estimate: Estimate,
    boxes: np.ndarray,
    shape: tuple[int, ...] | np.ndarray,
    *,
    markup: Markup = IBUG68,
    half_score: float = UNCERTAINTY_AT_HALF_SCORE,
) -> np.ndarray:
    """How likely each estimate is one of a face: `(n,)`, 0 to 1.

    `boxes` `(n, 4)` are those that the crops were made from. `shape` is the picture's, or `(n, 2)`
    height and width of the picture of each. The score falls from 1 to 0 as
    `Estimate.relative_uncertainty` rises to `2 * half_score`, and is 0 where the points do not span
    a face or lie far from the box.
    """
    score = np.clip(1 - estimate.relative_uncertainty(markup) / (2 * half_score), 0, 1)
    found = markup.face_boxes(estimate.points)
    side = boxes[:, 2:].max(axis=1, keepdims=True)
    size = np.maximum(found[:, 2:].max(axis=1, keepdims=True), 1e-6) / np.maximum(side, 1)
    moved = found[:, :2] + found[:, 2:] / 2 - boxes[:, :2] - boxes[:, 2:] / 2
    near = (np.linalg.norm(moved, axis=1, keepdims=True) < NEAR * side) & (abs(np.log(size)) < NEAR)
    inside = (found[:, :2] < np.asarray(shape)[..., 1::-1]) & (found[:, :2] + found[:, 2:] > 0)
    return score * near[:, 0] * inside.all(axis=1)
