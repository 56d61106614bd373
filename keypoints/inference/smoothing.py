"""Temporal filters of points and poses: strong on still faces, weak on moving faces.

For frames as they come, the One-Euro filter (Casiez, Roussel and Vogel, CHI 2012), for the points
of a whole face and for the rotation of a head. For files, of which the next frames are known,
`two_sided`, which has no lag.
"""

import cv2
import numpy as np

from keypoints.expression import EYES, opening
from keypoints.markup import IBUG68, Markup

# Cut-off frequencies in hertz: at rest, its rise per face side a second of speed, and that of the
# speed itself. The speed of a point is mostly that of the whole face, in which the noise of single
# points cancels. The rest is its own speed, so that lids and lips do not lag on a still head.
MIN_CUTOFF, SPEED_GAIN, SPEED_CUTOFF = 0.5, 120.0, 1.0
RIGID_SHARE = 0.7  # the whole face's share of a point's speed

# The same of a head's rotation: hertz at rest, and hertz more for a radian a second. A single
# outlier has half its effect; the lag in a steady rotation is three hundredths of a second.
ROTATION_CUTOFF, ROTATION_GAIN = 2.0, 1.2

# Two-sided smoothing: seconds on each side that count at all, and standard deviations in seconds of
# the weights in time: of the motion of the whole face, and of the shape of its parts.
REACH = 0.3
RIGID_WIDTH, SHAPE_WIDTH = 0.06, 0.12
# A part whose shape differs from that of the frame counts less: by what multiple of the squared
# difference between two frames in a row, and how steeply. Lids are compared by the eyes' opening.
SHAPE_KEPT, SHAPE_STEEPNESS = 1.5, 1.0
EYES_WIDTH, EYES_KEPT, EYES_STEEPNESS = 0.06, 0.5, 4.0


class OneEuro:
    """Smooths the points of one face."""

    def __init__(self, markup: Markup = IBUG68) -> None:
        self._markup = markup
        self._points: np.ndarray | None = None
        self._speed: np.ndarray | None = None
        self._time = 0.0

    def smooth(self, points: np.ndarray, timestamp: float) -> np.ndarray:
        """The filtered `points` `(k, 2)` at `timestamp` seconds, which must not go back."""
        elapsed = timestamp - self._time
        if self._points is None:
            self._points, self._speed = points.astype(np.float64), np.zeros_like(points)
        elif elapsed > 0:
            side = max(self._markup.face_boxes(points)[2:].max(), 1.0)
            speed = (points - self._points) / elapsed / side
            speed = RIGID_SHARE * speed.mean(axis=0) + (1 - RIGID_SHARE) * speed
            self._speed = self._speed + low_pass(SPEED_CUTOFF, elapsed) * (speed - self._speed)
            cutoff = MIN_CUTOFF + SPEED_GAIN * np.linalg.norm(self._speed, axis=1, keepdims=True)
            self._points = self._points + low_pass(cutoff, elapsed) * (points - self._points)
        self._time = timestamp
        return self._points.astype(np.float32)


class OneEuroRotation:
    """Smooths the rotation of one head."""

    def __init__(self) -> None:
        self._rotation: np.ndarray | None = None
        self._speed = np.zeros(3)  # radians a second, about the axes of the camera
        self._time = 0.0

    def smooth(self, rotation: np.ndarray, timestamp: float) -> np.ndarray:
        """The filtered `rotation` `(3, 3)` at `timestamp` seconds, which must not go back.

        If `rotation` is NaN, the last result; NaN if there is none.
        """
        elapsed = timestamp - self._time
        if self._rotation is None or np.isnan(self._rotation).any():
            self._rotation, self._time = rotation, timestamp
        elif elapsed > 0 and np.isfinite(rotation).all():
            turn = cv2.Rodrigues(rotation @ self._rotation.T)[0][:, 0]
            share = low_pass(SPEED_CUTOFF, elapsed)
            self._speed = self._speed + share * (turn / elapsed - self._speed)
            cutoff = ROTATION_CUTOFF + ROTATION_GAIN * float(np.linalg.norm(self._speed))
            step = cv2.Rodrigues(turn * low_pass(cutoff, elapsed))[0]
            self._rotation, self._time = step @ self._rotation, timestamp
        return self._rotation


