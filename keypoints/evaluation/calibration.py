"""Quality of the uncertainty: expected and actual errors, faces and background."""

from typing import Any

import numpy as np

from keypoints import metrics
from keypoints.data.records import Records
from keypoints.estimate import UNCERTAINTY_AT_HALF_SCORE, Estimate
from keypoints.evaluation.protocol import predict_points
from keypoints.inference.detections import overlap
from keypoints.network import Network

BINS = 10
TRIES = 50  # attempts to place a box that does not overlap the face
BACKGROUND_SIDES = (0.4, 1.0)  # size of a background box, in longer sides of the face box
TOUCHING = 0.05  # a box with at least this overlap is not background
FALSE_ALARMS = 0.01  # false positive rate at which recall is reported


def calibration(errors: np.ndarray, expected: np.ndarray) -> list[dict[str, float]]:
    """Mean expected and mean actual error of `BINS` equal groups, from low to high uncertainty.

    `errors` and `expected` have the same shape and unit. Each row: expected, actual, points.
    """
    order = np.argsort(expected, axis=None, kind="stable")
    return [
        {
            "expected": float(expected.ravel()[group].mean()),
            "actual": float(errors.ravel()[group].mean()),
            "points": len(group),
        }
        for group in np.array_split(order, BINS)
        if len(group)
    ]


def errors_of(
    found: Estimate, records: Records, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Absolute errors of all annotated points, means of x and y, and the expected ones: `(k,)`.

    `found` is in picture pixels; the errors of each record are multiplied by its `scale` `(n,)`.
    """
    known, scale = metrics.annotated(records.points), scale[:, None]
    errors = scale * np.abs(found.points - records.points).mean(axis=2)
    return errors[known], (scale * found.uncertainty)[known]


def background_boxes(records: Records, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Square boxes `(n, 4)` outside the faces, and which pictures have room for one `(n,)`.

    Sizes and positions are random with `seed`; a box lies in its picture, with little overlap.
    """
    rng = np.random.default_rng(seed)
    faces = records.boxes
    boxes, placed = np.zeros((len(records), 4), np.float32), np.zeros(len(records), bool)
    for index, (face, (height, width)) in enumerate(zip(faces, records.shapes)):
        for _ in range(TRIES):
            side = face[2:].max() * rng.uniform(*BACKGROUND_SIDES)
            left, top = rng.random(2) * (width - side, height - side)
            box = np.array([left, top, side, side], np.float32)
            if min(left, top) >= 0 and overlap(box, face) < TOUCHING:
                boxes[index], placed[index] = box, True
                break
    return boxes, placed


def separation(
    faces: np.ndarray, background: np.ndarray, *, half_score: float = UNCERTAINTY_AT_HALF_SCORE
) -> dict[str, Any]:
    """How well a threshold on relative uncertainty tells faces `(n,)` from background `(m,)`.

    The area under the ROC curve is the share of pairs in which the face has the lower uncertainty;
    `recall` is the share of faces at the threshold that accepts `FALSE_ALARMS` of the background.
    `taken_for_faces` are the shares of both that have a face score of 0.5.
    """
    ordered = np.sort(background)
    below = np.searchsorted(ordered, faces, side="left")
    level = np.searchsorted(ordered, faces, side="right")
    area = 1 - (below + level).mean() / (2 * len(ordered))
    threshold = float(np.quantile(ordered, FALSE_ALARMS))
    return {
        "faces": len(faces),
        "background": len(background),
        "roc_auc": float(area),
        "threshold": threshold,
        "false_alarms": FALSE_ALARMS,
        "recall": float((faces < threshold).mean()),
        "median_relative_uncertainty": [float(np.median(faces)), float(np.median(background))],
        "taken_for_faces": [float((group <= half_score).mean()) for group in (faces, background)],
    }


def measure(network: Network, records: Records, **facts: Any) -> dict[str, Any]:
    """`facts`, calibration in percent of the markup's normaliser, and separation; truth boxes.

    Separation is None where no picture has room beside its face.
    """

    def estimate(boxes: np.ndarray) -> Estimate:
        return predict_points(network, records, boxes)

    markup = network.markup
    records = records.seen_by(markup)
    size = metrics.sizes(records.points, records.boxes, markup)[markup.normaliser]
    found = estimate(records.boxes)
    errors, expected = errors_of(found, records, 100 / size)
    boxes, placed = background_boxes(records)
    beside = estimate(boxes).relative_uncertainty(markup)[placed]
    faces = found.relative_uncertainty(markup)
    return {
        **facts,
        "split": records.name,
        "split_sha256": records.digest(),
        "calibration": calibration(errors, expected),
        "separation": separation(faces, beside, half_score=network.half_score)
        if len(beside)
        else None,
    }


def table(report: dict[str, Any]) -> str:
    """The report of `measure` as text for a terminal."""
    lines = [f"{'expected |error|':>18}{'actual':>10}   points of {report['split']}"]
    lines += [
        f"{row['expected']:>16.2f} %{row['actual']:>8.2f} %   {row['points']}"
        for row in report["calibration"]
    ]
    apart = report["separation"]
    if apart is None:
        return "\n".join([*lines, "no picture has room for a box beside the face"])
    lines.append(
        f"{apart['faces']} faces against {apart['background']} boxes beside them: ROC AUC "
        f"{apart['roc_auc']:.4f}, recall {100 * apart['recall']:.1f} % at "
        f"{100 * apart['false_alarms']:.0f} % false alarms (relative uncertainty below "
        f"{apart['threshold']:.4f})"
    )
    passed, alarms = apart["taken_for_faces"]
    lines.append(f"face score of 0.5: {passed:.1%} of the faces, {alarms:.1%} of the boxes")
    return "\n".join(lines)
