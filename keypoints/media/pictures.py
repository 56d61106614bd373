"""Picture files: their pixels as displayed, and everything that an edited copy must keep."""

import functools
import io
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.errors import InputError
from keypoints.media.orientation import of_exif, upright
from keypoints.system.atomic import replacing

# A decoded picture of this size takes 300 MB: a larger file is a mistake or an attack.
MAX_PIXELS = 100_000_000
MAX_ANIMATION = 3 * MAX_PIXELS  # of all frames of a file together

_ORIENTATION, _EXIF_IFD, _GPS_IFD, _WIDTH, _HEIGHT = 0x0112, 0x8769, 0x8825, 0xA002, 0xA003
# Tags that describe the picture: title, camera, program, date, artist, copyright. The other tags of
# the first directory describe how the file is stored.
_DESCRIPTIVE = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298}
_OWN_TEXTS = {"XML:com.adobe.xmp"}  # PNG texts that are kept in another way


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


_JPEG = Format("JPEG", profile=True, exif=True, gray=True, cmyk=True, side=65500)
_PNG = Format("PNG", alpha=True, profile=True, exif=True, gray=True, deep=True, several=True)
_WEBP = Format("WEBP", alpha=True, profile=True, exif=True, several=True, side=16383)
_AVIF = Format("AVIF", alpha=True, profile=True, exif=True, several=True)
_HEIF = Format("HEIF", alpha=True, profile=True, exif=True)
_TIFF = Format("TIFF", *[True] * 7)
# Formats that are written, by the file's extension; more can be read (`is_picture`).
FORMATS = {
    ".jpg": _JPEG, ".jpeg": _JPEG, ".png": _PNG, ".webp": _WEBP, ".bmp": Format("BMP"),
    ".tif": _TIFF, ".tiff": _TIFF, ".gif": Format("GIF", alpha=True, several=True, side=65535),
    ".avif": _AVIF, ".heic": _HEIF, ".heif": _HEIF, ".apng": _PNG,
}  # fmt: skip
SUFFIXES = tuple(FORMATS)
# Qualities of JPEG, WebP, and AVIF and HEIC. `high` is visually lossless.
QUALITIES = {"high": (95, 95, 90), "medium": (88, 85, 75), "small": (75, 70, 55)}


def is_picture(path: Path) -> bool:
    """Whether the extension of a file is that of a picture format that can be read."""
    from PIL import Image

    suffix = path.suffix.lower()
    known = Image.registered_extensions()
    return suffix in FORMATS or (known.get(suffix) in Image.OPEN and known[suffix] != "MPEG")


def decode_picture(data: bytes, name: str) -> np.ndarray:
    """The (first) picture in the bytes of a file as `(h, w, 3)` uint8 RGB, as displayed.

    The EXIF orientation is applied; colours are converted from the ICC profile to sRGB; 16-bit
    values lose their low byte; gray and palette pictures become RGB; transparent pixels are blended
    with white. Raises InputError, naming the picture, for bytes that are no picture, a truncated
    one, or one of over `MAX_PIXELS`.
    """
    return next(Picture(data, name).stills()).rgb()


