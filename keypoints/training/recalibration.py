"""Uncertainties and face score of a trained network, fitted to its errors on validation splits."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keypoints import geometry
from keypoints.data.records import Records
from keypoints.estimate import UNCERTAINTY_AT_HALF_SCORE
from keypoints.evaluation.calibration import background_boxes, errors_of
from keypoints.evaluation.protocol import predict_points
from keypoints.models import runs
from keypoints.network import Network

NEWTON_STEPS = 50


class Calibration(NamedTuple):
    """What `recalibrate` has fitted."""

    a: float
    b: float
    half_score: float  # of `Network`

    def __str__(self) -> str:
        return (
            f"uncertainty: {np.exp(self.a):.3g} times its power {self.b:.3g}; face score of 0.5 "
            f"at a relative uncertainty of {self.half_score:.4f}"
        )


def fit_power(expected: np.ndarray, actual: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """`(a, b)` for which `exp(a) * expected ** b` is the scale of a Laplace law of `actual`.

    The maximum of the likelihood, by Newton's method; it is concave in `(a, b)`. All arrays `(n,)`,
    `expected` positive, `actual` absolute errors of the same unit, `weights` those of the examples.
    """
    design = np.stack([np.ones(len(expected)), np.log(expected)], axis=1)
    weights, found = weights / weights.sum(), np.array([0.0, 1.0])
    for _ in range(NEWTON_STEPS):
        ratio = actual * np.exp(-design @ found)
        gradient = design.T @ (weights * (1 - ratio))
        curvature = (design * (weights * ratio)[:, None]).T @ design
        step = np.linalg.solve(curvature, gradient)
        found = found - step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-9:
            break
    return float(found[0]), float(found[1])


def fit_score(faces: np.ndarray, background: np.ndarray) -> float:
    """The relative uncertainty at which a face score is a half.

    With the fewest of `faces` `(n,)` above and of `background` `(m,)` below, in shares of both; the
    middle of all such values. Without background it is the usual one, or higher if some of the
    faces are less certain.
    """
    if not len(background):
        return float(max(UNCERTAINTY_AT_HALF_SCORE, faces.max()))
    values = np.unique(np.concatenate([faces, background]))
    between = (values[:-1] + values[1:]) / 2
    wrong = (faces > between[:, None]).mean(axis=1) + (background < between[:, None]).mean(axis=1)
    best = between[wrong <= wrong.min() + 1e-9]
    return float((best[0] + best[-1]) / 2)


def recalibrate(run: Path, validation: Sequence[Records]) -> Calibration:
    """Fit the uncertainty of a run's best weights, and its face score; the points stay the same.

    The `(a, b)` of `fit_power`, in crop pixels, over the annotated points of all sets, ground-truth
    boxes, where each set has the same weight; and `fit_score` of the faces and of boxes beside
    them. Raises InputError for a folder that is no run. A pooled head has no parameters for `a` and
    `b`, which are then 0 and 1.
    """
    model, config = runs.load_model(run)
    network = runs.load_network(run)
    a, b = 0.0, 1.0
    if config.head == "heatmap":
        head = model.get_layer("head_points")
        a, b = _fit_uncertainty(network, validation)
        head.log_factor.assign(a + b * head.log_factor.numpy())
        head.exponent.assign(b * head.exponent.numpy())
        runs.write_weights(Path(run) / runs.BEST, model)
        network = runs.load_network(run)

    def uncertainty(records: Records, boxes: np.ndarray) -> np.ndarray:
        return predict_points(network, records, boxes).relative_uncertainty(network.markup)

    faces, beside = [], []
    for records in validation:
        faces.append(uncertainty(records, records.boxes))
        boxes, placed = background_boxes(records)
        beside.append(uncertainty(records, boxes)[placed])
    found = Calibration(a, b, fit_score(np.concatenate(faces), np.concatenate(beside)))
    runs.write_half_score(Path(run), found.half_score)
    return found


def _fit_uncertainty(network: Network, validation: Sequence[Records]) -> tuple[float, float]:
    expected, actual, weights = [], [], []
    for records in validation:
        matrices = network.crop.matrices(records.boxes, shapes=records.shapes)
        found = predict_points(network, records, records.boxes)
        errors, uncertainty = errors_of(found, records, geometry.scale_of(matrices))
        actual.append(errors)
        expected.append(uncertainty)
        weights.append(np.full(len(errors), 1 / len(errors)))
    return fit_power(np.concatenate(expected), np.concatenate(actual), np.concatenate(weights))
