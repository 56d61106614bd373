"""Tilted heads: the rotation of a crop that shows the face upright.

A `roll` is in degrees, clockwise as the picture shows it: 90 for a face whose chin is on the left.
The box of a face with a roll is the one that it has when the picture is turned back by the roll
about the box's centre.
"""

import numpy as np

from keypoints import geometry, landmarks

# Degrees of tilt that remain in the crop; the network was trained on up to 30. So crops of upright
# faces are not rotated, and no crop jumps when a head tilts slowly.
LEFT = 15.0


def crop_rolls(eyes: np.ndarray, mouth: np.ndarray) -> np.ndarray:
    """Rolls `(n,)` for the crops of faces whose middles of eyes and mouth are `(n, 2)`.

    The tilt of the line from the eyes to the mouth, less `LEFT`, and 0 up to there.
    """
    x, y = np.moveaxis(np.asarray(mouth, np.float64) - eyes, -1, 0)
    tilt = np.degrees(np.arctan2(-x, y))
    return np.sign(tilt) * np.clip(np.abs(tilt) - LEFT, 0, None)


def upright_boxes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tight boxes `(n, 4)` and rolls `(n,)`, both float32, of faces `(n, 68, 2)`."""
    points = np.asarray(points, np.float64)
    eyes, mouth = points[:, 36:48].mean(axis=1), points[:, landmarks.REPORT_PARTS["mouth"]]
    rolls = crop_rolls(eyes, mouth.mean(axis=1))
    back = geometry.rotation(rolls)
    boxes = geometry.landmark_box(points @ back)
    centre = ((boxes[:, None, :2] + boxes[:, None, 2:] / 2) @ np.swapaxes(back, -1, -2))[:, 0]
    boxes = np.concatenate([centre - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)
    return boxes.astype(np.float32), rolls.astype(np.float32)
