"""Picture files: their pixels as displayed, with the values of the file."""

import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keypoints.errors import InputError
from keypoints.media import formats, icc, metadata
from keypoints.media.deep_colour import deep_pixels
from keypoints.media.orientation import of_exif, upright
from keypoints.system.extras import install_command

# A decoded picture of this size takes 300 MB: a larger file is a mistake or an attack.
MAX_PIXELS = 100_000_000
MAX_ANIMATION = 3 * MAX_PIXELS  # of all frames of a file together

_SUBFILE = 254  # TIFF's tag for the kind of a page
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1",
                b"mif2", b"msf1"}  # fmt: skip
_AVIF_BRANDS = {b"avif", b"avis"}


def decode_picture(data: bytes, name: str) -> np.ndarray:
    """The (first) picture in the bytes of a file as `(h, w, 3)` uint8 RGB, as displayed.

    The EXIF orientation is applied; colours are converted from the ICC profile to sRGB; 16-bit
    values lose their low byte; gray and palette pictures become RGB; transparent pixels are blended
    with white. Raises InputError, naming the picture, for bytes that are no picture, a truncated
    one, or one of over `MAX_PIXELS`.
    """
    return next(Picture(data, name).stills()).rgb()


def encode_png(image: np.ndarray) -> bytes:
    """`image` `(h, w, 3)` uint8 RGB as a PNG file, compressed for speed rather than size."""
    return cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def open_picture(path: Path, name: str = "") -> "Picture":
    """The picture file at `path`, called `name` in messages.

    Raises InputError where it cannot be read, is too large or is no picture.
    """
    name = name or str(path)
    try:
        with open(path, "rb") as file:
            large = os.fstat(file.fileno()).st_size > formats.MAX_BYTES
            data = b"" if large else file.read(formats.MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from None
    except ValueError as error:  # a name that no file can have
        raise InputError(f"{name!a}: {error}") from None
    if large or len(data) > formats.MAX_BYTES:
        limit = formats.MAX_BYTES // 1_000_000
        raise InputError(f"{name}: a picture file of more than {limit} MB")
    return Picture(data, name)


@dataclass(frozen=True)
class Still:
    """One picture, upright, with the values of its file."""

    pixels: np.ndarray  # (h, w, c) uint8 or uint16; c: 1 gray, 3 RGB, 4 CMYK
    alpha: np.ndarray | None = None  # (h, w), of the same type
    profile: bytes | None = None  # ICC profile of the pixels; None: sRGB
    seconds: float = 0.0  # for which a frame of an animation is shown

    @property
    def transparent(self) -> bool:
        """Whether a pixel is not opaque."""
        return self.alpha is not None and bool(high_byte(self.alpha).min() < 255)

    def rgb(self, background: int = 255) -> np.ndarray:
        """`(h, w, 3)` uint8 sRGB, blended with a gray of `background`."""
        colours = icc.to_srgb(high_byte(self.pixels), self.profile)
        if self.alpha is None:
            return colours
        share = high_byte(self.alpha).astype(np.uint16)[..., None]
        return ((colours * share + background * (255 - share) + 127) // 255).astype(np.uint8)

    def painted(self, paint: Callable[[np.ndarray], np.ndarray]) -> "Still":
        """The picture after `paint`, a function from `(h, w, 3)` uint8 sRGB to the same.

        Pixels that `paint` does not change keep their values, with 16 bits and any profile.
        Transparency is found by painting over white and over black: where both are equal, the
        result is opaque.
        """
        before, alpha = self.rgb(), self.alpha
        after = paint(before)
        changed = (after != before).any(axis=-1)
        if alpha is not None and self.transparent:
            dark_before = self.rgb(0)
            dark = paint(dark_before)
            changed |= (dark != dark_before).any(axis=-1)
            through = (after.astype(np.int16) - dark).mean(axis=-1)
            share = np.clip(255 - np.rint(through), 0, 255)
            after = dark * (255 / np.maximum(share, 1))[..., None]
            after = np.clip(np.rint(after), 0, 255).astype(np.uint8)
            scale = 257 if alpha.dtype == np.uint16 else 1
            alpha = np.where(changed, (share * scale).astype(alpha.dtype), alpha)
        if not changed.any():
            return self
        still = self
        if self.pixels.shape[-1] == 1 and np.ptp(after[changed].astype(int), axis=-1).any():
            still = self.in_srgb()  # colours on a gray picture
        values = icc.from_srgb(after, still.profile, still.pixels.shape[-1])
        if still.pixels.dtype == np.uint16:
            values = values.astype(np.uint16) * 257
        pixels = np.where(changed[..., None], values, still.pixels)
        return replace(still, pixels=pixels, alpha=alpha)

    def without_hidden(self) -> "Still":
        """The same, black where it is wholly transparent: what cannot be seen is not there."""
        if self.alpha is None:
            return self
        return replace(self, pixels=np.where(self.alpha[..., None] == 0, 0, self.pixels))

    def in_bytes(self) -> "Still":
        """The same with 8 bits a value."""
        alpha = None if self.alpha is None else high_byte(self.alpha)
        return replace(self, pixels=high_byte(self.pixels), alpha=alpha)

    def in_srgb(self) -> "Still":
        """The same in RGB without a profile; 16 bits stay unless a profile must be applied."""
        if self.pixels.dtype == np.uint16 and self.profile is None and self.pixels.shape[-1] != 4:
            pixels = np.broadcast_to(self.pixels, (*self.pixels.shape[:2], 3))
            return replace(self, pixels=pixels)
        still = self.in_bytes()
        return replace(still, pixels=replace(still, alpha=None).rgb(), profile=None)


class Picture:
    """A picture file that is open: its frames or pages, and what else it holds."""

    def __init__(self, data: bytes, name: str):
        """`data`: the bytes of the file `name`. Raises InputError as `decode_picture` does."""
        self.name = name
        self.notes: list[str] = []  # losses, one line each
        self._data = data
        with self._damage_named():
            self._file = _open(data)
            self.format: str = self._file.format or ""
            # The layers of PSD are in its picture.
            total = 1 if self.format == "PSD" else int(getattr(self._file, "n_frames", 1))
            several = {format.name for format in formats.PICTURES.values() if format.several}
            self.count = total if self.format in several else 1  # frames or pages
            self._limit()
        self.animated = self.count > 1 and self.format != "TIFF"
        if total > self.count:
            self.notes.append(f"{name}: {total - 1} further pictures in it are left out")

    def _limit(self) -> None:
        """Raise InputError for pictures that would take too much memory."""
        width, height = self._file.size
        for count, frames, limit in ((1, "", MAX_PIXELS), (self.count, " in all", MAX_ANIMATION)):
            if count * width * height > limit:
                times = f" x {count}" if count > 1 else ""
                raise InputError(
                    f"{width} x {height}{times} pixels{frames} are more than "
                    f"{limit // 1_000_000} million"
                )

    def stills(self) -> Iterator[Still]:
        """The frames or pages, one after the other; pages that are previews are left out."""
        for index in range(self.count):
            with self._damage_named():
                self._file.seek(index)
                tags = getattr(self._file, "tag_v2", {})
                if index and tags.get(_SUBFILE, 0) & 1:  # a smaller copy of another page
                    self.notes.append(f"{self.name}: page {index + 1} is left out: a preview")
                    continue
                self._limit()
                self._file.load()
                still = self._still(index)
            yield still

    def _still(self, index: int) -> Still:
        file = self._file
        if file.mode in ("I", "F"):
            self.notes.append(f"{self.name}: 32 bits a value are kept as 16")
        deep_animation = self.animated and self.format == "PNG" and self._data[24] == 16
        if deep_animation and index == 0:
            self.notes.append(f"{self.name}: 16 bits a value of its frames are read as 8")
        pixels = None if deep_animation else deep_pixels(self._data, file, index)
        pixels, alpha = _plain(file) if pixels is None else pixels, None
        if pixels.shape[-1] in (2, 4) and file.mode != "CMYK":
            pixels, alpha = pixels[..., :-1], pixels[..., -1]
        elif isinstance(key := file.info.get("transparency"), int | tuple):
            alpha = _keyed_alpha(pixels, key, self._data[24] if self.format == "PNG" else 8)
        turn = of_exif(metadata.exif_of(file).get(metadata.ORIENTATION, 1))  # of EXIF or XMP
        profile = file.info.get("icc_profile") or None
        return Still(
            np.ascontiguousarray(upright(pixels, turn)),
            None if alpha is None else np.ascontiguousarray(upright(alpha, turn)),
            profile if icc.usable(profile, pixels.shape[-1]) else None,
            file.info.get("duration", 0) / 1000 if self.animated else 0.0,
        )

    def metadata(self, width: int, height: int, *, private: bool) -> tuple[dict[str, Any], str]:
        """Options as from `metadata.kept_metadata`, and a line about what is left out, or ""."""
        kept, lost = metadata.kept_metadata(self._file, width, height, private=private)
        reason = "may show or name people" if private else "may show the picture as it was"
        return kept, f"{self.name}: left out, since it {reason}: {', '.join(lost)}" if lost else ""

    def timing(self) -> dict[str, Any]:
        """Timing of an animation, as options of Pillow's writers."""
        info = self._file.info
        once = 1 if self.format == "GIF" else 0
        default = {"default_image": True} if info.get("default_image") else {}
        return {"loop": info.get("loop", once)} | default

    def compression(self) -> dict[str, Any]:
        """The compression for a copy of the same format, as options of Pillow."""
        from PIL import JpegImagePlugin

        if self.format == "JPEG" and JpegImagePlugin.get_sampling(self._file) >= 0:
            return {"subsampling": JpegImagePlugin.get_sampling(self._file)}
        if self.format == "WEBP" and b"VP8L" in self._data[:4096] and b"VP8 " not in self._data:
            return {"lossless": True}
        return {}

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Pillow, about damaged tags
                yield
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None
        except Exception as error:  # Pillow's decoders raise anything on damaged files
            reason = str(error).split("<_io")[0] or type(error).__name__
            raise InputError(f"{self.name}: not a whole picture: {reason.strip()}") from None


def high_byte(values: np.ndarray) -> np.ndarray:
    """uint8 of uint8 or uint16 `values`."""
    return (values >> 8).astype(np.uint8) if values.dtype == np.uint16 else values


def register_heif() -> Any:
    """pillow-heif's plugin, registered with Pillow; raises InputError where it is missing."""
    try:
        import pillow_heif
    except ImportError:
        raise InputError(
            f"HEIC pictures need the package pillow-heif: {install_command('heic')}"
        ) from None
    pillow_heif.register_heif_opener(thumbnails=False)
    return pillow_heif


def _open(data: bytes) -> Any:
    from PIL import Image

    # The decoders look at the first brand alone, and files start with any of theirs.
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        first = b"avis" if b"avis" in brands else b"avif"
        return Image.open(io.BytesIO(data[:8] + first + data[12:]), formats=["AVIF"])
    if brands & _HEIF_BRANDS:
        plugin = register_heif()
        try:
            return plugin.HeifImageFile(io.BytesIO(data))
        except SyntaxError:  # perhaps said to be a sequence, which it is not
            end = int.from_bytes(data[:4], "big")
            others = data[12:end].replace(b"msf1", b"mif1")
            return plugin.HeifImageFile(io.BytesIO(data[:8] + b"heic" + others + data[end:]))
    Image.init()
    known = [name for name in formats.DECODERS if name in Image.OPEN]  # MPO is opened as JPEG
    return Image.open(io.BytesIO(data), formats=known)


def _brands(data: bytes) -> set[bytes]:
    """The brands of an ISO media file (ISO/IEC 14496-12): the first and the compatible ones."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), 1024)
    return {data[8:12], *(data[place : place + 4] for place in range(16, end, 4))}


def _plain(file: Any) -> np.ndarray:
    """The picture `(h, w, c)` uint8 without a palette: L, LA, RGB, RGBA or CMYK."""
    if file.mode == "1":
        file = file.convert("L")
    elif file.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):
        file = file.convert("RGBA" if file.has_transparency_data else "RGB")
    return np.asarray(file).reshape(file.height, file.width, -1)


def _keyed_alpha(pixels: np.ndarray, key: int | tuple[int, ...], bits: int) -> np.ndarray:
    """Alpha `(h, w)` of `pixels` `(h, w, c)`: one value, of so many `bits`, is transparent.

    Of the `key`, as PNG stores it, only the low bits count.
    """
    most = 2**bits - 1
    top = np.iinfo(pixels.dtype).max
    colour = (np.atleast_1d(key) & most) * top // most
    return np.where((pixels == colour).all(axis=-1), 0, top).astype(pixels.dtype)
