"""Orientation of stored pictures: EXIF orientations and display matrices."""

import struct
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Orientation:
    """The change from the stored to the displayed picture: first transposed, then mirrored."""

    transposed: bool = False
    mirrored: bool = False  # swaps left and right
    flipped: bool = False  # swaps top and bottom


_EXIF = {
    1: Orientation(),
    2: Orientation(mirrored=True),
    3: Orientation(mirrored=True, flipped=True),
    4: Orientation(flipped=True),
    5: Orientation(transposed=True),
    6: Orientation(transposed=True, mirrored=True),
    7: Orientation(transposed=True, mirrored=True, flipped=True),
    8: Orientation(transposed=True, flipped=True),
}


def of_exif(number: int) -> Orientation:
    """The orientation of a value 1 to 8 of EXIF's tag Orientation; other values count as 1."""
    return _EXIF.get(number, Orientation())


def of_display_matrix(data: bytes) -> Orientation:
    """The orientation nearest to a display matrix of a video: 9 integers of 32 bits, row by row.

    The matrix multiplies the row (x, y, 1) of a stored position, y down (ISO/IEC 14496-12).
    """
    a, b, _, c, d, *_ = struct.unpack("=9i", data[:36])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(mirrored=a < 0, flipped=d < 0)
    return Orientation(transposed=True, mirrored=c < 0, flipped=b < 0)


def upright(image: np.ndarray, orientation: Orientation) -> np.ndarray:
    """The stored `image` `(h, w, ...)` as displayed; a view of the same pixels."""
    if orientation.transposed:
        image = image.swapaxes(0, 1)
    columns = -1 if orientation.mirrored else 1
    rows = -1 if orientation.flipped else 1
    return image[::rows, ::columns]
