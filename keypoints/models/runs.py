"""The run folder: its files, and how they are written and read.

    config.json        the Config, complete
    markup.toml        what its points are; without it: the 68 of iBUG
    data.json          what the run starts from: name and SHA-256 of each split (names, points,
                       boxes, pixels), of the initial weights and of the teachers
    environment.json   versions, machine, devices, git revision and command of the last start
    metrics.csv        one row per finished epoch
    curves.png         the same as a plot
    calibration.json   the relative uncertainty at which a face score is a half
    best.weights.h5    weights of the best epoch on the validation split (averaged if ema is set)
    last.weights.h5    weights of the last epoch
    checkpoint.npz     the state needed to resume: variables, optimizer, `Progress`

All files are data, HDF5 and plain arrays; nothing in them is executed. Each is written under a
temporary name and renamed, so it is either complete or unchanged.
"""

import json
import os
import platform
import shlex
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keypoints import config as configs
from keypoints import markup as markups
from keypoints.checks import Table, json_object
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.estimate import UNCERTAINTY_AT_HALF_SCORE, Estimate, Predict, unflatten
from keypoints.markup import IBUG68, Markup
from keypoints.network import Network
from keypoints.system import backend
from keypoints.system.atomic import remove_partial_files, replacing, reserve, write_text
from keypoints.system.digests import file_digest
from keypoints.system.extras import installed_version

if TYPE_CHECKING:
    import keras

CONFIG, DATA, ENVIRONMENT = "config.json", "data.json", "environment.json"
MARKUP, CALIBRATION = markups.FILE, "calibration.json"
METRICS, CURVES = "metrics.csv", "curves.png"
BEST, LAST, CHECKPOINT = "best.weights.h5", "last.weights.h5", "checkpoint.npz"


# Fields that name files: not their names, but their contents (data.json) must be those of the run.
NAMES_OF_FILES = ("data", "weights", "teacher")


def check_run(run: Path, config: Config, data: dict[str, dict], markup: Markup = IBUG68) -> None:
    """Raise InputError if the folder holds a run with another config, other data or points.

    `data`: the content of data.json. How paths of data and weights are written does not matter.
    """
    started = any(os.path.exists(run / name) for name in (CHECKPOINT, BEST))
    saved = load_config(run) if os.path.exists(run / CONFIG) else config
    if started and _nameless(saved) != _nameless(config):
        raise InputError(
            f"run={run} holds a run with another config ({_differences(saved, config)}); "
            "choose another folder, or use the same fields to resume it"
        )
    if started and (difference := load_markup(run).difference(markup)):
        raise InputError(f"run={run} holds a run of other points: {difference}")
    if started and os.path.exists(run / DATA):
        before = json_object((run / DATA).read_bytes(), str(run / DATA))
        changes = [_change(before.get(use), data.get(use)) for use in before | data]
        if changes := [change for change in changes if change]:
            raise InputError(
                f"{run}: the data changed since the run was started: {'; '.join(changes)}; "
                "choose another folder, or restore the data to resume it"
            )


def make_folder(run: Path) -> None:
    """Create the folder of a run unless it is there; raises InputError if that fails."""
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"run={run}: the folder cannot be created: {error.strerror}") from None


def start_run(
    run: Path,
    config: Config,
    data: dict[str, dict],
    devices: Sequence[str] = (),
    *,
    markup: Markup = IBUG68,
) -> None:
    """Create the folder of a run, or check that it holds a run with this config and data.

    environment.json names the `devices`, and the precision of each stage.
    """
    check_run(run, config, data, markup)
    make_folder(run)
    remove_partial_files(run)
    write_text(run / CONFIG, configs.to_json(config))
    write_text(run / MARKUP, markup.to_toml())
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
    if not os.path.isfile(path):
        raise InputError(
            f"{run} is not a run folder: {CONFIG} is missing; create one with `keypoints train`"
        )
    return configs.from_json(path.read_bytes(), str(path))


def load_markup(run: Path) -> Markup:
    """The markup of a run folder; the 68 points of iBUG if it has no `MARKUP`."""
    path = Path(run) / MARKUP
    return markups.read_markup(path) if os.path.isfile(path) else IBUG68


