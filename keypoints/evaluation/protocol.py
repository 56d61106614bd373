"""Evaluation of a predict function, or of predictions of another program, on a split."""

import csv
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keypoints import metrics, pose
from keypoints.data.pipeline import evaluation_pipeline
from keypoints.data.records import Records
from keypoints.errors import InputError, near_miss, refuse
from keypoints.estimate import Estimate, average, concatenate, flipped, in_picture, score_faces
from keypoints.evaluation import matching
from keypoints.inference import settling
from keypoints.inference.predictor import Predictor
from keypoints.network import Network

# Spread of jittered boxes in longer sides: about the errors of a detector's boxes.
CENTRE_SIGMA, SIZE_SIGMA = 0.05, 0.08


def jittered_boxes(records: Records, *, seed: int = 0) -> np.ndarray:
    """Boxes `(n, 4)` of the records with seeded noise.

    Moved by a Gaussian of 5 % of the longer side and resized by a log-normal of 8 %.
    """
    truth = records.boxes
    rng = np.random.default_rng(seed)
    side = truth[:, 2:].max(axis=1, keepdims=True)
    centre = truth[:, :2] + truth[:, 2:] / 2
    centre = centre + side * CENTRE_SIGMA * rng.standard_normal((len(records), 2))
    size = truth[:, 2:] * np.exp(SIZE_SIGMA * rng.standard_normal((len(records), 1)))
    return np.concatenate([centre - size / 2, size], axis=1).astype(np.float32)


def predict_points(
    network: Network,
    records: Records,
    boxes: np.ndarray,
    *,
    rolls: np.ndarray | None = None,
    batch_size: int = 32,
) -> Estimate:
    """The estimate for all records, float32 in picture pixels; NaN where a box `(n, 4)` is.

    Every record exactly once, in order. The last batch is padded with black crops, so that a
    compiled model sees one shape. Crops are turned by `rolls` `(n,)` as in `Crop.matrices`. Scores
    are those of `score_faces`.
    """
    found = np.isfinite(boxes).all(axis=1)
    # Ground-truth boxes replace missing ones to keep the batch size; their results are dropped.
    boxes = np.where(found[:, None], boxes, records.boxes)
    size = network.crop.size
    matrices = network.crop.matrices(boxes, rolls, shapes=records.shapes)
    batches = []
    for crops in evaluation_pipeline(records, matrices, size=size, batch_size=batch_size):
        count = len(crops)
        crops = np.pad(crops, [(0, batch_size - count), (0, 0), (0, 0), (0, 0)])
        batches.append(network.predict(crops)[:count])
    estimate = in_picture(concatenate(batches), matrices)
    markup, half = network.markup, network.half_score
    scores = score_faces(estimate, boxes, records.shapes, markup=markup, half_score=half)
    for part in (estimate.points, estimate.uncertainty, scores):
        part[~found] = np.nan
    return replace(estimate, scores=scores)


def settled_points(
    network: Network, records: Records, boxes: np.ndarray, *, rolls: np.ndarray | None = None
) -> Estimate:
    """`predict_points` in the boxes of a detector, with `Predictor.settled` for each picture."""
    found, predictor = predict_points(network, records, boxes, rolls=rolls), Predictor(network)
    for faces in matching.pictures(records).values():
        here = np.array(faces)[np.isfinite(boxes[faces]).all(axis=1)]
        if len(settling.boxes_again(found[here], boxes[here], network.markup)[0]):
            mended = predictor.settled(records.image(faces[0]), boxes[here], found[here])
            found.points[here], found.uncertainty[here] = mended.points, mended.uncertainty
            found.scores[here] = mended.scores
    return found


def flip_averaged(network: Network) -> Network:
    """A network that averages with the estimate on the flipped crop, in twice the time.

    Raises InputError for a markup without mirror pairs.
    """
    mirror, size = network.markup.mirror, network.crop.size
    if mirror is None:
        raise InputError(f"flip: the markup {network.markup.name} has no mirror pairs")

    def predict(crops: np.ndarray) -> Estimate:
        plain = network.predict(crops)
        return average(plain, flipped(network.predict(crops[:, :, ::-1]), size, mirror))

    return replace(network, predict=predict)


