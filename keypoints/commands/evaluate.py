"""Evaluate a model or predictions of another program: `python -m tools.evaluate --model=RUN`."""

import importlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from keypoints.data.correction import LABELS
from keypoints.errors import InputError
from keypoints.metrics import NORMALISERS
from keypoints.pretrained import DEFAULT, NAMES, resolve


def evaluate(
    model: str | None = None,
    *,
    predictions: str | None = None,
    data: str | None = None,
    labels: str = "corrected",
    split: str = "validation",
    boxes: str = "truth",
    flip: bool = False,
    normaliser: str | None = None,
    detector: str = "compact",
    stability: bool = False,
    reliability: bool = False,
    masks: bool = False,
    groups: str | None = None,
    output: str | None = None,
    archive: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Evaluate a model, or predictions of another program, on one split: a table and a report.

    With --stability: flicker of points on still faces and their lag on moving faces, raw and
    smoothed, on short clips that are made from the split's pictures. With --reliability: expected
    and actual errors, and how well the uncertainty separates faces from background. With --masks:
    errors with and without a surgical mask drawn over each face. With --groups: errors and face
    scores by size, yaw, sharpness and brightness of the faces, and by groups of your own at equal
    size and yaw.

    Args:
        model: a run folder, the folder of an export, one of its .onnx files, pretrained-small or
            pretrained, the default unless predictions are given
        predictions: a CSV file to evaluate instead of a model; a row file, x0, y0, .., x67, y67
            for each face that was found, and the file alone where none was
        data: the data set, or several as A+B; default: the first data set of the run, or
            youtube_faces_keypoints for predictions
        labels: annotated points corrected for their known offsets (corrected), or as published
        split: the split to evaluate on; choose on validation, read test once
        boxes: source of the face boxes (truth, jittered, detector); none for crop=frame
        flip: average with the prediction for the flipped crop; takes twice the time
        normaliser: the distance that errors are divided by: inter_ocular, inter_pupil,
            box_diagonal, or box for the square root of the box's area, valid for profiles too;
            without it that of the markup, inter_ocular for the points of iBUG
        detector: for --boxes=detector: compact, centerface, haar, yunet (a download), or YuNet's
            .onnx file
        stability: measure flicker and lag on clips; takes minutes
        reliability: measure how well the uncertainty agrees with the errors
        masks: measure the effect of a mask over mouth and nose
        groups: conditions, or a CSV file (picture, group) of groups that are to be compared as well
        output: folder of the report; default: RUN/evaluation/SPLIT-BOXES, and what is not as usual,
            or runs/evaluation/FILE-SPLIT for predictions; a report of something else stays
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
    """
    from keypoints.evaluation import models

    kinds = {"stability": stability, "reliability": reliability, "masks": masks, "groups": groups}
    chosen = [name for name, wanted in kinds.items() if wanted]
    if len(chosen) > 1:
        raise InputError(f"--{chosen[0]} and --{chosen[1]}: one at a time")
    kind = chosen[0] if chosen else None  # of report; None: errors of points
    check_choice("labels", labels, LABELS)
    check_choice("boxes", boxes, models.BOXES)
    if normaliser is not None:
        check_choice("normaliser", normaliser, NORMALISERS)
    check_together(kind, predictions, boxes, flip, normaliser, detector)
    if output is not None and Path(output).is_file():
        raise InputError(f"--output={output} is a file; a folder is expected")
    source = find_source(model, predictions)

    from keypoints.data.sources import load_records, parse_sets, refuse_output, set_name
    from keypoints.evaluation.groups import group_facts
    from keypoints.inference.predictor import load_network

    network = None if predictions is not None else load_network(source)
    options: dict[str, Any] = (
        {"boxes": boxes, "detector": detector, "flip": flip} if network else {}
    )
    known = models.model_facts(network, **options) if network else models.prediction_facts(source)
    told = group_facts(groups) if groups is not None else {}
    if kind is None:
        importlib.import_module("matplotlib")  # for the report: if it is missing, fail at once
    usual = parse_sets(network.trained_on)[0][0] if network else "youtube_faces_keypoints"
    data = data or usual
    words = [split, kind or (known["boxes"] + "-flip" * flip if network else "")]
    words += [source.stem] * bool(network and source.is_file())
    words += [Path(detector).stem] * (detector != "compact")
    words += [set_name(name) for name, _ in parse_sets(data)] * (data != usual)
    words += [labels] * (labels != "corrected") + [normaliser or ""] * (
        normaliser != "inter_ocular"
    )
    folder = Path(output) if output is not None else report_folder(source, words)
    refuse_output(data, "--output", folder)
    records = load_records(data, split, labels=labels, archive=archive, data_dir=data_dir)
    facts = {"model": str(source), "data": data, "labels": labels, **told}
    if kind is not None:
        measure(kind, network, records, folder, facts)
    else:
        known |= facts | {"normaliser": normaliser or records.markup.normaliser}
        score(network or source, records, folder, facts, known, **options)


def find_source(model: str | None, predictions: str | None) -> Path:
    """What is to be evaluated; raises InputError if it is not there, or if both are given."""
    if model is not None and predictions is not None:
        raise InputError("one of --model=RUN and --predictions=FILE.csv is expected, not both")
    source = Path(str(predictions or model or DEFAULT))
    if not resolve(source).exists():
        raise InputError(f"{source}: no such file or folder")
    return source


def check_together(
    kind: str | None,
    predictions: str | None,
    boxes: str,
    flip: bool,
    normaliser: str | None,
    detector: str,
) -> None:
    """Raise InputError for flags that a kind of report, or predictions, cannot follow."""
    chosen = boxes != "truth" or flip
    if predictions is not None and chosen:
        raise InputError("--boxes and --flip are for a model; predictions are scored as they are")
    if kind and (predictions is not None or chosen):
        raise InputError(f"--{kind} is for a model, and without --boxes and --flip")
    if kind and normaliser is not None:
        raise InputError(f"--normaliser={normaliser}: --{kind} has a normaliser of its own")
    if detector != "compact" and boxes != "detector":
        raise InputError(f"--detector={detector}: is of use with --boxes=detector")


def check_choice(name: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise InputError(f"--{name}={value}: one of {', '.join(known)} is expected")


def report_folder(source: Path, words: list[str]) -> Path:
    """The default folder of a report, whose name says what is not as usual."""
    name = "-".join(filter(None, words))
    if str(source) in NAMES:
        return Path("runs") / "evaluation" / f"{source}-{name}"
    if source.suffix.lower() == ".csv":
        return Path("runs") / "evaluation" / f"{source.stem}-{name}"
    return (source if source.is_dir() else source.parent) / "evaluation" / name


def score(
    model: Any,
    records: Any,
    folder: Path,
    facts: dict[str, str],
    known: dict[str, Any],
    **options: Any,
) -> None:
    """Print the errors of a network, or of the predictions in a file, and write their report.

    `known` is what the report will say before anything is measured.
    """
    from keypoints.evaluation import models, reports

    known = known | {"split_sha256": records.digest()}
    reports.refuse_other(folder / "report.json", known)
    evaluate: Any = models.evaluate_model if options else models.evaluate_predictions
    found = evaluate(model, records, normaliser=known["normaliser"], **facts, **options)
    print(reports.table(found.report))
    reports.write_report(folder, found.report, records, found.points)
    print(f"report: {folder}, with per_image.csv, ced.png, worst.jpg and faces.jpg")


def measure(kind: str, network: Any, records: Any, folder: Path, facts: dict[str, str]) -> None:
    """Print what is measured of a model apart from its errors; writes `folder`/KIND.json."""
    from keypoints.evaluation import calibration, groups, masks, reports, stability
    from keypoints.system.atomic import write_text

    facts = {**facts, "weights_sha256": network.digest}
    path = folder / f"{kind}.json"
    reports.refuse_other(path, {**facts, "split_sha256": records.digest()})
    kinds = {"stability": stability, "reliability": calibration, "masks": masks, "groups": groups}
    measures = kinds[kind]
    report = measures.measure(network, records, **facts)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(report, indent=2) + "\n")
    print(measures.table(report))
    print(f"report: {folder}")
