import json
from dataclasses import asdict

import keras
import numpy as np
import pytest

from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.markup import IBUG68
from keypoints.models import runs
from keypoints.models.network import build_model
from keypoints.models.runs import flattened
from keypoints.training.checkpoints import (
    Progress,
    read_progress,
    restore_checkpoint,
    write_checkpoint,
)

CONFIG = Config(backbone="tiny", head="pooled", resolution=56)
WHOLE = asdict(Progress(epoch=1, rows=({"epoch": 1, "validation_nme": 2.0},)))
# What is not JSON, no object of all fields, or has values of other types.
PROGRESSES = ["[]", "{}", "{", "[" * 100_000, '{"epoch": 1}'] + [
    json.dumps({**WHOLE, **change})
    for change in (
        {"epoch": "x"}, {"epoch": float("inf")}, {"epoch": -1}, {"epoch": 1.0}, {"step": True},
        {"rows": [{}]}, {"rows": [[1, 2]]}, {"rows": {}}, {"loss": "1"}, {"nme": float("nan")},
        {"rows": [{"epoch": 1, "validation_nme": "2"}]}, {"more": 1},
    )
]  # fmt: skip


def network():
    model = flattened(build_model(CONFIG, IBUG68.mean * 160 + 111.5))
    model.compile(keras.optimizers.Adam(1e-2), "mae")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture
def run(tmp_path):
    return tmp_path


def crops(count):
    return np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def test_checkpoint_brings_back_network_and_optimizer(run, model):
    other = network()
    images, targets = crops(4), np.full((4, 204), 50, np.float32)
    model.train_on_batch(images, targets)
    row = {"epoch": 3, "validation_nme": 1.5}
    progress = Progress(epoch=3, step=2, rows=(row,), loss=4.5, nme=0.25, seconds=7.0)
    write_checkpoint(run, model, progress)
    assert read_progress(run) == progress
    restore_checkpoint(run, other)
    for net in (model, other):
        net.train_on_batch(images, targets)
    assert all((a == b).all() for a, b in zip(model.get_weights(), other.get_weights()))
    restore_checkpoint(run, other, optimizer=False)
    assert int(other.optimizer.iterations.numpy()) == 2


def test_a_host_without_the_folder_gets_the_checkpoint_of_the_other(run, model):
    write_checkpoint(run, model, Progress())
    sent = []
    restore_checkpoint(run, model, share=lambda array: sent.append(array) or array)
    other, arrays = network(), iter(sent)
    restore_checkpoint(None, other, share=lambda zeros: next(arrays))
    assert all((a == b).all() for a, b in zip(model.get_weights(), other.get_weights()))
    assert next(arrays, None) is None and len(sent) > 20


def test_no_checkpoint_is_a_start(run):
    assert read_progress(run) == Progress(epoch=0, step=0, rows=())


def test_a_damaged_checkpoint_is_named(run):
    (run / runs.CHECKPOINT).write_bytes(b"PK not a zip")
    with pytest.raises(InputError, match=r"checkpoint\.npz is damaged"):
        read_progress(run)


@pytest.mark.parametrize("progress", PROGRESSES)
def test_progress_of_any_other_shape_is_named(run, progress):
    np.savez(run / runs.CHECKPOINT, progress=np.array(progress))
    with pytest.raises(InputError, match=r"checkpoint\.npz is damaged .*; delete it"):
        read_progress(run)


def test_a_checkpoint_that_is_one_bare_array_is_named(run):
    with open(run / runs.CHECKPOINT, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"checkpoint\.npz is damaged"):
        read_progress(run)
