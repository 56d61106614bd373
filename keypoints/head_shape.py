"""The average head beyond its landmarks, for what is drawn on it.

Head frame: x to the viewer's right, y down, z towards the viewer. The unit is the longer side of
the frontal face box, the origin is the centre of that box.
"""

import numpy as np

from keypoints.markup import IBUG68

assert IBUG68.shape is not None
MEAN_SHAPE = IBUG68.shape  # (68, 3)
# Upper edge of the forehead, from the right temple over the top to the left temple.
_ANGLES = np.linspace(np.pi, 2 * np.pi, 9)
FOREHEAD = np.column_stack(
    [0.47 * np.cos(_ANGLES), -0.30 + 0.38 * np.sin(_ANGLES), -0.28 - 0.08 * np.sin(_ANGLES)]
)
