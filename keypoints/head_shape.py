"""The 68 landmarks of an average head in three dimensions.

Head frame: x to the viewer's right, y down, z towards the viewer. The unit is the longer side of
the frontal landmark box, the origin is the centre of that box.
"""

import numpy as np

from keypoints.landmarks import MEAN_FACE, MIRROR

# Depth of the points of one half of the face and of its middle, set by hand from head profiles.
_DEPTH = {
    17: -0.10, 18: -0.03, 19: 0.02, 20: 0.05, 21: 0.07,
    27: 0.08, 28: 0.13, 29: 0.19, 30: 0.24, 31: 0.11, 32: 0.14, 33: 0.16,
    36: -0.06, 37: -0.01, 38: 0.00, 39: -0.01, 40: 0.00, 41: -0.01,
    48: 0.03, 49: 0.08, 50: 0.12, 51: 0.12, 57: 0.11, 58: 0.10, 59: 0.07,
    60: 0.04, 61: 0.09, 62: 0.10, 66: 0.09, 67: 0.08,
}  # fmt: skip


def _mean_shape() -> np.ndarray:
    depth = np.zeros(68)
    for index, value in _DEPTH.items():
        depth[[index, MIRROR[index]]] = value
    # Depth of the jaw falls from the chin to the ears.
    depth[:17] = 0.04 - 0.40 * (np.abs(MEAN_FACE[:17, 0]) / 0.482) ** 2.2
    return np.column_stack([MEAN_FACE, depth])


MEAN_SHAPE = _mean_shape()  # (68, 3)
# Upper edge of the forehead, from the right temple over the top to the left temple.
_ANGLES = np.linspace(np.pi, 2 * np.pi, 9)
FOREHEAD = np.column_stack(
    [0.47 * np.cos(_ANGLES), -0.30 + 0.38 * np.sin(_ANGLES), -0.28 - 0.08 * np.sin(_ANGLES)]
)
