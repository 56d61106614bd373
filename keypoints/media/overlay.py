"""Landmarks drawn over a picture."""

import cv2
import numpy as np

from keypoints import landmarks

TRUTH, PREDICTED = (70, 220, 90), (255, 90, 70)  # RGB: annotated green, predicted red


def draw_points(
    image: np.ndarray, points: np.ndarray, colour: tuple[int, int, int], *, width: int = 1
) -> np.ndarray:
    """A copy of `image` with outlines of `width` pixels and a dot at each of `points` `(68, 2)`."""
    image = np.ascontiguousarray(image).copy()
    fixed = np.rint(points * 16).astype(np.int32)  # sub-pixel places: 4 fractional bits
    for indices, closed in landmarks.OUTLINES.values():
        cv2.polylines(image, [fixed[list(indices)]], closed, colour, width, cv2.LINE_AA, 4)
    for x, y in fixed.tolist():
        cv2.circle(image, (x, y), 16 * width + 8, colour, -1, cv2.LINE_AA, 4)
    return image
