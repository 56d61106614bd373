"""Train a network into a run folder; an interrupted run is resumed."""

import itertools
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keypoints import metrics
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.data.pipeline import epoch_steps, training_pipeline
from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.estimate import Predict
from keypoints.evaluation.own_markup import measured
from keypoints.evaluation.protocol import predict_points
from keypoints.inference.predictor import load_network
from keypoints.markup import Markup
from keypoints.models import runs
from keypoints.models.initial_weights import run_folder
from keypoints.network import Network
from keypoints.training import devices
from keypoints.training.averaging import averaged_weights
from keypoints.training.checkpoints import Progress, parse_progress
from keypoints.training.hosts import Hosts
from keypoints.training.optimizer import compiled_model
from keypoints.training.rehearsal import with_rehearsal
from keypoints.training.run_folder import ElsewhereFolder, RunFolder

STATISTICS = 12  # batches from which the batch statistics of averaged weights are computed
Batches = Callable[..., Iterator[tuple[Any, Any]]]


@dataclass(frozen=True)
class Step:
    """The state of a run for a progress display. Epochs and steps count from 1."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float  # mean over the epoch so far
    nme: float  # percent, on augmented training crops, mean over the epoch so far
    images_per_second: float
    seconds_left: float  # in the whole run, at the current speed


@dataclass(frozen=True)
class Training:
    """What all stages of a training share."""

    config: Config  # with all that it leaves to the device
    epochs: int  # of all stages
    training: Records
    validation: Sequence[Records]
    data: dict[str, dict]  # content of data.json
    folder: RunFolder
    hosts: Hosts
    batches_of: Batches
    interrupted: threading.Event
    on_step: Callable[[Step], None]
    on_epoch: Callable[[dict[str, float]], None]

    def stop_if_interrupted(self, save: Callable[[], None] = lambda: None) -> None:
        """`save` and raise KeyboardInterrupt if one of the hosts was interrupted."""
        if any(self.hosts.exchange(self.interrupted.is_set())):
            save()
            self.hosts.close()
            raise KeyboardInterrupt


def train(
    config: Config,
    run: str | Path,
    training: Records,
    validation: Records | Sequence[Records],
    *,
    on_step: Callable[[Step], None] = lambda step: None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    hosts: Hosts | None = None,
) -> list[dict[str, float]]:
    """Train `config` into the folder `run`; returns the rows of its metrics.csv.

    A folder that already holds a run with this config is resumed from its last checkpoint. On the
    same machine and backend it ends with exactly the weights of an uninterrupted run. SIGINT
    finishes the current step, saves, and raises KeyboardInterrupt. `on_step` and `on_epoch` are
    called after each step and epoch. Raises InputError for a folder that cannot be written, that
    another training writes to, or that holds a run with another config or other data, and for a
    loss that is not finite; the last good checkpoint is kept.

    The best epoch is the one with the lowest `validation_nme`: the plain mean over the sets of
    `validation`, each of which has its own column where there are several. NMEs of training are
    normalised by the square root of the box's area, which is also valid for profile faces.

    The points are those of the markup of `training`, with the mean face and the face box that
    `own_markup.measured` finds where it does not have them. It is written into the run.

    What the config leaves to the device is resolved first (`devices.resolve`) and written to
    the config.json of the run.

    With several `hosts` (`hosts.connect`) all call this with the same arguments. Each makes its
    rows of every batch, and the weights are the same on all. Only host 0 reads and writes `run`.
    It disconnects from the other hosts at the end.
    """
    config, hosts = devices.resolve(config), hosts or Hosts()
    validation = [validation] if isinstance(validation, Records) else validation
    markup = measured(training)
    training, validation = training.seen_by(markup), [r.seen_by(markup) for r in validation]
    devices.use_all(config)
    stages = config.stage_configs()
    teachers = [_teacher(stage, markup) for stage in stages]
    data = _inputs(config, training, validation, zip(stages, teachers))
    hosts.agree({**vars(config), "stages": [dict(stage) for stage in config.stages], **data})
    folder = (RunFolder if hosts.index == 0 else ElsewhereFolder)(Path(run), markup)
    with folder, _interruptible() as interrupted:
        progress = folder.check(config, data)
        progress = parse_progress(hosts.exchange(asdict(progress))[0])
        training = with_rehearsal(training, config)
        epochs = sum(stage.epochs for stage in stages)
        batches_of = _batches(training, config)
        shared = Training(
            config, epochs=epochs, training=training, validation=validation, data=data,
            folder=folder, hosts=hosts, batches_of=batches_of, interrupted=interrupted,
            on_step=on_step, on_epoch=on_epoch,
        )  # fmt: skip
        first = 0
        for stage, teacher in zip(stages, teachers):
            predict = teacher.predict if teacher else None
            progress = _train_stage(shared, stage, predict, first, progress)
            first += stage.epochs
        folder.write_history(progress.rows, final=True)  # also after a kill that came before it
    hosts.close()
    return list(progress.rows)


def _train_stage(
    shared: Training, stage: Config, teacher: Predict | None, first: int, progress: Progress
) -> Progress:
    """Train what is left of a stage that begins after `first` epochs."""
    last = first + stage.epochs
    if progress.epoch >= last:
        return progress
    model = compiled_model(stage, shared.training)
    # Only now: a start that fails leaves no folder.
    shared.folder.start(shared.config, shared.data, devices.names(), progress)
    if progress == Progress():
        progress = _validate_start(shared, model, stage)
    else:
        # A new stage continues with the network and a new optimizer.
        inside = (progress.epoch, progress.step) != (first, 0)
        shared.folder.restore(model, optimizer=inside, share=shared.hosts.from_first)
    while progress.epoch < last:
        progress = _train_epoch(shared, model, stage, teacher, progress)
        progress = _end_epoch(shared, model, stage, progress)
        shared.stop_if_interrupted()  # where the others wait until all is written
    return progress


def _train_epoch(
    shared: Training,
    model: keras.Model,
    config: Config,
    teacher: Predict | None,
    progress: Progress,
) -> Progress:
    """Train the remaining steps of an epoch."""
    steps = epoch_steps(shared.training, config)
    left = (shared.epochs - progress.epoch - 1) * steps * config.batch_size
    batches = shared.batches_of(
        config,
        epoch=progress.epoch,
        skip=progress.step,
        rows=shared.hosts.rows(config.batch_size),
    )
    clock, before = time.monotonic(), progress
    for images, targets in batches:
        logs = _train_step(model, images, targets, teacher)
        seconds = time.monotonic() - clock
        progress = replace(
            progress,
            step=progress.step + 1,
            loss=progress.loss + logs["loss"],
            nme=progress.nme + logs["nme_of_outputs"],
            seconds=before.seconds + seconds,
        )
        if not math.isfinite(progress.loss):
            raise InputError(
                f"the loss became {logs['loss']} in epoch {progress.epoch + 1}, step "
                f"{progress.step}; the last checkpoint is kept. Start a new run with a lower "
                "learning_rate or with clip_norm=1"
            )
        speed = (progress.step - before.step) * config.batch_size / seconds
        images_left = left + (steps - progress.step) * config.batch_size
        shared.on_step(
            Step(
                epoch=progress.epoch + 1,
                epochs=shared.epochs,
                step=progress.step,
                steps=steps,
                loss=progress.loss / progress.step,
                nme=progress.nme / progress.step,
                images_per_second=speed,
                seconds_left=images_left / speed,
            )
        )
        if progress.step < steps:
            shared.stop_if_interrupted(partial(shared.folder.write_checkpoint, model, progress))
    return progress


def _train_step(
    model: keras.Model, images: Any, targets: np.ndarray, teacher: Predict | None
) -> dict[str, float]:
    """Loss and metric of one batch, on which the model is trained."""
    if teacher:
        teacher_points = teacher(np.asarray(images)).points.reshape(len(targets), -1)
        targets = np.concatenate([targets, teacher_points], axis=1)
    model.reset_metrics()  # not every backend resets them itself
    logs = model.train_on_batch(images, targets, return_dict=True)
    return {name: float(value) for name, value in logs.items()}


def _validate_start(shared: Training, model: keras.Model, config: Config) -> Progress:
    """The progress of a start: where it is from another run, with its errors as epoch 0.

    So the best epoch may be this one, and the start is kept where the training makes it worse.
    """
    if run_folder(config.weights) is None:
        return Progress()
    clock = time.monotonic()
    validation = _validation(shared, model, config)
    row = _row(0, math.nan, math.nan, validation, 0.0, time.monotonic() - clock)
    shared.folder.write_weights(runs.BEST, model)
    progress = Progress(rows=(row,))
    shared.folder.write_checkpoint(model, progress)
    shared.on_epoch(row)
    return progress


def _row(
    epoch: int,
    loss: float,
    nme: float,
    validation: dict[str, float],
    learning_rate: float,
    seconds: float,
) -> dict[str, float]:
    """A row of metrics.csv; `validation` as of `_validation`."""
    row = {"epoch": epoch, "loss": loss, "training_nme": nme}
    row |= {"validation_nme": validation["validation_nme"], "learning_rate": learning_rate}
    return {**row, "seconds": round(seconds, 1), **validation}


def _validation(shared: Training, model: keras.Model, config: Config) -> dict[str, float]:
    """The mean NME of the validation sets, and that of each where there are several, percent."""
    errors = {r.name: validation_nme(model, r, config) for r in shared.validation}
    row = {"validation_nme": float(np.mean(list(errors.values())))}
    if len(errors) > 1:
        row |= {f"validation_nme {name}": nme for name, nme in errors.items()}
    return row


def _end_epoch(
    shared: Training, model: keras.Model, config: Config, progress: Progress
) -> Progress:
    """Validate after the last step of an epoch, and write weights, checkpoint and metrics."""
    clock = time.monotonic()
    learning_rate = float(ops.convert_to_numpy(model.optimizer.learning_rate))
    batches = shared.batches_of(config, epoch=progress.epoch)
    crops = (images for images, _ in itertools.islice(batches, STATISTICS))
    with averaged_weights(model, crops):
        validation = _validation(shared, model, config)
        seconds = progress.seconds + time.monotonic() - clock
        loss, nme = (total / progress.step for total in (progress.loss, progress.nme))
        row = _row(progress.epoch + 1, loss, nme, validation, learning_rate, seconds)
        best = min((row["validation_nme"] for row in progress.rows), default=math.inf)
        shared.folder.write_weights(runs.LAST, model)
        if row["validation_nme"] < best:
            shared.folder.keep_as_best()
    progress = Progress(epoch=progress.epoch + 1, rows=(*progress.rows, row))
    shared.folder.write_checkpoint(model, progress)
    shared.folder.write_history(progress.rows)
    shared.on_epoch(row)
    return progress


def _batches(training: Records, config: Config) -> Batches:
    """The training pipeline of `config`: a function of a stage, `epoch`, `skip` and `rows`."""
    if config.pipeline == "device":
        if keras.backend.backend() != "jax":
            raise InputError(
                f"pipeline=device is of JAX, and Keras runs on {keras.backend.backend()}; set "
                "KERAS_BACKEND=jax, or pipeline=host"
            )
        from keypoints.training.device_pipeline import DevicePipeline

        return DevicePipeline(training, config).batches

    def host(stage: Config, **options: Any) -> Iterator[tuple[Any, Any]]:
        return training_pipeline(training, stage, **options).as_numpy_iterator()

    return host


def validation_nme(model: keras.Model, records: Records, config: Config) -> float:
    """Mean NME of `records` over the square root of the box's area, percent, ground-truth boxes."""
    network = Network(runs.predict_function(model), Crop.of(config))
    found = predict_points(network, records, records.boxes)
    size = metrics.sizes(records.points, records.boxes, records.markup)["box"]
    return float(100 * np.mean(metrics.mean_error(records.points, found.points) / size))


