import numpy as np

from keypoints import landmarks
from keypoints.inference import smoothing
from keypoints.inference.smoothing import OneEuro, OneEuroRotation

RATE = 30  # frames a second


def test_smoothing_halves_the_noise_of_a_still_face_and_does_not_lag_a_fast_one():
    rng = np.random.default_rng(0)
    truth = landmarks.MEAN_FACE * 120 + 200
    still, moving = OneEuro(), OneEuro()
    errors = {"raw": [], "still": [], "moving": []}
    for frame in range(120):
        noise = rng.normal(0, 1.0, truth.shape)
        errors["raw"].append(noise)
        errors["still"].append(still.smooth(truth + noise, frame / RATE) - truth)
        place = truth + [8.0 * frame, 0]  # 240 pixels, two face sides, a second
        errors["moving"].append(moving.smooth(place + noise, frame / RATE) - place)
    flicker = {name: np.diff(values[30:], axis=0).std() for name, values in errors.items()}
    assert flicker["still"] < 0.5 * flicker["raw"]
    lag = -np.mean(errors["moving"][30:], axis=(0, 1))[0]
    assert lag < 8.0  # less than the way of one frame


def test_smoothing_by_hand():
    filter = OneEuro()
    first = np.zeros((68, 2), np.float32)
    assert (filter.smooth(first, 1.0) == 0).all()
    assert (filter.smooth(first + 9, 1.0) == 0).all()  # no time has passed
    # A face of one spot has a side of 1: 4 px in 0.5 s are 8 sides a second, low-passed at 2 Hz.
    share = 1 / (1 + 1 / (2 * np.pi * smoothing.SPEED_CUTOFF * 0.5))
    cutoff = smoothing.MIN_CUTOFF + smoothing.SPEED_GAIN * 8 * share
    expected = 4 / (1 + 1 / (2 * np.pi * cutoff * 0.5))
    np.testing.assert_allclose(filter.smooth(first + [4, 0], 1.5)[:, 0], expected, rtol=1e-5)


def test_lids_are_not_held_back_on_a_still_face():
    filter, face = OneEuro(), landmarks.MEAN_FACE * 120 + 200
    for frame in range(30):
        filter.smooth(face, frame / RATE)
    shut = face.copy()
    shut[[37, 38, 43, 44], 1] += 5  # the upper lids
    found = [filter.smooth(shut, frame / RATE) for frame in (30, 31)]
    assert found[0][37, 1] - face[37, 1] > 2.5 and found[1][37, 1] - face[37, 1] > 4
    assert np.abs(found[1][:17] - face[:17]).max() < 0.01  # the jaw does not move with them


def about_y(degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def yaw_of(rotation):
    return np.degrees(np.arcsin(rotation[0, 2]))


def test_one_bad_frame_moves_a_head_half_as_far():
    filter = OneEuroRotation()
    found = [yaw_of(filter.smooth(about_y(12.0 * (n == 20)), n / RATE)) for n in range(40)]
    assert 2 < found[20] < 7 and abs(found[39]) < 0.3
    assert np.abs(found[:20]).max() < 1e-6


def test_a_head_that_turns_is_hardly_held_back():
    filter = OneEuroRotation()
    found = [yaw_of(filter.smooth(about_y(120 * n / RATE - 60), n / RATE)) for n in range(30)]
    late = (120 * np.arange(30) / RATE - 60 - found)[10:] / 120  # seconds
    assert late.min() > 0 and late.max() < 0.05


def test_a_frame_without_a_pose_keeps_the_last_one():
    filter, none = OneEuroRotation(), np.full((3, 3), np.nan)
    assert np.isnan(filter.smooth(none, 0.0)).all()
    first = filter.smooth(about_y(20), 0.1)
    np.testing.assert_allclose(first, about_y(20))
    assert (filter.smooth(none, 0.2) == first).all()
