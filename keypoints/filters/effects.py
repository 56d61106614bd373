"""Effects that change the image in place: magnify, blur, pixelate, draw the landmarks."""

import cv2
import numpy as np

from keypoints.filters.head import Area, Head
from keypoints.filters.spec import Blur, Bulge, Outlines, Pixelate
from keypoints.filters.warp import part_around
from keypoints.markup import Markup
from keypoints.media.overlay import draw_points

# However small a face is, it is hidden by squares, or a blur, of some pixels.
SMALLEST_BLOCK, SMALLEST_SIGMA = 4, 2.0


def hide(image: np.ndarray, area: Area, layer: Blur | Pixelate) -> None:
    """Blur or pixelate `area`."""
    if isinstance(layer, Blur):
        blur(image, area, layer)
    else:
        pixelate(image, area, layer)


def bulge(image: np.ndarray, head: Head, layer: Bulge) -> None:
    """Magnify around the mean of `layer.points`, in a disc that rotates with the head."""
    centre = head.points[list(layer.points)].mean(axis=0)
    to_picture = head.turn[:2, :2] * head.size * layer.radius
    if abs(np.linalg.det(to_picture)) < 1:
        return
    reach = np.linalg.norm(to_picture, axis=1).max()
    frame = part_around(centre[None], reach, *image.shape[1::-1])
    if frame is None:
        return
    left, top, right, bottom = frame
    grid = np.stack(np.meshgrid(np.arange(left, right), np.arange(top, bottom)), axis=-1)
    away = grid - centre
    disc = away @ np.linalg.inv(to_picture).T
    inside = np.clip(1 - (disc**2).sum(-1), 0, None)
    # Source positions move towards the centre, less near the edge: there is no visible seam.
    source = (centre + away * (1 - layer.strength * inside**2)[..., None]).astype(np.float32)
    image[top:bottom, left:right] = cv2.remap(
        image, source, np.empty(0, np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def blur(image: np.ndarray, area: Area, layer: Blur) -> None:
    """Blur the face until no feature is visible; the transition to the image is outside it."""
    outline, margin = area.outline, layer.margin * area.size
    sigma = max(layer.sigma * area.size, SMALLEST_SIGMA)
    frame = part_around(outline, margin + 3 * sigma, *image.shape[1::-1])
    if frame is None:
        return
    left, top, right, bottom = frame
    region = image[top:bottom, left:right]
    # Downscale, then blur: no sharpening restores what downscaling lost, and a blur of few
    # pixels is fast.
    factor = max(sigma / 2, 1)
    small = (max(round((right - left) / factor), 1), max(round((bottom - top) / factor), 1))
    coarse = cv2.resize(region, small, interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(coarse, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE)
    smooth = cv2.resize(coarse, (right - left, bottom - top), interpolation=cv2.INTER_CUBIC)
    core = _mask(outline - [left, top], region.shape, margin)
    shrunk = (outline - [left, top] + 0.5) * small / np.array([right - left, bottom - top]) - 0.5
    around = _mask(shrunk, coarse.shape, (margin + sigma / 2) / factor)
    around = cv2.GaussianBlur(around, (0, 0), max(sigma / 4 / factor, 0.5))
    soft = cv2.resize(around, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    weight = np.maximum(core, soft).astype(np.float32) / 255
    region[:] = cv2.blendLinear(smooth, np.ascontiguousarray(region), weight, 1 - weight)


def pixelate(image: np.ndarray, area: Area, layer: Pixelate) -> None:
    """Replace the face by squares of one colour; squares on its edge are replaced completely."""
    block = max(round(area.size / layer.blocks), SMALLEST_BLOCK)
    block = min(block, max(image.shape[:2]))  # of points that are spread over more than the image
    outline, margin = area.outline, layer.margin * area.size
    height, width = image.shape[:2]
    frame = part_around(outline, margin + block, width, height)
    if frame is None:
        return
    # The grid is fixed to the image, so that the squares do not move with the face.
    left, top = frame[0] // block, frame[1] // block
    columns, rows = -(-frame[2] // block) - left, -(-frame[3] // block) - top
    bottom, right = min((top + rows) * block, height), min((left + columns) * block, width)
    region = image[top * block : bottom, left * block : right]
    short = (rows * block - region.shape[0], columns * block - region.shape[1])
    whole = np.pad(region, [(0, short[0]), (0, short[1]), (0, 0)], mode="edge")
    squares = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    mask = _mask(outline - [left * block, top * block], whole.shape, margin)
    touched = mask.reshape(rows, block, -1).max(axis=1).reshape(rows, columns, block).max(axis=2)
    size = (columns * block, rows * block)
    spread = [cv2.resize(a, size, interpolation=cv2.INTER_NEAREST) for a in (squares, touched)]
    squares, touched = (a[: region.shape[0], : region.shape[1]] for a in spread)
    np.copyto(region, squares, where=touched[..., None] > 0)


def outlines(
    image: np.ndarray, points: np.ndarray, size: float, layer: Outlines, markup: Markup
) -> None:
    """Draw `points` `(k, 2)` and the lines between them, on a face of `size` pixels."""
    red, green, blue = (round(value) for value in layer.colour)
    width = max(round(layer.width * size), 1)
    image[:] = draw_points(image, points, (red, green, blue), width=width, markup=markup)


def outline_mask(polygons: list[np.ndarray], left: int, top: int, shape: tuple) -> np.ndarray:
    """Coverage `(h, w)` float32, 0 to 1, of each pixel by any of `polygons` `(n, 2)`."""
    mask = np.zeros(shape[:2], np.float32)
    for polygon in polygons:
        mask = np.maximum(mask, _mask(polygon - [left, top], shape, 0) / np.float32(255))
    return mask


def _mask(polygon: np.ndarray, shape: tuple, margin: float) -> np.ndarray:
    """`(h, w)` uint8: 255 inside `polygon` `(n, 2)` and up to `margin` pixels around it."""
    mask = np.zeros(shape[:2], np.uint8)
    fixed = [np.rint(polygon * 16).astype(np.int32)]
    cv2.fillPoly(mask, fixed, 255, cv2.LINE_AA, 4)
    if margin >= 0.5:
        cv2.polylines(mask, fixed, True, 255, min(round(2 * margin), 32767), cv2.LINE_AA, 4)
    return mask
