"""Formats of picture and video files by the extensions of their names: what is read and written."""

import functools
from dataclasses import dataclass
from pathlib import Path

from keypoints.errors import InputError

# Pillow's decoders of pixels. The others start programs (EPS), unpack without a limit (FITS), open
# what a file holds with any decoder (IPTC), or read nothing without a plugin.
DECODERS = (
    "AVIF", "BLP", "BMP", "CUR", "DCX", "DDS", "DIB", "FLI", "FTEX", "GBR", "GIF", "ICNS", "ICO",
    "IM", "JPEG", "JPEG2000", "MPO", "MSP", "PCD", "PCX", "PIXAR", "PNG", "PPM", "PSD", "QOI",
    "SGI", "SPIDER", "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM", "XVTHUMB",
)  # fmt: skip
HEIF_SUFFIXES = (".heic", ".heif", ".hif", ".heics", ".heifs")


@dataclass(frozen=True)
class Format:
    """What a picture format can store."""

    name: str  # Pillow's
    alpha: bool = False
    profile: bool = False  # an ICC profile
    exif: bool = False
    gray: bool = False
    cmyk: bool = False
    deep: bool = False  # 16 bits a value
    several: bool = False  # frames of an animation, or pages
    side: int = 0  # the most pixels of a side; 0: no limit of its own


JPEG = Format("JPEG", profile=True, exif=True, gray=True, cmyk=True, side=65500)
PNG = Format("PNG", alpha=True, profile=True, exif=True, gray=True, deep=True, several=True)
WEBP = Format("WEBP", alpha=True, profile=True, exif=True, several=True, side=16383)
AVIF = Format("AVIF", alpha=True, profile=True, exif=True, several=True)
HEIF = Format("HEIF", alpha=True, profile=True, exif=True)
TIFF = Format("TIFF", *[True] * 7)
GIF = Format("GIF", alpha=True, several=True, side=65535)
# Picture formats that are written, by the file's extension; more can be read (`is_picture`).
PICTURES = {
    ".jpg": JPEG, ".jpeg": JPEG, ".png": PNG, ".webp": WEBP, ".bmp": Format("BMP"), ".tif": TIFF,
    ".tiff": TIFF, ".gif": GIF, ".avif": AVIF, ".heic": HEIF, ".heif": HEIF, ".apng": PNG,
}  # fmt: skip
# Video formats that are written, as FFmpeg calls them.
VIDEOS = {
    ".mp4": "mp4", ".mov": "mov", ".m4v": "mp4", ".mkv": "matroska", ".avi": "avi", ".webm": "webm"
}  # fmt: skip
# Extensions of videos that are read.
VIDEO_INPUTS = (*VIDEOS, ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".3gp", ".flv", ".wmv",
                ".ogv", ".mxf")  # fmt: skip
MAX_BYTES = 500_000_000  # of a picture file that is read: beyond it it is a mistake or an attack
QUALITIES = ("high", "medium", "small")  # of written files; `high` looks like the source


@functools.cache
def picture_inputs() -> tuple[str, ...]:
    """The extensions of pictures that are read; those that are written come first."""
    from PIL import Image

    known = Image.registered_extensions().items()
    others = sorted(suffix for suffix, name in known if name in DECODERS)
    return tuple(dict.fromkeys((*PICTURES, *HEIF_SUFFIXES, *others)))


def is_picture(path: Path | str) -> bool:
    """Whether the extension of a file is that of a picture format that can be read."""
    return Path(path).suffix.lower() in picture_inputs()


def is_video(path: Path | str) -> bool:
    """Whether the extension of a file is that of a video format that can be read."""
    return Path(path).suffix.lower() in VIDEO_INPUTS


def writable(name: str, *, moving: bool) -> str:
    """The name of a picture or video, with `.png` or `.mp4` if its format can only be read."""
    known, usual = (VIDEOS, ".mp4") if moving else (PICTURES, ".png")
    return name if Path(name).suffix.lower() in known else f"{name}{usual}"


def picture_format(path: Path) -> Format:
    """The format to write for a file name; raises InputError for another extension."""
    format = PICTURES.get(path.suffix.lower())
    if format is None:
        raise InputError(f"{path}: a picture's name ends in {', '.join(PICTURES)}")
    return format


def video_format(path: Path) -> str:
    """FFmpeg's name of the format to write; raises InputError for another extension."""
    format = VIDEOS.get(path.suffix.lower())
    if format is None:
        raise InputError(f"{path}: a video's name ends in {', '.join(VIDEOS)}")
    return format


def check_quality(quality: str) -> None:
    """Raise InputError for another quality than one of `QUALITIES`."""
    if quality not in QUALITIES:
        raise InputError(f"quality={quality!r}: one of {', '.join(QUALITIES)} is expected")
