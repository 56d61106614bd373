"""ICC profiles: conversion between the values of a file and sRGB."""

import functools
import io
from typing import Any

import numpy as np

_MODES = {1: ("GRAY", "L"), 3: ("RGB", "RGB"), 4: ("CMYK", "CMYK")}  # by channels


@functools.lru_cache(maxsize=8)
def usable(profile: bytes | None, channels: int) -> bool:
    """Whether `profile` is valid and has as many channels."""
    from PIL import ImageCms

    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        return opened.profile.xcolor_space.strip() == _MODES[channels][0]
    except (OSError, ImageCms.PyCMSError):
        return False


@functools.lru_cache(maxsize=8)
def _transform(profile: bytes, channels: int, back: bool) -> Any:
    """Pillow's transform from a profile to sRGB, or `back`; None where nothing changes."""
    from PIL import Image, ImageCms

    own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    mode = _MODES[channels][1]
    source, target, *modes = (srgb, own, "RGB", mode) if back else (own, srgb, mode, "RGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(source, target, modes[0], modes[1], intent)
    if channels == 3:
        levels = np.arange(0, 256, 17, dtype=np.uint8)
        grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(16, 256, 3)
        moved = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), transform))
        if np.abs(moved.astype(int) - grid).max() <= 2:
            return None  # it is sRGB's own profile
    return transform


def to_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """`(h, w, 3)` uint8 sRGB of `pixels` `(h, w, c)` uint8."""
    from PIL import Image, ImageCms

    channels = pixels.shape[-1]
    transform = _transform(profile, channels, False) if profile is not None else None
    if transform is None and channels != 4:
        return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    image = Image.frombytes(_MODES[channels][1], pixels.shape[1::-1], pixels.tobytes())
    if transform is None:
        return np.array(image.convert("RGB"))
    return np.array(ImageCms.applyTransform(image, transform))


def from_srgb(rgb: np.ndarray, profile: bytes | None, channels: int) -> np.ndarray:
    """uint8 values `(h, w, channels)` with `profile` of `rgb` `(h, w, 3)` uint8 sRGB."""
    from PIL import Image, ImageCms

    transform = _transform(profile, channels, True) if profile is not None else None
    if transform is not None:
        moved = ImageCms.applyTransform(Image.fromarray(rgb), transform)
        return np.asarray(moved).reshape(*rgb.shape[:2], channels)
    if channels == 4:
        return np.asarray(Image.fromarray(rgb).convert("CMYK"))
    return rgb[..., :channels]
