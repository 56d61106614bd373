"""Evaluate a model or predictions of another program: `python -m tools.evaluate --model=RUN`."""

import importlib
import json
from pathlib import Path
from typing import Any

from keypoints.data.correction import LABELS
from keypoints.errors import InputError
from keypoints.metrics import NORMALISERS
from keypoints.pretrained import DEFAULT, NAMES, resolve

BOXES = ("truth", "jittered", "detector")


def evaluate(
    model: str | None = None,
    *,
    predictions: str | None = None,
    data: str | None = None,
    labels: str = "corrected",
    split: str = "validation",
    boxes: str = "truth",
    flip: bool = False,
    normaliser: str = "inter_ocular",
    detector: str = "centerface",
    stability: bool = False,
    reliability: bool = False,
    masks: bool = False,
    output: str | None = None,
    archive: str | None = None,
    data_dir: str | None = None,
) -> None:
    """Evaluate a model, or predictions of another program, on one split: a table and a report.

    With --stability: flicker of points on still faces and their lag on moving faces, raw and
    smoothed, on short clips that are made from the split's pictures. With --reliability: expected
    and actual errors, and how well the uncertainty separates faces from background. With --masks:
    errors with and without a surgical mask drawn over each face.

    Args:
        model: a run folder, the folder of an export, one of its .onnx files, pretrained-small or
            pretrained, the default unless predictions are given
        predictions: a CSV file to evaluate instead of a model; a row file, x0, y0, .., x67, y67
            for each face that was found
        data: the data set, or several as A+B; default: the first data set of the run, or
            youtube_faces_keypoints for predictions
        labels: annotated points corrected for their known offsets (corrected), or as published
        split: the split to evaluate on; choose on validation, read test once
        boxes: source of the face boxes (truth, jittered, detector); none for the frame view
        flip: average with the prediction for the flipped crop; takes twice the time
        normaliser: the distance that errors are divided by (inter_ocular, inter_pupil,
            box_diagonal, or box for the square root of the box's area, valid for profiles too)
        detector: for --boxes=detector: centerface, haar, yunet (a download), or YuNet's .onnx file
        stability: measure flicker and lag on clips; takes minutes
        reliability: measure how well the uncertainty agrees with the errors
        masks: measure the effect of a mask over mouth and nose
        output: folder of the report; default: RUN/evaluation/SPLIT-BOXES, or the CSV file's name
        archive: path of the YouTube Faces archive; or set KEYPOINTS_ARCHIVE
        data_dir: folder of prepared data sets; default: ~/tensorflow_datasets
    """
    if model is not None and predictions is not None:
        raise InputError("one of --model=RUN and --predictions=FILE.csv is expected, not both")
    if predictions is None and model is None:
        model = DEFAULT
    if boxes not in BOXES:
        raise InputError(f"--boxes={boxes}: one of {', '.join(BOXES)} is expected")
    if predictions is not None and (boxes != "truth" or flip):
        raise InputError("--boxes and --flip are for a model; predictions are scored as they are")
    asked = {"stability": stability, "reliability": reliability, "masks": masks}
    kinds = [name for name, wanted in asked.items() if wanted]
    if kinds and (model is None or boxes != "truth" or flip):
        raise InputError(f"--{kinds[0]} is for a model, and without --boxes and --flip")
    if len(kinds) > 1:
        raise InputError(f"--{kinds[0]} and --{kinds[1]}: one at a time")
    if detector != "centerface" and boxes != "detector":
        raise InputError(f"--detector={detector}: is of use with --boxes=detector")
    if labels not in LABELS:
        raise InputError(f"--labels={labels}: one of {', '.join(LABELS)} is expected")
    if normaliser not in NORMALISERS:
        raise InputError(f"--normaliser={normaliser}: one of {', '.join(NORMALISERS)} is expected")
    if output is not None and Path(output).is_file():
        raise InputError(f"--output={output} is a file; a folder is expected")
    source = Path(str(model if predictions is None else predictions))
    if not resolve(source).exists():
        raise InputError(f"{source}: no such file or folder")

    from keypoints.data.sources import load_records, parse_sets, refuse_output
    from keypoints.evaluation import matching, protocol, reports
    from keypoints.inference.predictor import load_network
    from keypoints.models import runs

    network = load_network(source) if model is not None else None
    if network and network.crop.frame and boxes != "truth":
        raise InputError(f"--boxes={boxes}: this model sees the whole frame and needs no boxes")
    if not data:
        data = parse_sets(network.trained_on)[0][0] if network else "youtube_faces_keypoints"
    if not kinds:
        importlib.import_module("matplotlib")  # for the report: if it is missing, fail at once
    if network and network.crop.frame:
        boxes = "none"
    if output is not None:
        folder = Path(output)
    elif network is None:
        folder = Path("runs") / "evaluation" / f"{source.stem}-{split}"
    else:
        folder = report_folder(source, split, *(kinds or [boxes + "-flip" * flip]))
    refuse_output(data, "--output", folder)
    records = load_records(data, split, labels=labels, archive=archive, data_dir=data_dir)
    if kinds:
        measure(kinds[0], network, records, folder, model=str(source))
        return
    if network is None:
        faces = protocol.read_predictions(source, records)
        predicted, false_faces = matching.matched_points(records, faces)
        facts: dict[str, Any] = {
            "model": str(source),
            "predictions_sha256": runs.weights_digest(source),
            "boxes": "the predictions' own",
            "false_faces": false_faces,
        }
    else:
        places, rolls, detected = records.boxes, None, {}
        if boxes == "jittered":
            places = protocol.jittered_boxes(records)
        elif boxes == "detector":
            from keypoints.inference.detectors import load_detector

            found = matching.detected_boxes(records, load_detector(detector).detect)
            places, rolls = found.boxes, found.rolls
            detected = {"detector": detector, "false_faces": found.false_faces}
        predicted = protocol.predict_points(network, records, places, rolls=rolls, flip=flip).points
        facts = {
            "model": str(source),
            "weights_sha256": network.source and runs.weights_digest(network.source),
            "boxes": boxes,
            **detected,
            "flip": flip,
        }
    report = protocol.evaluate(records, predicted, normaliser=normaliser, labels=labels, **facts)
    print(reports.table(report))
    reports.write_report(folder, report, records, predicted)
    print(f"report: {folder}, with per_image.csv, ced.png, worst.jpg and faces.jpg")


def report_folder(source: Path, split: str, kind: str) -> Path:
    """The default folder of a model's report."""
    if str(source) in NAMES:
        return Path("runs") / "evaluation" / f"{source}-{split}-{kind}"
    folder = source if source.is_dir() else source.parent
    return folder / "evaluation" / f"{split}-{kind}"


def measure(kind: str, network: Any, records: Any, folder: Path, **facts: Any) -> None:
    """Print a model's stability, reliability or errors with masks; writes `folder`/KIND.json."""
    from keypoints.evaluation import calibration, masks, stability
    from keypoints.models import runs
    from keypoints.system.atomic import write_text

    facts["weights_sha256"] = runs.weights_digest(network.source)
    measures = {"stability": stability, "reliability": calibration, "masks": masks}[kind]
    report = measures.measure(network, records, **facts)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{kind}.json", json.dumps(report, indent=2) + "\n")
    print(measures.table(report))
    print(f"report: {folder}")
