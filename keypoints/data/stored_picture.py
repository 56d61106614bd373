"""A picture of a data set in memory: all of it, or of a large one the part around the face."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from keypoints import geometry

# Pictures with at most this many pixels are kept whole.
WHOLE = 1_000_000
# Side of the part of a larger one that is kept around a face, in longer sides of its box. A crop
# of scale 1.4, rotated, 1.15 times enlarged and shifted by 0.08 of itself, shows 2.5 of them.
PART_SIDE = 3.0
# Pixels across a face's longer side that are kept: what a crop of scale 1.4 has, enlarged by
# 1.15. The part is reduced by whole factors, so it has at most twice as many: 1,104 pixels a side.
FACE = geometry.CROP * 1.15 / 1.4


@dataclass(frozen=True)
class Part:
    """A rectangle of a picture, reduced by a whole factor; its corner is at whole blocks."""

    left: int
    top: int
    right: int
    bottom: int
    factor: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The part of `image`; an unfinished block at its edge repeats the edge's pixels."""
        part = image[self.top : self.bottom, self.left : self.right]
        if self.factor > 1:
            below, beside = (-length % self.factor for length in part.shape[:2])
            part = cv2.copyMakeBorder(part, 0, below, 0, beside, cv2.BORDER_REPLICATE)
            return geometry.reduce(part, self.factor)
        return part.copy()  # a view would keep the whole picture

    @property
    def placement(self) -> np.ndarray:
        """Matrix `(2, 3)` from the picture to the part."""
        moved = np.array([[1, 0, -self.left], [0, 1, -self.top]], np.float64)
        return geometry.compose(geometry.invert(geometry.enlargement(self.factor)), moved)

    def holds(self, matrix: np.ndarray, size: int, shape: tuple[int, int]) -> bool:
        """Whether the part covers the crop at `matrix`, at no less resolution.

        `shape` is height and width of the picture, beyond which there is nothing to cover.
        """
        if geometry.scale_of(matrix) > geometry.scale_of(self.placement) * 1.01:
            return False
        low, high = geometry.seen(matrix, size=size)
        end = np.array(shape[::-1]) - 0.5
        low, high = np.clip(low, -0.5, end), np.clip(high, -0.5, end)
        first = np.array([self.left, self.top]) - 0.5
        last = np.array([self.right, self.bottom]) - 0.5
        return bool((low >= first).all() and (high <= last).all())


@dataclass(frozen=True)
class StoredPicture:
    """One picture, as `store` keeps it."""

    shape: tuple[int, int]  # height and width of the whole picture
    digest: bytes  # SHA-256 of the whole picture's pixels
    part: Part | None  # what crops are made from; None: the whole picture
    pixels: np.ndarray | None  # (h, w, 3) uint8 RGB, of the part; None: read again for each crop
    read: Callable[[], np.ndarray] | None  # decodes the whole picture again

    @property
    def bytes(self) -> int:
        """Memory of its pixels in bytes."""
        return 0 if self.pixels is None else self.pixels.nbytes

    def whole(self) -> np.ndarray:
        """The whole picture `(h, w, 3)` uint8 RGB; decoded again where only a part is kept."""
        if self.part is None and self.pixels is not None:
            return self.pixels
        assert self.read is not None  # `store` keeps pictures that cannot be read again whole
        return self.read()

    def crop(self, matrix: np.ndarray, *, size: int = geometry.CROP) -> np.ndarray:
        """`geometry.crop` of the whole picture; of its part where that is enough.

        The pixels do not depend on what is in memory.
        """
        if self.part is None or not self.part.holds(matrix, size, self.shape):
            return geometry.crop(self.whole(), matrix, size=size)
        pixels = self.part.cut(self.whole()) if self.pixels is None else self.pixels
        from_part = geometry.compose(matrix, geometry.invert(self.part.placement))
        return geometry.crop(pixels, from_part, size=size)


def store(
    image: np.ndarray,
    box: np.ndarray,
    *,
    read: Callable[[], np.ndarray] | None = None,
    room: bool = True,
) -> StoredPicture:
    """`image` `(h, w, 3)` as stored for the face in `box` `(4,)`: left, top, width, height.

    A picture that cannot be read again is kept whole. Without `room`, no pixels of others are kept.
    """
    shape = image.shape[:2]
    digest = hashlib.sha256(repr(shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    part = None
    if read is not None and shape[0] * shape[1] > WHOLE:
        part = _part(shape, box)
    pixels = None
    if read is None or room:
        pixels = image if part is None else part.cut(image)
    return StoredPicture(shape, digest.digest(), part, pixels, read)


def _part(shape: tuple[int, int], box: np.ndarray) -> Part:
    """The part around `box` of a picture of height and width `shape`."""
    side = max(float(box[2:].max()), 1.0)
    factor = max(int(side / FACE), 1)
    middle = box[:2] + box[2:] / 2
    low = np.floor((middle - PART_SIDE / 2 * side) / factor).astype(int) * factor
    high = low + int(np.ceil(PART_SIDE * side / factor)) * factor
    last = np.array(shape[::-1]) - 1
    left, top = np.clip(low, 0, last // factor * factor)
    right, bottom = np.clip(high, [left + 1, top + 1], last + 1)
    return Part(int(left), int(top), int(right), int(bottom), factor)
