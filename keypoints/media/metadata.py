"""Metadata of a picture for an edited copy: what is kept, and what would show or name people."""

import re
from typing import Any

ORIENTATION, _EXIF_IFD, _GPS_IFD, _WIDTH, _HEIGHT = 0x0112, 0x8769, 0x8825, 0xA002, 0xA003
_MAKER_NOTE, _INTEROPERABILITY = 0x927C, 0xA005
# Tags of the first directory that are copied; the others describe how the file is stored.
_CAMERA = {0x010F, 0x0110, 0x0131, 0x0132}  # make, model, program, date
_NAMES = {0x010E, 0x013B, 0x8298}  # title, artist, copyright
# Tags of EXIF's own directory that say how and when a picture was taken: exposure, times, colours,
# optics. All others can name people, places or one camera: comments, owners, serial numbers.
_TECHNICAL = {
    0x829A, 0x829D, 0x8822, 0x8827, *range(0x8830, 0x8836), 0x9000, 0x9003, 0x9004, 0x9010, 0x9011,
    0x9012, 0x9101, 0x9102, *range(0x9201, 0x920B), 0x9290, 0x9291, 0x9292, 0xA000, 0xA001, _WIDTH,
    _HEIGHT, 0xA20E, 0xA20F, 0xA210, 0xA215, 0xA217, 0xA300, 0xA301, *range(0xA401, 0xA40B), 0xA40C,
    0xA432, 0xA433, 0xA434, 0xA500,
}  # fmt: skip
# JPEG, PNG and WebP files as they are, in base64 and in hexadecimal digits; the names under which
# XMP keeps thumbnails.
_PICTURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r|RIFF....WEBP|/9j/|iVBORw0KGgo|UklGR.{9}RUJQ"
    rb"|ff\s*d8\s*ff|8950\s*4e47|xmpGImg|GImage|GDepth",
    re.DOTALL | re.IGNORECASE,
)
_OWN_TEXT = "XML:com.adobe.xmp"  # a text of PNG that is kept as XMP
_RAW_PROFILE = "Raw profile type"  # EXIF, IPTC and others as texts of PNG, by other programs


def exif_of(file: Any) -> Any:
    """The EXIF of a picture that Pillow has opened; an empty one where it is damaged."""
    from PIL import Image

    try:
        return file.getexif()
    except Exception:  # Pillow raises anything on a damaged directory, which viewers pass over
        return Image.Exif()


def kept_metadata(
    file: Any, width: int, height: int, *, private: bool
) -> tuple[dict[str, Any], list[str]]:
    """Options of Pillow's writers for a copy of `file` with `width` x `height` pixels.

    EXIF, XMP, resolution, comment, and `texts` of PNG. Left out are the orientation, since copies
    are upright, and all that may hold the picture as it was before: thumbnails, makers' notes, raw
    profiles, and fields with a picture in them. `private` also leaves out what names people, places
    and things: GPS, titles, artists, comments, serial numbers, all of XMP and all texts. The second
    value names the fields that were left out.
    """
    info: dict[str, Any] = file.info
    lost: list[str] = []
    kept: dict[str, Any] = {"dpi": info["dpi"]} if "dpi" in info else {}
    exif = _kept_exif(file, width, height, private, lost)
    if exif:
        kept["exif"] = exif
    xmp = info.get("xmp") or b""
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    fields = {"XMP": xmp, "comment": info.get("comment") or b""}
    texts = {key: text for key, text in getattr(file, "text", {}).items() if key != _OWN_TEXT}
    for name, value in (fields | texts).items():
        hidden = name.startswith(_RAW_PROFILE) or _holds_picture(value)
        if value and (private or hidden):
            lost.append(name)
            fields.pop(name, None)
            texts.pop(name, None)
    if fields.get("XMP"):
        kept["xmp"] = re.sub(rb"(tiff:Orientation(?:=[\"']|>))\d", rb"\g<1>1", xmp)
    if fields.get("comment"):
        kept["comment"] = fields["comment"]
    return kept | {"texts": texts}, lost


def _kept_exif(file: Any, width: int, height: int, private: bool, lost: list[str]) -> bytes:
    """The bytes of the EXIF to keep, b"" for none; names of the fields left out go to `lost`."""
    from PIL import ExifTags

    exif = exif_of(file)
    copy = type(exif)()
    try:
        for tag in _CAMERA | _NAMES:
            if tag in exif and (tag in _CAMERA or not private):
                copy[tag] = exif[tag]
            elif tag in exif:
                lost.append(ExifTags.TAGS[tag])
        entries = dict(exif.get_ifd(_EXIF_IFD))
        entries.pop(_INTEROPERABILITY, None)
        for tag, value in list(entries.items()):
            names_someone = private and tag not in _TECHNICAL
            if tag == _MAKER_NOTE or names_someone or _holds_picture(value):
                lost.append(ExifTags.TAGS.get(tag, f"EXIF {tag:#06x}"))
                del entries[tag]
        if _WIDTH in entries:
            entries |= {_WIDTH: width, _HEIGHT: height}
        place = dict(exif.get_ifd(_GPS_IFD))
        if place and private:
            lost.append("GPS")
        for tag, directory in ((_EXIF_IFD, entries), (_GPS_IFD, {} if private else place)):
            if directory:
                copy[tag] = directory
        return copy.tobytes() if len(copy) else b""
    except Exception:  # damaged: Pillow raises anything
        lost.append("damaged EXIF")
        return b""


def _holds_picture(value: Any) -> bool:
    if isinstance(value, str):
        value = value.encode(errors="replace")
    return isinstance(value, bytes) and _PICTURE.search(value) is not None
