import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pytest

from keypoints import config as configs
from keypoints import pretrained
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.data.pipeline import training_pipeline
from keypoints.errors import InputError
from keypoints.evaluation.protocol import predict_points
from keypoints.markup import Markup
from keypoints.models import runs
from keypoints.network import Network
from keypoints.training import checkpoints, loop
from keypoints.training.averaging import averaged_weights
from keypoints.training.checkpoints import read_progress
from keypoints.training.loop import train
from keypoints.training.optimizer import LearningRate, compiled_model
from tests import kills
from tests.faces import dotted_faces, estimated

CONFIG = Config(
    data="dots", backbone="tiny", resolution=56, epochs=3, batch_size=4, learning_rate=1e-2,
    warmup=0.5, ema=0.5, rotation=10, occlusion=0, blur=0,
)  # fmt: skip
FACES = (dotted_faces(18), [dotted_faces(5, seed=1)])
STAGED = configs.replace(
    CONFIG,
    {"stages": ({"epochs": 1}, {"epochs": 2, "resolution": 112, "schedule": "exponential"})},
)
ROOT = Path(__file__).parents[2]
# Trains the config in argv[1] into argv[2]; tells of each step, so that a test can stop it there.
SCRIPT = """
import sys
from pathlib import Path
from keypoints import config
from keypoints.training.loop import train
from tests.faces import dotted_faces
given = config.from_json(Path(sys.argv[1]).read_text(), sys.argv[1])
tell = lambda step: print("step", step.epoch, step.step, flush=True)
train(given, Path(sys.argv[2]), dotted_faces(18), [dotted_faces(5, seed=1)], on_step=tell)
"""


def start(config: Config, run: Path, **environment: str) -> subprocess.Popen:
    path = run.with_suffix(".json")
    path.write_text(configs.to_json(config))
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), str(run)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> None:
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error[-2000:]


def checkpoint(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / runs.CHECKPOINT) as arrays:
        return {name: arrays[name] for name in arrays.files if name != "progress"}


def assert_same_weights(run: Path, other: Path) -> None:
    ours, theirs = checkpoint(run), checkpoint(other)
    assert list(ours) == list(theirs) and len(ours) > 20
    assert [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []


def test_a_run_learns_and_explains_itself(tmp_path, monkeypatch):
    config = configs.replace(CONFIG, {"epochs": 6})
    steps, epochs = [], []

    def on_epoch(row):
        epochs.append(row)
        assert (tmp_path / runs.METRICS).read_text().count("\n") == 1 + len(epochs)

    rows = train(
        config, tmp_path, *FACES,
        on_step=steps.append, on_epoch=on_epoch,
    )  # fmt: skip
    assert rows == epochs and [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [(step.epoch, step.step) for step in steps[:5]] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 1),
    ]
    for step in steps:  # four images each
        images_left = 4 * (6 * 4 - 4 * (step.epoch - 1) - step.step)
        assert step.seconds_left * step.images_per_second == pytest.approx(images_left)
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
    (others,) = FACES[1]
    found = predict_points(runs.load_network(tmp_path), others, others.boxes).points
    away = np.linalg.norm(found - others.points, axis=-1).mean(axis=1)
    nme = 100 * np.mean(away / np.sqrt(others.boxes[:, 2] * others.boxes[:, 3]))
    assert min(row["validation_nme"] for row in rows) == pytest.approx(nme, rel=1e-4)
    assert (tmp_path / runs.METRICS).read_text().count("\n") == 7
    for name in (runs.BEST, runs.LAST, runs.CHECKPOINT, runs.CURVES, runs.ENVIRONMENT):
        assert (tmp_path / name).stat().st_size > 0
    assert not list(tmp_path.glob(".*"))
    # The finished run's command has nothing left to do, and builds no network.
    monkeypatch.setattr(loop, "compiled_model", None)
    assert train(config, tmp_path, *FACES) == rows


