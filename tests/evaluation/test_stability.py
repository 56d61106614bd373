import numpy as np
import pytest

from keypoints.crop import Crop
from keypoints.evaluation import stability
from keypoints.evaluation.stability import SMOOTHERS, flicker, lag
from keypoints.markup import IBUG68
from keypoints.network import Network
from tests.faces import dotted_faces

TIMES = np.arange(45) / 30


def still(width: float, height: float, frames: int) -> np.ndarray:
    """Points of a face that does not move, with a tight box of `width` x `height` pixels."""
    low, high = IBUG68.mean.min(axis=0), IBUG68.mean.max(axis=0)
    face = (IBUG68.mean - low) / (high - low) * [width, height]
    return np.tile(face, (frames, 1, 1))


def swaying() -> np.ndarray:
    """Points `(45, 68, 2)` of a face that sways once a second."""
    places = np.stack([80 * np.sin(2 * np.pi * TIMES), 30 * np.cos(2 * np.pi * TIMES)], axis=1)
    return IBUG68.mean * 120 + places[:, None]


def test_flicker_by_hand():
    truth = still(256, 256, 3)
    there_and_back = truth + np.array([0.0, 1.0, 0.0])[:, None, None] * [1, 0]
    assert flicker(truth, there_and_back) == pytest.approx(100)  # one pixel of 256, twice
    assert flicker(truth, truth + [7, -3]) == 0  # an error that stays does not flicker
    # sqrt(512 * 128) is 256 as well; half of the points jump by 2 px: the RMS is sqrt(2) px.
    wide = still(512, 128, 2)
    jumped = wide.copy()
    jumped[1, ::2, 1] += 2
    assert flicker(wide, jumped) == pytest.approx(100 * np.sqrt(2))
    # One change of 3 px and one of 4: the RMS over frames is sqrt((9 + 16) / 2).
    moved = truth + np.array([0.0, 3.0, 7.0])[:, None, None] * [0, 1]
    assert flicker(truth, moved) == pytest.approx(100 * np.sqrt(12.5))


def test_flicker_is_not_charged_for_motion():
    truth = swaying()
    assert flicker(truth, truth + [4, 4]) == pytest.approx(0, abs=1e-9)
    assert flicker(truth, np.broadcast_to(truth[:1], truth.shape)) > 100


@pytest.mark.parametrize("delay", [0.0, 0.033, 0.12])
def test_lag_is_the_delay_whatever_the_offset(delay):
    truth = swaying()
    flat = truth.reshape(len(truth), -1)
    late = [np.interp(TIMES - delay, TIMES, column) for column in flat.T]
    late = np.stack(late, axis=1).reshape(truth.shape) + [5, -2]
    assert lag(TIMES, truth, late) == pytest.approx(delay, abs=0.001)


def test_an_average_of_halves_trails_by_one_frame():
    # Half of the new and half of the old: the mean age is 1/4 * 1 + 1/8 * 2 + ... = 1 frame.
    ramp = IBUG68.mean * 100 + 200 * TIMES[:, None, None]
    smooth = SMOOTHERS["EMA"](TIMES, ramp, IBUG68)
    np.testing.assert_allclose(ramp[-1] - smooth[-1], 200 / 30, rtol=1e-6)
    # By `lag` on a ramp that turns, since the offset of a straight one is not charged.
    turning = ramp.copy()
    turning[22:] = 2 * ramp[22] - ramp[22:]
    smooth = SMOOTHERS["EMA"](TIMES, turning, IBUG68)
    assert lag(TIMES, turning, smooth) == pytest.approx(1 / 30, abs=0.004)


def test_a_clip_moves_its_points_with_its_pixels():
    records = dotted_faces(1)
    for motion, way in (("static", 0), ("fast", 12)):
        clip = stability.make_clip(
            records.image(0), records.points[0], records.boxes[0], motion, seed=3
        )
        assert len(clip.frames) == len(clip.points) == stability.FRAMES
        assert np.ptp(clip.points[:, 30], axis=0).max() >= way
        assert motion == "fast" or np.abs(clip.points - records.points[0]).max() < 1e-3
        for frame, points in list(zip(clip.frames, clip.points))[::11]:
            bright = frame.mean(axis=2)
            x, y = np.rint(points).astype(int).T
            inside = (x >= 0) & (y >= 0) & (x < frame.shape[1]) & (y < frame.shape[0])
            assert bright[y[inside], x[inside]].mean() > bright.mean() + 40
    again = stability.make_clip(
        records.image(0), records.points[0], records.boxes[0], "fast", seed=3
    )
    assert all((a == b).all() for a, b in zip(clip.frames, again.frames))


def test_the_report_of_a_trembling_network(monkeypatch):
    """Noise of 0.3 px on each coordinate of a still face: changes of 0.6 px (RMS), so 60 / s."""
    records = dotted_faces(3)
    rng, place = np.random.default_rng(0), {}

    network = Network(None, Crop())

    class Trembling:
        def __init__(self):
            self.network = network

        def predict(self, image, boxes):
            assert boxes.shape == (1, 4)
            return place["points"] + rng.normal(0, 0.3, (1, 68, 2))

    def make_clip(image, points, box, motion, *, seed):
        place["points"] = points
        return stability.Clip(TIMES, [image] * 45, np.tile(points, (45, 1, 1)))

    monkeypatch.setattr(stability, "make_clip", make_clip)
    monkeypatch.setattr(stability, "Predictor", lambda network: Trembling())
    report = stability.measure(network, records, clips=2, model="m")
    sides = np.ptp(records.points[[0, 2]], axis=1)
    expected = np.mean(60 * 256 / np.sqrt(sides.prod(axis=1)))
    raw, average, one_euro, two_sided = report["smoothers"].values()
    assert list(report["smoothers"]) == ["raw", "EMA", "One-Euro", "two-sided"]
    assert raw["nmf_static"] == pytest.approx(expected, rel=0.05)
    # Half the step from the average to the new points: variance (1 + 1/3) / 4, not 2.
    assert average["nmf_static"] == pytest.approx(expected / np.sqrt(6), rel=0.05)
    assert one_euro["nmf_static"] < 0.3 * raw["nmf_static"]
    assert two_sided["nmf_static"] < 0.23 * raw["nmf_static"]
    assert report["model"] == "m" and report["clips"] == 2
    text = stability.table(report)
    assert "2 static and 2 fast clips of dots/train, 45 frames at 30 frames/s" in text
    assert f"{raw['nmf_static']:.1f}" in text and "One-Euro" in text
