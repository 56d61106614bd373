"""A model on a data set in one call: its points in boxes of a source, and their report."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keypoints.data.records import Records
from keypoints.errors import InputError, near_miss
from keypoints.evaluation import matching, protocol
from keypoints.inference import detectors
from keypoints.inference.predictor import load_network
from keypoints.network import Network
from keypoints.system.digests import file_digest

BOXES = ("truth", "jittered", "detector")


class Evaluation(NamedTuple):
    """The report of a model, and what it is about."""

    report: dict[str, Any]  # as of `protocol.evaluate`
    points: np.ndarray  # (n, k, 2) float32, pixels of the pictures; NaN where no face was found


def evaluate_model(
    model: Network | str | Path,
    records: Records,
    /,
    *,
    boxes: str = "truth",
    detector: str | Path = detectors.DEFAULT,
    flip: bool = False,
    normaliser: str | None = None,
    **facts: Any,
) -> Evaluation:
    """Evaluate a model, or one that is named as in `load_network`, on all of `records`.

    `boxes`: the source of the face boxes, one of `BOXES`: tight boxes of the annotated points, the
    same with noise, or those that `detector` finds, with the points of `settled_points`. A network
    of whole frames takes no boxes. `flip`: average with the prediction for the flipped crop.
    `normaliser` as in `metrics.sizes`, that of the markup unless given; `facts` go into the report
    as they are. Raises InputError for names that are not known, for records with other points than
    the network's, and where no face is found in any picture.
    """
    network = model if isinstance(model, Network) else load_network(model)
    if not isinstance(model, Network):
        facts = {"model": str(model)} | facts
    records = records.seen_by(network.markup)
    facts |= model_facts(network, boxes=boxes, detector=detector, flip=flip)
    shown = protocol.flip_averaged(network) if flip else network
    if boxes == "detector":
        seen = matching.detected_boxes(records, detectors.load_detector(detector).detect)
        facts["false_faces"] = seen.false_faces
        found = protocol.settled_points(shown, records, seen.boxes, rolls=seen.rolls)
    else:
        places = protocol.jittered_boxes(records) if boxes == "jittered" else records.boxes
        found = protocol.predict_points(shown, records, places)
    points = found.points
    report = protocol.evaluate(records, points, normaliser=normaliser, **facts)
    return Evaluation(report, points)


def model_facts(
    network: Network, *, boxes: str, detector: str | Path, flip: bool
) -> dict[str, Any]:
    """What a report says of its model, known before anything is measured.

    Raises InputError for boxes that are not known, or that the network does not take.
    """
    if boxes not in BOXES:
        raise InputError(f"boxes={boxes} is not known{near_miss(boxes, list(BOXES))}")
    if network.crop.frame and boxes != "truth":
        raise InputError(f"boxes={boxes}: this model sees the whole frame and needs no boxes")
    found = {"detector": str(detector)} if boxes == "detector" else {}
    boxes = "none" if network.crop.frame else boxes
    return {"weights_sha256": network.digest or None, "boxes": boxes, **found, "flip": flip}


def evaluate_predictions(
    path: Path, records: Records, /, *, normaliser: str | None = None, **facts: Any
) -> Evaluation:
    """Evaluate the predictions of another program, a CSV as of `protocol.read_predictions`."""
    points, false_faces = matching.matched_points(records, protocol.read_predictions(path, records))
    facts |= prediction_facts(path) | {"false_faces": false_faces}
    return Evaluation(protocol.evaluate(records, points, normaliser=normaliser, **facts), points)


def prediction_facts(path: Path) -> dict[str, Any]:
    """What a report says of predictions, known before anything is measured."""
    return {"predictions_sha256": file_digest(path), "boxes": "the predictions' own"}
