"""Benchmarks of a training step: by backends, beside PyTorch, and by devices, batch size and size.

Timed as in `benchmarks.inference`; other backends and PyTorch run in processes of their own.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import call_python
from benchmarks.timings import Timing, compared, interleaved, timing
from keypoints import config as configs
from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.geometry import CROP

TORCH_PROGRAM = Path(__file__).parent / "torch_baseline.py"  # run by an interpreter with PyTorch
TORCH_FIELDS = ("batch_size", "resolution", "trainable", "precision")
PRECISIONS = ("float32", "mixed_bfloat16")
BACKENDS = {"JAX": "jax", "TensorFlow": "tensorflow"}
KERNELS = {"CPU kernels": "cpu", "Keras' own layers": "keras"}
DEVICES, BATCHES, SIDES = (1, 2, 4), (4, 8, 16), (56, 112, 224)  # of the scaling table


def measure_steps(
    config: Config, *, repeats: int = 5, torch_python: str | None = None
) -> list[Timing]:
    """Images/s of training steps with CPU kernels, with built-in Keras layers, and in PyTorch.

    `torch_python` is an interpreter with PyTorch. The PyTorch network is the same, in channels-last
    order, and exists only for ResNet50 with the pooled head.
    """
    batch = config.batch_size
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (batch, CROP, CROP, 3), dtype=np.uint8)
    targets = rng.uniform(0, CROP, (batch, 136)).astype(np.float32)
    subjects: dict[str, Callable[[], Any]] = {}
    skipped = []
    with ExitStack() as stack:
        for name, kernels in KERNELS.items():
            if config.kernels not in ("auto", kernels):
                skipped.append(Timing(name, "images/s", note=f"kernels={config.kernels} is given"))
                continue
            model = training_model(configs.replace(config, {"kernels": kernels}))
            # A dict, because a float would count as seconds.
            subjects[name] = partial(model.train_on_batch, crops, targets, return_dict=True)
        if (config.backbone, config.head) != ("resnet50", "pooled"):
            note = "only resnet50 with the pooled head"
        elif torch_python is None:
            note = "torch_python=PATH is not given"
        else:
            note = ""
            subjects["PyTorch"] = partial(torch_process(config, torch_python, stack), "step")
        if note:
            skipped.append(Timing("PyTorch", "images/s", note=note))
        rows = [
            timing(name, "images/s", batch / np.array(seconds))
            for name, seconds in interleaved(subjects, repeats).items()
        ]
    baseline = "PyTorch" if "PyTorch" in subjects else "Keras' own layers"
    return compared(rows + skipped, baseline)


def measure_backends(
    config: Config, *, repeats: int = 5, torch_python: str | None = None
) -> list[Timing]:
    """Images/s of training steps on JAX and TensorFlow, in both precisions, and in PyTorch.

    PyTorch, in float32, is left out where `torch_python` is not given.
    """
    subjects: dict[str, Callable[[], Any]] = {}
    with ExitStack() as stack:
        for precision in PRECISIONS:
            one = configs.replace(config, {"precision": precision})
            for name, backend in BACKENDS.items():
                ask = keras_process(one, backend, stack)
                subjects[f"{name}, {precision}"] = partial(ask, "step")
        if torch_python is not None:
            one = configs.replace(config, {"precision": "float32"})
            ask = torch_process(one, torch_python, stack)
            subjects["PyTorch, float32"] = partial(ask, "step")
        times = interleaved(subjects, repeats)
    batch = config.batch_size
    rows = [timing(name, "images/s", batch / np.array(s)) for name, s in times.items()]
    return compared(rows, "JAX, float32")


def training_model(config: Config) -> Any:
    """A compiled model of `config`, as a run trains it, with a dummy mean face."""
    from keypoints.data.records import make_records
    from keypoints.markup import IBUG68
    from keypoints.training.loop import compiled_model

    assert IBUG68.mean is not None
    points = IBUG68.mean * 150 + 112
    face = ("face.png", "", np.zeros((CROP, CROP, 3), np.uint8), points)
    return compiled_model(
        configs.replace(config, {"weights": "none"}), make_records("none", [face])
    )


def torch_process(config: Config, python: str, stack: ExitStack) -> Callable[[str], float]:
    """A function of `step`, `infer` or `memory` that asks PyTorch in a process.

    The process ends with `stack`; what it answers is in `torch_baseline`.
    """
    settings = {name: getattr(config, name) for name in TORCH_FIELDS}
    command = [python, str(TORCH_PROGRAM), json.dumps(settings)]
    return _process(command, stack, f"torch_python={python}", "is PyTorch installed?")


def keras_process(config: Config, backend: str, stack: ExitStack) -> Callable[[str], float]:
    """A function of `step` that asks Keras on a backend, in a process that ends with `stack`."""
    code = "import sys; from benchmarks.step import answer_steps; answer_steps(sys.argv[1])"
    command = [sys.executable, "-c", code, configs.to_json(config)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {"KERAS_BACKEND": backend, "PYTHONPATH": path}
    return _process(command, stack, backend, "is it installed?", **environment)


def answer_steps(config_json: str) -> None:
    """For each line of standard input, run a training step and print its seconds."""
    step = _step(configs.from_json(config_json, "argv"))
    step()  # compiles, while the other processes do
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


def _step(config: Config) -> Callable[[], Any]:
    """A training step of a new model."""
    crops = np.zeros((config.batch_size, CROP, CROP, 3), np.uint8)
    targets = np.zeros((config.batch_size, 136), np.float32)
    return partial(training_model(config).train_on_batch, crops, targets, return_dict=True)


def _process(
    command: list[str], stack: ExitStack, name: str, question: str, **environment: str
) -> Callable[[str], float]:
    """A function that sends a line to a process and returns the number that it answers."""
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, **environment},
        )  # fmt: skip
    except OSError as error:
        raise InputError(f"{name}: {error}") from None
    stack.callback(child.wait)
    inlet, outlet = child.stdin, child.stdout
    assert inlet is not None and outlet is not None  # both are pipes

    def end() -> None:
        with suppress(OSError):  # unwritten input of a process that has ended
            inlet.close()

    stack.callback(end)  # runs first and ends the process

    def ask(what: str) -> float:
        try:
            inlet.write(f"{what}\n")
            answer = outlet.readline()
        except OSError:
            answer = ""
        if not answer:
            raise InputError(f"{name}: the process ended; {question}")
        return float(answer)

    return ask


def measure_scaling(config: Config, *, repeats: int = 5) -> list[Timing]:
    """Images/s of the training step by devices, batch size and resolution.

    Each row is measured in a process of its own. The CPU is split into 1, 2 and 4 JAX devices,
    which share a batch. The ratio is to the first row of each kind. For resolutions, images/s are
    multiplied by the relative number of pixels, so that 1 means a cost proportional to the pixels.
    """
    rows = []
    for field, values in (("devices", DEVICES), ("batch_size", BATCHES), ("resolution", SIDES)):
        first = None
        for value in values:
            fields = {} if field == "devices" else {field: value}
            devices = value if field == "devices" else 1
            cell = _in_child(configs.replace(config, fields), repeats, devices)
            work = (value / values[0]) ** 2 if field == "resolution" else 1.0
            first = first or cell.median
            named = {
                "name": f"{field.replace('_', ' ')} {value}",
                "ratio": cell.median * work / first,
            }
            rows.append(Timing(**{**asdict(cell), **named}))
    return rows


def scaling_cell(config_json: str, repeats: str) -> dict[str, Any]:
    """Images/s of the training step on all devices of this process."""
    from keypoints.training import devices

    config = configs.from_json(config_json, "argv")
    devices.use_all(config)
    (seconds,) = interleaved({"": _step(config)}, int(repeats)).values()
    return asdict(timing("", "images/s", config.batch_size / np.array(seconds)))


def _in_child(config: Config, repeats: int, devices: int) -> Timing:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    failure = f"the step failed on {devices} devices"
    arguments = (configs.to_json(config), str(repeats))
    return Timing(
        **call_python("benchmarks.step.scaling_cell", *arguments, failure=failure, XLA_FLAGS=flags)
    )
