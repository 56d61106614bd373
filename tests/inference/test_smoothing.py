import numpy as np
import pytest

from keypoints.evaluation.stability import flicker, lag
from keypoints.expression import eye_opening
from keypoints.geometry import landmark_box
from keypoints.head_shape import MEAN_SHAPE
from keypoints.inference import smoothing
from keypoints.inference.predictor import Predictor
from keypoints.inference.smoothing import OneEuro, OneEuroRotation, two_sided
from keypoints.markup import IBUG68
from keypoints.synthetic import shape
from keypoints.synthetic.drawing import render
from keypoints.synthetic.shape import UPPER_LIDS, pose_head

RATE = 30  # frames a second


def test_smoothing_halves_the_noise_of_a_still_face_and_does_not_lag_a_fast_one():
    rng = np.random.default_rng(0)
    truth = IBUG68.mean * 120 + 200
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


def test_smoothing_at_rest_by_hand():
    """A face of 500 pixels that moves by half a pixel in a second: 0.001 sides a second."""
    filter, first = OneEuro(), np.zeros((68, 2), np.float32)
    first[0] = [500, 300]
    filter.smooth(first, 0.0)
    share = 1 / (1 + 1 / (2 * np.pi * smoothing.SPEED_CUTOFF))
    cutoff = smoothing.MIN_CUTOFF + smoothing.SPEED_GAIN * 0.001 * share
    expected = 0.5 / (1 + 1 / (2 * np.pi * cutoff))
    moved = filter.smooth(first + [0.5, 0], 1.0) - first
    np.testing.assert_allclose(moved[1:, 0], expected, rtol=1e-5)


def test_lids_are_not_held_back_on_a_still_face():
    filter, face = OneEuro(), IBUG68.mean * 120 + 200
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


def test_a_frame_without_a_pose_leaves_no_trace():
    with_gap, without = OneEuroRotation(), OneEuroRotation()
    for degrees, time in ((0, 0.0), (4, 0.1), (None, 0.2), (9, 0.3)):
        turn = np.full((3, 3), np.nan) if degrees is None else about_y(degrees)
        found = with_gap.smooth(turn, time)
        if degrees is not None:
            expected = without.smooth(turn, time)
    np.testing.assert_allclose(found, expected, atol=1e-12)


# --- two-sided ----------------------------------------------------------------------------------


def blinking_heads(person, *, move):
    """60 heads of 130 pixels at 30 frames/s: two blinks, closing in 0.1 s, opening in 0.15 s."""
    for t in np.arange(60) / 30:
        moved = person.copy()
        closed = 0.9 * np.interp(t % 1, [0.3, 0.4, 0.45, 0.6], [0, 1, 1, 0])
        for upper, lower in UPPER_LIDS.items():
            moved[upper] += closed * (moved[lower] - moved[upper])
        place = [160 + move * np.sin(2 * np.pi * t), 120 + move / 2 * np.cos(5 * t)]
        yield t, pose_head(moved, 0.1, 0, 0.03, 130, np.array(place))


def noisy_points(*, move, seed):
    """Times, true points and those with noise: half a pixel of each, and as much of all."""
    rng = np.random.default_rng(seed)
    times, heads = zip(*blinking_heads(MEAN_SHAPE, move=move))
    truth = np.array([head.points for head in heads], np.float32)
    noise = rng.normal(0, 0.5, truth.shape) + rng.normal(0, 0.5, (len(truth), 1, 2))
    return np.array(times), truth, (truth + noise).astype(np.float32)


def one_euro(times, points):
    smoother = OneEuro()
    return np.stack([smoother.smooth(*frame) for frame in zip(points, times)])


@pytest.mark.parametrize("move", [0, 40])
def test_two_sided_is_steadier_than_one_euro_at_no_more_error(move):
    times, truth, noisy = noisy_points(move=move, seed=3)
    late, smooth = one_euro(times, noisy), two_sided(times, noisy)
    assert flicker(truth, smooth) <= 0.7 * flicker(truth, late)
    errors = [np.abs(points - truth).mean() for points in (noisy, late, smooth)]
    assert errors[2] <= min(errors)
    if move:
        assert lag(times, truth, smooth) < 0.0005


@pytest.mark.parametrize("person", [1, 9])
def test_two_sided_loses_no_blink(person):
    """The lowest opening of each blink of a drawn clip is within 5 % of the raw one."""
    predictor, noise = Predictor.load("pretrained-small"), np.random.default_rng(5)
    raw, times = [], []
    for t, head in blinking_heads(shape.person(np.random.default_rng(person)), move=15):
        picture = render(head, 320, 240, np.random.default_rng(person))
        picture = np.clip(picture + noise.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)
        box = landmark_box(raw[-1] if raw else head.points)
        raw.append(predictor.predict(picture, box[None])[0])
        times.append(t)
    raw = np.array(raw)
    before, after = eye_opening(raw), eye_opening(two_sided(np.array(times), raw))
    for blink in (slice(0, 30), slice(30, 60)):
        assert before[blink].min() < 0.8 * np.median(before)  # the network sees it
        assert after[blink].min() == pytest.approx(before[blink].min(), rel=0.05)


def test_two_sided_keeps_what_moves_evenly_and_takes_any_number_of_frames():
    ramp = IBUG68.mean * 100 + 900 * np.arange(12)[:, None, None] / 30
    for count in (1, 2, 3, 12):
        times = np.arange(count) / 30
        np.testing.assert_allclose(two_sided(times, ramp[:count]), ramp[:count], atol=0.01)
    spot = np.ones((5, 68, 2))
    np.testing.assert_allclose(two_sided(np.arange(5) / 30, spot), spot, atol=1e-6)


def test_frames_out_of_reach_do_not_count():
    """However far off they are; here by a thousand million pixels."""
    times, _, points = noisy_points(move=0, seed=1)
    far = points.astype(np.float64)
    far[np.abs(times - times[30]) > smoothing.REACH + 1e-9] += 1e9
    found = smoothing.two_sided_at(times, far, 30)
    np.testing.assert_allclose(found, two_sided(times, points)[30], atol=1e-3)


def turned(points, degrees):
    """Points turned about their middle."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle = points.mean(axis=0)
    return (points - middle) @ np.array([[cos, sin], [-sin, cos]]) + middle


def test_the_roll_of_a_face_is_steadied():
    """A still face whose points tremble together by half a degree."""
    times, still = np.arange(40) / RATE, IBUG68.mean * 120 + 200
    trembling = np.random.default_rng(0).normal(0, 0.5, 40)
    points = np.array([turned(still, degrees) for degrees in trembling], np.float32)
    before, after = (np.abs(p - still)[10:30].mean() for p in (points, two_sided(times, points)))
    assert after < 0.88 * before  # 1 where each frame keeps its own


def test_a_mouth_that_opens_for_a_moment_is_not_averaged_away():
    times = np.arange(40) / RATE
    noise = np.random.default_rng(0).normal(0, 0.1, (40, 68, 2))
    points = (IBUG68.mean * 120 + 200 + noise).astype(np.float32)
    points[18:23, 55:60, 1] += 12  # the lower lip, for a sixth of a second
    found = two_sided(times, points)
    assert (found[20, 55:60, 1] - found[10, 55:60, 1]).mean() > 10
