"""The arithmetic of rounding weights, by hand and against rounding one by one."""

import numpy as np
import pytest

from keypoints.exports import int8


def test_steps_use_eight_bits_unless_neighbours_would_overflow_together():
    weights = np.array([[1.27, 0, 0, -1.0], [1.0, 1.0, 0, 0], [1.0, -1.0, 0, 0], [0, 0, 0, 0]])
    scales = int8._scales(weights.reshape(4, 4, 1, 1))
    assert scales == pytest.approx([0.01, 2 / 127, 1 / 127, 1 / 127])


def test_no_two_neighbours_exceed_what_16_bits_hold():
    rng = np.random.default_rng(3)
    weights = rng.laplace(size=(32, 24, 3, 3))
    scales = int8._scales(weights)
    levels = int8._rounded(weights, None, scales) / scales[:, None, None, None]
    for order in (levels, levels.transpose(0, 2, 3, 1)):
        flat = order.reshape(len(levels), -1)
        assert np.abs(255 * (flat[:, :-1] + flat[:, 1:])).max() <= 2**15
    assert np.abs(levels).max(axis=(1, 2, 3)).mean() > 90  # more than seven bits, where they fit


def test_depthwise_filters_use_all_eight_bits():
    weights = np.ones((2, 1, 3, 3))
    assert int8._scales(weights) == pytest.approx([1 / 127, 1 / 127])


def test_weights_are_rounded_to_what_changes_outputs_least():
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 24))  # 24 inputs, which hang together
    weights = rng.normal(size=(10, 24))
    scales = np.abs(weights).max(axis=1) / 7  # coarse, to see it
    alone = int8._rounded(weights, None, scales)
    together = int8._rounded(weights, inputs.T @ inputs, scales)
    for rounded in (alone, together):
        levels = rounded / scales[:, None]
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-9)
    errors = [np.square(inputs @ (rounded - weights).T).mean() for rounded in (alone, together)]
    assert errors[1] < 0.3 * errors[0]


def test_independent_inputs_leave_nothing_to_make_up_for():
    weights = np.array([[0.24, -0.76, 0.51]])
    scales = np.array([0.1])
    together = int8._rounded(weights, np.diag([1.0, 4.0, 2.0]), scales)
    assert together == pytest.approx(np.array([[0.2, -0.8, 0.5]]))