@pytest.mark.long
def test_the_pipeline_of_the_device_trains_as_that_of_the_host(tmp_path):
    """The pixels differ by one more interpolation, and so do the losses, a little."""
    losses = []
    for pipeline in ("host", "device"):
        config = configs.replace(CONFIG, {"pipeline": pipeline, "noise": 0.0})
        rows = train(config, tmp_path / pipeline, *FACES)
        losses.append([row["loss"] for row in rows])
        assert runs.load_config(tmp_path / pipeline).pipeline == pipeline
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.1)
    assert losses[1][-1] < 0.85 * losses[1][0] and losses[0] != losses[1]


def test_the_best_epoch_is_the_one_that_is_kept(tmp_path, monkeypatch):
    """Also where the epochs after it are worse: these are validated as 9 % more each."""
    from keypoints.training.loop import validation_nme

    measured = []

    def rising(model, records, config):
        first = validation_nme(model, records, config)
        measured.append(9 + measured[-1] if measured else first)
        return measured[-1]

    monkeypatch.setattr(loop, "validation_nme", rising)
    rows = train(CONFIG, tmp_path, *FACES)
    assert [row["validation_nme"] for row in rows] == measured and len(measured) == 3
    assert (tmp_path / runs.BEST).read_bytes() != (tmp_path / runs.LAST).read_bytes()
    model, config = runs.load_model(tmp_path)
    found = validation_nme(runs.flattened(model), dotted_faces(5, seed=1), config)
    assert found == pytest.approx(min(row["validation_nme"] for row in rows), rel=1e-4)


def test_several_sets_have_a_column_each_and_their_mean_chooses(tmp_path):
    faces, others = (dotted_faces(n, seed=n, name=f"{n}/validation") for n in (3, 5))
    others.points[:, :17] = np.nan
    rows = train(configs.replace(CONFIG, {"epochs": 1}), tmp_path, dotted_faces(8), [faces, others])
    each = [rows[0][f"validation_nme {name}/validation"] for name in (3, 5)]
    assert rows[0]["validation_nme"] == pytest.approx(np.mean(each)) and each[0] != each[1]
    model, config = runs.load_model(tmp_path)
    network = Network(runs.predict_function(runs.flattened(model)), Crop.of(config))
    found = predict_points(network, others, others.boxes)
    apart = np.linalg.norm(found.points - others.points, axis=-1)[:, 17:].mean(axis=1)
    nme = 100 * np.mean(apart / np.sqrt(others.boxes[:, 2] * others.boxes[:, 3]))
    assert each[1] == pytest.approx(nme, rel=1e-4)
    header = (tmp_path / runs.METRICS).read_text().splitlines()[0]
    assert header.endswith("validation_nme 3/validation,validation_nme 5/validation")


def test_averaged_weights_come_with_statistics_of_their_own():
    model = compiled_model(CONFIG, dotted_faces(8))
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (4, 224, 224, 3), dtype=np.uint8) for _ in range(3)]
    for images in batches:
        model.train_on_batch(images, np.full((4, 136), 90, np.float32))
    raw = [variable.numpy() for variable in model.variables]
    norm = model.get_layer("conv2_bn")
    with averaged_weights(model, batches):
        changed = [(v.numpy() != r).any() for v, r in zip(model.variables, raw)]
        inside = model.get_layer("conv2_conv").output
        before_norm = keras.Model(model.input, inside)
        seen = np.stack([np.asarray(before_norm(b.astype(np.float32))) for b in batches])
        np.testing.assert_allclose(norm.moving_mean.numpy(), seen.mean((0, 1, 2, 3)), atol=1e-3)
        variance = seen.var((1, 2, 3)).mean(0)
        np.testing.assert_allclose(norm.moving_variance.numpy(), variance, rtol=1e-2)
    assert np.mean(changed) > 0.8 and norm.momentum == 0.95
    assert all((v.numpy() == r).all() for v, r in zip(model.variables, raw))


