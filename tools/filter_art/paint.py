"""A transparent canvas for filter art: shapes become masks, masks are painted in a colour."""

import cv2
import numpy as np

from keypoints.synthetic.canvas import smooth

SUPERSAMPLING = 3
SHIFT = 4  # fractional bits of the coordinates that OpenCV draws at


class Sheet:
    """Supersampled art. Coordinates are pixels of the finished art; a mask is `(H, W)` float32,
    0 to 1, on the supersampled sheet."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        shape = (height * SUPERSAMPLING, width * SUPERSAMPLING)
        self.colour = np.zeros((*shape, 3), np.float32)  # premultiplied, 0..255
        self.alpha = np.zeros(shape, np.float32)
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        self.x, self.y = ((a + 0.5) / SUPERSAMPLING - 0.5 for a in (columns, rows))
        self.corner = (0, 0)

    def around(self, x: float, y: float, reach: float) -> "Sheet":
        """The part of this sheet within `reach` pixels of a position, for fast painting.

        It shares the pixels and the coordinates of this sheet.
        """
        part = object.__new__(Sheet)
        low = [max(int((c - reach) * SUPERSAMPLING), 0) for c in (x, y)]
        high = [max(int((c + reach) * SUPERSAMPLING), 0) for c in (x, y)]
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        for name in ("colour", "alpha", "x", "y"):
            setattr(part, name, getattr(self, name)[window])
        part.width, part.height, part.corner = self.width, self.height, (low[0], low[1])
        return part

    def paint(self, mask: np.ndarray, colour: np.ndarray | tuple, strength: float = 1.0) -> None:
        """Paint `colour`, `(3,)` or per pixel `(H, W, 3)`, where `mask` is set."""
        weight = mask * np.float32(strength)
        self.colour *= 1 - weight[..., None]
        self.colour += weight[..., None] * np.asarray(colour, np.float32)
        self.alpha *= 1 - weight
        self.alpha += weight

    def polygon(self, points: np.ndarray) -> np.ndarray:
        mask = np.zeros(self.alpha.shape, np.uint8)
        cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_AA, SHIFT)
        return mask.astype(np.float32) / 255

    def curve(self, points: list, *, steps: int = 12) -> np.ndarray:
        """The mask of the inside of a smooth closed curve through `points`."""
        return self.polygon(smooth(np.array(points, float), steps=steps))

    def line(self, points: np.ndarray, thickness: float) -> np.ndarray:
        mask = np.zeros(self.alpha.shape, np.uint8)
        pixels = max(round(thickness * SUPERSAMPLING), 1)
        cv2.polylines(mask, [self._fixed(points)], False, 255, pixels, cv2.LINE_AA, SHIFT)
        return mask.astype(np.float32) / 255

    def ellipse(self, x: float, y: float, across: float, down: float) -> np.ndarray:
        """The mask of an ellipse with half axes `across` and `down`, with an antialiased edge."""
        reach = np.hypot((self.x - x) / across, (self.y - y) / down)
        return np.clip((1 - reach) * min(across, down) * SUPERSAMPLING + 0.5, 0, 1)

    def soften(self, mask: np.ndarray, sigma: float) -> np.ndarray:
        return cv2.GaussianBlur(mask, (0, 0), sigma * SUPERSAMPLING, borderType=cv2.BORDER_CONSTANT)

    def shade(self, share: np.ndarray, dark: tuple, light: tuple) -> np.ndarray:
        """Colours `(H, W, 3)` between `dark` where `share` is 0 and `light` where it is 1."""
        share = np.clip(share, 0, 1)[..., None]
        return np.asarray(dark, np.float32) * (1 - share) + np.asarray(light, np.float32) * share

    def finish(self) -> np.ndarray:
        """The art as RGBA `(height, width, 4)` uint8, not premultiplied."""
        size = (self.width, self.height)
        alpha = cv2.resize(self.alpha, size, interpolation=cv2.INTER_AREA)
        colour = cv2.resize(self.colour, size, interpolation=cv2.INTER_AREA)
        colour = colour / np.maximum(alpha, 1e-3)[..., None] * (alpha > 1 / 512)[..., None]
        return np.rint(np.dstack([colour.clip(0, 255), alpha * 255])).astype(np.uint8)

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        inside = (np.asarray(points, float) + 0.5) * SUPERSAMPLING - 0.5 - self.corner
        return np.rint(inside * (1 << SHIFT)).astype(np.int32)
