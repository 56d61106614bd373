"""Train a network into a run folder; an interrupted run is resumed."""

import dataclasses
import itertools
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keypoints import geometry, metrics
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.data.pipeline import ALL, training_pipeline
from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.estimate import Predict
from keypoints.evaluation.plots import training_curves
from keypoints.evaluation.protocol import predict_points
from keypoints.inference.predictor import load_network
from keypoints.models import runs
from keypoints.models.cpu_layers import use_cpu_kernels
from keypoints.models.losses import POINT_LOSSES, POINTS, nme_of_outputs, training_loss
from keypoints.models.network import build_model
from keypoints.network import Network
from keypoints.system.atomic import replacing
from keypoints.training import devices
from keypoints.training.hosts import Hosts

STATISTICS = 12  # batches from which the batch statistics of averaged weights are computed
Batches = Callable[..., Iterator[tuple[Any, Any]]]
START: dict[str, Any] = {"epoch": 0, "step": 0, "rows": []}


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


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over `config.warmup` epochs, multiplied by `config.schedule`."""

    def __init__(self, config: Config, steps: int):
        self.config = config
        self.steps = steps  # per epoch

    def __call__(self, step: Any) -> Any:
        config = self.config
        epoch = ops.cast(step, "float32") / self.steps
        rise = 1.0
        if config.warmup:
            rise = ops.minimum(1.0, (epoch + 1 / self.steps) / config.warmup)
        fall = 1.0
        if config.schedule == "cosine":
            fall = 0.5 * (1 + ops.cos(math.pi * ops.minimum(1.0, epoch / config.epochs)))
        elif config.schedule == "exponential":
            fall = config.decay ** ops.floor(epoch)
        return config.learning_rate * rise * fall


def train(
    config: Config,
    run: Path,
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
    called after each step and epoch. Raises InputError for a folder that cannot be written or holds
    a run with another config or other data, and for a loss that is not finite; the last good
    checkpoint is kept.

    The best epoch is the one with the lowest `validation_nme`: the plain mean over the sets of
    `validation`, each of which has its own column where there are several. NMEs of training are
    normalised by the square root of the box's area, which is also valid for profile faces.

    What the config leaves to the device is resolved first (`devices.resolve`) and written to
    the config.json of the run.

    With several `hosts` (`hosts.connect`) all call this with the same arguments. Each makes its
    rows of every batch, and the weights are the same on all. Only host 0 reads and writes `run`.
    It disconnects from the other hosts at the end.
    """
    config = devices.resolve(config)
    validation = [validation] if isinstance(validation, Records) else validation
    data = {"training": training.describe()}
    data |= {records.name: records.describe() for records in validation}
    if hosts:
        hosts.agree(_facts(config, data))
    folder = run if hosts is None or hosts.writes else None
    if folder:
        runs.check_run(run, config, data)
    devices.use_all(config)
    progress = (runs.read_progress(run) if folder else None) or START
    if hosts:
        progress = hosts.exchange(progress)[0]
    stages = config.stage_configs()
    epochs = sum(stage.epochs for stage in stages)
    teachers = [_teacher(stage) for stage in stages]
    batches_of = _batches(training, config)
    first = 0
    with _interruptible() as interrupted:

        def stopping() -> bool:
            """Whether one of the hosts was interrupted; all get the same answer."""
            return any(hosts.exchange(interrupted.is_set())) if hosts else interrupted.is_set()

        for stage, teacher in zip(stages, teachers):
            last = first + stage.epochs
            if progress["epoch"] < last:
                model = compiled_model(stage, training)
                if folder:
                    # Only now: a start that fails leaves none.
                    runs.start_run(run, config, data, devices.names())
                if progress != START:
                    # A new stage continues with the network and a new optimizer.
                    inside = (progress["epoch"], progress["step"]) != (first, 0)
                    share = {"share": hosts.from_first} if hosts else {}
                    if folder:
                        runs.restore_checkpoint(folder, model, optimizer=inside, **share)
                    else:
                        runs.receive_checkpoint(model, optimizer=inside, **share)
            while progress["epoch"] < last:
                clock = time.monotonic()
                for step in _steps(
                    model, training, batches_of, stage, teacher, progress, epochs, hosts
                ):
                    on_step(step)
                    if step.step < step.steps and stopping():
                        if folder:
                            runs.write_checkpoint(run, model, {**progress, "step": step.step})
                        _disconnect(hosts)
                        raise KeyboardInterrupt
                row = {
                    "epoch": step.epoch,
                    "loss": step.loss,
                    "training_nme": step.nme,
                    "validation_nme": math.nan,
                    "learning_rate": float(ops.convert_to_numpy(model.optimizer.learning_rate)),
                    "seconds": 0.0,
                }
                batches = batches_of(stage, epoch=progress["epoch"])
                crops = (images for images, _ in itertools.islice(batches, STATISTICS))
                with averaged_weights(model, crops):
                    errors = {r.name: validation_nme(model, r, stage) for r in validation}
                    row["validation_nme"] = float(np.mean(list(errors.values())))
                    if len(errors) > 1:
                        row |= {f"validation_nme {name}": nme for name, nme in errors.items()}
                    row["seconds"] = round(time.monotonic() - clock, 1)
                    best = min((r["validation_nme"] for r in progress["rows"]), default=math.inf)
                    if folder:
                        if row["validation_nme"] < best:
                            runs.write_weights(folder / runs.BEST, model)
                        runs.write_weights(folder / runs.LAST, model)
                progress = {"epoch": step.epoch, "step": 0, "rows": [*progress["rows"], row]}
                if folder:
                    runs.write_checkpoint(run, model, progress)
                    _write_history(run, progress["rows"])
                on_epoch(row)
                if stopping():  # where the others wait until all is written
                    _disconnect(hosts)
                    raise KeyboardInterrupt
            first = last
    if folder:
        _write_history(run, progress["rows"])  # a kill may have come between checkpoint and rows
    _disconnect(hosts)
    return progress["rows"]