def low_pass(cutoff: np.ndarray | float, elapsed: float) -> np.ndarray | float:
    """Share of the new value that a first-order low-pass takes in after `elapsed` seconds.

    `cutoff` in hertz.
    """
    return 1 / (1 + 1 / (2 * np.pi * cutoff * elapsed))


def two_sided(times: np.ndarray, points: np.ndarray, markup: Markup = IBUG68) -> np.ndarray:
    """The points `(t, k, 2)` of one face at `times` `(t,)`, smoothed with no lag."""
    smooth = [two_sided_at(times, points, index, markup) for index in range(len(times))]
    return np.array(smooth, np.float32).reshape(points.shape)


def two_sided_at(
    times: np.ndarray, points: np.ndarray, index: int, markup: Markup = IBUG68
) -> np.ndarray:
    """The points `(k, 2)` float32 of one frame, smoothed with those before and after it.

    `times` `(t,)` seconds and `points` `(t, k, 2)` are of one face; only those within `REACH` of
    the frame `index` count. Position, size and roll of the face, which are free of the motion of
    its parts, follow a parabola through the neighbours. The shape is their mean, in which a frame
    with another shape of a part, such as closed lids, counts little (a bilateral filter): so no
    blink is lost.
    """
    near = np.abs(times - times[index]) <= REACH
    seconds, here = times[near] - times[index], int(near[:index].sum())
    # Points as complex numbers: a similarity transform is z -> centre + turn * z.
    whole = points[near].astype(np.float64) @ [1, 1j]
    centre = whole.mean(axis=1)
    around = whole - centre[:, None]
    size = (np.abs(around[here]) ** 2).sum()
    turn = around @ around[here].conj() / max(size, 1e-12)
    shape = around / np.where(np.abs(turn) > 1e-6, turn, 1)[:, None]
    centre_here, turn_here = _parabola(seconds, np.column_stack([centre, turn]))
    smooth = np.empty(shape.shape[1], complex)
    for part in (range(markup.count), *markup.parts.values()):
        part = list(part)
        apart = (np.abs(shape[:, part] - shape[here, part]) ** 2).mean(axis=1)
        step = (np.abs(np.diff(shape[:, part], axis=0)) ** 2).mean(axis=1)
        weight = _alike(apart, step, SHAPE_KEPT, SHAPE_STEEPNESS)
        smooth[part] = _mean(shape[:, part], weight * _bell(seconds, SHAPE_WIDTH))
    for eye in filter(markup.has, EYES):
        lids = sorted(set(markup.roles[eye]))
        ratio = opening(np.stack([shape.real, shape.imag], axis=-1), markup, eye)
        ratio = np.nan_to_num(ratio, posinf=0.0)
        weight = _alike((ratio - ratio[here]) ** 2, np.diff(ratio) ** 2, EYES_KEPT, EYES_STEEPNESS)
        smooth[lids] = _mean(shape[:, lids], weight * _bell(seconds, EYES_WIDTH))
    placed = centre_here + turn_here * smooth
    return np.stack([placed.real, placed.imag], axis=-1).astype(np.float32)


def _bell(seconds: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-0.5 * (seconds / width) ** 2)


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ values / weights.sum()


def _alike(apart: np.ndarray, step: np.ndarray, kept: float, steepness: float) -> np.ndarray:
    """Weights `(t,)` of frames whose squared difference from the frame in question is `apart`.

    `step` `(t - 1,)` are squared differences of frames in a row: their median is that of noise.
    """
    noise = np.median(step) + 1e-12 if len(step) else 1.0
    return np.exp(-steepness * np.maximum(apart / noise - kept, 0))


def _parabola(seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The value at 0 of a parabola through `values` `(t, k)`; of a line at the ends of a track."""
    degree = min(2, int((seconds < 0).sum()), int((seconds > 0).sum()))
    degree = max(degree, min(1, len(seconds) - 1))
    powers = seconds[:, None] ** np.arange(degree + 1)
    weight = np.sqrt(_bell(seconds, RIGID_WIDTH))[:, None]
    return np.linalg.lstsq(powers * weight, values * weight, rcond=None)[0][0]
