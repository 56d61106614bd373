"""A face of one frame, as a tracker returns it."""

from dataclasses import dataclass

import numpy as np

from keypoints.markup import IBUG68, Markup
from keypoints.pose import Pose, angles

# How a face came about: its points were found in this frame, or the face is lost for a moment and
# its points are those that it had, moved on.
FOUND, HELD = "found", "held"


@dataclass(frozen=True)
class Face:
    """One face of one frame, in pixels of the frame."""

    id: int
    box: np.ndarray  # (4,) face box of the points: left, top, width, height
    points: np.ndarray  # (k, 2) float32, smoothed
    uncertainty: np.ndarray  # (k,) float32, mean absolute error to expect of their x and y
    score: float  # 0..1, how likely this is a face
    rotation: np.ndarray  # (3, 3) from the head frame to the camera, smoothed; NaN: no pose
    origin: str = FOUND  # how it came about
    markup: Markup = IBUG68  # of the points

    @property
    def pose(self) -> Pose:
        """Yaw, pitch and roll of `rotation`, degrees."""
        return Pose(*angles(self.rotation).tolist())
