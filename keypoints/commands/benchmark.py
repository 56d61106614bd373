"""Measure speed: `python -m tools.benchmark [pipeline|predict|webcam|detect|..]`."""

import dataclasses
import functools
import json
import math
from pathlib import Path
from typing import Any

from keypoints.commands.fields import show_fields
from keypoints.config import Config, field_names, override, resolved
from keypoints.errors import InputError, near_miss
from keypoints.experiment import load_experiment
from keypoints.pretrained import DEFAULT

FIELDS = ("data", "train_split", "batch_size", "jpeg")
# The fields of the config that a subject depends on, where it does.
SETTINGS = {
    "pipeline": ("data", "train_split", "batch_size"),
    "detect": ("data", "train_split"),
}
SUBJECTS = ("pipeline", "predict", "webcam", "detect", "annotate", "start")
ELSEWHERE = ("step", "scaling", "gpu")  # of networks in training: benchmarks/ of a checkout


def benchmark(
    subject: str = "pipeline",
    *,
    repeats: int = 5,
    model: str = "",
    export: str | None = None,
    source: str = "synthetic",
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
    and evaluate read the first of 1,000 and of 10,000 pictures. Close other programs first. The
    defaults of config fields shown here are those of an empty config; pipeline has those of
    experiments/youtube_faces.py, and detect the split validation.

    Args:
        subject: pipeline, predict, webcam, detect, annotate or start
        repeats: samples of each, interleaved; ten times as many of single crops and frames
        model: for predict a run folder; for webcam and annotate a run folder or an export
        export: folder of the exports for predict; default: MODEL/export
        source: for webcam: a video file; for annotate: a folder of pictures; or synthetic for
            drawn ones
        json: also write the result to this file
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
    """
    if subject in ELSEWHERE:
        raise InputError(
            f"{subject}: is measured by `python -m benchmarks {subject}` in a checkout of the "
            "source repository"
        )
    if subject not in SUBJECTS:
        raise InputError(f"unknown subject {subject!r}{near_miss(subject, list(SUBJECTS))}")
    if repeats < 1:
        raise InputError(f"--repeats={repeats}: a whole number of at least 1 is expected")
    if subject in ("predict", "webcam") and not model:
        raise InputError(
            "--model is missing: a run folder or, but for predict, pretrained or pretrained-small"
        )
    base = Config()
    if subject == "pipeline":  # with the augmentation and batch size of its first stage
        base = load_experiment("youtube_faces").config.stage_configs()[0]
    elif subject == "detect":  # the conversion of boxes was fitted on train
        base = Config(train_split="validation")
    config = resolved(override(base, fields))

    from keypoints.benchmarks import detection, inference, start
    from keypoints.data.sources import load_records

    sources = {"labels": config.labels, "archive": archive, "data_dir": data_dir}
    load = functools.partial(load_records, config.data, config.train_split, **sources)
    if subject == "pipeline":
        rows = inference.measure_pipeline(load, config, epochs=repeats)
    elif subject == "detect":
        rows = detection.measure_detectors(load(), repeats=repeats)
    elif subject == "annotate":
        rows = measure_annotate(model or DEFAULT, source, repeats)
    elif subject == "start":
        rows = start.measure_starts(repeats=repeats)
    elif subject == "predict":
        folder = Path(export) if export is not None else Path(model) / "export"
        rows = inference.measure_predictions(Path(model), export=folder, repeats=10 * repeats)
    else:
        rows = measure_webcam(model, source, most=10 * repeats)
    settings = ", ".join(f"{name} {getattr(config, name)}" for name in SETTINGS.get(subject, ()))
    others = {"annotate": "one thread for each network", "start": "until the first picture is read"}
    settings = settings or others.get(subject, "one face")
    report(subject, rows, config, settings=settings, json=Path(json) if json else None)


def measure_annotate(model: str, source: str, repeats: int) -> list:
    """The rows of `annotate`, on the pictures of `source` or on drawn ones."""
    from keypoints.benchmarks.annotation import measure_annotation
    from keypoints.bulk.inputs import list_sources

    sources = None if source == "synthetic" else list_sources([source])
    return measure_annotation(model, sources, repeats=repeats)


def measure_webcam(model: str, source: str, *, most: int) -> list:
    """The rows of `webcam` for the frames of `source`."""
    from keypoints.benchmarks.inference import measure_webcam
    from keypoints.inference.predictor import Predictor
    from keypoints.live.sources import Source

    return measure_webcam(Predictor.load(model), Source.parse(source).frames(), most=most)


def report(subject: str, rows: list, config: Config, *, settings: str, json: Path | None) -> None:
    """Print the settings, the machine and one line for each row; write all to the file `json`."""
    from keypoints.benchmarks.timings import environment

    facts = environment()
    print(f"{subject}: {settings}")
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    print(f"{facts['machine']}, load {facts['load']}; backend {facts['backend']}; {packages}")
    width = max(len(row.name) for row in rows)
    for row in rows:
        if row.samples:
            figures = f"{row.median:9.1f} {row.unit}  ({row.low:.1f} to {row.high:.1f})"
            ratio = f"  {row.ratio:.2f}x" if math.isfinite(row.ratio) else ""
            print(f"{row.name:<{width}} {figures}{ratio}{'  ' * bool(row.note)}{row.note}")
        else:
            print(f"{row.name:<{width}}   skipped: {row.note}")
    if json is not None:
        write(json, subject, rows, facts, config)


def write(path: Path, subject: str, rows: list, facts: dict[str, Any], config: Config) -> None:
    """Write everything as JSON; NaN becomes null."""
    from keypoints.system.atomic import write_text

    lines = [
        {name: None if value != value else value for name, value in dataclasses.asdict(row).items()}
        for row in rows
    ]
    result = {
        "subject": subject,
        "config": {name: getattr(config, name) for name in field_names()},
        "environment": facts,
        "rows": lines,
    }
    write_text(path, json.dumps(result, indent=2) + "\n")


show_fields(benchmark, FIELDS)
