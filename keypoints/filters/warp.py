"""Warps of art to anchors: similarity, affine, perspective or piecewise, with alpha blending.

A `matrix` here is 3x3 and maps pixels of the art to pixels of the image. Art is RGBA uint8 with
premultiplied colours, so that interpolation makes no dark edges.
"""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

FITS = {"similarity": 2, "affine": 3, "perspective": 4, "piecewise": 3}  # least number of anchors


@dataclass(frozen=True)
class Patch:
    """The part of warped art that lies in the image, and its position."""

    left: int
    top: int
    pixels: np.ndarray  # (h, w, 4) uint8 RGBA, premultiplied


def fit_matrix(fit: str, source: np.ndarray, target: np.ndarray) -> np.ndarray | None:
    """The 3x3 least-squares matrix from `source` `(n, 2)` to `target` `(n, 2)`.

    None if the targets do not determine one, for example if they coincide. Similarity: rotation,
    scale and translation without reflection (Umeyama, 1991).
    """
    matrix: np.ndarray = np.eye(3)
    if fit == "perspective":
        found, _ = cv2.findHomography(source, target, 0)
        if found is None:
            return None
        matrix = found
    elif fit == "affine":
        around = np.column_stack([source, np.ones(len(source))])
        matrix[:2] = np.linalg.lstsq(around, target, rcond=None)[0].T
    else:
        centre, onto = source.mean(axis=0), target.mean(axis=0)
        a, b = (source - centre) @ [1, 1j], (target - onto) @ [1, 1j]
        factor = (np.conj(a) * b).sum() / (np.abs(a) ** 2).sum()
        matrix[:2, :2] = [[factor.real, -factor.imag], [factor.imag, factor.real]]
        matrix[:2, 2] = onto - matrix[:2, :2] @ centre
    sound = np.isfinite(matrix).all() and abs(np.linalg.det(matrix[:2, :2])) > 1e-8
    return matrix if sound else None


