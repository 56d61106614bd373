"""Drawing of synthetic faces whose visible features match their 68 landmarks."""

from collections.abc import Sequence

import cv2
import numpy as np

from keypoints.synthetic.canvas import SUPERSAMPLING, Canvas, smooth
from keypoints.synthetic.shape import Head, random_head

SKIN = [(255, 219, 195), (241, 194, 160), (224, 172, 125), (198, 134, 90), (141, 85, 50),
        (96, 57, 38), (250, 205, 180), (170, 110, 70)]  # fmt: skip
HAIR = [(30, 24, 22), (60, 40, 25), (96, 64, 36), (150, 105, 55), (205, 165, 95), (120, 50, 25),
        (150, 148, 145), (220, 215, 210)]  # fmt: skip
IRIS = [(90, 60, 30), (60, 40, 22), (80, 120, 160), (90, 130, 80), (110, 120, 125)]


def draw_face(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The face of `seed`: image `(h, w, 3)` uint8 RGB and points `(68, 2)` float32 in its pixels.

    Images have different sizes, are usually not square, and contain one face. The same seed gives
    exactly the same image.
    """
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(110, 250, 2))
    head = random_head(rng, width, height)
    return render(head, width, height, rng), head.points.astype(np.float32)


def render(head: Head, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """An image `(height, width, 3)` uint8 RGB of `head`; `rng` draws all but the shape."""
    canvas = Canvas(width, height, _background(width, height, rng))
    skin = _vary(SKIN[rng.integers(len(SKIN))], rng, 6)
    hair = _vary(HAIR[rng.integers(len(HAIR))], rng, 10)
    hair_style = rng.integers(5)  # bald, short, short with a fringe, long, long with a fringe
    if hair_style >= 3:
        _draw_long_hair(canvas, head, hair)
    _draw_body(canvas, head, skin, rng)
    _draw_skull(canvas, head, skin, hair if hair_style else skin * 0.93)
    outline = _draw_skin(canvas, head, skin, rng)
    if rng.random() < 0.25:
        _draw_beard(canvas, head, hair, rng)
    _draw_nose(canvas, head, skin)
    _draw_mouth(canvas, head, skin, rng)
    _draw_eyes(canvas, head, skin, rng)
    _draw_brows(canvas, head, hair * 0.7, rng)
    if hair_style:
        _draw_hairline(canvas, head, hair, fringe=hair_style in (2, 4), rng=rng)
    _light(canvas, head, outline, rng)
    if rng.random() < 0.2:
        _draw_glasses(canvas, head, rng)
    if rng.random() < 0.08:
        _draw_occluder(canvas, head, rng)
    return _develop(canvas.pixels, width, height, rng)


def _background(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """A colour gradient with random circles and rectangles."""
    coarse = rng.integers(20, 235, (2, 2, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    for _ in range(rng.integers(0, 7)):
        colour = rng.integers(0, 255, 3).tolist()
        x, y = int(rng.integers(width)), int(rng.integers(height))
        if rng.random() < 0.5:
            cv2.circle(picture, (x, y), int(rng.integers(5, 50)), colour, -1, cv2.LINE_AA)
        else:
            x2, y2 = int(rng.integers(width)), int(rng.integers(height))
            cv2.rectangle(picture, (x, y), (x2, y2), colour, -1)
    return cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 6)))


def _draw_body(canvas: Canvas, head: Head, skin: np.ndarray, rng: np.random.Generator) -> None:
    s, chin = head.size, head.points[8]
    neck = (head.points[4] + head.points[12]) / 2 * 0.5 + head.skull * 0.5
    down = np.array([0, 1.2 * s])
    half = np.array([0.24 * s, 0])
    shade = skin * 0.72
    canvas.polygon(np.array([neck - half, neck + half, neck + half * 1.1 + down,
                             neck - half * 1.1 + down]), shade)  # fmt: skip
    cloth = rng.integers(15, 240, 3).astype(float)
    top = chin[1] + 0.22 * s
    x = neck[0] + s * np.array([-1.3, -0.85, -0.26, 0.0, 0.26, 0.85, 1.3])
    y = top + s * np.array([0.75, 0.2, 0.02, 0.25, 0.02, 0.2, 0.75])
    shoulders = smooth(np.column_stack([x, y]), closed=False)
    bottom = np.array([[x[-1], y[0] + 5 * s], [x[0], y[0] + 5 * s]])
    canvas.polygon(np.concatenate([shoulders, bottom]), cloth)
    canvas.line(shoulders[6:-6], cloth * 0.7, 0.02 * s)


def _draw_skull(canvas: Canvas, head: Head, skin: np.ndarray, cover: np.ndarray) -> None:
    """The parts behind the face: the skull (hair, or a shaven head) and the ears."""
    s, degrees = head.size, np.degrees(head.roll)
    canvas.ellipse(head.skull, (0.56 * s, 0.60 * s), degrees, cover)
    for ear, towards in zip(head.ears, (-1, 1)):
        if towards * head.yaw > 0.25:
            continue  # hidden behind the far cheek
        canvas.ellipse(ear, (0.075 * s, 0.13 * s), degrees, skin * 0.88)
        canvas.ellipse(ear, (0.035 * s, 0.08 * s), degrees, skin * 0.66)


def _draw_long_hair(canvas: Canvas, head: Head, hair: np.ndarray) -> None:
    s = head.size
    tilt = np.array([-np.sin(head.roll), np.cos(head.roll)]) * s
    across = np.array([np.cos(head.roll), np.sin(head.roll)]) * s
    top = head.skull
    curve = [top - 0.58 * across, top - 0.66 * across + 0.5 * tilt,
             top - 0.5 * across + 1.05 * tilt, top + 0.5 * across + 1.05 * tilt,
             top + 0.66 * across + 0.5 * tilt, top + 0.58 * across]  # fmt: skip
    canvas.polygon(smooth(np.array(curve)), hair * 0.8)


def _draw_skin(
    canvas: Canvas, head: Head, skin: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The skin, bounded by the jaw points and the forehead; returns its outline."""
    outline = np.concatenate(
        [smooth(head.points[:17], closed=False), smooth(head.forehead[::-1], closed=False)]
    )
    s = head.size
    shadow = outline + [0.0, 0.05 * s]
    canvas.soft(shadow, skin * 0.3, 0.7, 0.035 * s)  # of the chin on the neck
    canvas.polygon(outline, skin)
    blush = skin * [1.0, 0.80, 0.78]
    for cheek in ((2, 31, 41), (14, 35, 46)):
        centre = head.points[list(cheek)].mean(axis=0)
        canvas.soft(_disc(centre, 0.12 * s), blush, rng.uniform(0.1, 0.5), 0.06 * s)
    return outline


def _draw_beard(canvas: Canvas, head: Head, hair: np.ndarray, rng: np.random.Generator) -> None:
    s, p = head.size, head.points
    upper = p[[13, 54, 35, 33, 31, 48, 3]] * 0.55 + p[[13, 54, 54, 51, 48, 48, 3]] * 0.45
    region = np.concatenate([smooth(p[3:14], closed=False), smooth(upper, closed=False)])
    canvas.soft(region, hair * 0.8, rng.uniform(0.35, 0.85), 0.02 * s)


def _draw_nose(canvas: Canvas, head: Head, skin: np.ndarray) -> None:
    s, p = head.size, head.points
    side = [31, 35] if head.yaw < 0 else [35, 31]
    canvas.soft(np.array([p[27], p[30], p[33], p[side[0]], p[28]]), skin * 0.62, 0.55, 0.018 * s)
    canvas.soft(np.array([p[27], p[30], p[29] * 0.6 + p[side[1]] * 0.4]), skin * 1.15, 0.35,
                0.015 * s)  # fmt: skip
    canvas.soft(_disc(p[30], 0.035 * s), np.minimum(skin * 1.3 + 15, 255), 0.5, 0.02 * s)
    canvas.line(smooth(p[31:36], closed=False), skin * 0.5, 0.016 * s)
    for nostril, middle in ((31, 32), (35, 34)):
        centre = p[nostril] * 0.35 + p[middle] * 0.65 - (p[33] - p[30]) * 0.12
        canvas.ellipse(centre, (0.022 * s, 0.013 * s), np.degrees(head.roll), skin * 0.28)


def _draw_mouth(canvas: Canvas, head: Head, skin: np.ndarray, rng: np.random.Generator) -> None:
    s, p = head.size, head.points
    lips = skin * 0.55 + np.array([190, 60, 70]) * rng.uniform(0.25, 0.5)
    outer = smooth(p[48:60], steps=4)
    inner = np.concatenate([p[60:65], p[65:68]])
    canvas.polygon(outer, lips)
    canvas.soft(p[[59, 58, 57, 56, 55, 65, 66, 67]], lips * 1.2 + 12, 0.5, 0.012 * s)
    canvas.line(p[[60, 61, 62, 63, 64]], lips * 0.35, 0.014 * s)
    gap = float(np.linalg.norm(p[62] - p[66]))
    if gap > 0.02 * s:
        canvas.polygon(inner, np.array([55, 18, 22]))
        share = min(0.45, 0.035 * s / gap)
        low = p[[64, 63, 62, 61, 60]] * (1 - share) + p[[64, 65, 66, 67, 60]] * share
        canvas.polygon(np.concatenate([p[60:65], low]), np.array([238, 234, 224]))
    canvas.line(outer[:24], lips * 0.75, 0.008 * s)


def _draw_eyes(canvas: Canvas, head: Head, skin: np.ndarray, rng: np.random.Generator) -> None:
    s, p = head.size, head.points
    colour = _vary(IRIS[rng.integers(len(IRIS))], rng, 8)
    gaze = rng.normal(0, 0.022, 2) * s * [1, 0.4] + [0.02 * s * np.sin(head.yaw), 0]
    for first in (36, 42):
        eye = p[first : first + 6]
        lids = smooth(eye, steps=4)
        centre = eye.mean(axis=0)
        wide = float(np.linalg.norm(eye[3] - eye[0]))
        canvas.soft(centre + (eye - centre) * 1.5, skin * 0.6, 0.45, 0.02 * s)  # the socket
        with canvas.inside(lids, reach=wide):
            canvas.polygon(centre + (lids - centre) * 1.2, np.array([236, 232, 228]))
            iris = centre + gaze
            canvas.ellipse(iris, (0.25 * wide, 0.25 * wide), 0, colour)
            canvas.ellipse(iris, (0.12 * wide, 0.12 * wide), 0, np.array([12, 10, 10]))
            canvas.ellipse(iris - 0.07 * wide, (0.05 * wide,) * 2, 0, np.full(3, 255))
        upper = smooth(eye[:4], closed=False)
        canvas.line(upper, skin * 0.18, 0.018 * s)
        canvas.line(smooth(eye[[0, 5, 4, 3]], closed=False), skin * 0.55, 0.008 * s)


def _draw_brows(canvas: Canvas, head: Head, colour: np.ndarray, rng: np.random.Generator) -> None:
    thickness = rng.uniform(0.02, 0.045) * head.size
    for first in (17, 22):
        brow = smooth(head.points[first : first + 5], closed=False)
        taper = np.interp(np.linspace(0, 1, len(brow)), [0, 0.5, 1], [0.4, 1, 0.7])
        lift = (thickness / 2 * taper)[:, None] * [-np.sin(head.roll), np.cos(head.roll)]
        canvas.soft(np.concatenate([brow - lift, (brow + lift)[::-1]]), colour, 0.9,
                    0.006 * head.size)  # fmt: skip


def _draw_hairline(
    canvas: Canvas, head: Head, hair: np.ndarray, *, fringe: bool, rng: np.random.Generator
) -> None:
    """Hair over the upper forehead, down to a line between its edge and the brows."""
    brows = head.points[[17, 18, 19, 20, 21, 22, 23, 24, 26]]
    depth = rng.uniform(0.5, 0.8) if fringe else rng.uniform(0.02, 0.3)
    profile = np.array([0.9, 1, 1, 1, 1, 1, 1, 1, 0.9]) * depth + rng.normal(0, 0.04, 9)
    line = head.forehead + (brows - head.forehead) * np.clip(profile, 0, 0.8)[:, None]
    line[[0, -1]] = head.forehead[[0, -1]]
    up = head.forehead + (head.forehead - head.points[27]) * 0.12
    region = np.concatenate([smooth(line, closed=False), smooth(up[::-1], closed=False)])
    canvas.polygon(region, hair)
    for _ in range(14):  # strands
        t = rng.uniform(0.05, 0.95) * 8
        i, part = int(t), t - int(t)
        start = up[i] * (1 - part) + up[i + 1] * part
        end = line[i] * (1 - part) + line[i + 1] * part
        canvas.line(np.array([start, end]), hair * rng.uniform(0.75, 1.3), 0.008 * head.size)


def _light(canvas: Canvas, head: Head, outline: np.ndarray, rng: np.random.Generator) -> None:
    """Shade the head as an ellipsoid under one light (Lambert's cosine law)."""
    height, width = canvas.pixels.shape[:2]
    centre = (outline.min(axis=0) + outline.max(axis=0)) / 2
    y, x = np.mgrid[:height:4, :width:4].astype(np.float32) / SUPERSAMPLING
    u, v = (x - centre[0]) / (0.62 * head.size), (y - centre[1]) / (0.78 * head.size)
    w = np.sqrt(np.clip(1 - u * u - v * v, 0.02, 1))
    lamp = rng.normal([0, -0.45, 0.9], [0.55, 0.2, 0.15])
    lamp /= np.linalg.norm(lamp)
    shade = np.clip(u * lamp[0] + v * lamp[1] + w * lamp[2], 0, 1)
    ambient = rng.uniform(0.45, 0.75)
    shade = ambient + (1.12 - ambient) * shade
    shade = cv2.resize(shade.astype(np.float32), (width, height))
    lit = Canvas(width // SUPERSAMPLING, height // SUPERSAMPLING, np.zeros((2, 2, 3), np.uint8))
    lit.polygon(outline, np.full(3, 255))
    lit.ellipse(
        head.skull, (0.56 * head.size, 0.6 * head.size), np.degrees(head.roll), np.full(3, 255)
    )
    mask = cv2.GaussianBlur(lit.pixels[..., 0], (0, 0), 3).astype(np.float32) / 255
    shade = (1 + (shade - 1) * mask)[..., None]
    tint = rng.normal(1, 0.03, 3).astype(np.float32)
    canvas.pixels[:] = np.clip(canvas.pixels * (shade * tint), 0, 255)


def _draw_glasses(canvas: Canvas, head: Head, rng: np.random.Generator) -> None:
    s, p = head.size, head.points
    colour = rng.integers(0, 90, 3).astype(float)
    dark = rng.random() < 0.3
    rims = []
    for first in (36, 42):
        eye = p[first : first + 6]
        centre = eye.mean(axis=0) + (p[28] - p[27]) * 0.2
        along = (eye[3] - eye[0]) * 0.82
        down = np.array([-np.sin(head.roll), np.cos(head.roll)]) * 0.115 * s
        corners = [-along - down, -down * 1.1, along - down, along * 1.02, along * 0.8 + down,
                   down * 1.1, -along * 0.8 + down, -along * 1.02]  # fmt: skip
        rim = smooth(centre + np.array(corners))
        canvas.soft(rim, np.array([15, 15, 20]) if dark else np.array([230, 240, 250]),
                    0.9 if dark else 0.12, 0.004 * s)  # fmt: skip
        canvas.line(np.concatenate([rim, rim[:1]]), colour, 0.016 * s)
        rims.append((centre - along, centre + along))
    canvas.line(np.array([rims[0][1], p[27], rims[1][0]]), colour, 0.014 * s)
    if head.yaw > -0.3:
        canvas.line(np.array([rims[0][0], p[0]]), colour, 0.014 * s)
    if head.yaw < 0.3:
        canvas.line(np.array([rims[1][1], p[16]]), colour, 0.014 * s)


def _draw_occluder(canvas: Canvas, head: Head, rng: np.random.Generator) -> None:
    """An object in front of a part of the face."""
    s = head.size
    at = head.points[rng.integers(68)] + rng.normal(0, 0.1 * s, 2)
    radius = s * rng.uniform(0.1, 0.22) * rng.uniform(0.7, 1.3, (9, 1))
    canvas.polygon(smooth(_disc(at, radius, 9)), rng.integers(20, 235, 3).astype(float))


def _develop(pixels: np.ndarray, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Turn the canvas into a camera image: exposure, blur, noise, JPEG."""
    picture = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 1.0)))
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(0.5, 6))
    gain, offset = rng.normal(1, 0.1), rng.normal(0, 8)
    picture = picture * np.float32(gain) + np.float32(offset) + noise
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    quality = int(rng.integers(50, 96))
    _, packed = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert decoded is not None  # just encoded
    return np.ascontiguousarray(decoded[..., ::-1])


def _disc(centre: np.ndarray, radius: float | np.ndarray, corners: int = 16) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return centre + radius * np.column_stack([np.cos(angles), np.sin(angles)])


def _vary(
    colour: Sequence[float] | np.ndarray, rng: np.random.Generator, spread: float
) -> np.ndarray:
    return np.clip(np.asarray(colour, float) + rng.normal(0, spread, 3), 0, 255)