def load_half_score(run: Path) -> float:
    """`Network.half_score` of a run: the usual one if it was not fitted."""
    path = Path(run) / CALIBRATION
    if not os.path.isfile(path):
        return UNCERTAINTY_AT_HALF_SCORE
    table = Table(str(path), json_object(path.read_bytes(), str(path)))
    half_score = table.number("half_score", low=1e-6, high=1e6)
    table.close()
    return half_score


def write_half_score(run: Path, half_score: float) -> None:
    write_text(run / CALIBRATION, json.dumps({"half_score": half_score}) + "\n")


def load_model(run: Path) -> tuple["keras.Model", Config]:
    """`(model, config)` of a run folder: a new float32 model with the best weights."""
    from keypoints.models.network import build_model

    config = load_config(run)
    inference = configs.replace(
        config.stage_configs()[-1], {"weights": "none", "precision": "float32", "trainable": "all"}
    )
    # The mean face is among the weights: only its number of points matters here.
    model = build_model(inference, np.zeros((load_markup(run).count, 2)))
    load_weights(model, Path(run))
    return model, config


def load_weights(model: "keras.Model", run: Path) -> None:
    """Load the best weights of a run into a model; raises InputError if they do not fit."""
    path = run / BEST
    if not os.path.isfile(path):
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
    from keypoints.models.cpu_layers import have_cpu_kernels, use_cpu_kernels

    model, config = load_model(run)
    if have_cpu_kernels():
        use_cpu_kernels(model)
    predict = predict_function(flattened(model))
    return Network(
        predict,
        Crop.of(config),
        run / BEST,
        trained_on=config.data,
        markup=load_markup(run),
        half_score=load_half_score(run),
    )


def flattened(model: "keras.Model") -> "keras.Model":
    """`model` with one flat output `(b, 3 k)`, points then uncertainties, instead of two."""
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
    return file_digest(path / BEST if os.path.isdir(path) else path)


def write_weights(path: Path, model: "keras.Model") -> None:
    """Write the weights of the network without the optimizer state, which is twice as large."""
    from keras import Model

    size = sum(variable.numpy().nbytes for variable in model.variables)
    with replacing(path) as temporary:
        reserve(temporary, size + size // 10 + 2**20)  # with the overhead of HDF5
        Model(model.inputs, model.outputs).save_weights(temporary)


def environment() -> dict[str, Any]:
    """Versions, machine, git revision and command: what a result depends on besides the config."""
    packages = ("keras", "jax", "jaxlib", "tensorflow", "tensorflow-cpu", "numpy", "opencv-python")
    return {
        "command": _command(),
        "git_revision": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain")),
        "backend": backend.keras_backend(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: installed_version(name) for name in packages if installed_version(name)},
    }


def _command() -> str:
    """The command line of this process, as a shell takes it."""
    started = Path(sys.argv[0]).stem == "keypoints"  # by the console command
    return shlex.join(["keypoints", *sys.argv[1:]] if started else sys.orig_argv)


def _nameless(config: Config) -> Config:
    """`config` without the names of files, in its stages too."""
    none = {name: getattr(Config(), name) for name in NAMES_OF_FILES}
    stages = ({k: v for k, v in stage.items() if k not in none} for stage in config.stages)
    return configs.replace(config, {**none, "stages": tuple(stages)})


def _differences(saved: Config, given: Config) -> str:
    pairs = [(name, getattr(saved, name), getattr(given, name)) for name in configs.field_names()]
    return ", ".join(f"{name} {old!r}, now {new!r}" for name, old, new in pairs if old != new)


def _change(saved: Any, given: Any) -> str:
    """What is other in an entry of data.json, "" if nothing is; its name does not count."""
    saved, given = (entry if isinstance(entry, dict) else {} for entry in (saved, given))
    if {**saved, "name": ""} == {**given, "name": ""}:
        return ""
    if not saved or not given:
        return f"{(saved or given).get('name')} is {'new' if given else 'not used now'}"
    if "pictures" not in given:
        return f"{given['name']} has other contents"
    counts = [entry.get("pictures") for entry in (saved, given)]
    how = (
        "other names, points, boxes or pixels" if counts[0] == counts[1] else f"it had {counts[0]}"
    )
    return f"{given['name']} has {counts[1]} pictures, {how}"


def _git(*arguments: str) -> str:
    """The output of a git command in this source tree; empty outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
