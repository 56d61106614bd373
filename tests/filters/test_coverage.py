import numpy as np

from keypoints.filters.coverage import Coverage
from keypoints.landmarks import MEAN_FACE


def test_counts_by_hand():
    face = MEAN_FACE * 100 + 200
    flat = np.zeros((68, 2))  # points that no filter can be drawn on
    none = np.empty((0, 4))
    coverage = Coverage()
    coverage.add(np.stack([face, face]), none, 0.0)
    coverage.add(np.empty((0, 68, 2)), none, 0.5)
    coverage.add(np.stack([face, flat]), none, 1.0)
    coverage.add(face[None], np.ones((3, 4)), 1.5)
    assert coverage == Coverage(
        frames=4, faces=2, empty=1, uncovered=3, uncovered_frames=2, first_uncovered=1.0
    )