def _teacher(config: Config, markup: Markup) -> Network | None:
    """The distillation teacher of `config`, or None; raises InputError for an unusable model."""
    if config.teacher == "none":
        return None
    try:
        teacher = load_network(config.teacher)
    except InputError as error:
        raise InputError(f"teacher={config.teacher}: {error}") from None
    if teacher.crop != Crop.of(config):
        raise InputError(
            f"teacher={config.teacher} sees {teacher.crop}, this run {Crop.of(config)}; teacher "
            "and network must see the same crops"
        )
    if teacher.markup.names != markup.names:
        raise InputError(
            f"teacher={config.teacher} finds the {teacher.markup.count} points of "
            f"{teacher.markup.name}, this run the {markup.count} of {markup.name}; teacher and "
            "network must find the same points"
        )
    return teacher


def _inputs(
    config: Config,
    training: Records,
    validation: Sequence[Records],
    taught: Iterable[tuple[Config, Network | None]],
) -> dict[str, dict]:
    """The content of data.json: what a run starts from, each with its name and SHA-256.

    `taught`: each stage with its teacher.
    """
    inputs = {"training": training.describe()}
    for number, records in enumerate(validation, 1):
        inputs[f"validation {number}"] = records.describe()
    if config.weights != "none":
        path = run_folder(config.weights) or Path(config.weights)
        digest = runs.weights_digest(path) if os.path.exists(path) else ""
        inputs["weights"] = {"name": config.weights, "sha256": digest}
    for number, (stage, teacher) in enumerate(taught, 1):
        if teacher:
            inputs[f"teacher {number}"] = {"name": stage.teacher, "sha256": teacher.digest}
    return inputs


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first SIGINT sets, instead of an exception in the middle of a step."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # only the main thread may handle signals
        return

    def stop(*_: Any) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)  # a second Ctrl-C stops at once

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
