"""A video of one drawn face that moves, for trials without a camera."""

from collections.abc import Iterator

import cv2
import numpy as np

from keypoints.synthetic.drawing import draw_face

WIDTH, HEIGHT = 640, 480  # pixels
RATE = 30  # frames/s
SECONDS = 10
FACE = 11  # seed of the drawn face: one that all detectors find in every frame


def drawn_clip() -> Iterator[tuple[float, np.ndarray]]:
    """Times in seconds and frames `(480, 640, 3)` uint8 RGB; the same bits every time."""
    picture, _ = draw_face(FACE)
    for frame in range(SECONDS * RATE):
        t = frame / RATE
        angle, scale = 0.2 * np.sin(1.3 * t), 1.7 + 0.2 * np.sin(0.7 * t)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        centre = np.array([picture.shape[1], picture.shape[0]]) / 2
        place = [WIDTH / 2 + 60 * np.sin(t), HEIGHT / 2 + 15 * np.cos(1.7 * t)]
        turn = np.array([[cos, -sin], [sin, cos]])
        matrix = np.column_stack([turn, place - turn @ centre])
        yield t, cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
