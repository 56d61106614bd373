"""Benchmark of a ResNet50 on a GPU beside PyTorch on the same GPU.

Training step and inference at 224 and 112 pixels, in float32 and mixed_bfloat16, with the time to
compile and the peak of the GPU's memory. On a machine without a GPU it measures the CPU.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.processes import call_python
from benchmarks.step import torch_process, training_model
from benchmarks.timings import Timing, timing
from keypoints import config as configs
from keypoints.config import Config
from keypoints.geometry import CROP

SIDES, PRECISIONS = (224, 112), ("float32", "mixed_bfloat16")
KINDS = {"step": "training", "infer": "inference"}
CALLS = 10  # steps or batches of a sample


def measure_gpu(
    config: Config, *, repeats: int = 5, torch_python: str | None = None
) -> list[Timing]:
    """Images/s of Keras on JAX and of PyTorch; the ratio is to PyTorch.

    Keras gets its batches from the memory of the host, as in a training; those of PyTorch are on
    the GPU already.
    """
    rows = []
    for side in SIDES:
        for precision in PRECISIONS:
            cell = configs.replace(config, {"resolution": side, "precision": precision})
            ours, theirs = _keras_rows(cell, repeats), _torch_rows(cell, repeats, torch_python)
            for mine, other in zip(ours, theirs):
                rows += [replace(mine, ratio=mine.median / other.median), replace(other, ratio=1.0)]
    return rows


def keras_cell(config_json: str, repeats: str) -> list[dict[str, Any]]:
    """The rows of a config for Keras in this process."""
    from keypoints.training import devices

    config = configs.from_json(config_json, "argv")
    model = training_model(config)
    crops = np.zeros((config.batch_size, CROP, CROP, 3), np.uint8)
    targets = np.zeros((config.batch_size, 136), np.float32)
    calls: dict[str, Callable[[], Any]] = {
        "infer": lambda: np.asarray(model.predict_on_batch(crops)),
        "step": lambda: model.train_on_batch(crops, targets),
    }
    name = f"Keras, {devices.names()[0]}"
    measured = {
        kind: _sampled(call, name, kind, config, int(repeats), devices.peak_memory)
        for kind, call in calls.items()
    }
    return [asdict(measured[kind]) for kind in KINDS]


def _keras_rows(config: Config, repeats: int) -> list[Timing]:
    rows = call_python(
        "benchmarks.gpu.keras_cell",
        configs.to_json(config),
        str(repeats),
        failure=f"ResNet50 at {config.resolution} in {config.precision}",
        JAX_ENABLE_COMPILATION_CACHE="false",  # so that the first call includes the time to compile
        XLA_PYTHON_CLIENT_PREALLOCATE="false",  # so that the peak of the memory is what is used
    )
    return [Timing(**row) for row in rows]


def _torch_rows(config: Config, repeats: int, python: str | None) -> list[Timing]:
    if python is None or (config.backbone, config.head) != ("resnet50", "pooled"):
        note = "torch_python=PATH is not given" if python is None else "only resnet50, pooled"
        names = (f"{_name(kind, config)}, PyTorch" for kind in KINDS)
        return [Timing(name, "images/s", note=note) for name in names]
    with ExitStack() as stack:
        ask = torch_process(config, python, stack)
        memory = partial(ask, "memory")
        measured = {
            kind: _sampled(partial(ask, kind), "PyTorch", kind, config, repeats, memory)
            for kind in reversed(KINDS)
        }
    return [measured[kind] for kind in KINDS]


def _sampled(
    call: Callable[[], Any],
    name: str,
    kind: str,
    config: Config,
    repeats: int,
    memory: Callable[[], float],
) -> Timing:
    """The row of a call; its first one, which compiles, is in the note."""
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    samples = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        samples.append(CALLS * config.batch_size / (time.perf_counter() - start))
    peak = memory()
    note = f"first call {first:.1f} s" + f", peak so far {peak:.0f} MiB" * (peak > 0)
    return timing(f"{_name(kind, config)}, {name}", "images/s", samples, note=note)


def _name(kind: str, config: Config) -> str:
    return f"{config.resolution}, {config.precision}, {KINDS[kind]}"
