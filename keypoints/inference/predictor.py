"""A trained network, a picture and face boxes to points in the picture's pixels."""

import itertools
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from keypoints import geometry
from keypoints.errors import InputError, near_miss
from keypoints.estimate import Estimate, concatenate, in_picture, score_faces
from keypoints.images import as_rgb
from keypoints.inference import settling
from keypoints.inference.detectors import load_detector
from keypoints.inference.exported import load_exported
from keypoints.markup import Markup
from keypoints.models import runs
from keypoints.network import Network
from keypoints.pretrained import NAMES, resolve

# Boxes are kept within this many pixels of the picture's corner: beyond it floats lose pixels.
FAR = 1e6
BATCH = 16  # most crops for the network at once: the memory for a crowd is bounded


class Predictor:
    """Finds the points of faces. The same crop and the same network as in evaluation."""

    def __init__(self, network: Network):
        self.network = network

    @property
    def markup(self) -> Markup:
        """What its points mean."""
        return self.network.markup

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> "Predictor":
        """The predictor of the network that `load_network` reads."""
        return cls(load_network(path, threads=threads))

    def predict(self, image: np.ndarray, boxes: np.ndarray | None = None) -> np.ndarray:
        """Points `(n, k, 2)` float32 in pixels of `image`, one face for each box.

        `image` and `boxes` are those of `estimate`.
        """
        return self.estimate(image, boxes).points

    def estimate(
        self,
        image: np.ndarray,
        boxes: np.ndarray | None = None,
        rolls: np.ndarray | None = None,
    ) -> Estimate:
        """Points and uncertainties in pixels of `image`, one face for each box.

        `image`: RGB, gray, or either with alpha (which is dropped), any size, as in `as_rgb`.
        `boxes` `(n, 4)`: tight landmark boxes, left, top, width, height, and `rolls` `(n,)`: by how
        much each crop is turned (`inference.upright`), 0 unless given. Unless boxes are given a
        detector finds both, and the result is `settled`. A box that is not finite stands for the
        whole picture, one without extent for one pixel, a roll that is not finite for 0; pixels off
        the picture are black. So the result is always finite; where there is no face it has no
        meaning.
        """
        image = as_rgb(image)
        if boxes is None:
            found = load_detector().detect(image)
            return self.settled(image, found.boxes, self.estimate(image, found.boxes, found.rolls))
        boxes = _usable(boxes, image)
        matrices = self.matrices(image, boxes, rolls)
        size = self.network.crop.size
        crops = (geometry.crop(image, matrix, size=size) for matrix in matrices)
        estimate = in_picture(self.predict_crops(crops), matrices)
        return self.scored(estimate, boxes, image.shape)

    def settled(self, image: np.ndarray, boxes: np.ndarray, found: Estimate) -> Estimate:
        """`found`, all faces of a picture, with those estimated again that are off their boxes.

        `boxes` `(n, 4)` are those of a detector, in which `found` was estimated; see `settling`.
        """
        if self.network.crop.frame:
            return found
        again, places, rolls = settling.boxes_again(found, boxes, self.markup)
        if not len(again):
            return found
        others = self.estimate(image, places, rolls)
        return settling.settled(found, boxes, again, others, self.markup)

    def scored(self, estimate: Estimate, boxes: np.ndarray, shape: tuple[int, ...]) -> Estimate:
        """`estimate`, in pixels of a picture of that shape, with the scores of its faces.

        `boxes` `(n, 4)` are those that its crops were made from.
        """
        markup, half = self.network.markup, self.network.half_score
        scores = score_faces(estimate, boxes, shape, markup=markup, half_score=half)
        return replace(estimate, scores=scores)

    def matrices(
        self, image: np.ndarray, boxes: np.ndarray, rolls: np.ndarray | None = None
    ) -> np.ndarray:
        """Matrices `(n, 2, 3)` from `image` `(h, w, 3)` to the crops of `boxes`, as in `estimate`.

        With `geometry.crop` and `predict_crops`, crops of several pictures share a batch.
        """
        boxes = _usable(boxes, image)
        rolls = np.zeros(len(boxes)) if rolls is None else _numbers(rolls, "rolls").reshape(-1)
        if len(rolls) != len(boxes):
            raise InputError(f"{len(rolls)} rolls for {len(boxes)} boxes; one for each is expected")
        rolls = np.nan_to_num(rolls, posinf=0, neginf=0)
        return self.network.crop.matrices(boxes, rolls, shapes=image.shape)

    def predict_crops(self, crops: Iterable[np.ndarray]) -> Estimate:
        """The estimate of crops `(size, size, 3)` uint8 RGB, in pixels of each.

        In batches of `BATCH` at most.
        """
        count = self.network.markup.count
        estimates = [Estimate(np.empty((0, count, 2), "f4"), np.empty((0, count), "f4"))]
        left = iter(crops)
        while some := list(itertools.islice(left, BATCH)):
            # Whole powers of two: a compiled network sees few batch sizes, whatever the faces.
            size = 1 << (len(some) - 1).bit_length()
            side = self.network.crop.size
            batch = np.zeros((size, side, side, 3), np.uint8)
            batch[: len(some)] = some
            estimates.append(self.network.predict(batch)[: len(some)])
        return concatenate(estimates)


def load_network(path: str | Path, *, threads: int | None = None) -> Network:
    """The network of a run folder or of an export (its folder, or an .onnx file in it).

    ONNX Runtime computes with `threads` threads, one for each core unless given. A name of
    `pretrained.NAMES` is a model that comes with the package. Raises InputError for what is
    neither, and for damaged files.
    """
    path = resolve(path)
    if not os.path.exists(path):
        hint = near_miss(str(path), list(NAMES))
        raise InputError(
            f"{path} is neither a run folder nor an export: no such file or folder{hint}"
        )
    if os.path.exists(path / runs.CONFIG):
        return runs.load_network(path)
    return load_exported(path, threads=threads)


def _usable(boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
    boxes = _numbers(boxes, "boxes")
    if boxes.size and boxes.shape[-1] != 4:
        raise InputError(f"boxes of shape {boxes.shape}; (n, 4) is expected")
    boxes = boxes.reshape(-1, 4)
    height, width = image.shape[:2]
    boxes[~np.isfinite(boxes).all(axis=1)] = (0, 0, width, height)
    boxes[:, 2:] = np.clip(boxes[:, 2:], 0, FAR)
    boxes[:, :2] = np.clip(boxes[:, :2], -FAR, FAR)
    return boxes


def _numbers(values: np.ndarray, name: str) -> np.ndarray:
    """A float64 copy of what a caller gives; raises InputError for what are no numbers."""
    try:
        return np.array(values, np.float64)
    except (ValueError, TypeError):
        raise InputError(f"{name}: numbers are expected, not {values!r:.60}") from None