def test_a_run_can_start_from_another(tmp_path):
    train(configs.replace(CONFIG, {"epochs": 1}), tmp_path, dotted_faces(8), [dotted_faces(5)])
    source, _ = runs.load_model(tmp_path)
    onward = configs.replace(CONFIG, {"weights": str(tmp_path), "seed": 7})
    model = compiled_model(onward, dotted_faces(8))
    pairs = list(zip(source.get_weights(), model.get_weights()))
    assert len(pairs) > 20 and all((a == b).all() for a, b in pairs)


def test_a_start_that_no_epoch_beats_is_kept(tmp_path, monkeypatch):
    """Its errors are epoch 0 of the metrics; the epochs after it are made out to be worse."""
    sets = (dotted_faces(8), dotted_faces(5, seed=1))
    train(configs.replace(CONFIG, {"epochs": 1}), tmp_path / "first", *sets)
    onward = configs.replace(CONFIG, {"epochs": 2, "weights": str(tmp_path / "first")})
    measured, whole = [], loop.validation_nme

    def rising(model, records, config):
        measured.append(whole(model, records, config) + 100 * len(measured))
        return measured[-1]

    monkeypatch.setattr(loop, "validation_nme", rising)
    rows = train(onward, tmp_path / "second", *sets)
    assert [row["epoch"] for row in rows] == [0, 1, 2] and np.isnan(rows[0]["loss"])
    assert [row["validation_nme"] for row in rows] == measured
    first = read_progress(tmp_path / "first").rows[-1]["validation_nme"]
    assert measured[0] == pytest.approx(first, rel=1e-4)
    start, kept = (runs.load_model(tmp_path / name)[0] for name in ("first", "second"))
    pairs = list(zip(start.get_weights(), kept.get_weights()))
    assert len(pairs) > 20 and all((a == b).all() for a, b in pairs)
    assert train(onward, tmp_path / "second", *sets)[1:] == rows[1:]


@pytest.mark.long
def test_a_network_learns_from_another(tmp_path, monkeypatch):
    """A teacher that sees every point at (200, 10) draws the points there, half the way."""
    teacher = Network(
        lambda crops: estimated(np.tile([200, 10], (len(crops), 68))), Crop.of(CONFIG)
    )
    monkeypatch.setattr(loop, "load_network", lambda name: teacher)
    config = configs.replace(CONFIG, {"loss": "mse", "epochs": 4, "flip": 0.0, "ema": 0.0})
    faces = dotted_faces(54)
    means = {}
    for name in ("none", "somebody"):
        run = tmp_path / name
        train(configs.replace(config, {"teacher": name}), run, faces, [faces])
        os.replace(run / runs.LAST, run / runs.BEST)  # best is by the annotations
        predict = runs.load_network(run).predict
        crops = np.concatenate([x for x, _ in training_pipeline(faces, config, epoch=0)])
        means[name] = predict(crops).points.mean(axis=(0, 1))
    half = (means["none"] + [200, 10]) / 2
    np.testing.assert_allclose(means["somebody"], half, atol=15)


def test_a_run_does_not_go_on_with_other_data(tmp_path):
    def stop(step):
        if step.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    faces, others = dotted_faces(30), [dotted_faces(5, seed=1, name="dots/validation")]
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, tmp_path, faces, others, on_step=stop)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=r"dots/train has 9 pictures, it had 30"):
        train(CONFIG, tmp_path, dotted_faces(9), others)
    others[0] = dataclasses.replace(others[0], pictures=others[0].pictures[::-1])
    with pytest.raises(InputError, match=r"has 5 pictures, other names, points, boxes or pixels"):
        train(CONFIG, tmp_path, faces, others)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_teacher_that_cannot_be_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    stages = ({"epochs": 1}, {"epochs": 1, "teacher": "nobody"})
    config, faces = configs.replace(CONFIG, {"stages": stages}), dotted_faces(8)
    with pytest.raises(InputError, match="teacher=nobody: nobody is neither a run folder nor"):
        train(config, tmp_path / "run", faces, [faces])
    teacher = Network(None, Crop(frame=True))
    monkeypatch.setattr(loop, "load_network", lambda name: teacher)
    with pytest.raises(InputError, match="teacher=nobody sees the frame in 224 pixels, this run 1"):
        train(config, tmp_path / "run", faces, [faces])
    five = Network(None, Crop.of(CONFIG), markup=Markup("five", tuple("abcde"), normaliser="box"))
    monkeypatch.setattr(loop, "load_network", lambda name: five)
    with pytest.raises(InputError, match="nobody finds the 5 points of five, this run the 68 of"):
        train(config, tmp_path / "run", faces, [faces])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", list(pretrained.NAMES))
