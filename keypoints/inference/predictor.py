"""A trained network, a picture and face boxes to points in the picture's pixels."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keypoints import geometry
from keypoints.errors import InputError, near_miss
from keypoints.estimate import Estimate, Predict, concatenate, in_picture
from keypoints.images import as_rgb
from keypoints.inference.detectors import load_detector
from keypoints.landmarks import COUNT
from keypoints.models import runs
from keypoints.pretrained import NAMES, resolve

# Boxes are kept within this many pixels of the picture's corner: beyond it floats lose pixels.
FAR = 1e6
BATCH = 16  # most crops for the network at once: the memory for a crowd is bounded


class Predictor:
    """Finds the 68 points of faces. The same crop and the same network as in evaluation."""

    def __init__(
        self,
        network: Predict,
        *,
        view: str = "face",
        margin: float,
        data: str = "",
        file: Path | None = None,
    ):
        self.network = network
        self.view = view
        self.margin = margin
        self.data = data  # set that it was trained on
        self.file = file  # that its weights were read from

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> "Predictor":
        """The network of a run folder or of an export (its folder, or an .onnx file in it).

        ONNX Runtime computes with `threads` threads, one for each core unless given. A name of
        `pretrained.NAMES` is a model that comes with the package. Raises InputError for what is
        neither, and for damaged files.
        """
        path = resolve(path)
        if not path.exists():
            hint = near_miss(str(path), list(NAMES))
            raise InputError(
                f"{path} is neither a run folder nor an export: no such file or folder{hint}"
            )
        if (path / runs.CONFIG).exists():
            network, config = runs.load_predict(path)
            return cls(
                network,
                view=config.view,
                margin=config.margin,
                data=config.data,
                file=path / runs.BEST,
            )
        from keypoints.inference.exported import load_exported

        network, manifest, file = load_exported(path, threads=threads)
        crop = manifest["crop"]
        return cls(
            network,
            view=crop["view"],
            margin=crop["margin"],
            data=manifest["run"]["data"],
            file=file,
        )

    def predict(self, image: np.ndarray, boxes: np.ndarray | None = None) -> np.ndarray:
        """Points `(n, 68, 2)` float32 in pixels of `image`, one face for each box.

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
        much each crop is turned (`inference.upright`), 0 unless given; both those that a detector
        finds unless boxes are given. A box that is not finite stands for the whole picture, one
        without extent for one pixel, a roll that is not finite for 0; pixels off the picture are
        black. So the result is always finite; where there is no face it has no meaning.
        """
        image = as_rgb(image)
        if boxes is None:
            found = load_detector().detect(image)
            boxes, rolls = found.boxes, found.rolls
        matrices = self.matrices(image, boxes, rolls)
        crops = (geometry.crop(image, matrix) for matrix in matrices)
        return in_picture(self.predict_crops(crops), matrices)

    def matrices(
        self, image: np.ndarray, boxes: np.ndarray, rolls: np.ndarray | None = None
    ) -> np.ndarray:
        """Matrices `(n, 2, 3)` from `image` `(h, w, 3)` to the crops of `boxes`, as in `estimate`.

        With `geometry.crop` and `predict_crops`, crops of several pictures share a batch.
        """
        boxes = self._usable(boxes, image)
        if self.view == "frame":
            whole = geometry.frame_matrix(image.shape[1], image.shape[0])
            return np.tile(whole, (len(boxes), 1, 1))
        rolls = np.nan_to_num(np.zeros(len(boxes)) if rolls is None else rolls, posinf=0, neginf=0)
        return geometry.crop_matrix(boxes, margin=self.margin, roll=rolls)

    def predict_crops(self, crops: Iterable[np.ndarray]) -> Estimate:
        """The estimate of crops `(224, 224, 3)` uint8 RGB, in pixels of each; `BATCH` at a time."""
        estimates = [Estimate(np.empty((0, COUNT, 2), "f4"), np.empty((0, COUNT), "f4"))]
        left = iter(crops)
        while some := list(itertools.islice(left, BATCH)):
            # Whole powers of two: a compiled network sees few batch sizes, whatever the faces.
            size = 1 << (len(some) - 1).bit_length()
            batch = np.zeros((size, geometry.CROP, geometry.CROP, 3), np.uint8)
            batch[: len(some)] = some
            estimates.append(self.network(batch)[: len(some)])
        return concatenate(estimates)

    def _usable(self, boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
        boxes = np.array(boxes, np.float64)
        if boxes.size and boxes.shape[-1] != 4:
            raise InputError(f"boxes of shape {boxes.shape}; (n, 4) is expected")
        boxes = boxes.reshape(-1, 4)
        height, width = image.shape[:2]
        boxes[~np.isfinite(boxes).all(axis=1)] = (0, 0, width, height)
        boxes[:, 2:] = np.clip(boxes[:, 2:], 0, FAR)
        boxes[:, :2] = np.clip(boxes[:, :2], -FAR, FAR)
        return boxes
