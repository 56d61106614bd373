"""A clip of one person who walks past: made for tests of what a privacy filter covers."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

PHOTOGRAPH = Path(__file__).parents[2] / "docs" / "astronaut.jpg"
FACE = (72, 38, 124, 158)  # left, top, width, height of her head in it
WIDTH, HEIGHT, RATE, SECONDS = 480, 270, 20, 6.0
HEAD = (84.0, 106.0)  # width and height of the head in the clip, pixels
PILLAR = (255, 345)  # columns of a pillar in front of her
# Seconds, centre of the head, and degrees by which it is turned: she walks in from profile, turns
# away and back, is behind the pillar for half a second, and leaves through the border.
PATH = np.array([
    [0.0, -30, -95], [1.2, 110, 0], [1.6, 130, 0], [2.3, 140, 180], [2.7, 150, 180],
    [3.3, 190, 360], [3.6, 215, 360], [4.5, 365, 360], [6.0, 530, 360],
])  # fmt: skip


@dataclass(frozen=True)
class Moment:
    time: float
    image: np.ndarray  # (h, w, 3) uint8 RGB
    face: np.ndarray  # (h, w) bool: pixels that show the face
    share: float  # of the face that is to be seen, of the whole face


def walk() -> list[Moment]:
    """The frames of the clip: a head as a cylinder, whose front is a photograph of a face."""
    rng = np.random.default_rng(0)
    photograph = cv2.imread(str(PHOTOGRAPH))[..., ::-1]
    left, top, width, height = FACE
    front = photograph[top : top + height, left : left + width]
    hair = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)), (0, 0), 2) * 60 + (70, 50, 40)
    around = np.concatenate([front, np.clip(hair, 0, 255).astype(np.uint8)], axis=1)
    scene = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH, 3)), (0, 0), 5) * 400 + 120
    scene = np.clip(scene, 20, 235).astype(np.uint8)
    moments = []
    for frame in range(round(SECONDS * RATE)):
        time = frame / RATE
        x, degrees = (float(np.interp(time, PATH[:, 0], PATH[:, k])) for k in (1, 2))
        image, face = _draw_head(scene, around, x, np.radians(degrees))
        image[:, slice(*PILLAR)] = scene[::-1, slice(*PILLAR)] // 2 + 90
        face[:, slice(*PILLAR)] = False
        noisy = image + rng.normal(0, 2, image.shape)
        image = np.clip(noisy, 0, 255).astype(np.uint8)
        moments.append(Moment(time, image, face, float(face.sum())))
    whole = max(moment.share for moment in moments)
    return [Moment(m.time, m.image, m.face, m.share / whole) for m in moments]


def _draw_head(
    scene: np.ndarray, around: np.ndarray, x: float, turn: float
) -> tuple[np.ndarray, np.ndarray]:
    """The scene with the head at column `x`, and which of its pixels are of the face."""
    wide, tall = HEAD
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    u, v = (columns - x) / (wide / 2), (rows - 120) / (tall / 2)
    head = (u / np.sqrt(np.clip(1 - 0.5 * v**2, 0.05, 1))) ** 2 + v**4 < 1
    angle = (np.arcsin(np.clip(u, -1, 1)) - turn + np.pi) % (2 * np.pi) - np.pi
    # The photograph is half of the cylinder, seen from the front.
    half = around.shape[1] / 2
    front = np.abs(angle) < np.pi / 2
    back = np.where(angle > 0, angle - np.pi / 2, angle + 3 * np.pi / 2) / np.pi
    across = np.where(front, (np.sin(angle) + 1) / 2 * (half - 1), half + back * (half - 1))
    down = (v + 1) / 2 * (around.shape[0] - 1)
    texture = cv2.remap(around, across.astype(np.float32), down, cv2.INTER_LINEAR)
    body = (np.abs(columns - x) < 0.9 * wide) & (rows > 170)
    image = np.where(body[..., None], np.array([60, 70, 110], np.uint8), scene)
    image = np.where(head[..., None], texture, image).astype(np.uint8)
    # Eyes, nose and mouth with what is between them: the middle of the photograph.
    face = head & (np.abs(angle) < np.radians(50)) & (np.abs(v + 0.02) < 0.55)
    return image, face
