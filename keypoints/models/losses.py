"""Regression losses between `(b, 136)` coordinates in crop pixels, and what training makes of them.

It compares targets `(b, 136)`, the annotated coordinates, or `(b, 272)`, those of a teacher after
them, with the flat output `(b, 204)` of a network (`estimate.unflatten`).
"""

import math
from collections.abc import Callable

from keras import ops

from keypoints.landmarks import COUNT, OUTER_EYE_CORNERS

POINTS = 2 * COUNT  # coordinates
# Wing loss: width of its logarithmic part and its curvature, pixels (the paper's choice).
WING_WIDTH = 10.0
WING_CURVATURE = 2.0


def l1(truth, predicted):
    """Mean absolute difference `(b,)`."""
    return ops.mean(ops.abs(predicted - truth), axis=-1)


def mse(truth, predicted):
    """Mean squared difference `(b,)`."""
    return ops.mean(ops.square(predicted - truth), axis=-1)


def smooth_l1(truth, predicted):
    """Squared half below one pixel, linear above `(b,)` (Girshick, "Fast R-CNN", 2015, eq. 3)."""
    error = ops.abs(predicted - truth)
    return ops.mean(ops.where(error < 1.0, 0.5 * error * error, error - 0.5), axis=-1)


def wing(truth, predicted):
    """Logarithmic below `WING_WIDTH`, linear above `(b,)` (Feng et al., CVPR 2018, eq. 5)."""
    error = ops.abs(predicted - truth)
    offset = WING_WIDTH - WING_WIDTH * math.log(1 + WING_WIDTH / WING_CURVATURE)
    curved = WING_WIDTH * ops.log(1 + error / WING_CURVATURE)
    return ops.mean(ops.where(error < WING_WIDTH, curved, error - offset), axis=-1)


def nme(truth, predicted):
    """Inter-ocular NME of each crop, percent `(b,)`: the same in any frame of the same shape."""
    truth = ops.reshape(truth, (-1, COUNT, 2))
    predicted = ops.reshape(predicted, (-1, COUNT, 2))
    right, left = OUTER_EYE_CORNERS
    distance = ops.norm(truth[:, left] - truth[:, right], axis=-1)
    return 100 * ops.mean(ops.norm(predicted - truth, axis=-1), axis=-1) / distance


def laplace(truth, predicted, uncertainty):
    """Negative log-likelihood `(b,)` of Laplace errors whose mean absolute size is `uncertainty`.

    `log(2 b) + |e| / b` per coordinate without its constant: least where `b` `(b, 68)` is the mean
    of |e| (Kumar et al., "LUVLi Face Alignment", CVPR 2020, has the two-dimensional form).
    """
    error = ops.mean(ops.reshape(ops.abs(predicted - truth), (-1, COUNT, 2)), axis=-1)
    return ops.mean(error / uncertainty + ops.log(uncertainty), axis=-1)


LOSSES = {"l1": l1, "mse": mse, "smooth_l1": smooth_l1, "wing": wing}


def objective(regression: Callable) -> Callable:
    """`loss(targets, answer)` `(b,)`: a regression loss plus the likelihood of the uncertainties.

    Where there is a teacher, half of the regression loss is that to its points (Hinton et al.,
    "Distilling the Knowledge in a Neural Network", 2015). The likelihood is that of the annotations
    alone: a network is closer to its teacher than to them, and would expect too little.
    """

    def loss(targets, answer):
        points, uncertainty = answer[:, :POINTS], answer[:, POINTS:]
        truth, taught = targets[:, :POINTS], targets[:, -POINTS:]
        total = (regression(truth, points) + regression(taught, points)) / 2
        return total + laplace(truth, points, uncertainty)

    return loss


def nme_of_outputs(targets, answer):
    """`nme` of the annotated points."""
    return nme(targets[:, :POINTS], answer[:, :POINTS])
