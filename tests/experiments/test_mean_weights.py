import numpy as np
import pytest

from experiments.mean_weights.__main__ import mean_weights
from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.markup import IBUG68
from keypoints.models import runs
from keypoints.models.network import build_model


def test_each_variable_is_the_weighted_mean(tmp_path):
    config = Config(backbone="tiny", resolution=56)
    for name, value in (("new", 3.0), ("old", -1.0)):
        model = build_model(config, IBUG68.mean)
        arrays = [np.full(w.shape, value * (1 + i)) for i, w in enumerate(model.get_weights())]
        model.set_weights(arrays)
        runs.start_run(tmp_path / name, config, {})
        runs.write_weights(tmp_path / name / runs.BEST, model)
    both = f"{tmp_path}/new,{tmp_path}/old"
    mean_weights(of=both, shares="0.75,0.25", output=f"{tmp_path}/mean")
    made, its_config = runs.load_model(tmp_path / "mean")
    assert its_config == config
    assert len(made.get_weights()) > 20
    for i, weight in enumerate(made.get_weights()):
        assert weight == pytest.approx(2.0 * (1 + i))
    with pytest.raises(InputError, match="2 numbers are expected, together 1"):
        mean_weights(of=both, shares="1", output=f"{tmp_path}/other")
    assert not (tmp_path / "other").exists()
