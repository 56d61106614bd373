"""Writing of picture files, with everything besides the pixels that an edited copy must keep."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.errors import InputError
from keypoints.media import formats
from keypoints.media.deep_colour import deep_png, widen_tiff
from keypoints.media.formats import Format
from keypoints.media.pictures import Picture, Still, register_heif
from keypoints.system.atomic import replacing

# Qualities of JPEG, WebP, and AVIF and HEIC. `high` is visually lossless.
_QUALITIES = {"high": (95, 95, 90), "medium": (88, 85, 75), "small": (75, 70, 55)}


def save(
    target: Path,
    stills: Sequence[Still],
    *,
    source: Picture | None = None,
    quality: str = "high",
    private: bool = False,
) -> list[str]:
    """Write a picture, or its frames, in the format of `target`'s extension; atomic.

    Everything in `source` besides the pixels is kept but for previews and, if `private`, metadata
    that names people (`metadata.kept_metadata`) and colours of pixels that are transparent.
    `quality` is one of `formats.QUALITIES`. Returns a line for each thing that is left out. Raises
    InputError if the file cannot be written.
    """
    format = formats.picture_format(target)
    formats.check_quality(quality)
    if format is formats.HEIF:
        register_heif()
    for still in stills:
        height, width = still.pixels.shape[:2]
        if format.side and max(width, height) > format.side:
            raise InputError(
                f"cannot write {target}: {width} x {height} pixels; {format.name} holds at most "
                f"{format.side} a side"
            )
    if private:
        stills = [still.without_hidden() for still in stills]
    notes = []
    if len(stills) > 1 and not format.several:
        several = [suffix for suffix, other in formats.PICTURES.items() if other.several]
        notes.append(f"only the first of {len(stills)} frames; {', '.join(several)} hold all")
        stills = stills[:1]
    fitted = [_fit(still, format, len(stills) > 1, notes) for still in stills]
    if format is formats.GIF and (source is None or source.format != "GIF"):
        notes.append("GIF has 256 colours a frame, and transparency is all or nothing")
    if format is formats.TIFF and source is not None and source.animated:
        notes.append("the times of an animation are left out: TIFF has pages alone")
    notes = [f"{target}: {note}" for note in dict.fromkeys(notes)]
    options: dict[str, Any] = {"texts": {}}
    if source is not None:
        height, width = stills[0].pixels.shape[:2]
        options, line = source.metadata(width, height, private=private)
        notes += [line] if line else []
    try:
        data = _encode(fitted, format, source, quality, options)
    except Exception as error:  # Pillow's encoders raise errors of any kind
        raise InputError(f"cannot write {target}: {error or type(error).__name__}") from error
    with replacing(target) as temporary:
        temporary.write_bytes(data)
    return notes


def _fit(still: Still, format: Format, several: bool, notes: list[str]) -> Still:
    """`still` without what `format` cannot store; each loss is added to `notes`."""
    channels = still.pixels.shape[-1]
    deep = format.deep and not (several and format is formats.PNG)
    if still.pixels.dtype == np.uint16 and not deep:
        notes.append("16 bits a value are written as 8")
        still = still.in_bytes()
    if still.alpha is not None and not format.alpha:
        if still.transparent:
            notes.append("transparency is laid over white")
            return Still(still.rgb(), seconds=still.seconds)
        still = replace(still, alpha=None)
    if still.profile is not None and not format.profile:
        notes.append("colours of its ICC profile are converted to sRGB")
        return still.in_srgb()
    lacks = (channels == 1 and not format.gray) or (channels == 4 and not format.cmyk)
    return still.in_srgb() if lacks else still


def _encode(
    stills: Sequence[Still],
    format: Format,
    source: Picture | None,
    quality: str,
    options: dict[str, Any],
) -> bytes:
    """The bytes of a file of `format`, which can store `stills` unchanged.

    `options`: metadata as from `metadata.kept_metadata`.
    """
    if source is not None and source.format == format.name:
        options |= source.compression()
    _choose(options, format, quality)
    deep = [still.pixels.dtype == np.uint16 and not _is_plain_gray(still) for still in stills]
    if stills[0].profile is not None and format is not formats.TIFF:
        options["icc_profile"] = stills[0].profile
    if format is formats.PNG and deep[0]:
        return deep_png(_with_alpha(stills[0]), options)
    # Pillow writes 16 bits and the directories of EXIF without compression alone.
    plain = "exif" not in options and all(still.pixels.dtype == np.uint8 for still in stills)
    if format is formats.TIFF and plain:
        options["compression"] = "tiff_deflate"
    frames = [_as_pillow(still) for still in stills]
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:]}
        if format is not formats.TIFF:
            options |= _timing(stills, format, source)
    file = io.BytesIO()
    frames[0].save(file, format.name, **options)
    data = bytearray(file.getvalue())
    if any(deep):
        widen_tiff(data, deep)
    return bytes(data)


def _choose(options: dict[str, Any], format: Format, quality: str) -> None:
    """Change metadata into what Pillow's writer of `format` takes, and add its quality."""
    from PIL.PngImagePlugin import PngInfo

    texts = options.pop("texts")
    if not format.exif:
        options.pop("exif", None)
    jpeg, webp, others = _QUALITIES[quality]
    if format is formats.JPEG:
        options.setdefault("subsampling", 0 if quality == "high" else 2)
        options["quality"] = jpeg
    elif format is formats.PNG:
        options["pnginfo"] = info = PngInfo()
        for key, text in texts.items():
            info.add_text(key, str(text))
        if "xmp" in options:
            info.add_itxt("XML:com.adobe.xmp", options["xmp"].decode(errors="replace"))
    elif format is formats.WEBP:
        options["quality"] = webp
    elif format in (formats.AVIF, formats.HEIF):
        options["quality"] = others
    elif format is formats.TIFF:
        options.pop("comment", None)


def _timing(stills: Sequence[Still], format: Format, source: Picture | None) -> dict[str, Any]:
    """The options of Pillow's writers for the times of an animation."""
    options = source.timing() if source is not None else {}
    start = 1 if options.get("default_image") else 0
    options["duration"] = [round(1000 * still.seconds) for still in stills[start:]]
    if format is formats.PNG:
        options |= {"disposal": 0, "blend": 0}
    elif format is formats.GIF:
        options["disposal"] = 2
        if options.get("loop") == 1:
            del options["loop"]
    return options


def _is_plain_gray(still: Still) -> bool:
    return still.pixels.shape[-1] == 1 and still.alpha is None


def _as_pillow(still: Still) -> Any:
    """`still` for Pillow's writers; 16-bit colours as bytes of a picture twice as wide, for
    `widen_tiff`."""
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
