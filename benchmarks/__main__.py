"""`python -m benchmarks [step|scaling|gpu]`, in the folder of a checkout."""

from pathlib import Path
from typing import Any

from keypoints.commands.benchmark import report
from keypoints.commands.cli import run_command
from keypoints.commands.fields import show_fields
from keypoints.config import Config, override, resolved
from keypoints.errors import InputError, near_miss

# Config of the measured network unless flags change it; step and gpu: all of a ResNet50.
CONFIGS = {
    "step": Config(head="pooled", batch_size=16, precision="float32"),
    "scaling": Config(
        backbone="tiny", head="pooled", resolution=112, batch_size=16, precision="float32"
    ),
    "gpu": Config(head="pooled", batch_size=64),
}
FIELDS = (
    "batch_size", "backbone", "head", "resolution", "trainable", "precision", "kernels",
    "learning_rate",
)  # fmt: skip
# The fields that each subject depends on.
SETTINGS = {
    "step": ("backbone", "head", "resolution", "batch_size", "trainable", "precision"),
    "scaling": ("backbone", "head", "resolution", "batch_size", "kernels"),
    "gpu": ("backbone", "head", "batch_size"),
}


def benchmark(
    subject: str = "step",
    *,
    repeats: int = 5,
    torch_python: str | None = None,
    json: str | None = None,
    **fields: Any,
) -> None:
    """Measure the training of networks and compare it with a baseline; prints a table.

    step: a training step, compared with Keras' own layers and PyTorch. scaling: a training step by
    devices, batch size and resolution. gpu: training step and inference in float32 and
    mixed_bfloat16, compared with PyTorch. Close other programs first. The defaults of config fields
    shown here are those of an empty config; the subjects use other defaults.

    Args:
        subject: step, scaling or gpu
        repeats: samples of each, interleaved
        torch_python: for step and gpu: a Python interpreter with PyTorch (requirements-bench.txt)
        json: also write the result to this file
    """
    if subject not in CONFIGS:
        raise InputError(f"unknown subject {subject!r}{near_miss(subject, list(CONFIGS))}")
    if repeats < 1:
        raise InputError(f"--repeats={repeats}: a whole number of at least 1 is expected")
    config = resolved(override(CONFIGS[subject], fields))

    from benchmarks import gpu, step

    if subject == "step":
        rows = step.measure_steps(config, repeats=repeats, torch_python=torch_python)
    elif subject == "scaling":
        rows = step.measure_scaling(config, repeats=repeats)
    else:
        rows = gpu.measure_gpu(config, repeats=repeats, torch_python=torch_python)
    settings = ", ".join(f"{name} {getattr(config, name)}" for name in SETTINGS[subject])
    report(subject, rows, config, settings=settings, json=Path(json) if json else None)


show_fields(benchmark, FIELDS)

if __name__ == "__main__":
    run_command(benchmark, name="benchmarks")
