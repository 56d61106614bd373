"""Cuts of a video: frames with which another scene begins."""

import cv2
import numpy as np

SIDE = 24  # of the small gray pictures that are compared, pixels
CHANGE = 12.0  # gray levels by which the frames of a cut differ, on average
LIKENESS = 0.5  # correlation of the frames of a cut at most


class Cuts:
    """Compares each frame of a video with the one before."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None

    def is_cut(self, image: np.ndarray) -> bool:
        """Whether another scene begins with `image` `(h, w, 3)` uint8 RGB.

        That is a large change of the whole picture, and not one of its brightness alone: a lamp,
        a flash, or a face that moves are none.
        """
        last, self._last = self._last, small(image)
        if last is None:
            return False
        if last.shape != self._last.shape:
            return True
        if np.abs(last - self._last).mean() < CHANGE:
            return False
        one, other = last - last.mean(), self._last - self._last.mean()
        energy = np.sqrt((one**2).sum() * (other**2).sum())
        return bool(energy <= 1e-6 or (one * other).sum() / energy <= LIKENESS)


def small(image: np.ndarray) -> np.ndarray:
    """The mean gray of `SIDE` x `SIDE` parts of an image `(h, w, 3)`, float32."""
    # Every n-th pixel is enough, and quick in large frames.
    step = max(min(image.shape[:2]) // (4 * SIDE), 1)
    some = np.ascontiguousarray(image[::step, ::step])
    shrunk = cv2.resize(some, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return shrunk.astype(np.float32).mean(axis=2)
