from dataclasses import replace

import numpy as np
import pytest

from keypoints import config as configs
from keypoints import markup
from keypoints.config import Config
from keypoints.evaluation.protocol import predict_points
from keypoints.markup import IBUG68
from keypoints.models import runs
from keypoints.models.network import build_model
from keypoints.training import rehearsal
from keypoints.training.rehearsal import with_rehearsal
from tests.faces import dotted_faces

TINY = Config(backbone="tiny", resolution=56, rehearsal=0.25)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose network answers other than the mean face."""
    monkeypatch.setattr(rehearsal, "DRAWN", 5)
    runs.start_run(tmp_path, TINY, {})
    model = build_model(TINY, IBUG68.mean * 160 + 111.5)
    kernel = model.get_layer("head_maps").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.5, kernel.shape))
    runs.write_weights(tmp_path / runs.BEST, model)
    return tmp_path


def test_drawn_faces_with_the_answers_of_the_start_are_a_share_of_an_epoch(run):
    own = dotted_faces(12)
    both = with_rehearsal(own, configs.replace(TINY, {"weights": str(run)}))
    # 12 of 16 are the own ones, so 4 are drawn ones: 0.8 of each of the five.
    assert len(both) == 17 and both.epoch_size == 16
    np.testing.assert_allclose(both.repeats, [1.0] * 12 + [0.8] * 5)
    np.testing.assert_array_equal(both.points[:12], own.points)
    drawn = replace(
        both, files=both.files[12:], points=both.points[12:], boxes=both.boxes[12:],
        pictures=both.pictures[12:],
    )  # fmt: skip
    answers = predict_points(runs.load_network(run), drawn, drawn.boxes).points
    np.testing.assert_allclose(drawn.points, answers, atol=1e-3)


def test_there_is_none_without_a_start_or_for_other_points(run):
    own = dotted_faces(3)
    assert with_rehearsal(own, TINY) is own
    assert with_rehearsal(own, Config(weights=str(run))) is own
    five = own.converted(markup.bundled("five"))
    assert with_rehearsal(five, configs.replace(TINY, {"weights": str(run)})) is five
