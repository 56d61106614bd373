"""The smoke run on each backend of Keras, and the weights of each read by the others."""

import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

from keypoints.models import runs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BACKENDS = ("jax", "tensorflow", "torch")
# Trains the first folder's run, and writes what it and the runs in the other folders predict.
SCRIPT = """
import sys
from pathlib import Path
import keras, numpy as np
from experiments.smoke import config
from keypoints import config as configs
from keypoints.models import runs
from keypoints.training.loop import train
from tests.faces import dotted_faces
from tests.training.test_backends import crops

small = {"epochs": 3, "batch_size": 4, "resolution": 56, "learning_rate": 1e-2, "ema": 0.5}
easy = {"rotation": 10, "occlusion": 0, "blur": 0}
folders = [Path(name) for name in sys.argv[1:]]
rows = train(configs.replace(config, small | easy), folders[0], dotted_faces(18), [dotted_faces(5)])
assert rows[-1]["loss"] < 0.9 * rows[0]["loss"], rows
for folder in folders:
    predict = runs.load_network(folder).predict
    np.save(folder / f"{keras.config.backend()}.npy", predict(crops()).points)
"""


def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)


def run_script(backend: str, folders: list[str]) -> None:
    """On the backend of this process right here, on another one in a process of its own."""
    if backend == keras.config.backend():
        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
            warnings.filterwarnings("error", category=UserWarning, module="keras")
            patch.setattr(sys, "argv", ["", *folders])
            exec(SCRIPT, {})
        return
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:keras", "-c", SCRIPT, *folders],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.long
def test_all_backends_train_the_smoke_run_and_read_each_others_weights(tmp_path):
    trained = []
    for backend in BACKENDS:
        if find_spec(backend) is None:
            assert backend == "torch"  # the only one that is not among the requirements
            continue
        trained.insert(0, tmp_path / backend)
        run_script(backend, list(map(str, trained)))
    for run in trained:
        found = {path.stem: np.load(path) for path in run.glob("*.npy")}
        ours = runs.load_network(run).predict
        assert run.name in found
        for points in found.values():
            np.testing.assert_allclose(points, ours(crops()).points, atol=1e-2)
    if len(trained) < len(BACKENDS):
        pytest.skip("torch is not installed; all but that was checked")
