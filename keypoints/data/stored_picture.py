"""A picture of a data set in memory: all of it, or of a large one the part around the face."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keypoints import geometry

# Pictures with at most this many pixels are kept whole.
WHOLE = 1_000_000
# Side of the part of a larger one that is kept around a face, in longer sides of its box. A crop
# of margin 1.4, rotated, 1.15 times enlarged and shifted by 0.08 of itself, shows 2.5 of them.
PART_SIDE = 3.0
# Pixels across a face's longer side that are kept: what a crop of margin 1.4 has, enlarged by
# 1.15. The part is reduced by whole factors, so it has at most twice as many: 1,104 pixels a side.
FACE = geometry.CROP * 1.15 / 1.4


@dataclass(frozen=True)
class StoredPicture:
    """One picture, as `store` keeps it."""

    shape: tuple[int, int]  # height and width of the whole picture
    digest: bytes  # SHA-256 of the whole picture's pixels
    part: np.ndarray | None  # (h, w, 3) uint8 RGB: the part in memory
    placement: np.ndarray  # (2, 3), from the picture to the part
    read: Callable[[], np.ndarray] | None  # decodes the whole picture again

    @property
    def bytes(self) -> int:
        """Memory of its pixels in bytes."""
        return 0 if self.part is None else self.part.nbytes

    def whole(self) -> np.ndarray:
        """The whole picture `(h, w, 3)` uint8 RGB; decoded again where only a part is kept."""
        if self.part is not None and self.part.shape[:2] == self.shape:
            return self.part
        assert self.read is not None  # `store` keeps pictures that cannot be read again whole
        return self.read()

    def crop(self, matrix: np.ndarray, *, size: int = geometry.CROP) -> np.ndarray:
        """`geometry.crop` of the whole picture; from the part in memory if that is enough."""
        if self.part is None or not self._holds(self.part, matrix, size):
            return geometry.crop(self.whole(), matrix, size=size)
        from_part = geometry.compose(matrix, geometry.invert(self.placement))
        return geometry.crop(self.part, from_part, size=size)

    def _holds(self, part: np.ndarray, matrix: np.ndarray, size: int) -> bool:
        """Whether the part covers the crop at `matrix`, at no less resolution."""
        if part.shape[:2] == self.shape:
            return True
        if geometry.scale_of(matrix) > geometry.scale_of(self.placement) * 1.01:
            return False
        low, high = geometry.seen(matrix, size=size)
        low, high = np.maximum(low, -0.5), np.minimum(high, np.array(self.shape[::-1]) - 0.5)
        corners = geometry.apply(self.placement, np.stack([low, high]))
        end = np.array(part.shape[1::-1]) - 0.5
        return bool((corners[0] > -1.5).all() and (corners[1] < end + 1).all())


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
    unmoved = np.eye(2, 3)
    if read is None or (room and shape[0] * shape[1] <= WHOLE):
        return StoredPicture(shape, digest.digest(), image, unmoved, read)
    if not room:
        return StoredPicture(shape, digest.digest(), None, unmoved, read)
    side = max(float(box[2:].max()), 1.0)
    factor = max(int(side / FACE), 1)
    middle = box[:2] + box[2:] / 2
    low = np.floor((middle - PART_SIDE / 2 * side) / factor).astype(int) * factor
    high = low + int(np.ceil(PART_SIDE * side / factor)) * factor
    left, top = np.clip(low, 0, np.array(shape[::-1]) - 1)
    right, bottom = np.clip(high, [left + 1, top + 1], shape[::-1])
    part = geometry.reduce(image[top:bottom, left:right], factor)
    moved = np.array([[1, 0, -left], [0, 1, -top]], np.float64)
    placement = geometry.compose(geometry.invert(geometry.enlargement(factor)), moved)
    # A copy, since a view would keep the whole picture.
    return StoredPicture(shape, digest.digest(), part.copy(), placement, read)
