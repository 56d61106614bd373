"""Uncertainties of a trained network made to agree with its errors on validation splits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keypoints import geometry
from keypoints.crop import Crop
from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.evaluation.calibration import errors_of
from keypoints.evaluation.protocol import predict_points
from keypoints.models import runs
from keypoints.models.network import SoftArgmax
from keypoints.network import Network

NEWTON_STEPS = 50


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


def recalibrate(run: Path, validation: Sequence[Records]) -> tuple[float, float]:
    """Rewrite the uncertainty parameters of a run's best weights; the points stay the same.

    The `(a, b)` of `fit_power`, in crop pixels, over the annotated points of all sets, ground-truth
    boxes. Each set has the same weight. Raises InputError for a folder that is no run, and
    for a pooled head.
    """
    model, config = runs.load_model(run)
    head = model.get_layer("head_points")
    if not isinstance(head, SoftArgmax):
        raise InputError(f"{run}: head={config.head} is given; only heatmap has such parameters")
    network = Network(runs.predict_function(runs.flattened(model)), Crop.of(config))
    expected, actual, weights = [], [], []
    for records in validation:
        matrices = network.crop.matrices(records.boxes, shapes=records.shapes)
        found = predict_points(network, records, records.boxes)
        errors, uncertainty = errors_of(found, records, geometry.scale_of(matrices))
        actual.append(errors)
        expected.append(uncertainty)
        weights.append(np.full(len(errors), 1 / len(errors)))
    a, b = fit_power(np.concatenate(expected), np.concatenate(actual), np.concatenate(weights))
    head.log_factor.assign(a + b * head.log_factor.numpy())
    head.exponent.assign(b * head.exponent.numpy())
    runs.write_weights(Path(run) / runs.BEST, model)
    return a, b
