"""Boxes and the 2x3 affine matrices that map images and points between coordinate frames.

Pixel convention, as in OpenCV: the centre of the top-left pixel is (0, 0). An image of width w
covers x from -0.5 to w - 0.5, and scaling by s maps x to (x + 0.5) s - 0.5.

A `matrix` is 2x3 float64 and maps points of the source image to points of the crop:
u = matrix[:, :2] @ (x, y) + matrix[:, 2]. Points outside an image are valid and never clamped.
"""

import numpy as np

CROP = 224  # side of the square crop that the network takes, in pixels
OPENCV_SIDE = 2**15 - 2  # longest side that OpenCV's warps take, pixels
FRAME_SHORT_SIDE = 255  # the crop of the frame scales the short side of an image to this


def landmark_box(points: np.ndarray) -> np.ndarray:
    """Tight box `(..., 4)` of points `(..., n, 2)`: left, top, width, height in pixels."""
    points = np.asarray(points)
    low, high = points.min(axis=-2), points.max(axis=-2)
    return np.concatenate([low, high - low], axis=-1)


def scaled_boxes(boxes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Boxes `(..., 4)` of an image in the one that is `scale` `(2,)` times as wide and high."""
    corners = (boxes[..., :2] + 0.5) * scale - 0.5
    return np.concatenate([corners, boxes[..., 2:] * scale], axis=-1)


def rotation(degrees: np.ndarray | float) -> np.ndarray:
    """Matrices `(..., 2, 2)` that turn column vectors clockwise, as a picture shows it."""
    angle = np.radians(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.moveaxis(np.array([[cos, -sin], [sin, cos]]), (0, 1), (-2, -1))


def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The matrix that applies `first` and then `second`; both `(..., 2, 3)`."""
    linear = second[..., :2] @ first[..., :2]
    shift = (second[..., :2] @ first[..., 2:])[..., 0] + second[..., 2]
    return np.concatenate([linear, shift[..., None]], axis=-1)


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse `(..., 2, 3)`; raises `numpy.linalg.LinAlgError` for a singular matrix."""
    linear = np.linalg.inv(matrix[..., :2])
    return np.concatenate([linear, -(linear @ matrix[..., 2:])], axis=-1)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points `(..., n, 2)` transformed by `matrix` `(..., 2, 3)`, as float32."""
    linear, shift = matrix[..., :2], matrix[..., 2]
    moved = np.asarray(points, np.float64) @ np.swapaxes(linear, -1, -2) + shift[..., None, :]
    return moved.astype(np.float32)


def scale_of(matrix: np.ndarray) -> np.ndarray:
    """Crop pixels per image pixel `(...)`: the square root of the absolute determinant."""
    return np.sqrt(np.abs(np.linalg.det(matrix[..., :2])))


def crop(image: np.ndarray, matrix: np.ndarray, *, size: int = CROP) -> np.ndarray:
    """Sample the crop `(size, size, c)` of `image` `(h, w, c)` uint8 at `matrix`, bilinear.

    Pixels outside the image are black. An image that would shrink to less than half its size is
    first averaged over blocks of whole pixels: bilinear sampling alone would skip pixels and alias.
    Images may be larger than the 32,766 pixels per side that OpenCV's warps take.
    """
    import cv2

    reduction = max(int(1 / scale_of(matrix)), 1)
    if reduction >= 2 or max(image.shape[:2]) > OPENCV_SIDE:
        # Only what the crop shows, and two samples more, in whole blocks of the reduction.
        low, high = seen(matrix, size=size)
        low = np.floor(low / reduction).astype(int) * reduction - 2 * reduction
        high = np.ceil(high / reduction).astype(int) * reduction + 2 * reduction
        left, top = np.clip(low, 0, None)
        right, bottom = np.clip(high, 0, [image.shape[1], image.shape[0]])
        if right <= left or bottom <= top:
            return np.zeros((size, size, *image.shape[2:]), np.uint8)
        image = image[top:bottom, left:right]
        matrix = compose(matrix, np.array([[1, 0, left], [0, 1, top]], np.float64))
    if reduction >= 2:
        image, matrix = reduce(image, reduction), compose(matrix, enlargement(reduction))
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)


def seen(matrix: np.ndarray, *, size: int = CROP) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest image x and y `(..., 2)` that the `size` crop covers."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) - 0.5
    back = invert(matrix)
    places = corners @ np.swapaxes(back[..., :2], -1, -2) + back[..., None, :, 2]
    return places.min(axis=-2), places.max(axis=-2)


def reduce(image: np.ndarray, factor: int) -> np.ndarray:
    """`image` `(h, w, c)` averaged over blocks of `factor` x `factor` pixels.

    A partial block at the right or bottom edge is cut off.
    """
    import cv2

    height, width = max(image.shape[0] // factor, 1), max(image.shape[1] // factor, 1)
    image = image[: height * factor, : width * factor]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def enlargement(factor: float) -> np.ndarray:
    """Matrix from an image reduced by `factor` to the original."""
    offset = (factor - 1) / 2
    return np.array([[factor, 0, offset], [0, factor, offset]], np.float64)