def move(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points `(n, 2)` transformed by a 3x3 matrix."""
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return moved[:, :2] / moved[:, 2:]


def pyramid(art: np.ndarray) -> list[np.ndarray]:
    """The image pyramid of `art`. Small faces sample a smaller level to avoid aliasing."""
    levels = [art]
    while min(levels[-1].shape[:2]) >= 16:
        height, width = levels[-1].shape[:2]
        size = (max(width // 2, 1), max(height // 2, 1))
        levels.append(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA))
    return levels


def draw_plane(
    levels: list[np.ndarray], matrix: np.ndarray, width: int, height: int
) -> Patch | None:
    """The art warped by `matrix` into a `width` x `height` image; None if it is outside."""
    tall, wide = levels[0].shape[:2]
    corners = np.array([[-1, -1], [wide, -1], [wide, tall], [-1, tall]], np.float64)
    if (np.column_stack([corners, np.ones(4)]) @ matrix[2] <= 1e-6).any():
        return None  # part of the plane lies behind the camera
    frame = part_around(move(matrix, corners), 1, width, height)
    if frame is None:
        return None
    left, top, right, bottom = frame
    art, back = _level(levels, np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], np.float64)
    pixels = cv2.warpPerspective(art, shift @ matrix @ back, (right - left, bottom - top))
    return Patch(left, top, pixels)


def triangulate(points: np.ndarray) -> np.ndarray:
    """Delaunay triangulation `(m, 3)` of `points` `(n, 2)`: triangles with empty circumcircle.

    Tests all triples, which for the few dozen anchors of a sticker takes milliseconds once.
    """
    # Corners of a grid share a circumcircle and would give overlapping triangles: add noise.
    nudged = points + 1e-3 * np.random.default_rng(0).standard_normal(points.shape)
    triples = np.array(list(itertools.combinations(range(len(points)), 3)))
    triples = triples[np.abs(_area(points[triples])) > 1e-6]
    a, b, c = (nudged[triples[:, i]] for i in range(3))
    first, second = b - a, c - a
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    squares = np.column_stack([(first**2).sum(1), (second**2).sum(1)])
    centre = np.column_stack([
        second[:, 1] * squares[:, 0] - first[:, 1] * squares[:, 1],
        first[:, 0] * squares[:, 1] - second[:, 0] * squares[:, 0],
    ]) / (2 * area[:, None])  # fmt: skip
    radius = (centre**2).sum(1)
    distance = ((nudged[None] - (a + centre)[:, None]) ** 2).sum(-1)
    empty = (distance >= radius[:, None] * (1 - 1e-9)).all(axis=1)
    return triples[empty]


def draw_mesh(
    levels: list[np.ndarray],
    triangles: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    width: int,
    height: int,
) -> Patch | None:
    """The art with each triangle of `source` `(n, 2)` warped to its position in `target`.

    A triangle that faces away (mirrored relative to the art) is not drawn, nor is art outside the
    triangles.
    """
    corners, seats = source[triangles], target[triangles]
    before, after = _area(corners), _area(seats)
    facing = np.flatnonzero(after * before > 1e-3 * np.abs(before))
    frame = part_around(target, 1, width, height)
    if frame is None or not facing.size:
        return None
    left, top, right, bottom = frame
    scale = np.sqrt(np.abs(after[facing]).sum() / np.abs(before[facing]).sum())
    art, back = _level(levels, scale)

    labels = np.zeros((bottom - top, right - left), np.int32)
    cover = np.zeros(labels.shape, np.uint8)
    inverses = np.zeros((len(triangles), 3, 2))
    to_level = np.linalg.inv(back)
    fixed = np.rint((seats - [left, top]) * 16).astype(np.int32)
    for index in facing:  # outlines first, so that half-covered edge pixels have a label
        cv2.polylines(labels, [fixed[index]], True, int(index), 3, cv2.LINE_8, 4)
        around = np.column_stack([seats[index] - [left, top], np.ones(3)])
        inverses[index] = np.linalg.solve(around, move(to_level, corners[index]))
    for index in facing:
        cv2.fillConvexPoly(labels, fixed[index], int(index), cv2.LINE_8, 4)
        cv2.fillConvexPoly(cover, fixed[index], 255, cv2.LINE_AA, 4)

    x, y = np.meshgrid(np.arange(right - left), np.arange(bottom - top))
    each = inverses.astype(np.float32)[labels]
    where = each[..., 0, :] * x[..., None] + each[..., 1, :] * y[..., None]
    where = (where + each[..., 2, :]).astype(np.float32)
    pixels = cv2.remap(art, where, np.empty(0, np.float32), cv2.INTER_LINEAR)
    return Patch(left, top, cv2.multiply(pixels, cv2.merge([cover] * 4), scale=1 / 255))


def blend(image: np.ndarray, patch: Patch, weight: np.ndarray | float = 1.0) -> None:
    """Blend `patch` over `image` `(h, w, 3)` uint8 in place with opacity `weight` `(h, w)`."""
    height, width = patch.pixels.shape[:2]
    region = image[patch.top : patch.top + height, patch.left : patch.left + width]
    art = patch.pixels
    if np.ndim(weight) or weight != 1.0:
        share = np.broadcast_to(np.rint(np.asarray(weight) * 255).astype(np.uint8), (height, width))
        art = cv2.multiply(art, cv2.merge([share] * 4), scale=1 / 255)
    clear = 255 - art[..., 3]
    # Integer arithmetic in OpenCV, for speed: a sticker may cover most of a video frame.
    behind = cv2.multiply(np.ascontiguousarray(region), cv2.merge([clear] * 3), scale=1 / 255)
    region[:] = cv2.add(behind, np.ascontiguousarray(art[..., :3]))


def part_around(
    points: np.ndarray, reach: float, width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the image within `reach` pixels of `points` `(n, 2)`, or None."""
    low = np.maximum(np.floor(points.min(axis=0) - reach), 0)
    high = np.minimum(np.ceil(points.max(axis=0) + reach) + 1, [width, height])
    if not (high > low).all():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _level(levels: list[np.ndarray], scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The pyramid level for `scale` image pixels per art pixel, and its matrix to the full art."""
    number = int(np.clip(np.floor(-np.log2(max(scale, 1e-6)) + 0.5), 0, len(levels) - 1))
    # Odd sides lose a pixel when halved, so the factors are computed from the real sizes.
    factor = np.array(levels[0].shape[1::-1]) / levels[number].shape[1::-1]
    back = np.diag([*factor, 1.0])
    back[:2, 2] = (factor - 1) / 2
    return levels[number], back


def _area(triangles: np.ndarray) -> np.ndarray:
    """Twice the signed areas `(m,)` of triangles `(m, 3, 2)`."""
    first, second = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
