"""Counts of the faces of a picture or video that a filter covered or left uncovered."""

from dataclasses import dataclass

import numpy as np

from keypoints.pose import fit_rotation


@dataclass
class Coverage:
    """Counts over frames; `add` takes one frame after the other."""

    frames: int = 0
    faces: int = 0  # the most in one frame that were drawn on
    empty: int = 0  # frames in which none was
    uncovered: int = 0  # the most in one frame that were seen and not drawn on
    uncovered_frames: int = 0  # frames with such faces
    first_uncovered: float = 0.0  # time of the first such frame, seconds

    def add(self, points: np.ndarray, ignored: np.ndarray, timestamp: float) -> None:
        """Count a frame: `points` `(n, 68, 2)` that a filter was given, `ignored` `(m, 4)` boxes.

        `ignored` are boxes of faces that were seen and not followed, as in `Tracker.ignored`.
        Points without a pose count as not drawn on.
        """
        drawn = int(np.isfinite(fit_rotation(points)[1]).sum())
        uncovered = len(points) - drawn + len(ignored)
        self.frames += 1
        self.faces = max(self.faces, drawn)
        self.empty += not drawn
        self.uncovered = max(self.uncovered, uncovered)
        if uncovered:
            if not self.uncovered_frames:
                self.first_uncovered = timestamp
            self.uncovered_frames += 1
