"""Point losses of the coordinates `(b, 2 k)` of k points in crop pixels, and the training loss.

The training loss compares the flat output `(b, 3 k)` of a network (`estimate.unflatten`) with
targets: annotated coordinates `(b, 2 k)`, or `(b, 4 k)` with those of a distillation teacher after
them. A coordinate that is not annotated is NaN; loss and metric leave it out.
"""

import math
from collections.abc import Callable
from typing import Any

from keras import losses, ops

# Wing loss: width of the logarithmic part and curvature, pixels (values of the paper).
WING_WIDTH = 10.0
WING_CURVATURE = 2.0


def wing(truth: Any, predicted: Any) -> Any:
    """Logarithmic below `WING_WIDTH`, linear above `(b,)` (Feng et al., CVPR 2018, eq. 5)."""
    error = ops.abs(predicted - truth)
    offset = WING_WIDTH - WING_WIDTH * math.log(1 + WING_WIDTH / WING_CURVATURE)
    curved = WING_WIDTH * ops.log(1 + error / WING_CURVATURE)
    return ops.mean(ops.where(error < WING_WIDTH, curved, error - offset), axis=-1)


def nme(truth: Any, predicted: Any) -> Any:
    """NME of each crop, percent `(b,)`: mean distance over the square root of the box's area.

    The box is that of the annotated points, at least one pixel wide. The inter-ocular distance is
    no measure for a profile face, where it vanishes.
    """
    truth, predicted = (
        ops.reshape(points, (-1, points.shape[-1] // 2, 2)) for points in (truth, predicted)
    )
    known = ops.isfinite(truth)
    far = 1e9
    sides = ops.max(ops.where(known, truth, -far), axis=1) - ops.min(
        ops.where(known, truth, far), axis=1
    )
    size = ops.sqrt(ops.prod(ops.maximum(sides, 1.0), axis=-1))
    distances = ops.norm(predicted - ops.where(known, truth, predicted), axis=-1)
    count = ops.sum(ops.cast(known[..., 0], distances.dtype), axis=-1)
    return 100 * ops.sum(distances, axis=-1) / (ops.maximum(count, 1.0) * size)


def laplace(truth: Any, predicted: Any, uncertainty: Any) -> Any:
    """Negative log-likelihood `(b,)` of Laplace errors with mean absolute error `uncertainty`.

    Per coordinate log(s) + |e| / s, the constant left out, with s the `uncertainty` `(b, k)`. The
    minimum is at s = mean |e|. Kumar et al., "LUVLi Face Alignment", CVPR 2020, has the 2D form.
    """
    known = ops.isfinite(truth)
    error = ops.abs(predicted - ops.where(known, truth, predicted))
    error = ops.mean(ops.reshape(error, (-1, truth.shape[-1] // 2, 2)), axis=-1)
    known = ops.reshape(known, (-1, truth.shape[-1] // 2, 2))[..., 0]
    each = error / uncertainty + ops.log(uncertainty)
    return ops.mean(ops.where(known, each, 0.0), axis=-1)


# Each is `loss(truth, predicted)` `(b,)`.
POINT_LOSSES = {
    "l1": losses.mean_absolute_error,
    "mse": losses.mean_squared_error,
    "smooth_l1": losses.huber,  # linear above one pixel (Girshick, "Fast R-CNN", 2015, eq. 3)
    "wing": wing,
}


def training_loss(point_loss: Callable) -> Callable:
    """`loss(targets, outputs)` `(b,)`: a point loss plus the likelihood of the uncertainties.

    With a distillation teacher, half of the point loss is the distance to its points (Hinton
    et al., "Distilling the Knowledge in a Neural Network", 2015). The likelihood uses only the
    annotations: the network is closer to its teacher than to them, so the uncertainty would come
    out too small. Every annotated coordinate has the same weight, however many a face has.
    """

    def loss(targets: Any, outputs: Any) -> Any:
        points, uncertainty = _split(outputs)
        coordinates = points.shape[-1]
        truth, teacher = targets[:, :coordinates], targets[:, -coordinates:]  # or the same
        total = sum(
            point_loss(ops.where(ops.isfinite(aim), aim, points), points)
            for aim in (truth, teacher)
        )
        return total / 2 + laplace(truth, points, uncertainty)

    return loss


def nme_of_outputs(targets: Any, outputs: Any) -> Any:
    """`nme` of the points in flat outputs `(b, 3 k)` against the annotated points."""
    points, _ = _split(outputs)
    return nme(targets[:, : points.shape[-1]], points)


def _split(outputs: Any) -> tuple[Any, Any]:
    """Coordinates `(b, 2 k)` and uncertainties `(b, k)` of flat outputs."""
    coordinates = outputs.shape[-1] // 3 * 2
    return outputs[:, :coordinates], outputs[:, coordinates:]