def open_picture(path: Path) -> "Picture":
    """The picture file at `path`; raises InputError where it cannot be read or is no picture."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    return Picture(data, str(path))


def writable_name(name: str) -> str:
    """`name`, with `.png` appended if its extension is of a format that can only be read."""
    return name if Path(name).suffix.lower() in FORMATS else f"{name}.png"


def encode_png(image: np.ndarray) -> bytes:
    """`image` `(h, w, 3)` uint8 RGB as a PNG file, compressed for speed rather than size."""
    import cv2

    return cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


@dataclass(frozen=True)
class Still:
    """One picture, upright, with the values of its file."""

    pixels: np.ndarray  # (h, w, c) uint8 or uint16; c: 1 gray, 3 RGB, 4 CMYK
    alpha: np.ndarray | None = None  # (h, w), of the same type
    profile: bytes | None = None  # ICC profile of the pixels; None: sRGB
    seconds: float = 0.0  # for which a frame of an animation is shown

    def rgb(self, background: int = 255) -> np.ndarray:
        """`(h, w, 3)` uint8 sRGB, blended with a gray of `background`."""
        colours = _to_srgb(_bytes(self.pixels), self.profile)
        if self.alpha is None:
            return colours
        share = _bytes(self.alpha).astype(np.uint16)[..., None]
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
        if alpha is not None and _bytes(alpha).min() < 255:
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
        values = _from_srgb(after, still.profile, still.pixels.shape[-1])
        if still.pixels.dtype == np.uint16:
            values = values.astype(np.uint16) * 257
        pixels = np.where(changed[..., None], values, still.pixels)
        return replace(still, pixels=pixels, alpha=alpha)

    def in_srgb(self) -> "Still":
        """The same in RGB without a profile; 16 bits stay unless a profile must be applied."""
        if self.pixels.dtype == np.uint16 and self.profile is None and self.pixels.shape[-1] != 4:
            pixels = np.broadcast_to(self.pixels, (*self.pixels.shape[:2], 3))
            return replace(self, pixels=pixels)
        alpha = None if self.alpha is None else _bytes(self.alpha)
        return replace(self, pixels=replace(self, alpha=None).rgb(), alpha=alpha, profile=None)


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
            total = int(getattr(self._file, "n_frames", 1))
            several = {format.name for format in FORMATS.values() if format.several}
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
        """The frames or pages, one after the other."""
        for index in range(self.count):
            with self._damage_named():
                self._file.seek(index)
                self._limit()
                self._file.load()
                still = self._still(index)
            yield still

    def _still(self, index: int) -> Still:
        file = self._file
        pixels, alpha = _deep_pixels(self._data, file, index), None
        if file.mode in ("I", "F"):
            self.notes.append(f"{self.name}: 32 bits a value are kept as 16")
        if pixels is None:
            shown = _plain(file)
            pixels = np.asarray(shown).reshape(shown.height, shown.width, -1)
            if shown.mode in ("LA", "RGBA"):
                pixels, alpha = pixels[..., :-1], pixels[..., -1]
        elif pixels.shape[-1] == 4:
            pixels, alpha = pixels[..., :3], pixels[..., 3]
        turn = of_exif(file.getexif().get(_ORIENTATION, 1))
        profile = file.info.get("icc_profile") or None
        return Still(
            np.ascontiguousarray(upright(pixels, turn)),
            None if alpha is None else np.ascontiguousarray(upright(alpha, turn)),
            profile if _usable(profile, pixels.shape[-1]) else None,
            file.info.get("duration", 0) / 1000 if self.animated else 0.0,
        )

    def metadata(self, width: int, height: int) -> dict[str, Any]:
        """EXIF, XMP, resolution, comment and texts for a copy of `width` x `height` pixels.

        As options of Pillow's writers. The orientation is left out, since copies are upright,
        and so are thumbnails, which would show the picture as it was before it was painted.
        """
        file = self._file
        exif = file.getexif()
        copy = type(exif)()
        copy.update({tag: exif[tag] for tag in exif if tag in _DESCRIPTIVE})
        for tag in (_EXIF_IFD, _GPS_IFD):
            entries = dict(exif.get_ifd(tag))
            if _WIDTH in entries:
                entries |= {_WIDTH: width, _HEIGHT: height}
            if entries:
                copy[tag] = entries
        kept = {key: file.info[key] for key in ("dpi", "comment") if key in file.info}
        if len(copy):
            kept["exif"] = copy.tobytes()
        xmp = file.info.get("xmp") or b""
        xmp = xmp.encode() if isinstance(xmp, str) else xmp
        if xmp and not re.search(rb"xmpGImg|GImage", xmp):
            kept["xmp"] = re.sub(rb"(tiff:Orientation(?:=[\"']|>))\d", rb"\g<1>1", xmp)
        texts = getattr(file, "text", {})
        return kept | {"texts": {key: text for key, text in texts.items() if key not in _OWN_TEXTS}}

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
            yield
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None
        except Exception as error:  # Pillow's decoders raise anything on damaged files
            reason = str(error).split("<_io")[0] or type(error).__name__
            raise InputError(f"{self.name}: not a whole picture: {reason.strip()}") from None


def save(
    target: Path, stills: Sequence[Still], *, source: Picture | None = None, quality: str = "high"
) -> list[str]:
    """Write a picture, or its frames, in the format of `target`'s extension; atomic.

    Everything in `source` besides the pixels is kept. `quality` is one of `QUALITIES`. Returns a
    line for each thing that the format cannot store. Raises InputError if the file
    cannot be written.
    """
    format = format_of(target)
    if quality not in QUALITIES:
        raise InputError(f"quality={quality!r}: one of {', '.join(QUALITIES)} is expected")
    for still in stills:
        height, width = still.pixels.shape[:2]
        if format.side and max(width, height) > format.side:
            raise InputError(
                f"cannot write {target}: {width} x {height} pixels; {format.name} holds at most "
                f"{format.side} a side"
            )
    notes = []
    if len(stills) > 1 and not format.several:
        several = [suffix for suffix, other in FORMATS.items() if other.several]
        notes.append(f"only the first of {len(stills)} frames; {', '.join(several)} hold all")
        stills = stills[:1]
    fitted = [_fit(still, format, len(stills) > 1, notes) for still in stills]
    if format.name == "GIF" and (source is None or source.format != "GIF"):
        notes.append("GIF has 256 colours a frame, and transparency is all or nothing")
    if format is _TIFF and source is not None and source.animated:
        notes.append("the times of an animation are left out: TIFF has pages alone")
    notes = [f"{target}: {note}" for note in dict.fromkeys(notes)]
    try:
        data = _encode(fitted, format, source, quality)
    except Exception as error:  # Pillow's encoders raise errors of any kind
        raise InputError(f"cannot write {target}: {error or type(error).__name__}") from error
    with replacing(target) as temporary:
        temporary.write_bytes(data)
    return notes


def format_of(path: Path) -> Format:
    """The format for a file name; raises InputError for another extension."""
    format = FORMATS.get(path.suffix.lower())
    if format is None:
        raise InputError(f"{path}: a picture's name ends in {', '.join(SUFFIXES)}")
    if format is _HEIF:
        _register_heif()
    return format


def _fit(still: Still, format: Format, several: bool, notes: list[str]) -> Still:
    """`still` without what `format` cannot store; each loss is added to `notes`."""
    channels = still.pixels.shape[-1]
    deep = format.deep and not (several and format is _PNG)
    if still.pixels.dtype == np.uint16 and not deep:
        notes.append("16 bits a value are written as 8")
        alpha = None if still.alpha is None else _bytes(still.alpha)
        still = replace(still, pixels=_bytes(still.pixels), alpha=alpha)
    if still.alpha is not None and not format.alpha:
        if _bytes(still.alpha).min() < 255:
            notes.append("transparency is laid over white")
            return Still(still.rgb(), seconds=still.seconds)
        still = replace(still, alpha=None)
    if still.profile is not None and not format.profile:
        notes.append("colours of its ICC profile are converted to sRGB")
        return still.in_srgb()
    lacks = (channels == 1 and not format.gray) or (channels == 4 and not format.cmyk)
    return still.in_srgb() if lacks else still


def _encode(stills: Sequence[Still], format: Format, source: Picture | None, quality: str) -> bytes:
    """The bytes of a file of `format`, which can store `stills` unchanged."""
    from PIL.PngImagePlugin import PngInfo

    height, width = stills[0].pixels.shape[:2]
    options = source.metadata(width, height) if source is not None else {"texts": {}}
    texts, xmp = options.pop("texts"), options.get("xmp")
    if not format.exif:
        options.pop("exif", None)
    if source is not None and source.format == format.name:
        options |= source.compression()
    jpeg, webp, others = QUALITIES[quality]
    if format is _JPEG:
        options = {"quality": jpeg, "subsampling": 0 if quality == "high" else 2} | options
    elif format is _PNG:
        options["pnginfo"] = info = PngInfo()
        for key, text in texts.items():
            info.add_text(key, str(text))
        if xmp:
            info.add_itxt("XML:com.adobe.xmp", xmp.decode(errors="replace"))
    elif format is _WEBP:
        options["quality"] = webp
    elif format in (_AVIF, _HEIF):
        options["quality"] = others
    elif format is _TIFF:
        options.pop("comment", None)
        # Pillow writes 16 bits and the directories of EXIF without compression alone.
        if "exif" not in options and all(still.pixels.dtype == np.uint8 for still in stills):
            options["compression"] = "tiff_deflate"
    deep = [still.pixels.dtype == np.uint16 and not _is_plain_gray(still) for still in stills]
    if format is _PNG and deep[0]:
        return _deep_png(stills[0], options)
    frames = [_as_pillow(still) for still in stills]
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:]}
        if format is not _TIFF:
            options |= source.timing() if source is not None else {}
            start = 1 if options.get("default_image") else 0
            options["duration"] = [round(1000 * still.seconds) for still in stills[start:]]
            if format is _PNG:
                options |= {"disposal": 0, "blend": 0}
            elif format.name == "GIF":
                options["disposal"] = 2
                if options["loop"] == 1:
                    del options["loop"]
    if format is not _TIFF and stills[0].profile is not None:
        options["icc_profile"] = stills[0].profile
    file = io.BytesIO()
    frames[0].save(file, format.name, **options)
    data = bytearray(file.getvalue())
    if any(deep):
        _widen_tiff(data, deep)
    return bytes(data)


def _is_plain_gray(still: Still) -> bool:
    return still.pixels.shape[-1] == 1 and still.alpha is None


def _as_pillow(still: Still) -> Any:
    """`still` for Pillow's writers; 16-bit colours as bytes of a picture twice as wide, for
    `_widen_tiff`."""
    from PIL import Image

    pixels = still.pixels
    if pixels.dtype == np.uint16 and _is_plain_gray(still):
        image = Image.fromarray(np.ascontiguousarray(pixels[..., 0]))
    else:
        if pixels.dtype == np.uint16:
            pixels = _with_alpha(still).astype("<u2")
            height, width, channels = pixels.shape
            pixels = pixels.reshape(height, width, channels, 1).view(np.uint8)
            pixels = pixels.reshape(height, 2 * width, channels)
        elif still.alpha is not None:
            pixels = np.concatenate([pixels, still.alpha[..., None]], axis=-1)
        modes = {1: "L", 2: "LA", 3: "RGB", 4: "CMYK" if still.alpha is None else "RGBA"}
        mode = modes[pixels.shape[-1]]
        size = (pixels.shape[1], pixels.shape[0])
        image = Image.frombytes(mode, size, np.ascontiguousarray(pixels).tobytes())
    if still.profile is not None:
        image.info["icc_profile"] = still.profile
    return image


def _with_alpha(still: Still) -> np.ndarray:
    """RGB or RGBA `(h, w, c)` of the values as they are."""
    pixels = np.broadcast_to(still.pixels, (*still.pixels.shape[:2], 3))
    return pixels if still.alpha is None else np.dstack([pixels, still.alpha])


def _deep_png(still: Still, options: dict[str, Any]) -> bytes:
    """16-bit PNG, which Pillow writes only for gray: OpenCV's file with Pillow's metadata."""
    import cv2
    from PIL import Image

    pixels = _with_alpha(still)
    order = [2, 1, 0, 3][: pixels.shape[-1]]
    data = cv2.imencode(".png", np.ascontiguousarray(pixels[..., order]))[1].tobytes()
    if still.profile is not None:
        options["icc_profile"] = still.profile
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


def _widen_tiff(data: bytearray, deep: Sequence[bool]) -> None:
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


def _open(data: bytes) -> Any:
    from PIL import Image

    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"heim", b"heis", b"mif1"):
        _register_heif()
    return Image.open(io.BytesIO(data))


def _register_heif() -> None:
    """Register HEIC with Pillow; raises InputError if its plugin is not installed."""
    try:
        import pillow_heif
    except ImportError:
        raise InputError(
            "HEIC pictures need the package pillow-heif: pip install 'keypoints[heic]'"
        ) from None
    pillow_heif.register_heif_opener(thumbnails=False)


def _deep_pixels(data: bytes, file: Any, index: int) -> np.ndarray | None:
    """`(h, w, c)` uint16 gray, RGB or RGBA of a picture with more than 8 bits, else None.

    Pillow keeps 16 bits only for gray; colours are decoded again by OpenCV.
    """
    import cv2

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
        log = cv2.utils.logging
        level = log.setLogLevel(log.LOG_LEVEL_ERROR)  # warnings of tags would be printed
        try:
            good, pages = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED, range=(index, index + 1))
        finally:
            log.setLogLevel(level)
        pixels = pages[0] if good else None
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    return pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]]


def _plain(file: Any) -> Any:
    """The picture in an 8-bit mode without a palette: L, LA, RGB, RGBA or CMYK."""
    if file.mode in ("L", "LA", "RGB", "RGBA", "CMYK") and not file.info.get("transparency"):
        return file
    if file.mode == "1":
        return file.convert("L")
    return file.convert("RGBA" if file.has_transparency_data else "RGB")


def _bytes(values: np.ndarray) -> np.ndarray:
    """The high byte of each value."""
    return (values >> 8).astype(np.uint8) if values.dtype == np.uint16 else values


_MODES = {1: ("GRAY", "L"), 3: ("RGB", "RGB"), 4: ("CMYK", "CMYK")}  # by channels


@functools.lru_cache(maxsize=8)
def _usable(profile: bytes | None, channels: int) -> bool:
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


def _to_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
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


def _from_srgb(rgb: np.ndarray, profile: bytes | None, channels: int) -> np.ndarray:
    """uint8 values `(h, w, channels)` with `profile` of `rgb` `(h, w, 3)` uint8 sRGB."""
    from PIL import Image, ImageCms

    transform = _transform(profile, channels, True) if profile is not None else None
    if transform is not None:
        moved = ImageCms.applyTransform(Image.fromarray(rgb), transform)
        return np.asarray(moved).reshape(*rgb.shape[:2], channels)
    if channels == 4:
        return np.asarray(Image.fromarray(rgb).convert("CMYK"))
    return rgb[..., :channels]
