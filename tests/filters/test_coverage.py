import numpy as np

from keypoints.filters.coverage import Coverage


def test_counts_by_hand():
    first, others = np.array([7.4, 20.6, 30, 41]), np.ones((3, 4))
    coverage = Coverage()
    coverage.add(2, [], 0.0)
    coverage.add(0, [], 0.5)
    coverage.add(1, [first], 1.0)
    coverage.add(1, others, 1.5)
    assert coverage == Coverage(
        frames=4, most_faces=2, empty=1, uncovered=3, uncovered_frames=2, first_uncovered=1.0,
        place="30 x 41 pixels at (7, 21)",
    )  # fmt: skip
