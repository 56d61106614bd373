import numpy as np
import pytest

from keypoints import config as configs
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.evaluation.protocol import predict_points
from keypoints.geometry import CROP
from keypoints.markup import IBUG68
from keypoints.models import runs
from keypoints.models.network import build_model
from keypoints.training.recalibration import fit_power, fit_score, recalibrate
from tests.faces import dotted_faces

TINY = Config(backbone="tiny", resolution=56)


def test_a_power_law_is_found_again():
    """Errors are 2 u^1.5 times 1 or 3 / 2 or 1 / 2, whose mean is 1: the likelihood's maximum."""
    expected = np.repeat(np.linspace(0.3, 4, 50), 3)
    actual = 2 * expected**1.5 * np.tile([1, 1.5, 0.5], 50)
    a, b = fit_power(expected, actual, np.ones(150))
    assert a == pytest.approx(np.log(2)) and b == pytest.approx(1.5)
    # With weight on every third alone, the law is that of these.
    a, b = fit_power(expected, actual, np.tile([0.0, 1, 0], 50))
    assert a == pytest.approx(np.log(3)) and b == pytest.approx(1.5)


def write_run(folder, config):
    runs.start_run(folder, config, {})
    runs.write_weights(folder / runs.BEST, build_model(config, IBUG68.mean * CROP))


def test_a_runs_uncertainties_become_its_errors_and_the_points_stay(tmp_path):
    sets = [dotted_faces(6, seed=1), dotted_faces(4, seed=2)]
    write_run(tmp_path, TINY)

    def estimate(records):
        return predict_points(runs.load_network(tmp_path), records, records.boxes)

    before = [estimate(records) for records in sets]
    a, b, half_score = recalibrate(tmp_path, sets)
    ratios = []
    for records, old in zip(sets, before):
        new = estimate(records)
        scale = np.linalg.norm(Crop(1.4).matrices(records.boxes)[:, 0, :2], axis=1)
        np.testing.assert_array_equal(new.points, old.points)
        expected = np.exp(a) * (scale[:, None] * old.uncertainty) ** b / scale[:, None]
        np.testing.assert_allclose(new.uncertainty, expected, rtol=1e-4)
        errors = np.abs(new.points - records.points).mean(axis=2)
        ratios.append(float((errors / new.uncertainty).mean()))
    # At the maximum of the likelihood, the ratios have mean 1; each set has the same weight.
    assert np.mean(ratios) == pytest.approx(1, abs=1e-3)

    faces = np.concatenate([estimate(records).relative_uncertainty() for records in sets])
    assert runs.load_network(tmp_path).half_score == half_score
    # The pictures leave no room beside the faces: all of these pass.
    assert half_score == pytest.approx(max(0.035, faces.max()), rel=1e-6)


def test_a_pooled_head_keeps_its_uncertainties(tmp_path):
    write_run(tmp_path, configs.replace(TINY, {"head": "pooled"}))
    before = (tmp_path / runs.BEST).read_bytes()
    a, b, half_score = recalibrate(tmp_path, [dotted_faces(2)])
    assert (a, b) == (0, 1) and (tmp_path / runs.BEST).read_bytes() == before
    assert runs.load_half_score(tmp_path) == half_score


def test_the_score_of_a_half_parts_faces_from_background():
    """The middle of the values at which the fewest are on the wrong side."""
    faces, background = np.array([0.01, 0.02, 0.03]), np.array([0.05, 0.09])
    assert fit_score(faces, background) == pytest.approx(0.04)
    # A quarter of the faces counts less than a half of the background.
    faces = np.array([0.01, 0.02, 0.03, 0.08])
    assert fit_score(faces, background) == pytest.approx(0.04)
    assert fit_score(np.array([0.01, 0.02]), np.array([])) == 0.035
    assert fit_score(np.array([0.01, 0.2]), np.array([])) == 0.2


def test_a_damaged_calibration_is_named(tmp_path):
    (tmp_path / runs.CALIBRATION).write_text('{"half_score": -1}')
    with pytest.raises(InputError, match=r"calibration\.json: half_score=-1"):
        runs.load_half_score(tmp_path)
