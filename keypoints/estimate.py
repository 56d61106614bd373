"""The output of a network for face crops: 68 points and a per-point uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keypoints import geometry
from keypoints.landmarks import COUNT, MIRROR


@dataclass(frozen=True)
class Estimate:
    """Points and uncertainties of `n` faces, in pixels of a crop or of a picture."""

    points: np.ndarray  # (n, 68, 2) float32, x then y
    uncertainty: np.ndarray  # (n, 68) float32, expected absolute error of each point's x and y

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: Any) -> Estimate:
        """The selected faces; `index` is a slice, a mask `(n,)` or an array of indices."""
        return Estimate(self.points[index], self.uncertainty[index])

    def relative_uncertainty(self) -> np.ndarray:
        """Mean uncertainty divided by the square root of the area of the points' box `(n,)`.

        Low on faces, high on background.
        """
        area = geometry.landmark_box(self.points)[:, 2:].prod(axis=1)
        return self.uncertainty.mean(axis=1) / np.maximum(np.sqrt(area), 1e-3)


# A network as a function: crops `(n, 224, 224, 3)` RGB 0..255 to an estimate in crop pixels.
Predict = Callable[[np.ndarray], Estimate]


def unflatten(outputs: np.ndarray) -> Estimate:
    """Split the flat output `(n, 204)` of a network: x0, y0, .., x67, y67, uncertainties."""
    points = outputs[:, : 2 * COUNT].reshape(-1, COUNT, 2)
    return Estimate(points, outputs[:, 2 * COUNT :])


def concatenate(estimates: Sequence[Estimate]) -> Estimate:
    """All faces of `estimates` in order."""
    return Estimate(
        np.concatenate([estimate.points for estimate in estimates]),
        np.concatenate([estimate.uncertainty for estimate in estimates]),
    )


def average(first: Estimate, second: Estimate) -> Estimate:
    """The mean of two estimates of the same faces."""
    return Estimate(
        (first.points + second.points) / 2, (first.uncertainty + second.uncertainty) / 2
    )


def flipped(estimate: Estimate) -> Estimate:
    """Convert an estimate on horizontally flipped crops to one on the original crops."""
    points = estimate.points * np.array([-1, 1], np.float32) + np.array(
        [geometry.CROP - 1, 0], np.float32
    )
    return Estimate(points[:, MIRROR], estimate.uncertainty[:, MIRROR])


def in_picture(estimate: Estimate, matrices: np.ndarray) -> Estimate:
    """Convert an estimate from crop pixels to image pixels, float32.

    `matrices` `(n, 2, 3)` are the image-to-crop matrices of the crops.
    """
    scale = geometry.scale_of(matrices)[:, None]
    points = geometry.apply(geometry.invert(matrices), estimate.points)
    return Estimate(points, (estimate.uncertainty / scale).astype(np.float32))