def mean_face(boxes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The mean face of a markup `(k, 2)` in each box `(n, 4)`: a baseline that uses no pixels."""
    centre = boxes[:, None, :2] + boxes[:, None, 2:] / 2
    side = boxes[:, 2:].max(axis=1)[:, None, None]
    return (centre + side * mean).astype(np.float32)


def read_predictions(path: str | Path, records: Records) -> dict[str, np.ndarray]:
    """Faces `(m, k, 2)` in each picture of the records, from a CSV file of another program.

    Rows are `file, x0, y0, x1, y1, ..` in picture pixels: one for each face that was found, in
    any order; the name alone, or with empty cells, where none was. Rows of files that are not in
    the split, such as a header, are ignored. Raises InputError for a picture of the split without a
    row, and for cells that are not finite numbers: up to 20 of them by line and reason.
    """
    path = Path(str(path))
    groups = matching.pictures(records)
    picture_of = {records.files[i]: picture for picture in groups for i in groups[picture]}
    found: dict[str, list[np.ndarray]] = {}
    problems, count = [], records.markup.count
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except OSError as error:
        raise InputError(f"predictions={path}: {error.strerror}") from None
    except (ValueError, csv.Error) as error:  # ValueError: not UTF-8, or NUL in the name
        raise InputError(f"predictions={path} is not a CSV file: {error}") from None
    for line, row in enumerate(rows, 1):
        if not row or row[0] not in picture_of:
            continue
        faces = found.setdefault(picture_of[row[0]], [])
        if len(row) not in (1, 1 + 2 * count):
            problems.append(f"line {line}: {len(row)} columns, {1 + 2 * count} are expected")
        elif any(cell.strip() for cell in row[1:]):
            try:
                face = np.array(row[1:], np.float32)
            except ValueError as error:
                problems.append(f"line {line}: {row[0]}: {error}")
                continue
            if not np.isfinite(face).all():
                problems.append(f"line {line}: {row[0]}: not finite; a missing face is empty cells")
            faces.append(face)
    problems += [
        f"{picture} has no row; its name alone says that no face was found"
        for picture in groups
        if picture not in found
    ]
    refuse(problems, f"predictions={path}, against {records.name},")
    return {
        picture: np.array(faces, np.float32).reshape(-1, count, 2)
        for picture, faces in found.items()
    }


def evaluate(
    records: Records, predicted: np.ndarray, *, normaliser: str | None = None, **facts: Any
) -> dict[str, Any]:
    """The report: `facts` as given (model, box source, ...), then the measurements.

    `predicted` `(n, k, 2)` in picture pixels; NaN where no face was found. Means are over the
    faces found, and over the points that are annotated; AUC and failures are over all faces. NME
    values are percent of the `normaliser`, one of the `normalisers` of the records' markup, its
    usual one unless given. The mean face is put into truth boxes. Raises InputError without
    predictions or without annotated points.
    """
    truth, markup = records.points, records.markup
    normaliser = normaliser or markup.normaliser
    if normaliser not in markup.normalisers:
        known = list(markup.normalisers)
        raise InputError(f"normaliser={normaliser} is not known{near_miss(normaliser, known)}")
    if len(predicted) != len(records):
        raise InputError(f"{len(predicted)} predictions for {len(records)} images")
    found = np.isfinite(predicted).all(axis=(1, 2))
    if not found.any():
        raise InputError(f"{records.name}: no face was found in any of the {len(records)} images")
    sizes = metrics.sizes(truth, records.boxes, markup)
    size = sizes[normaliser]
    flat = np.flatnonzero(size == 0)
    refuse([f"{records.files[i]}: its {normaliser} is 0" for i in flat], records.name)
    errors = metrics.mean_error(truth, predicted)
    return {
        **facts,
        "split": records.name,
        "split_sha256": records.digest(),
        "images": len(records),
        "found": int(found.sum()),
        "recall": _percent(found),
        "normaliser": normaliser,
        "nme": {
            name: _percent(errors[found & (each > 0)] / each[found & (each > 0)])
            for name, each in sizes.items()
        },
        **_distribution(records, predicted, errors / size, size),
        **_by_parts(records, predicted, size),
        "mean_face": _baseline(records, size),
    }


def _distribution(
    records: Records, predicted: np.ndarray, nme: np.ndarray, size: np.ndarray
) -> dict[str, Any]:
    """What the errors `nme` `(n,)` of the faces are like, and the offset that they share."""
    truth, found = records.points, np.isfinite(nme)
    people = records.people
    offset = metrics.mean_offset(truth, predicted, size)
    aligned = predicted - offset * size[:, None, None]
    differences = metrics.pixel_differences(truth, predicted, records.shapes)[found]
    return {
        "nme_interval": [
            100 * end for end in metrics.bootstrap_interval(nme[found], people[found])
        ],
        "offset": (100 * offset).tolist(),
        "nme_without_offset": _percent((metrics.mean_error(truth, aligned) / size)[found]),
        "auc_at_0.08": metrics.auc(nme),
        "failures_at_0.08": 100 * metrics.failure_rate(nme),
        "percentiles": {
            f"P{rank}": float(100 * np.percentile(nme[found], rank)) for rank in (50, 90, 95, 99)
        },
        "smooth_l1_px_at_255": float(metrics.smooth_l1(differences).mean()),
        "mean_absolute_px_at_255": float(np.nanmean(np.abs(differences))),
    }


def _by_parts(records: Records, predicted: np.ndarray, size: np.ndarray) -> dict[str, Any]:
    """Errors by part of the face, of covered points where any are told, and by yaw."""
    truth, parts = records.points, records.markup.parts
    shares = metrics.point_errors(truth, predicted) / size[:, None]
    nme = metrics.mean_error(truth, predicted) / size
    found = np.isfinite(predicted).all(axis=(1, 2))

    def mean_of(values: np.ndarray) -> float | None:
        return _percent(values[np.isfinite(values)])

    covered = {"covered": mean_of(shares[records.covered])} if records.covered.any() else {}
    return {
        "parts": {name: mean_of(shares[found][:, part]) for name, part in parts.items()} | covered,
        "yaw": {
            f"{low:.0f} to {high:.0f}" if high < np.inf else f"over {low:.0f}": {
                "images": int(chosen.sum()),
                "recall": _percent(found[chosen]),
                "nme": _percent(nme[found & chosen]),
                "inner": mean_of(shares[found & chosen][:, parts.get("inner", ())]),
                "failures_at_0.08": _percent(~(nme[chosen] <= metrics.LIMIT)),
            }
            for low, high, chosen in yaw_bins(records)
        },
    }


def _baseline(records: Records, size: np.ndarray) -> dict[str, Any] | None:
    """The errors of the mean face in truth boxes; None for a markup without a mean."""
    mean = records.markup.mean
    if mean is None:
        return None
    nme = metrics.mean_error(records.points, mean_face(records.boxes, mean)) / size
    return {
        "nme": _percent(nme),
        "auc_at_0.08": metrics.auc(nme),
        "failures_at_0.08": 100 * metrics.failure_rate(nme),
    }


def yaw_bins(records: Records) -> list[tuple[float, float, np.ndarray]]:
    """Bins of the absolute yaw: low and high edge in degrees, and the records in it `(n,)` bool.

    The yaw is that of the records if given, else that of the annotated points. None of a markup
    without a head pose whose records do not tell it.
    """
    if records.markup.rigid is None and not np.isfinite(records.yaw).any():
        return []
    rotations, _ = pose.fit_rotation(records.completed_points(), records.markup)
    seen = pose.angles(rotations)[:, 0]
    turn = np.abs(np.where(np.isfinite(records.yaw), records.yaw, seen))
    edges = itertools.pairwise((0.0, *metrics.YAW_BINS, np.inf))
    return [(low, high, (low <= turn) & (turn < high)) for low, high in edges]


def _percent(shares: np.ndarray) -> float | None:
    """The mean in percent; None, which JSON can store, if there are no values."""
    return float(100 * np.mean(shares)) if shares.size else None
