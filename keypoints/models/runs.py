"""The run folder: its files, and how they are written and read.

    config.json        the Config, complete
    data.json          per split: name, number of images, SHA-256 of names, points and pixels
    environment.json   versions, machine, devices, git revision and command of the last start
    metrics.csv        one row per finished epoch
    curves.png         the same as a plot
    best.weights.h5    weights of the best epoch on the validation split (averaged if ema is set)
    last.weights.h5    weights of the last epoch
    checkpoint.npz     the state needed to resume: variables, optimizer, history

All files are data, HDF5 and plain arrays; nothing in them is executed. Each is written under a
temporary name and renamed, so it is either complete or unchanged.
"""

import csv
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import threading
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keypoints import config as configs
from keypoints import landmarks
from keypoints.checks import json_object
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.estimate import Estimate, Predict, unflatten
from keypoints.geometry import CROP
from keypoints.network import Network
from keypoints.system import backend
from keypoints.system.atomic import replacing, reserve, write_text
from keypoints.system.extras import installed_version

if TYPE_CHECKING:
    import keras

CONFIG, DATA, ENVIRONMENT = "config.json", "data.json", "environment.json"
METRICS, CURVES = "metrics.csv", "curves.png"
BEST, LAST, CHECKPOINT = "best.weights.h5", "last.weights.h5", "checkpoint.npz"


def check_run(run: Path, config: Config, data: dict[str, dict]) -> None:
    """Raise InputError if the folder holds a run with another config or other data.

    `data`: the content of data.json.
    """
    started = any((run / name).exists() for name in (CHECKPOINT, BEST))
    saved = load_config(run) if (run / CONFIG).exists() else config
    if started and saved != config:
        raise InputError(
            f"run={run} holds a run with another config ({_differences(saved, config)}); "
            "choose another folder, or use the same fields to resume it"
        )
    if started and (run / DATA).exists():
        before = json_object((run / DATA).read_bytes(), str(run / DATA))
        changes = [
            _change(before.get(use), data[use]) for use in data if before.get(use) != data[use]
        ]
        if changes:
            raise InputError(
                f"{run}: the data changed since the run was started: {'; '.join(changes)}; "
                "choose another folder, or restore the data to resume it"
            )


def start_run(
    run: Path, config: Config, data: dict[str, dict], devices: Sequence[str] = ()
) -> None:
    """Create the folder of a run, or check that it holds a run with this config and data.

    environment.json names the `devices`, and the precision of each stage.
    """
    check_run(run, config, data)
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"run={run}: the folder cannot be created: {error.strerror}") from None
    for left in run.glob(".*.*"):  # half a file of a process that was killed while it wrote
        if re.fullmatch(r"\.\d+\..+", left.name):
            left.unlink(missing_ok=True)
    write_text(run / CONFIG, configs.to_json(config))
    write_text(run / DATA, json.dumps(data, indent=2) + "\n")
    used = {
        "devices": list(devices),
        "precision": [stage.precision for stage in config.stage_configs()],
        "batch_size": [stage.batch_size for stage in config.stage_configs()],
    }
    write_text(run / ENVIRONMENT, json.dumps(environment() | used, indent=2) + "\n")


def load_config(run: Path) -> Config:
    """The config of a run folder; raises InputError if there is none."""
    path = Path(run) / CONFIG
    if not path.is_file():
        raise InputError(
            f"{run} is not a run folder: {CONFIG} is missing; create one with `keypoints train`"
        )
    return configs.from_json(path.read_bytes(), str(path))


def load_model(run: Path) -> tuple["keras.Model", Config]:
    """`(model, config)` of a run folder: a new float32 model with the best weights."""
    from keypoints.models.network import build_model

    config = load_config(run)
    inference = configs.replace(
        config.stage_configs()[-1], {"weights": "none", "precision": "float32", "trainable": "all"}
    )
    model = build_model(inference, landmarks.MEAN_FACE * CROP)
    load_weights(model, Path(run))
    return model, config


def load_weights(model: "keras.Model", run: Path) -> None:
    """Load the best weights of a run into a model; raises InputError if they do not fit."""
    path = run / BEST
    if not path.is_file():
        raise InputError(f"{run} has no {BEST}: it is not a run folder, or no epoch has finished")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of each array before it raises
            model.load_weights(path)
    except (OSError, ValueError, KeyError, RuntimeError) as error:  # h5py raises all of them
        reason = str(error).partition(". Example")[0]  # Keras adds all arrays
        raise InputError(f"{path} does not contain the weights of this network: {reason}") from None


def load_network(run: Path) -> Network:
    """The network of a run folder, with its best weights.

    Its `predict` is compiled once per batch size, so use few different sizes.
    """
    model, config = load_model(run)
    predict = predict_function(flattened(model))
    return Network(predict, Crop.of(config), source=run / BEST, trained_on=config.data)


def flattened(model: "keras.Model") -> "keras.Model":
    """`model` with one flat output `(b, 204)`, points then uncertainties, instead of two."""
    import keras

    flat = keras.ops.concatenate([model.output["points"], model.output["uncertainty"]], axis=-1)
    return keras.Model(model.input, flat)


