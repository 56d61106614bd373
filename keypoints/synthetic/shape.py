"""Random heads: proportions, expression, pose and camera, in the head frame of `head_shape`."""

from dataclasses import dataclass

import numpy as np

from keypoints.head_shape import FOREHEAD, MEAN_SHAPE

UPPER_LIDS = {37: 41, 38: 40, 43: 47, 44: 46}  # upper lid point to the lower lid point below it
LOWER_LIP = [55, 56, 57, 58, 59, 65, 66, 67]
MOUTH_CORNERS = {48: -1, 60: -1, 54: 1, 64: 1}  # point to its side: -1 right, 1 left


@dataclass(frozen=True)
class Head:
    """One face in front of a camera, in pixels of the image."""

    points: np.ndarray  # (68, 2)
    forehead: np.ndarray  # (9, 2), right temple to left
    ears: np.ndarray  # (2, 2), centres of the right and of the left ear
    skull: np.ndarray  # (2,), centre of the skull
    size: float  # pixels per unit
    yaw: float  # radians; positive: the face turns to the viewer's right
    roll: float  # radians, clockwise


def random_head(rng: np.random.Generator, width: int, height: int) -> Head:
    """A random person, expression and pose near the centre of the image."""
    shape = express(person(rng), rng)
    yaw = np.clip(rng.normal(0, 0.33), -0.85, 0.85)
    pitch, roll = np.clip(rng.normal(0, 0.13, 2), -0.35, 0.35) * [1, 1.2]
    size = min(width, height) * rng.uniform(0.42, 0.6)
    centre = np.array([width, height]) * rng.normal([0.5, 0.52], 0.03)
    return pose_head(shape, yaw, pitch, roll, size, centre, distance=rng.uniform(3.5, 8))


def pose_head(
    shape: np.ndarray,
    yaw: float,
    pitch: float,
    roll: float,
    size: float,
    centre: np.ndarray,
    *,
    distance: float = 6.0,
) -> Head:
    """Project `shape` `(68, 3)`: angles in radians, `size` in pixels per unit."""
    turn = _rotation(2, roll) @ _rotation(0, pitch) @ _rotation(1, yaw)

    def project(points: np.ndarray) -> np.ndarray:
        x, y, z = (points @ turn.T).T
        return np.column_stack([x, y]) * (size * distance / (distance - z))[:, None] + centre

    wide = shape[16, 0] / MEAN_SHAPE[16, 0]
    ears = np.array([[-0.53 * wide, -0.15, -0.45], [0.53 * wide, -0.15, -0.45]])
    skull = project(np.array([[0.0, -0.22, -0.35]]))[0]
    forehead = project(FOREHEAD * [wide, 1, 1])
    return Head(project(shape), forehead, project(ears), skull, size, yaw, roll)


def person(rng: np.random.Generator) -> np.ndarray:
    """A shape `(68, 3)` with random proportions."""
    shape = MEAN_SHAPE.copy()
    spread = rng.normal(1, 0.06, 9)
    low = np.clip((shape[:17, 1] + 0.1) / 0.57, 0, 1)  # how far down the jaw a point is
    shape[:17, 0] *= spread[0] * (1 + (spread[1] - 1) * low * 1.5)
    shape[:17, 1] += 0.8 * (spread[2] - 1) * low
    _scale(shape, slice(27, 36), [spread[3] * 1.0, 1, 1])
    _scale(shape, slice(27, 36), [1, spread[4], spread[4]], anchor=27)
    for eye in (slice(36, 42), slice(42, 48)):
        _scale(shape, eye, [spread[5], spread[5] * rng.normal(1.2, 0.15), 1])
        shape[eye, 0] *= 1 + 0.5 * (spread[6] - 1)
    _scale(shape, slice(48, 68), [spread[7], spread[8] * rng.normal(1, 0.12), 1])
    for brow in (slice(17, 22), slice(22, 27)):
        shape[brow, 1] += 0.25 * (spread[6] - 1)
    return shape + rng.normal(0, 0.003, shape.shape)


def express(shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`shape` with a random expression: open mouth, smile, closed lids, raised brows."""
    shape = shape.copy()
    opened = rng.beta(0.6, 2.0) * 0.16
    shape[LOWER_LIP, 1] += opened
    jaw = 1 - np.abs(np.arange(17) - 8) / 8.0
    shape[:17, 1] += 0.6 * opened * jaw
    smile = rng.normal(0, 0.018) + 0.008
    for corner, side in MOUTH_CORNERS.items():
        shape[corner] += [1.2 * side * smile, -smile + 0.5 * opened, -0.5 * abs(smile)]
    closed = rng.choice([0.0, 0.25, 0.85], p=[0.75, 0.17, 0.08])
    for upper, lower in UPPER_LIDS.items():
        shape[upper] += closed * (shape[lower] - shape[upper])
    shape[17:27, 1] -= rng.normal(0, 0.014)
    return shape


def _scale(shape: np.ndarray, part: slice, factors: list[float], anchor: int | None = None) -> None:
    centre = shape[part].mean(axis=0) if anchor is None else shape[anchor]
    shape[part] = centre + (shape[part] - centre) * factors


def _rotation(axis: int, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[[i, i, j, j], [i, j, i, j]] = cos, -sin, sin, cos
    return matrix
