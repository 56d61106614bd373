"""Landmarks and head axes drawn over a picture."""

import cv2
import numpy as np

from keypoints.markup import IBUG68, Markup

AXES = ((235, 70, 60), (70, 200, 80), (70, 130, 255))  # RGB of the head's x, y and z
AXIS = 0.5  # length of an axis, longer sides of the face box
AXIS_WIDTH = 0.02  # of its line, in the same unit

TRUTH, PREDICTED = (70, 220, 90), (255, 90, 70)  # RGB: annotated green, predicted red


def draw_points(
    image: np.ndarray,
    points: np.ndarray,
    colour: tuple[int, int, int],
    *,
    width: int = 1,
    markup: Markup = IBUG68,
) -> np.ndarray:
    """A copy of `image` with outlines of `width` pixels and a dot at each of `points` `(k, 2)`.

    Points that are NaN, and outlines with such a point, are not drawn.
    """
    image = np.ascontiguousarray(image).copy()
    known = np.isfinite(points).all(axis=1)
    # Sub-pixel positions: 4 fractional bits.
    fixed = np.rint(np.where(known[:, None], points, 0) * 16).astype(np.int32)
    for indices, closed in markup.outlines.values():
        if known[list(indices)].all():
            cv2.polylines(image, [fixed[list(indices)]], closed, colour, width, cv2.LINE_AA, 4)
    for x, y in fixed[known].tolist():
        cv2.circle(image, (x, y), 16 * width + 8, colour, -1, cv2.LINE_AA, 4)
    return image


def write(image: np.ndarray, words: str, place: tuple[int, int], scale: float) -> None:
    """Write white text with a black rim on `image`, from its left end on the baseline on."""
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        face = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(image, words, place, face, scale, colour, thickness, cv2.LINE_AA)


def draw_axes(
    image: np.ndarray, points: np.ndarray, rotation: np.ndarray, markup: Markup = IBUG68
) -> np.ndarray:
    """A copy of `image` with a head's axes: x red, y green, z blue.

    `rotation` `(3, 3)` is that from the head frame to the camera, as in `keypoints.pose`: x points
    to the viewer's right for a frontal face, y down and z out of the face. Each is half as long as
    the face of `points` `(k, 2)`, from its middle. Unchanged where `rotation` is NaN.
    """
    image = np.ascontiguousarray(image).copy()
    if np.isnan(rotation).any() or markup.rigid is None:
        return image
    start = points[markup.rigid[0]].mean(axis=0)
    size = float(markup.face_boxes(points)[2:].max())
    ends = start + rotation[:2].T * size * AXIS
    width = max(round(size * AXIS_WIDTH), 1)
    # The axis that points farthest away from the viewer is drawn first.
    for axis in np.argsort(rotation[2]):
        first, last = np.rint(np.stack([start, ends[axis]]) * 16).astype(np.int32).tolist()
        cv2.line(image, first, last, AXES[axis], width, cv2.LINE_AA, 4)
    return image
