"""Pictures as arrays: `(h, w, 3)` uint8 RGB, whatever a caller has."""

import numpy as np

from keypoints.errors import InputError


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Any picture as `(h, w, 3)` uint8 RGB.

    `(h, w)` or 1 to 4 channels: gray, gray and alpha, RGB, RGB and alpha; alpha is dropped. uint8
    stays, uint16 keeps its high byte, booleans are black and white. Other integers are 0 to 255
    where none is above that, as arithmetic on uint8 leaves them, else they keep the high byte of
    16 bits, or of their type where one is above 65535; negative ones are black. Floats are 0 to 1,
    or 0 to 255 where any is above 1, and what is not finite is black. A picture without pixels
    becomes one black pixel. Raises InputError for another shape or kind.
    """
    if image is None:
        raise InputError("the picture is None, which is what cv2.imread returns for a bad path")
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 2, 3, 4) or image.dtype.kind not in "buif":
        raise InputError(f"a picture of shape {image.shape} and type {image.dtype} is not known")
    image = image[..., : 3 if image.shape[2] >= 3 else 1]
    if image.size == 0:
        return np.zeros((1, 1, 3), np.uint8)
    if image.dtype == bool:
        image = image.astype(np.uint8) * 255
    elif image.dtype.kind == "f":
        image = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        image = image * (255.0 if image.max() <= 1.0 else 1.0)
        image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    elif image.dtype != np.uint8:
        end = np.iinfo(image.dtype).max
        if image.dtype != np.uint16:
            end = next(span for span in (255, min(65535, end), end) if image.max() <= span)
        image = (np.clip(image, 0, None) // max((end + 1) // 256, 1)).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))