def test_a_bundled_model_can_teach_and_data_json_has_its_digest(name, tmp_path):
    config = configs.replace(CONFIG, {"teacher": name, "epochs": 1})
    train(config, tmp_path, dotted_faces(8), [dotted_faces(8)])
    file = pretrained.NAMES[name] / "model-int8.onnx"
    expected = {"name": name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    assert json.loads((tmp_path / "data.json").read_text())["teacher 1"] == expected


def test_gradients_are_clipped_by_their_norm():
    """The first step of SGD is the gradient, whose norm is then `clip_norm`."""
    model = compiled_model(configs.replace(CONFIG, {"clip_norm": 0.25}), dotted_faces(8))
    assert model.optimizer.global_clipnorm == 0.25
    ones = [keras.ops.ones(variable.shape) for variable in model.trainable_variables]
    clipped = model.optimizer._clip_gradients(ones)
    norm = np.sqrt(sum(float(keras.ops.sum(keras.ops.square(one))) for one in clipped))
    assert norm == pytest.approx(0.25, rel=1e-4)
    free = compiled_model(CONFIG, dotted_faces(8))
    assert free.optimizer.global_clipnorm is None


def test_only_kernels_decay():
    """With gradients of zero a step is decay alone: learning rate 0.01 times decay 0.5."""
    decaying = configs.replace(CONFIG, {"weight_decay": 0.5, "warmup": 0.0, "ema": 0.0})
    model = compiled_model(decaying, dotted_faces(8))
    for variable in model.trainable_variables:
        variable.assign(np.full(variable.shape, 2.0))
    model.optimizer.apply([keras.ops.zeros(v.shape) for v in model.trainable_variables])
    moved = {v.path for v in model.trainable_variables if (v.numpy() != 2.0).any()}
    assert moved == {v.path for v in model.trainable_variables if v.path.endswith("kernel")}
    kernel = model.get_layer("conv2_conv").kernel.numpy()
    np.testing.assert_allclose(kernel, 2.0 - 0.01 * 0.5 * 2.0, rtol=1e-6)


def test_a_run_goes_on_however_its_paths_are_spelt(tmp_path):
    faces, others = dotted_faces(8), dotted_faces(5, seed=1)
    start = configs.replace(CONFIG, {"epochs": 1})
    train(start, tmp_path / "first", faces, others)
    onward = {"data": "folder:t24", "weights": str(tmp_path / "first"), "epochs": 1}
    rows = train(configs.replace(start, onward), tmp_path / "run", faces, others)
    shutil.move(tmp_path / "first", tmp_path / "elsewhere")
    onward |= {"data": f"folder:{tmp_path}/t24/", "weights": f"{tmp_path}/./elsewhere"}
    config = configs.replace(start, onward)
    assert train(config, tmp_path / "run", faces, others)[1:] == rows[1:]  # NaN in the first
    (tmp_path / "elsewhere" / runs.BEST).write_bytes(b"other weights")
    with pytest.raises(InputError, match=r"elsewhere has other contents"):
        train(config, tmp_path / "run", faces, others)
    with pytest.raises(InputError, match=r"first is not used now"):
        train(configs.replace(config, {"weights": "none"}), tmp_path / "run", faces, others)


def test_two_trainings_do_not_write_into_one_folder(tmp_path):
    faces, refused = (dotted_faces(8), dotted_faces(5, seed=1)), []

    def start_another(step):
        if not refused:
            with pytest.raises(InputError, match=r"run=.*: another training writes to it now"):
                train(CONFIG, tmp_path, *faces)
            refused.append(step)

    rows = train(CONFIG, tmp_path, *faces, on_step=start_another)
    assert refused and len(rows) == 3 and not list(tmp_path.glob(".*"))


def test_half_files_of_killed_trainings_are_removed(tmp_path):
    """SIGKILL while a file is written, and a training after it."""
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from keypoints.system.atomic import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(bytes(1000)); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for name in (runs.CHECKPOINT, runs.BEST):
        done = subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], cwd=ROOT)
        assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".*"))) == 2
    (tmp_path / ".gitignore").write_text("*")
    train(configs.replace(CONFIG, {"epochs": 1}), tmp_path, dotted_faces(8), dotted_faces(5))
    assert [path.name for path in tmp_path.glob(".*")] == [".gitignore"]


