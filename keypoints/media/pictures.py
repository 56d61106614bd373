"""Picture files to the RGB pixels that a viewer shows."""

import io

import numpy as np

from keypoints.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
# A decoded picture of this many pixels takes 300 MB: beyond it a file is a mistake or an attack.
MAX_PIXELS = 100_000_000


def decode_picture(data: bytes, name: str) -> np.ndarray:
    """The picture in the bytes of a file as `(h, w, 3)` uint8 RGB.

    Turned as its EXIF orientation says; 16-bit values lose their low byte; gray and palette
    pictures become RGB; transparent pixels are laid over white. Raises InputError, naming the
    picture, for bytes that are no picture, a truncated one, or one of over `MAX_PIXELS`.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise InputError(
                    f"{name}: {picture.width} x {picture.height} pixels are more than "
                    f"{MAX_PIXELS // 1_000_000} million"
                )
            picture.load()
            picture = ImageOps.exif_transpose(picture)
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise what they like on damaged files
        reason = str(error).split("<_io")[0] or type(error).__name__
        raise InputError(f"{name}: not a whole picture: {reason.strip()}") from None
    if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow's own conversion clips
        gray = (np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=-1)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"))


def encode_png(image: np.ndarray) -> bytes:
    """`image` `(h, w, 3)` uint8 RGB as a PNG file, packed for speed rather than size."""
    import cv2

    return cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
