"""Seeded augmentation of training crops: where the crop is taken, and how its pixels look.

Every draw is a number of a table made from (seed, epoch), one row per example, so an example's
crop does not depend on the order or the number of workers that make it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

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
    "block_red", "block_green", "block_blue", "block_kind", "block_turn",
    "mask", "mask_kind", "mask_top", "mask_width", "mask_depth", "mask_tilt", "mask_folds",
    "mask_red", "mask_green", "mask_blue",
)  # fmt: skip
COLUMN = {name: column for column, name in enumerate(DRAWS)}

BLUR_SIGMA = (0.5, 2.5)  # pixels of the crop
JPEG_QUALITY = (25, 90)
BLOCK_SIDE = (0.1, 0.4)  # shares of the crop's side
SIDES = ("width", "height")
# RGB colours of most masks, with some variation; the other masks have random colours.
MASK_COLOURS = ((235, 238, 240), (150, 190, 220), (70, 120, 170), (30, 30, 34), (190, 150, 125))
# Analogue YIQ as of the 1953 NTSC standard: luma first, then the two chroma axes that hue turns.
RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)
# Normal deviates that all noisy crops share, each from a start of its own: drawing 150,000 per
# crop would cost more than everything else here.
NOISE = np.random.default_rng(0).standard_normal(4 * CROP * CROP * 3).astype(np.float32)


def draw(count: int, *, seed: int, epoch: int) -> np.ndarray:
    """The epoch's table of draws `(count, len(DRAWS))`, float64 uniform in [0, 1)."""
    return np.random.default_rng((seed, epoch)).random((count, len(DRAWS)))


