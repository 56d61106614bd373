"""Temporal filters of points and poses: strong on still faces, weak on moving faces.

The One-Euro filter (Casiez, Roussel and Vogel, CHI 2012), for the points of a whole face and for
the rotation of a head.
"""

import numpy as np

# Cut-off frequencies in hertz: at rest, its rise per face side a second of speed, and that of the
# speed itself. The speed of a point is mostly that of the whole face, in which the noise of single
# points cancels. The rest is its own speed, so that lids and lips do not lag on a still head.
MIN_CUTOFF, SPEED_GAIN, SPEED_CUTOFF = 1.0, 150.0, 1.0
RIGID_SHARE = 0.7  # the whole face's share of a point's speed

# The same of a head's rotation: hertz at rest, and hertz more for a radian a second. A single
# outlier has half its effect; the lag in a steady rotation is three hundredths of a second.
ROTATION_CUTOFF, ROTATION_GAIN = 2.0, 1.2


class OneEuro:
    """Smooths the points of one face."""

    def __init__(self) -> None:
        self._points: np.ndarray | None = None
        self._speed: np.ndarray | None = None
        self._time = 0.0

    def smooth(self, points: np.ndarray, timestamp: float) -> np.ndarray:
        """The filtered `points` `(68, 2)` at `timestamp` seconds, which must not go back."""
        elapsed = timestamp - self._time
        if self._points is None or elapsed <= 0:
            if self._points is None:
                self._points, self._speed = points.astype(np.float64), np.zeros_like(points)
            self._time = timestamp
            return self._points.astype(np.float32)
        side = max(np.ptp(points, axis=0).max(), 1.0)
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
        import cv2

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
