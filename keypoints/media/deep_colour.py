"""Pictures with 16 bits a value, which Pillow reads and writes for gray alone."""

import io
import struct
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from keypoints.system.backend import quiet_opencv


def deep_pixels(data: bytes, file: Any, index: int) -> np.ndarray | None:
    """`(h, w, c)` uint16 gray, RGB or RGBA of a picture with more than 8 bits, else None.

    Pillow keeps 16 bits only for gray; colours are decoded again by OpenCV.
    """
    if file.mode.startswith("I;16"):
        return np.asarray(file).astype(np.uint16)[..., None]
    if file.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(file, np.float64), posinf=0, neginf=0)
        if file.mode == "F" and values.max() <= 255:
            values = values * (65535 if values.max() <= 1 else 257)
        return np.clip(values, 0, 65535).astype(np.uint16)[..., None]
    buffer = np.frombuffer(data, np.uint8)
    pixels = None
    if file.format == "PNG" and data[24] == 16:
        pixels = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    elif file.format == "TIFF" and 16 in file.tag_v2.get(258, ()) and file.mode.startswith("RGB"):
        with quiet_opencv():  # warnings of tags would be printed
            good, pages = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED, range=(index, index + 1))
        pixels = pages[0] if good else None
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    return pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]]


def deep_png(pixels: np.ndarray, options: dict[str, Any]) -> bytes:
    """A PNG file of RGB or RGBA `pixels` `(h, w, c)` uint16, with the metadata that Pillow writes
    for `options`."""
    from PIL import Image

    order = [2, 1, 0, 3][: pixels.shape[-1]]
    data = cv2.imencode(".png", np.ascontiguousarray(pixels[..., order]))[1].tobytes()
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG", **options)
    kept, source, place = [], file.getvalue(), 8
    while place < len(source):
        (length,) = struct.unpack(">I", source[place : place + 4])
        name, chunk = source[place + 4 : place + 8], source[place : place + length + 12]
        if name not in (b"IHDR", b"IDAT", b"IEND"):
            kept.append(chunk)
        place += len(chunk)
    header = 8 + 25  # the signature and IHDR
    return data[:header] + b"".join(kept) + data[header:]


def widen_tiff(data: bytearray, deep: Sequence[bool]) -> None:
    """Convert the `deep` pages of a TIFF, stored as bytes with twice the width, to 16 bits.

    Pillow writes 16 bits only for gray. The pages are not compressed, so only the tags differ.
    """
    order = "<" if data[:2] == b"II" else ">"
    (place,) = struct.unpack_from(order + "I", data, 4)
    for is_deep in deep:
        (entries,) = struct.unpack_from(order + "H", data, place)
        for entry in range(place + 2, place + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", data, entry)
            if is_deep and tag == 256:  # ImageWidth
                letter = {3: "H", 4: "I"}[kind]
                (width,) = struct.unpack_from(order + letter, data, entry + 8)
                struct.pack_into(order + letter, data, entry + 8, width // 2)
            elif is_deep and tag == 258:  # BitsPerSample, three or four of them, elsewhere
                (bits,) = struct.unpack_from(order + "I", data, entry + 8)
                struct.pack_into(order + f"{count}H", data, bits, *[16] * count)
        (place,) = struct.unpack_from(order + "I", data, place + 2 + 12 * entries)
