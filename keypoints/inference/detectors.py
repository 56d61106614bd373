"""Face detectors by name."""

import os
from functools import cache
from pathlib import Path

import numpy as np

from keypoints.errors import InputError
from keypoints.images import as_rgb
from keypoints.inference import yunet
from keypoints.inference.centerface import CENTERFACE, COMPACT, CenterFaceDetector
from keypoints.inference.detections import Detections, Detector
from keypoints.inference.haar import HaarDetector
from keypoints.inference.yunet import YuNetDetector

DEFAULT = "compact"
NETWORKS = {"compact": COMPACT, "centerface": CENTERFACE}
# Sides of the smallest faces to look for, as shares of the square root of the picture's area:
# 24 pixels in 4000 x 3000, and 44 in 640 x 480.
STILL, MOVING = 0.007, 0.08


def detect(
    image: np.ndarray,
    *,
    detector: str | Path = DEFAULT,
    smallest: float = STILL,
    rotations: bool = True,
) -> Detections:
    """The faces in `image`: RGB, gray, or either with alpha, any size, as in `as_rgb`.

    The options are those of `load_detector`.
    """
    loaded = load_detector(detector, smallest=smallest, rotations=rotations)
    return loaded.detect(as_rgb(image))


def load_detector(
    name: str | Path = DEFAULT,
    *,
    smallest: float = STILL,
    rotations: bool = True,
    threads: int | None = None,
) -> Detector:
    """`compact`, `centerface`, `haar`, `yunet`, or the path of YuNet's file; each is read once.

    `smallest`, for the first two, is the side of the smallest faces to look for, as a share of the
    square root of the picture's area: `STILL` for pictures, `MOVING` (quicker) for live ones.
    With `rotations` a picture in which no face is found upright and sure is searched again: turned
    by `centerface`, by `compact` with CenterFace. It computes with `threads` threads, one for each
    core unless given.
    `yunet` is read from `folders.cache_folder()`, to which it is downloaded where it is not there
    yet. Raises
    InputError for another name, and where the file cannot be had or is not the one it should be.
    """
    return _load(str(name), smallest, rotations, threads)


@cache
def _load(name: str, smallest: float, rotations: bool, threads: int | None) -> Detector:
    if name in NETWORKS:
        return CenterFaceDetector(NETWORKS[name], smallest, rotations=rotations, threads=threads)
    if name == "haar":
        return HaarDetector()
    if name == "yunet":
        return YuNetDetector(yunet.fetch())
    if Path(name).suffix != ".onnx":
        raise InputError(
            f"detector={name}: compact, centerface, haar, yunet or the path of YuNet's .onnx file"
        )
    if not os.path.isfile(name):
        raise InputError(f"detector={name}: no such file; it can be downloaded from {yunet.URL}")
    return YuNetDetector(Path(name))