def test_learning_rate_by_hand():
    def rate(step, **fields):
        return float(LearningRate(Config(epochs=10, learning_rate=2.0, **fields), steps=5)(step))

    assert rate(0, warmup=2, schedule="constant") == pytest.approx(2.0 / 10)  # step 1 of 10
    assert rate(9, warmup=2, schedule="constant") == pytest.approx(2.0)
    assert rate(25, warmup=0, schedule="cosine") == pytest.approx(1.0)  # half-way of 50 steps
    assert rate(50, warmup=0, schedule="cosine") == pytest.approx(0.0, abs=1e-6)
    assert rate(14, warmup=0, schedule="exponential", decay=0.5) == pytest.approx(2.0 * 0.25)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path):
    records = dotted_faces(18)

    def poison(step):
        if step.epoch == 2:
            records.points[:] = 1e38  # whose mean is infinite

    frame = configs.replace(CONFIG, {"crop": "frame"})  # whose crops do not depend on points
    with pytest.raises(InputError, match=r"epoch 3, step 1; the last checkpoint is kept"):
        train(frame, tmp_path, records, [dotted_faces(5, seed=1)], on_step=poison)
    assert read_progress(tmp_path).epoch == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"run=.*file/run: the folder cannot be created"):
        train(CONFIG, tmp_path / "file" / "run", dotted_faces(8), [dotted_faces(5)])


@pytest.mark.long
def test_a_full_disk_is_reported_and_the_run_can_go_on(tmp_path, monkeypatch):
    config = configs.replace(CONFIG, {"epochs": 2})
    whole = checkpoints.write_checkpoint

    def fail(run, model, progress):
        if progress.epoch == 2:
            raise InputError("No space left on device")
        whole(run, model, progress)

    monkeypatch.setattr(checkpoints, "write_checkpoint", fail)
    with pytest.raises(InputError, match="No space left"):
        train(config, tmp_path, *FACES)
    monkeypatch.undo()
    rows = train(config, tmp_path, *FACES)
    assert [row["epoch"] for row in rows] == [1, 2]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run of two stages that was never stopped."""
    run = tmp_path_factory.mktemp("runs") / "straight"
    train(STAGED, run, *FACES)
    return run


@pytest.mark.long
@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_weights(straight, tmp_path):
    killed = tmp_path / "killed"
    rng = np.random.default_rng()
    for _ in range(kills.COUNT):
        process = start(STAGED, killed)
        waits = int(rng.integers(1, 7))
        for line in process.stdout:
            waits -= line.startswith("step")
            if not waits:
                time.sleep(rng.uniform(0, 0.5))  # into a step, an evaluation or a write
                process.send_signal(signal.SIGKILL)
                break
        process.communicate()
        if process.returncode == 0:  # it was quicker than the signal
            assert_same_weights(straight, killed)
            shutil.rmtree(killed)
    train(STAGED, killed, *FACES)
    assert_same_weights(straight, killed)
    assert not list(killed.glob(".*"))
    rows = [read_progress(run).rows for run in (straight, killed)]
    for row, other in zip(*rows):
        assert row["validation_nme"] == other["validation_nme"] and row["loss"] == other["loss"]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The same run, stopped by Ctrl-C after step 3 of 4 in its second epoch."""
    run = tmp_path_factory.mktemp("runs") / "stopped"

    def stop(step):
        if (step.epoch, step.step) == (2, 3):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(STAGED, run, *FACES, on_step=stop)
    return run


