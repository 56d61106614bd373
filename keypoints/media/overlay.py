"""Landmarks and head axes drawn over a picture."""

import cv2
import numpy as np

from keypoints import landmarks, pose

AXES = ((235, 70, 60), (70, 200, 80), (70, 130, 255))  # RGB of the head's x, y and z
AXIS = 0.5  # length of an axis, head units

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


def draw_axes(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A copy of `image` with the head frame of `points` `(68, 2)`: x red, y green, z blue.

    x points to the viewer's right for a frontal face, y down and z out of the face, each half a
    face long, from the middle of the face. Unchanged where the points have no pose.
    """
    rotation, size = pose.fit_rotation(points)
    image = np.ascontiguousarray(image).copy()
    if np.isnan(size):
        return image
    start = points[pose.RIGID].mean(axis=0)
    ends = start + rotation[:2].T * size * AXIS
    width = max(round(float(size) / 50), 1)
    # The axis that points farthest away from the viewer is drawn first.
    for axis in np.argsort(rotation[2]):
        ends_here = (np.rint(np.stack([start, ends[axis]]) * 16)).astype(np.int32)
        cv2.line(image, *ends_here.tolist(), AXES[axis], width, cv2.LINE_AA, 4)
    return image
