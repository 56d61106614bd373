"""The result of every face detector, and operations on face boxes: overlap, conversion, order."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

SAME_FACE_IOU = 0.3  # overlap from which on two boxes are of the same face


@dataclass(frozen=True)
class Detections:
    """The faces of one picture, largest first."""

    boxes: np.ndarray  # (n, 4) float32, tight landmark boxes: left, top, width, height in pixels
    scores: np.ndarray  # (n,) float32, 0..1, confidence of the detector
    # (n,) float32, degrees clockwise by which heads are tilted; boxes are those of the picture
    # turned back about their centres (`inference.upright`). 0 for heads that are about upright.
    rolls: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)


class Detector(Protocol):
    """Anything that finds faces. It may be called from several threads at once."""

    def detect(self, image: np.ndarray) -> Detections:
        """The faces in `image` `(h, w, 3)` uint8 RGB."""


class PerThread(threading.local):
    """What `make` makes, once in each thread: OpenCV's detectors compute in their own members."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.value = make()


def largest_first(boxes: np.ndarray, scores: np.ndarray, rolls: np.ndarray) -> Detections:
    """Detections in the order of `Detections`, as float32."""
    order = np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable")
    return Detections(*(part[order].astype(np.float32) for part in (boxes, scores, rolls)))


def distinct(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Which of the boxes `(n, 4)` stay, best score first, where no two may be the same face.

    Greedy non-maximum suppression: of two boxes whose `overlap` is `SAME_FACE_IOU` or more the
    one with the lower score goes.
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[overlap(boxes[left], boxes[best]) < SAME_FACE_IOU]
    return np.array(kept, np.int64)


def shrink(image: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture smaller by `factor`, if that is above 1, and the exact `(2,)` way back."""
    if factor <= 1:
        return image, np.ones(2)
    size = tuple(max(round(length / factor), 1) for length in image.shape[1::-1])
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small, np.array(image.shape[1::-1]) / size


def fit_conversion(faces: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre `(2,)` and size `(2,)` of landmark boxes in units of a detector's own boxes.

    From matched `faces` and `boxes` `(n, 4)`; the centre is measured from the top-left corner.
    Medians over the faces.
    """
    centre = (boxes[:, :2] + boxes[:, 2:] / 2 - faces[:, :2]) / faces[:, 2:]
    return np.median(centre, axis=0), np.median(boxes[:, 2:] / faces[:, 2:], axis=0)


def landmark_boxes(faces: np.ndarray, centre: Any, size: Any) -> np.ndarray:
    """Landmark boxes `(n, 4)` of a detector's own boxes `faces`, by what was fitted to them."""
    sides = faces[:, 2:] * size
    return np.concatenate([faces[:, :2] + faces[:, 2:] * centre - sides / 2, sides], axis=1)


def overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes `(..., 4)` pair by pair."""
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., :2] + boxes[..., 2:], others[..., :2] + others[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    return shared / (boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - shared)
