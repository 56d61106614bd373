"""Counts of the faces of a picture or video that a filter covered or left uncovered."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass
class Coverage:
    """Counts over frames; `add` takes one frame after the other."""

    frames: int = 0
    most_faces: int = 0  # that were drawn on in one frame
    empty: int = 0  # frames in which none was
    uncovered: int = 0  # the most in one frame that were seen and not drawn on
    uncovered_frames: int = 0  # frames with such faces
    first_uncovered: float = 0.0  # time of the first such frame, seconds
    place: str = ""  # of the first such face

    def add(self, drawn: int, left: Sequence[np.ndarray], timestamp: float) -> None:
        """Count a frame: the number of faces `drawn` on, and the boxes `(4,)` of those `left`."""
        self.frames += 1
        self.most_faces = max(self.most_faces, drawn)
        self.empty += not drawn
        self.uncovered = max(self.uncovered, len(left))
        if len(left):
            if not self.uncovered_frames:
                self.first_uncovered = timestamp
                x, y, width, height = (round(float(value)) for value in left[0])
                self.place = f"{width} x {height} pixels at ({x}, {y})"
            self.uncovered_frames += 1