@pytest.mark.slow
def test_ctrl_c_saves_and_goes_on_in_the_middle_of_an_epoch(straight, stopped, tmp_path):
    progress = read_progress(stopped)
    assert progress.epoch == 1 and progress.step == 3
    resumed = shutil.copytree(stopped, tmp_path / "resumed")
    train(STAGED, resumed, *FACES)
    assert_same_weights(straight, resumed)


def test_a_resumed_epoch_has_the_numbers_of_the_whole_epoch(straight, stopped, tmp_path):
    """The sums of its first steps are not lost; nor are their seconds, made to be 1,000 here."""
    late, progress = shutil.copytree(stopped, tmp_path / "late"), read_progress(stopped)
    assert progress.seconds > 0
    with np.load(late / runs.CHECKPOINT) as arrays:
        values = {**arrays, "progress": json.dumps(asdict(replace(progress, seconds=1000.0)))}
    np.savez(late / runs.CHECKPOINT, **values)
    resumed, whole = train(STAGED, late, *FACES), read_progress(straight).rows
    for name in ("loss", "training_nme", "validation_nme"):
        assert resumed[1][name] == pytest.approx(whole[1][name], rel=1e-6)
    assert 1000 < resumed[1]["seconds"] < 1600


def test_loss_and_nme_of_an_epoch_are_the_means_of_its_steps(tmp_path, monkeypatch):
    """Eighteen faces are four steps of four; what each returns is made up."""
    losses, errors = [1.0, 2.0, 3.0, 6.0], [10.0, 20.0, 30.0, 80.0]
    logs = iter([{"loss": loss, "nme_of_outputs": nme} for loss, nme in zip(losses, errors)])
    monkeypatch.setattr(loop, "_train_step", lambda *arguments: next(logs))
    told = []
    (row,) = train(configs.replace(CONFIG, {"epochs": 1}), tmp_path, *FACES, on_step=told.append)
    assert (row["loss"], row["training_nme"]) == (3.0, 35.0)
    assert [step.loss for step in told] == [1.0, 1.5, 2.0, 3.0]
    assert [step.nme for step in told] == [10.0, 15.0, 20.0, 35.0]


@pytest.mark.slow
@pytest.mark.long
def test_four_devices_learn_what_one_learns(tmp_path):
    one, four = tmp_path / "one", tmp_path / "four"
    # Adam turns rounding into steps of full size where gradients vanish: keep the steps small.
    slow = configs.replace(CONFIG, {"learning_rate": 1e-3, "epochs": 2})
    train(slow, one, *FACES)
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    finish(start(slow, four, KERAS_BACKEND="jax", XLA_FLAGS=flags))
    losses = [[row["loss"] for row in read_progress(run).rows] for run in (one, four)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


def test_a_batch_that_does_not_divide_over_the_devices_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: [f"cpu:{i}" for i in range(4)])
    uneven, faces = configs.replace(CONFIG, {"batch_size": 6}), dotted_faces(18)
    with pytest.raises(InputError, match="batch_size=6 does not divide over 4 devices"):
        train(uneven, tmp_path / "run", faces, [faces])
    assert not (tmp_path / "run").exists()
