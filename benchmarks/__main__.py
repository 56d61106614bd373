"""`keypoints benchmark`, `python -m tools.benchmark` or `python -m benchmarks`, in a checkout."""

from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.report import report
from keypoints.checks import whole
from keypoints.commands.cli import run_command
from keypoints.commands.fields import show_fields
from keypoints.config import Config, override, resolved
from keypoints.errors import InputError, near_miss
from keypoints.experiment import load_experiment
from keypoints.pretrained import DEFAULT

# Config of what is measured unless flags change it; step and gpu: all of a ResNet50.
CONFIGS = {
    "predict": Config(),
    "webcam": Config(),
    "detect": Config(train_split="validation"),  # the conversion of boxes was fitted on train
    "annotate": Config(),
    "start": Config(),
    "step": Config(head="pooled", batch_size=16, precision="float32"),
    "backends": Config(head="pooled", batch_size=16),
    "scaling": Config(
        backbone="tiny", head="pooled", resolution=112, batch_size=16, precision="float32"
    ),
    "gpu": Config(head="pooled", batch_size=64),
}
FIELDS = (
    "data", "train_split", "jpeg", "batch_size", "backbone", "head", "resolution", "trainable",
    "precision", "kernels", "learning_rate",
)  # fmt: skip
# The fields that a subject depends on; of the others, in words what is measured.
SETTINGS: dict[str, tuple[str, ...] | str] = {
    "pipeline": ("data", "train_split", "batch_size"),
    "predict": "one face",
    "webcam": "one face",
    "detect": ("data", "train_split"),
    "annotate": "one thread for each network",
    "start": "until the first picture is read",
    "step": ("backbone", "head", "resolution", "batch_size", "trainable", "precision"),
    "backends": ("backbone", "head", "resolution", "batch_size", "trainable"),
    "scaling": ("backbone", "head", "resolution", "batch_size", "kernels"),
    "gpu": ("backbone", "head", "batch_size"),
}


def benchmark(
    subject: str = "pipeline",
    *,
    repeats: int = 5,
    model: str = "",
    export: str | None = None,
    source: str = "synthetic",
    torch_python: str | None = None,
    json: str | None = None,
    archive: str | None = None,
    data_dir: str | None = None,
    **fields: Any,
) -> None:
    """Measure one part of the program and compare it with a baseline; prints a table.

    pipeline: loading of training images, compared with the loader of the original project, and for
    steps that need a number of images/s, as on a GPU. predict: one crop in Keras and in ONNX.
    webcam: frames through the tracker, compared with a detector in every frame. detect: speed and
    accuracy of face detectors on the split --train_split of --data. annotate: pictures/s by the
    number of Ray workers, compared with one process on one core. start: time until filter, annotate
    and evaluate read the first of 1,000 and of 10,000 pictures. step: a training step, compared
    with Keras' own layers and PyTorch. backends: the same on JAX and TensorFlow, in float32 and
    mixed_bfloat16, and PyTorch. scaling: a training step by devices, batch size and resolution.
    gpu: training step and inference in float32 and mixed_bfloat16, compared with PyTorch. Close
    other programs first. The defaults of config fields shown here are those of an empty config;
    pipeline has those of experiments/youtube_faces.py, detect the split validation, and step,
    backends, scaling and gpu have others.

    Args:
        subject: pipeline, predict, webcam, detect, annotate, start, step, backends, scaling or
            gpu
        repeats: samples of each, interleaved; ten times as many of single crops and frames
        model: for predict a run folder; for webcam and annotate a run folder or an export
        export: folder of the exports for predict; default: MODEL/export
        source: for webcam: a video file; for annotate: a folder of pictures; or synthetic for
            drawn ones
        torch_python: for step, backends and gpu: a Python with PyTorch (requirements-bench.txt)
        json: also write the result to this file
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
    """
    if subject not in SETTINGS:
        raise InputError(f"unknown subject {subject!r}{near_miss(subject, list(SETTINGS))}")
    whole(repeats, "--repeats", low=1)
    if subject in ("predict", "webcam") and not model:
        raise InputError(
            "--model is missing: a run folder or, but for predict, pretrained or pretrained-small"
        )
    if subject == "pipeline":  # with the augmentation and batch size of its first stage
        base = load_experiment("youtube_faces").config.stage_configs()[0]
    else:
        base = CONFIGS[subject]
    config = resolved(override(base, fields))
    if subject in ("pipeline", "detect"):
        rows = of_data(subject, config, repeats, archive=archive, data_dir=data_dir)
    elif subject in ("step", "backends", "scaling", "gpu"):
        rows = of_training(subject, config, repeats, torch_python)
    else:
        rows = of_use(subject, repeats, model, export, source)
    settings = SETTINGS[subject]
    if not isinstance(settings, str):
        settings = ", ".join(f"{name} {getattr(config, name)}" for name in settings)
    report(subject, rows, config, settings=settings, json=Path(json) if json else None)


def of_data(subject: str, config: Config, repeats: int, **sources: Any) -> list:
    """The rows of a subject that is measured on a data set."""
    from benchmarks import detection, inference
    from keypoints.data.sources import load_records

    load = partial(load_records, config.data, config.train_split, labels=config.labels, **sources)
    if subject == "pipeline":
        return inference.measure_pipeline(load, config, epochs=repeats)
    return detection.measure_detectors(load(), repeats=repeats)


def of_use(subject: str, repeats: int, model: str, export: str | None, source: str) -> list:
    """The rows of a subject that is a use of trained models."""
    from benchmarks import inference, start
    from keypoints.inference.predictor import Predictor
    from keypoints.live.sources import Source

    if subject == "start":
        return start.measure_starts(repeats=repeats)
    if subject == "annotate":  # which needs the extra scale
        from benchmarks.annotation import measure_annotation
        from keypoints.bulk.inputs import list_sources

        sources = None if source == "synthetic" else list_sources([source])
        return measure_annotation(model or DEFAULT, sources, repeats=repeats)
    if subject == "predict":
        folder = Path(export) if export is not None else Path(model) / "export"
        return inference.measure_predictions(Path(model), export=folder, repeats=10 * repeats)
    frames = Source.parse(source).frames()
    return inference.measure_webcam(Predictor.load(model), frames, most=10 * repeats)


def of_training(subject: str, config: Config, repeats: int, torch_python: str | None) -> list:
    """The rows of a subject that trains a network."""
    from benchmarks import gpu, step

    if subject == "scaling":
        return step.measure_scaling(config, repeats=repeats)
    measures = {"step": step.measure_steps, "backends": step.measure_backends}
    return measures.get(subject, gpu.measure_gpu)(
        config, repeats=repeats, torch_python=torch_python
    )


show_fields(benchmark, FIELDS)

if __name__ == "__main__":
    run_command(benchmark, name="benchmarks")