def augmentation_matrices(draws: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Crop-to-crop matrices `(n, 2, 3)` of the draws `(n, k)`, and which of them flip `(n,)`.

    Rotation, scaling and flip are about the crop's centre, the translation comes last. Callers
    that flip must permute the landmarks (`Markup.mirror`).
    """
    signed = 2 * draws - 1
    angle = np.radians(config.rotation * signed[:, COLUMN["rotation"]])
    scale = (1 + config.scale) ** signed[:, COLUMN["scale"]]
    flips = draws[:, COLUMN["flip"]] < config.flip
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], axis=-2)
    linear[flips, :, 0] *= -1  # reflect x first, then rotate
    centre = np.full(2, (CROP - 1) / 2)
    shift = (
        config.translation * CROP * signed[:, [COLUMN["translation_x"], COLUMN["translation_y"]]]
    )
    return np.concatenate([linear, (centre - linear @ centre + shift)[..., None]], -1), flips


def augment_pixels(
    crop: np.ndarray, draws: np.ndarray, config: Config, points: np.ndarray
) -> np.ndarray:
    """`crop` `(224, 224, 3)` uint8 RGB with the colours, blur, noise and blocks of `draws` `(k,)`.

    `points` `(68, 2)` of iBUG, in crop pixels, say where a mask lies; a face without one of them
    gets none. Occluders come before blur, noise and JPEG, as they would in front of a
    camera.
    """
    u = dict(zip(DRAWS, draws))
    crop = cv2.transform(crop, colour_matrix(np, cv2.mean(crop)[:3], u, vars(config)))
    if u["mask"] < config.mask and np.isfinite(points).all():
        crop = add_mask(crop, points, u)
    if u["occlusion"] < config.occlusion:
        crop = occlude(crop, u)
    if u["blur"] < config.blur:
        crop = cv2.GaussianBlur(crop, (0, 0), between(BLUR_SIGMA, u["blur_sigma"]))
    sigma = config.noise * u["noise"]
    if sigma > 0:
        start = noise_starts(draws)
        noise = NOISE[start : start + crop.size].reshape(crop.shape)
        crop = cv2.add(crop, noise * np.float32(sigma), dtype=cv2.CV_8U)
    if u["jpeg"] < config.jpeg:
        quality = int(between(JPEG_QUALITY, u["jpeg_quality"]))
        _, encoded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        assert decoded is not None  # just encoded
        crop = decoded
    return crop


def noise_starts(draws: np.ndarray) -> np.ndarray:
    """Where in `NOISE` the noise of crops with `draws` `(..., k)` begins, int64 `(...)`."""
    return (draws[..., COLUMN["noise_start"]] * (NOISE.size - 3 * CROP * CROP)).astype(np.int64)


def colour_matrix(xp: Any, mean: Any, u: dict[str, Any], limits: Mapping[str, float]) -> Any:
    """One 3x4 matrix on (r, g, b, 1) for hue, saturation, grayscale, contrast and brightness.

    Hue rotates and saturation scales the chroma plane of YIQ; contrast scales about the crop's
    `mean` colour `(3,)`; brightness adds. One pass over the pixels serves all five. `limits` are
    the fields of the config; `xp`: NumPy, or JAX's.
    """
    saturation = 1 + limits["saturation"] * (2 * u["saturation"] - 1)
    saturation = xp.where(u["grayscale"] < limits["grayscale"], 0.0, saturation)
    angle = 2 * np.pi * limits["hue"] * (2 * u["hue"] - 1)
    cos, sin = saturation * xp.cos(angle), saturation * xp.sin(angle)
    one, zero = xp.ones(()), xp.zeros(())
    chroma = xp.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos]).reshape(3, 3)
    contrast = 1 + limits["contrast"] * (2 * u["contrast"] - 1)
    colour = xp.asarray(YIQ_TO_RGB) @ chroma @ xp.asarray(RGB_TO_YIQ)
    offset = (1 - contrast) * (colour @ xp.asarray(mean))
    offset = offset + 255 * limits["brightness"] * (2 * u["brightness"] - 1)
    return xp.concatenate([contrast * colour, offset[:, None]], axis=1)


class Block(NamedTuple):
    """An occluder: whole pixels of the crop, and whole gray levels."""

    left: Any
    top: Any
    width: Any
    height: Any
    colour: Any  # (3,) RGB
    shift: Any  # (2,) down and right, from where the pixels of an ellipse come
    turn: Any  # of the ellipse, radians

    @classmethod
    def draw(cls, xp: Any, u: dict[str, Any]) -> "Block":
        """The block of the draws `u`; `xp`: NumPy, or JAX's."""
        width, height = (xp.floor(CROP * between(BLOCK_SIDE, u[f"block_{side}"])) for side in SIDES)
        left = xp.floor(u["block_x"] * (CROP - width))
        top = xp.floor(u["block_y"] * (CROP - height))
        tint = xp.stack([u["block_red"], u["block_green"], u["block_blue"]])
        shift = xp.floor(CROP * between((0.2, 0.8), tint[:2])).astype(int)
        return cls(left, top, width, height, xp.floor(255 * tint), shift, np.pi * u["block_turn"])


def occlude(crop: np.ndarray, u: dict[str, float]) -> np.ndarray:
    """A copy of `crop` with one block over it.

    Half of the blocks are rectangles of one colour. The others are rotated ellipses, filled with
    pixels from elsewhere in the same crop: near a face these are mostly skin, as of a hand.
    """
    block = Block.draw(np, u)
    left, top, width, height = (int(number) for number in block[:4])
    crop = crop.copy()
    if u["block_kind"] < 0.5:
        crop[top : top + height, left : left + width] = block.colour.astype(np.uint8)
        return crop
    area = np.zeros((CROP, CROP), np.uint8)
    centre, half = (left + width // 2, top + height // 2), (width // 2, height // 2)
    cv2.ellipse(area, centre, half, np.degrees(block.turn), 0, 360, 255, -1)
    other = np.roll(crop, block.shift, axis=(0, 1))
    return np.where(area[..., None] > 0, other, crop)


def add_mask(crop: np.ndarray, points: np.ndarray, u: dict[str, float]) -> np.ndarray:
    """A copy of `crop` with a mask over mouth, chin and the lower part of the nose.

    Straps lead to the upper ends of the jaw of `points` `(68, 2)`, in crop pixels.
    """
    points = points.astype(np.float64)
    outline = mask_outline(np, points, u)
    area = np.zeros((CROP, CROP), np.uint8)
    cv2.fillPoly(area, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    colour, cloth = mask_cloth(np, u)
    cover = area[..., None] / 255
    covered = (crop * (1 - cover) + cloth * cover).astype(np.uint8)
    if u["mask_red"] < 0.5:
        for end, corner in ((points[0], outline[0]), (points[16], outline[16])):
            start, stop = (np.rint(16 * p).astype(int).tolist() for p in (end, corner))
            cv2.line(covered, start, stop, colour.clip(0, 255).tolist(), 2, cv2.LINE_AA, 4)
    return covered


def mask_outline(xp: Any, points: Any, u: dict[str, Any]) -> Any:
    """Corners `(18, 2)` of a mask over the face of `points` `(68, 2)`; `xp`: NumPy, or JAX's.

    Along the jaw, a little inside or outside of it, and over the nose. Where the mask begins below
    the end of the jaw, the first and last corners are the same ones.
    """
    number = xp.arange(17)
    first = 1 + xp.floor(3 * u["mask_tilt"]).astype(int)  # point of the jaw where its sides begin
    jaw = points[xp.clip(number, first, 16 - first)]
    centre, chin = (points[30] + points[8]) / 2, points[8] - points[30]
    jaw = centre + (jaw - centre) * between((0.94, 1.12), u["mask_width"])
    lower = (number >= first + 2) & (number <= 14 - first)
    jaw = jaw + xp.where(lower[:, None], 0.15 * chin * (u["mask_depth"] - 0.3), 0.0)
    nose = points[27] + (points[30] - points[27]) * between((0.25, 1.0), u["mask_top"])
    return xp.concatenate([jaw, nose[None]])


def mask_cloth(xp: Any, u: dict[str, Any]) -> tuple[Any, Any]:
    """RGB `(3,)` of a mask, and of its cloth all over the crop, `(224, 224, 3)` in 0..255.

    The colour is one of `MASK_COLOURS` or any; the cloth is shaded from side to side, in some with
    folds. `xp`: NumPy, or JAX's.
    """
    tint = xp.stack([u["mask_red"], u["mask_green"], u["mask_blue"]])
    kind = xp.floor(u["mask_kind"] * (len(MASK_COLOURS) + 2)).astype(int)
    usual = xp.asarray(MASK_COLOURS)[kind.clip(0, len(MASK_COLOURS) - 1)]
    colour = xp.where(kind >= len(MASK_COLOURS), 255 * tint, usual + 50 * (tint - 0.5))
    across, down = xp.meshgrid(*[xp.linspace(-1, 1, CROP)] * 2)
    shade = 1 + 0.3 * (u["mask_green"] - 0.5) * across - 0.15 * across**2
    folds = 0.08 * xp.sin(down * (60 + 100 * u["mask_folds"]))
    shade = shade + xp.where(u["mask_folds"] < 0.4, folds, 0.0)
    return colour, xp.clip(colour * shade[..., None], 0, 255)


def between(limits: tuple[float, float], share: Any) -> Any:
    """The value at `share` of the way between `limits`; `share` is a number or an array."""
    return limits[0] + (limits[1] - limits[0]) * share
