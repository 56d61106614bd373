"""Drawing of polygons, lines, soft shapes and smooth curves."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

SUPERSAMPLING = 2
SHIFT = 4  # fractional bits of the coordinates that OpenCV draws at


def smooth(points: np.ndarray, *, closed: bool = True, steps: int = 6) -> np.ndarray:
    """A Catmull-Rom curve through `points` `(n, 2)`, with `steps` samples per segment."""
    points = np.asarray(points)
    before, after = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    around = np.concatenate([before, points, after])
    count = len(points) if closed else len(points) - 1
    a, b, c, d = (around[i : i + count, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return curve.reshape(-1, 2) if closed else np.concatenate([curve.reshape(-1, 2), points[-1:]])


class Canvas:
    """A supersampled image. All coordinates are pixels of the final image."""

    def __init__(self, width: int, height: int, background: np.ndarray):
        size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
        self.pixels = cv2.resize(background, size, interpolation=cv2.INTER_LINEAR)

    def fixed(self, points: np.ndarray) -> np.ndarray:
        """Image points as OpenCV fixed-point coordinates of the supersampled canvas."""
        inside = (np.asarray(points) + 0.5) * SUPERSAMPLING - 0.5
        return np.rint(inside * (1 << SHIFT)).astype(np.int32)

    def polygon(self, points: np.ndarray, colour: np.ndarray) -> None:
        cv2.fillPoly(self.pixels, [self.fixed(points)], _rgb(colour), cv2.LINE_AA, SHIFT)

    def line(self, points: np.ndarray, colour: np.ndarray, thickness: float) -> None:
        pixels = max(round(thickness * SUPERSAMPLING), 1)
        cv2.polylines(
            self.pixels, [self.fixed(points)], False, _rgb(colour), pixels, cv2.LINE_AA, SHIFT
        )

    def ellipse(
        self,
        centre: np.ndarray,
        axes: tuple[float, float],
        angle: float,
        colour: np.ndarray,
    ) -> None:
        """`axes`: half lengths in pixels; `angle`: degrees, clockwise."""
        x, y = self.fixed(np.array(centre)).tolist()
        half = [max(int(a * SUPERSAMPLING * (1 << SHIFT)), 8) for a in axes]
        cv2.ellipse(self.pixels, (x, y), half, angle, 0, 360, _rgb(colour), -1, cv2.LINE_AA, SHIFT)

    @contextmanager
    def inside(self, points: np.ndarray, reach: float) -> Iterator[None]:
        """Clip what the block draws to a polygon; it may draw at most `reach` pixels outside."""
        region, low = self._around(points, reach)
        before = region.astype(np.float32)
        yield
        mask = self._mask(region, points, low, blur=0)
        region[:] = before + (region - before) * mask

    def soft(self, points: np.ndarray, colour: np.ndarray, strength: float, blur: float) -> None:
        """Blend a polygon with soft edges; only the pixels around it change."""
        region, low = self._around(points, 3 * blur + 2)
        if region.size:
            weight = self._mask(region, points, low, blur) * strength
            colour = np.clip(colour, 0, 255).astype(np.float32)
            region[:] = region + (colour - region) * weight

    def _around(self, points: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """A view of the pixels around a polygon, and its top-left corner."""
        low = np.maximum((points.min(0) - reach) * SUPERSAMPLING, 0).astype(np.int32)
        high = np.maximum((points.max(0) + reach) * SUPERSAMPLING, 0).astype(np.int32)
        return self.pixels[low[1] : high[1], low[0] : high[0]], low

    def _mask(
        self, region: np.ndarray, points: np.ndarray, low: np.ndarray, blur: float
    ) -> np.ndarray:
        mask: np.ndarray = np.zeros(region.shape[:2], np.uint8)
        cv2.fillPoly(mask, [self.fixed(points) - (low << SHIFT)], 255, cv2.LINE_AA, SHIFT)
        if blur:
            mask = cv2.GaussianBlur(mask, (0, 0), blur * SUPERSAMPLING)
        return mask.astype(np.float32)[..., None] / 255


def _rgb(colour: np.ndarray) -> tuple[int, ...]:
    return tuple(int(c) for c in np.clip(colour, 0, 255))
