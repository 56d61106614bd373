"""Seeded jitter of training crops: where the crop is taken, and how its pixels look.

Every draw is a number of a table made from (seed, epoch), one row per example, so an example's
crop does not depend on the order or the number of workers that make it.
"""

import cv2
import numpy as np

from keypoints.config import Config
from keypoints.geometry import CROP

# Columns of the table of draws, all uniform in [0, 1).
DRAWS = (
    "rotation", "scale", "translation_x", "translation_y", "flip",
    "brightness", "contrast", "saturation", "hue", "grayscale",
    "blur", "blur_sigma", "noise", "noise_start", "jpeg", "jpeg_quality",
    "occlusion", "block_x", "block_y", "block_width", "block_height",
    "block_red", "block_green", "block_blue",
)  # fmt: skip
COLUMN = {name: column for column, name in enumerate(DRAWS)}

BLUR_SIGMA = (0.5, 2.5)  # pixels of the crop
JPEG_QUALITY = (25, 90)
BLOCK_SIDE = (0.1, 0.4)  # shares of the crop's side
# Analogue YIQ as of the 1953 NTSC standard: luma first, then the two chroma axes that hue turns.
RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)
# Normal deviates that all noisy crops share, each from a start of its own: drawing 150,000 per
# crop would cost more than everything else here.
NOISE = np.random.default_rng(0).standard_normal(4 * CROP * CROP * 3).astype(np.float32)


def draw(count: int, *, seed: int, epoch: int) -> np.ndarray:
    """The epoch's table of draws `(count, len(DRAWS))`, float64 uniform in [0, 1)."""
    return np.random.default_rng((seed, epoch)).random((count, len(DRAWS)))


def jitter_matrices(draws: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Crop-to-crop matrices `(n, 2, 3)` of the draws `(n, k)`, and which of them flip `(n,)`.

    Rotation, scaling and flip are about the crop's centre, the translation comes last. Callers
    that flip must permute the landmarks (`landmarks.MIRROR`).
    """
    signed = 2 * draws - 1
    angle = np.radians(config.rotation * signed[:, COLUMN["rotation"]])
    scale = (1 + config.scale) ** signed[:, COLUMN["scale"]]
    mirrored = draws[:, COLUMN["flip"]] < config.flip
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], axis=-2)
    linear[mirrored, :, 0] *= -1  # reflect x first, then turn
    centre = np.full(2, (CROP - 1) / 2)
    shift = (
        config.translation * CROP * signed[:, [COLUMN["translation_x"], COLUMN["translation_y"]]]
    )
    return np.concatenate([linear, (centre - linear @ centre + shift)[..., None]], -1), mirrored


def jitter_pixels(crop: np.ndarray, draws: np.ndarray, config: Config) -> np.ndarray:
    """`crop` `(224, 224, 3)` uint8 RGB with the colours, blur, noise and blocks of `draws` `(k,)`.

    Occluders come before blur, noise and JPEG, as they would in front of a camera.
    """
    u = dict(zip(DRAWS, draws))
    crop = cv2.transform(crop, colour_matrix(crop, u, config))
    if u["occlusion"] < config.occlusion:
        crop = occlude(crop, u)
    if u["blur"] < config.blur:
        crop = cv2.GaussianBlur(crop, None, _between(BLUR_SIGMA, u["blur_sigma"]))
    sigma = config.noise * u["noise"]
    if sigma > 0:
        start = int(u["noise_start"] * (NOISE.size - crop.size))
        noise = NOISE[start : start + crop.size].reshape(crop.shape)
        crop = cv2.add(crop, noise * np.float32(sigma), dtype=cv2.CV_8U)
    if u["jpeg"] < config.jpeg:
        quality = int(_between(JPEG_QUALITY, u["jpeg_quality"]))
        _, encoded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])
        crop = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return crop


def colour_matrix(crop: np.ndarray, u: dict[str, float], config: Config) -> np.ndarray:
    """One 3x4 matrix on (r, g, b, 1) for hue, saturation, grayscale, contrast and brightness.

    Hue turns and saturation scales the chroma plane of YIQ; contrast scales about the crop's
    mean colour; brightness adds. One pass over the pixels serves all five.
    """
    saturation = 1 + config.saturation * (2 * u["saturation"] - 1)
    if u["grayscale"] < config.grayscale:
        saturation = 0.0
    angle = 2 * np.pi * config.hue * (2 * u["hue"] - 1)
    cos, sin = saturation * np.cos(angle), saturation * np.sin(angle)
    chroma = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    contrast = 1 + config.contrast * (2 * u["contrast"] - 1)
    colour = YIQ_TO_RGB @ chroma @ RGB_TO_YIQ
    mean = colour @ cv2.mean(crop)[:3]
    offset = (1 - contrast) * mean + 255 * config.brightness * (2 * u["brightness"] - 1)
    return np.column_stack([contrast * colour, offset])


def occlude(crop: np.ndarray, u: dict[str, float]) -> np.ndarray:
    """A copy of `crop` with one block of one colour over it."""
    width = int(CROP * _between(BLOCK_SIDE, u["block_width"]))
    height = int(CROP * _between(BLOCK_SIDE, u["block_height"]))
    left, top = int(u["block_x"] * (CROP - width)), int(u["block_y"] * (CROP - height))
    colour = np.array([u["block_red"], u["block_green"], u["block_blue"]]) * 255
    crop = crop.copy()
    crop[top : top + height, left : left + width] = colour.astype(np.uint8)
    return crop


def _between(limits: tuple[float, float], share: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * share
