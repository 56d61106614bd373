"""Points of videos are smoothed with the frames before and after, each face with its own."""

import numpy as np

from keypoints.bulk.steady import Steady
from keypoints.bulk.work import _draw_filter
from keypoints.estimate import Estimate
from keypoints.filters import load_filter
from keypoints.inference.smoothing import two_sided
from keypoints.markup import IBUG68
from keypoints.media import pictures

TIMES = np.arange(40) / 30


def faces(seed=0):
    """Points `(40, 2, 68, 2)` of two faces that drift, with noise; their order changes."""
    rng = np.random.default_rng(seed)
    paths = [IBUG68.mean * 80 + [100 + 20 * t, 90] for t in TIMES]
    others = [IBUG68.mean * 60 + [300 - 15 * t, 120] for t in TIMES]
    both = np.stack([paths, others], axis=1) + rng.normal(0, 0.7, (40, 2, 68, 2))
    both[1::2] = both[1::2, ::-1]
    return both.astype(np.float32)


def estimated(points):
    points = np.asarray(points, np.float32).reshape(-1, 68, 2)
    return Estimate(points, np.ones(points.shape[:2], np.float32))


def play(frames):
    steady, out = Steady(IBUG68), []
    for item, (time, shot, points) in enumerate(frames):
        out += steady.add(item, time, shot, estimated(points))
    return out + steady.end()


def test_each_face_is_smoothed_with_its_own_points_and_frames_stay_in_order():
    raw = faces()
    out = play([(time, 0, points) for time, points in zip(TIMES, raw)])
    assert [item for item, _ in out] == list(range(40))
    smooth = np.stack([estimate.points for _, estimate in out])
    smooth[1::2], raw[1::2] = smooth[1::2, ::-1].copy(), raw[1::2, ::-1].copy()
    for number in range(2):
        expected = two_sided(TIMES, raw[:, number])
        np.testing.assert_allclose(smooth[:, number], expected, atol=1e-4)
        assert np.abs(expected - raw[:, number]).max() > 0.5


def test_a_cut_a_picture_and_another_video_begin_anew():
    raw = faces()
    raw[1::2] = raw[1::2, ::-1].copy()
    raw = raw[:, 0]
    alone = two_sided(TIMES[:20], raw[:20])
    for shots, times in ((20 * [0] + 20 * [1], TIMES), (40 * [0], [*TIMES[:20], *TIMES[:20]])):
        out = play(list(zip(times, shots, raw)))
        smooth = np.stack([estimate.points[0] for _, estimate in out[:20]])
        np.testing.assert_allclose(smooth, alone, atol=1e-4)
    out = play([(0.0, 0, raw[0]), (None, 0, raw[1]), (0.1, 0, [])])
    assert [item for item, _ in out] == [0, 1, 2]
    np.testing.assert_array_equal(out[1][1].points[0], raw[1])
    assert out[2][1].points.shape == (0, 68, 2)


def test_blur_covers_boxes_in_which_no_points_are_trusted(tmp_path):
    class Store:
        def replacing(self, target):
            from keypoints.system.atomic import replacing

            return replacing(tmp_path / "out.jpg")

    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    points = np.stack([IBUG68.mean * 60 + [70, 90], IBUG68.mean * 3 + [280, 190]]).astype(
        np.float32
    )
    boxes = np.array([[40.0, 60, 60, 60], [200, 60, 50, 50]])
    _draw_filter(
        load_filter("blur"), Store(), "u", 0, image, points, np.array([0.9, 0.1]), boxes
    )  # fmt: skip
    shown = next(pictures.open_picture(tmp_path / "out.jpg").stills()).rgb()
    for x, y in ((70, 90), (225, 85)):  # both are smooth
        assert shown[y - 8 : y + 8, x - 8 : x + 8].std() < 25
    assert shown[180:196, 272:288].std() > 40  # the doubtful points cover nothing
