"""Tilted heads: the rotation of a crop that shows the face upright.

A `roll` is in degrees, clockwise as the picture shows it: 90 for a face whose chin is on the left.
The box of a face with a roll is the one that it has when the picture is turned back by the roll
about the box's centre.
"""

import numpy as np

from keypoints import geometry
from keypoints.markup import IBUG68, Markup

# Degrees of tilt that remain in the crop; the network was trained on up to 30. So crops of upright
# faces are not rotated, and no crop jumps when a head tilts slowly.
TILT_KEPT = 15.0


def crop_rolls(eyes: np.ndarray, mouth: np.ndarray) -> np.ndarray:
    """Rolls `(n,)` for the crops of faces whose middles of eyes and mouth are `(n, 2)`.

    The tilt of the line from the eyes to the mouth, less `TILT_KEPT`, and 0 up to there.
    """
    x, y = np.moveaxis(np.asarray(mouth, np.float64) - eyes, -1, 0)
    tilt = np.degrees(np.arctan2(-x, y))
    return np.sign(tilt) * np.clip(np.abs(tilt) - TILT_KEPT, 0, None)


def upright_boxes(points: np.ndarray, markup: Markup = IBUG68) -> tuple[np.ndarray, np.ndarray]:
    """Face boxes `(n, 4)` and rolls `(n,)`, both float32, of faces `(n, k, 2)`."""
    points = np.asarray(points, np.float64)
    rolls = _rolls(points, markup)
    back = geometry.rotation(rolls)
    boxes = markup.face_boxes(points @ back)
    centre = ((boxes[:, None, :2] + boxes[:, None, 2:] / 2) @ np.swapaxes(back, -1, -2))[:, 0]
    boxes = np.concatenate([centre - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)
    return boxes.astype(np.float32), rolls.astype(np.float32)


def _rolls(points: np.ndarray, markup: Markup) -> np.ndarray:
    """Rolls `(n,)` of faces `(n, k, 2)`: by eyes and mouth, or by the mean laid on the points.

    0 for a markup that has neither.
    """
    if markup.has("right_eye", "left_eye", "mouth"):
        eyes = [*markup.roles["right_eye"], *markup.roles["left_eye"]]
        mouth = list(markup.roles["mouth"])
        return crop_rolls(points[:, eyes].mean(axis=1), points[:, mouth].mean(axis=1))
    if markup.mean is None or markup.count < 2:
        return np.zeros(len(points))
    # The rotation of the similarity of least squares, with points as complex numbers.
    mean, seen = markup.mean @ [1, 1j], points @ [1, 1j]
    turn = (seen - seen.mean(axis=1, keepdims=True)) @ (mean - mean.mean()).conj()
    down = np.stack([-turn.imag, turn.real], axis=-1)
    return crop_rolls(np.zeros_like(down), down)
