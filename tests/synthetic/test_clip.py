import itertools

import numpy as np

from keypoints.synthetic.clip import drawn_clip


def test_a_clip_of_ten_seconds_that_moves_and_repeats():
    times, frames = zip(*drawn_clip())
    np.testing.assert_allclose(times, np.arange(300) / 30)
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((480, 640, 3), "uint8")}
    assert np.abs(frames[0].astype(int) - frames[30]).mean() > 3
    again = [frame for _, frame in itertools.islice(drawn_clip(), 3)]
    assert all((a == b).all() for a, b in zip(frames, again))