def compiled_model(config: Config, training: Records) -> keras.Model:
    """The compiled network of `config` with a built optimizer.

    Its initial output is the mean face of `training`. It has one flat output `(b, 204)`, which both
    the loss and the metric need.
    """
    config = devices.resolve(config)
    matrices = Crop.of(config).matrices(training.boxes, shapes=training.shapes)
    targets = geometry.apply(matrices, training.completed_points())
    model = build_model(config, targets.mean(axis=0))
    if config.kernels == "cpu" or (config.kernels == "auto" and devices.have_cpu_kernels()):
        model = use_cpu_kernels(model)
    if Path(config.weights).is_dir():
        runs.load_weights(model, Path(config.weights))
    model = runs.flattened(model)
    steps = max(training.epoch_size // config.batch_size, 1)
    options = {
        "learning_rate": LearningRate(config, steps),
        "global_clipnorm": config.clip_norm or None,
        "use_ema": config.ema > 0,
        "ema_momentum": config.ema or None,
    }
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(weight_decay=config.weight_decay, **options)
        optimizer.exclude_from_weight_decay(
            var_names=["bias", "beta", "gamma", "centre", "log_sigma"]
        )
    else:
        optimizer = keras.optimizers.Adam(**options)
    optimizer.build(model.trainable_variables)
    # XLA compiles JAX's step anyway; TensorFlow's own CPU kernels are faster than XLA's.
    model.compile(
        optimizer,
        training_loss(POINT_LOSSES[config.loss]),
        metrics=[nme_of_outputs],
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


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
    size = metrics.sizes(records.points, records.boxes)["box"]
    return float(100 * np.mean(metrics.mean_error(records.points, found.points) / size))


@contextmanager
def averaged_weights(model: keras.Model, batches: Iterable[np.ndarray]) -> Iterator[None]:
    """Inside the block the model has its moving-average weights, if it keeps any.

    Batch statistics belong to the weights that they were computed with, so they are computed again
    on `batches` of training crops (Izmailov et al., "Averaging Weights Leads to Wider Optima and
    Better Generalization", 2018, section 3.2). Otherwise the averaged weights do worse than the
    last ones.
    """
    if not model.optimizer.use_ema:
        yield
        return
    raw = [variable.numpy() for variable in model.variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    for variable in model.trainable_variables:
        # A copy: JAX would donate the buffers of the averages with those of the model.
        variable.assign(variable.numpy())
    measure_statistics(model, batches)
    try:
        yield
    finally:
        for variable, value in zip(model.variables, raw):
            variable.assign(value)


def measure_statistics(model: keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Set the moving statistics of batch normalisation to their mean over `batches`."""
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    usual = [norm.momentum for norm in norms]
    for count, images in enumerate(batches):
        for norm in norms:
            norm.momentum = count / (count + 1)  # gives each batch the same weight
        model(ops.convert_to_tensor(images), training=True)
    for norm, momentum in zip(norms, usual):
        norm.momentum = momentum


def _teacher(config: Config) -> Predict | None:
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
    return teacher.predict


def _steps(
    model: keras.Model,
    training: Records,
    batches_of: Batches,
    config: Config,
    teacher: Predict | None,
    progress: dict,
    epochs: int,
    hosts: Hosts | None,
) -> Iterator[Step]:
    """Train the remaining steps of one epoch; yields after each step."""
    steps = training.epoch_size // config.batch_size
    epoch, done = progress["epoch"], progress["step"]
    rows = hosts.rows(config.batch_size) if hosts else ALL
    batches = batches_of(config, epoch=epoch, skip=done, rows=rows)
    clock = time.monotonic()
    totals = {"loss": 0.0, "nme_of_outputs": 0.0}
    for step, (images, targets) in enumerate(batches, done + 1):
        if teacher:
            teacher_points = teacher(np.asarray(images)).points.reshape(-1, POINTS)
            targets = np.concatenate([targets, teacher_points], axis=1)
        model.reset_metrics()  # not every backend resets them itself
        logs = model.train_on_batch(images, targets, return_dict=True)
        totals = {name: total + float(logs[name]) for name, total in totals.items()}
        if not math.isfinite(totals["loss"]):
            raise InputError(
                f"the loss became {logs['loss']} in epoch {epoch + 1}, step {step}; the last "
                "checkpoint is kept. Start a new run with a lower learning_rate or with "
                "clip_norm=1"
            )
        loss, error = (total / (step - done) for total in totals.values())
        speed = (step - done) * config.batch_size / (time.monotonic() - clock)
        left = (epochs - epoch - 1) * training.epoch_size + (steps - step) * config.batch_size
        yield Step(epoch + 1, epochs, step, steps, loss, error, speed, left / speed)


def _facts(config: Config, data: dict[str, dict]) -> dict[str, Any]:
    """What must be the same on several hosts: config, data and initial weights."""
    facts = {**dataclasses.asdict(config), **{use: str(entry) for use, entry in data.items()}}
    if Path(config.weights).exists():
        facts["sha256 of the weights"] = runs.weights_digest(config.weights)
    return facts


def _disconnect(hosts: Hosts | None) -> None:
    if hosts:
        hosts.close()


def _write_history(run: Path, rows: list[dict[str, float]]) -> None:
    runs.write_metrics(run, rows)
    with replacing(run / runs.CURVES) as temporary:
        training_curves(rows, temporary)


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