def predict_function(model: "keras.Model") -> Predict:
    """A Keras model with the output of `flattened` as a `Predict` function, safe in threads."""
    one_at_a_time = threading.Lock()  # on JAX, Keras hands the model's own buffers to a prediction

    def predict(crops: np.ndarray) -> Estimate:
        with one_at_a_time:
            return unflatten(np.asarray(model.predict_on_batch(crops), np.float32))

    return predict


def weights_digest(path: str | Path) -> str:
    """SHA-256 of the best weights of a run folder, or of a model file."""
    path = Path(path)
    with open(path / BEST if path.is_dir() else path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_metrics(run: Path, rows: list[dict[str, float]]) -> None:
    """Write all rows so far as a complete file, so that a killed run never leaves half a line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_text(run / METRICS, text.getvalue())


def write_weights(path: Path, model: "keras.Model") -> None:
    """Write the weights of the network without the optimizer state, which is twice as large."""
    from keras import Model

    size = sum(variable.numpy().nbytes for variable in model.variables)
    with replacing(path) as temporary:
        reserve(temporary, size + size // 10 + 2**20)  # with the overhead of HDF5
        Model(model.inputs, model.outputs).save_weights(temporary)


def write_checkpoint(run: Path, model: "keras.Model", progress: dict[str, Any]) -> None:
    """Write the state needed to resume in one file: variables, optimizer, `progress`."""
    arrays = {
        name: variable.numpy()
        for kind in ("network", "optimizer")
        for name, variable in _state(model, kind).items()
    }
    with replacing(run / CHECKPOINT) as temporary:
        np.savez(temporary, progress=np.array(json.dumps(progress)), **arrays)


def read_progress(run: Path) -> dict[str, Any] | None:
    """The `progress` in the checkpoint of a run; None if there is no checkpoint."""
    if not (run / CHECKPOINT).exists():
        return None
    with _open_checkpoint(run) as arrays:
        progress = json.loads(str(arrays["progress"]))
        if not isinstance(progress, dict) or not {"epoch", "step", "rows"} <= set(progress):
            raise ValueError("no epoch, step and rows in it")
        return progress


def restore_checkpoint(
    run: Path,
    model: "keras.Model",
    *,
    optimizer: bool = True,
    share: Callable[[np.ndarray], np.ndarray] = lambda array: array,
) -> None:
    """Load a checkpoint into a built model and, if `optimizer`, into its built optimizer.

    Each array goes through `share`, which sends it to other hosts (`receive_checkpoint`).
    """
    with _open_checkpoint(run) as arrays:
        for name, variable in _states(model, optimizer).items():
            variable.assign(share(arrays[name]))


def receive_checkpoint(
    model: "keras.Model",
    *,
    optimizer: bool = True,
    share: Callable[[np.ndarray], np.ndarray],
) -> None:
    """`restore_checkpoint` on a host without the folder: `share` takes zeros, gives the arrays."""
    for variable in _states(model, optimizer).values():
        variable.assign(share(np.zeros(variable.shape, variable.dtype)))


def environment() -> dict[str, Any]:
    """Versions, machine, git revision and command: what a result depends on besides the config."""
    packages = ("keras", "jax", "jaxlib", "tensorflow", "tensorflow-cpu", "numpy", "opencv-python")
    return {
        "command": " ".join([f"python -m tools.{Path(sys.argv[0]).stem}", *sys.argv[1:]]),
        "git_revision": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain")),
        "backend": backend.keras_backend(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: installed_version(name) for name in packages if installed_version(name)},
    }


def _state(model: "keras.Model", kind: str) -> dict[str, Any]:
    """Variables of the network or of its optimizer by names that are stable across processes."""
    variables = model.variables if kind == "network" else model.optimizer.variables
    return {f"{kind}_{i}": variable for i, variable in enumerate(variables)}


def _states(model: "keras.Model", optimizer: bool) -> dict[str, Any]:
    return _state(model, "network") | (_state(model, "optimizer") if optimizer else {})


@contextmanager
def _open_checkpoint(run: Path) -> Iterator[Any]:
    path = run / CHECKPOINT
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    # TypeError: one array without an archive; RuntimeError: packed or locked in an unknown way.
    except (OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, MemoryError,
            zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        raise InputError(
            f"{path} is damaged ({error}); delete it to restart the training"
        ) from None


def _differences(saved: Config, given: Config) -> str:
    pairs = [(name, getattr(saved, name), getattr(given, name)) for name in configs.field_names()]
    return ", ".join(f"{name} {old!r}, now {new!r}" for name, old, new in pairs if old != new)


def _change(saved: Any, given: dict) -> str:
    counts = [data.get("pictures") if isinstance(data, dict) else None for data in (saved, given)]
    how = "other names, points or pixels" if counts[0] == counts[1] else f"it had {counts[0]}"
    return f"{given['name']} has {counts[1]} pictures, {how}"


def _git(*arguments: str) -> str:
    """The output of a git command in this source tree; empty outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
