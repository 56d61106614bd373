"""How a network sees a face: the square crop around a face box, and the matrices to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keypoints import geometry
from keypoints.checks import Table, one_of
from keypoints.config import Config


@dataclass(frozen=True)
class Crop:
    """The square part of a picture that a network gets.

    Its centre is that of the face box, its side `scale` times the longer side of the box. With
    `frame` it is the centre of the whole picture instead, whose short side is scaled to
    `geometry.FRAME_SHORT_SIDE`: the crop of the original recipe, which needs no box.
    """

    scale: float = 1.4
    size: int = geometry.CROP  # pixels a side
    frame: bool = False

    def __str__(self) -> str:
        shown = "the frame" if self.frame else f"{self.scale:g} times the face box"
        return f"{shown} in {self.size} pixels"

    @classmethod
    def of(cls, config: Config) -> Crop:
        """The crop of the networks that `config` trains."""
        return cls(config.crop_scale, frame=config.crop == "frame")

    @classmethod
    def read(cls, table: Table) -> Crop:
        """The crop from its fields in a file; raises InputError for one missing or out of range.

        All networks get crops of one size.
        """
        scale = table.number("scale", low=1, high=4)
        size = one_of(table.take("size"), f"{table.name}: size", [geometry.CROP])
        return cls(scale, size, one_of(table.take("frame"), f"{table.name}: frame", [False, True]))

    def matrices(
        self,
        boxes: np.ndarray,
        rolls: np.ndarray | float | None = None,
        *,
        shapes: np.ndarray | tuple[int, ...] | None = None,
    ) -> np.ndarray:
        """Matrices `(..., 2, 3)` float64 from pictures to the crops of `boxes` `(..., 4)`.

        Boxes are left, top, width, height; one of zero size is taken as one pixel wide. A crop
        shows the picture turned back by its roll `(...)`, degrees clockwise, 0 unless given.
        `shapes` `(..., 2)`: height and width of the pictures, which only the crop of the frame
        needs; it looks at neither boxes nor rolls.
        """
        boxes = np.asarray(boxes, np.float64)
        if self.frame:
            assert shapes is not None
            sizes = np.broadcast_to(np.asarray(shapes)[..., 1::-1], (*boxes.shape[:-1], 2))
            scale, turn = geometry.FRAME_SHORT_SIDE / sizes.min(axis=-1), np.eye(2)
            centre = (sizes - 1) / 2
        else:
            centre = boxes[..., :2] + boxes[..., 2:] / 2
            scale = self.size / (np.maximum(boxes[..., 2:].max(axis=-1), 1.0) * self.scale)
            turn = geometry.rotation(-np.asarray(0.0 if rolls is None else rolls, np.float64))
        linear = scale[..., None, None] * turn
        # The centre maps to the centre of the crop, which lies between two pixels.
        shift = (self.size - 1) / 2 - (linear @ centre[..., None])
        return np.concatenate([linear, shift], axis=-1)
