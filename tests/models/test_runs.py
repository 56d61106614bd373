import json
import os
import pickle
import resource
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.markup import IBUG68
from keypoints.models import runs
from keypoints.models.network import build_model
from keypoints.models.runs import flattened
from keypoints.training.checkpoints import read_progress

CONFIG = Config(backbone="tiny", head="pooled", resolution=56)


@pytest.fixture(scope="module")
def model():
    model = flattened(build_model(CONFIG, IBUG68.mean * 160 + 111.5))
    model.compile(keras.optimizers.Adam(1e-2), "mae")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture
def run(tmp_path, model):
    runs.start_run(tmp_path / "run", CONFIG, {})
    runs.write_weights(tmp_path / "run" / runs.BEST, model)
    return tmp_path / "run"


def crops(count):
    return np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def test_a_run_folder_is_all_that_is_needed(run, model):
    network = runs.load_network(run)
    assert network.crop == Crop.of(CONFIG) and network.source == run / runs.BEST
    assert network.trained_on == CONFIG.data
    predict = network.predict
    flat = model.predict_on_batch(crops(2))
    np.testing.assert_allclose(predict(crops(2)).points.reshape(2, 136), flat[:, :136], atol=1e-4)
    np.testing.assert_allclose(predict(crops(2)).uncertainty, flat[:, 136:], atol=1e-4)
    found = json.loads((run / runs.ENVIRONMENT).read_text())
    assert found["packages"]["keras"] == keras.__version__ and "git_revision" in found


def test_the_recorded_command_is_one_that_a_shell_runs(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/env/bin/keypoints", "train", "smoke", "--run=my run"])
    assert runs.environment()["command"] == "keypoints train smoke '--run=my run'"
    program = "from keypoints.models import runs; print(runs.environment()['command'])"
    first = [sys.executable, "-c", program, "it's here", "--epochs=1"]
    command = subprocess.run(first, capture_output=True, text=True, check=True).stdout.rstrip("\n")
    again = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
    assert again == command + "\n" and "it's here" in shlex.split(command)


def test_a_network_serves_several_threads(run):
    predict = runs.load_network(run).predict
    batches = [crops(1 + number % 2) for number in range(24)]
    alone = [predict(batch).points for batch in batches]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda batch: predict(batch).points, batches))
    for one, other in zip(alone, together):
        np.testing.assert_array_equal(one, other)


def test_another_config_does_not_overwrite_a_run(run):
    with pytest.raises(InputError, match=r"seed 0, now 5"):
        runs.start_run(run, Config(backbone="tiny", head="pooled", resolution=56, seed=5), {})
    runs.start_run(run, CONFIG, {})


def test_a_run_that_has_learnt_nothing_yet_can_be_started_otherwise(tmp_path):
    runs.start_run(tmp_path, Config(weights="imagenet"), {})
    runs.start_run(tmp_path, Config(weights="none"), {})
    assert runs.load_config(tmp_path).weights == "none"


def test_a_folder_with_another_config_json_is_no_place_for_a_run(tmp_path):
    (tmp_path / runs.CONFIG).write_text('{"compilerOptions": {}}')
    with pytest.raises(InputError, match=r"config\.json: unknown field 'compilerOptions'"):
        runs.start_run(tmp_path, Config(), {})
    assert (tmp_path / runs.CONFIG).read_text() == '{"compilerOptions": {}}'


def test_missing_and_damaged_files_are_named(run, tmp_path):
    with pytest.raises(InputError, match=r"nowhere is not a run folder"):
        runs.load_network(tmp_path / "nowhere")
    (run / runs.BEST).write_bytes(b"not hdf5")
    with pytest.raises(InputError, match=r"best\.weights\.h5"):
        runs.load_network(run)
    (run / runs.BEST).unlink()
    with pytest.raises(InputError, match=r"has no best\.weights\.h5"):
        runs.load_network(run)


def test_other_data_does_not_go_on_with_a_run(run):
    def data(pictures, digest):
        return {"training": {"name": "a/train", "pictures": pictures, "sha256": digest}}

    (run / runs.DATA).unlink()
    runs.start_run(run, CONFIG, data(9, "x"))
    runs.start_run(run, CONFIG, data(9, "x"))
    message = (
        "the data changed since the run was started: a/train has 9 pictures, other names, points"
    )
    with pytest.raises(InputError, match=message):
        runs.start_run(run, CONFIG, data(9, "y"))
    with pytest.raises(
        InputError, match=r"a/train has 7 pictures, it had 9; choose another folder"
    ):
        runs.start_run(run, CONFIG, data(7, "y"))
    (run / runs.DATA).write_text("[]")
    with pytest.raises(InputError, match=r"data\.json holds list, not an object"):
        runs.start_run(run, CONFIG, data(9, "x"))


def test_a_full_disk_keeps_the_weights_before(run, model):
    before = (run / runs.BEST).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(InputError, match=r"best\.weights\.h5: File too large; its previous"):
            runs.write_weights(run / runs.BEST, model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (run / runs.BEST).read_bytes() == before
    assert not list(run.glob(".*"))


class Trap:
    """Unpickling one of these makes a folder: the sign that a file ran code."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_files_of_a_run_are_data_and_run_no_code(run, tmp_path):
    trap = Trap(tmp_path / "sprung")
    np.savez(run / runs.CHECKPOINT, progress=np.array([trap], object))
    with pytest.raises(InputError, match="damaged"):
        read_progress(run)
    (run / runs.BEST).write_bytes(pickle.dumps(trap))
    with pytest.raises(InputError):
        runs.load_network(run)
    assert not (tmp_path / "sprung").exists()
