"""Fits the constants of `data.correction` again: how far annotations lie from what they mark.

What a network finds in a picture and in its mirror image, averaged, has no side. So the part of the
annotations' x that all points and faces have in common is measured without any other labels. In y
and from point to point a mirror is silent: there the network, trained on the published annotations
and so of their markup, reads faces that were labelled by hand in the same 68 points.
"""

import numpy as np

from keypoints import landmarks, metrics
from keypoints.data.correction import Correction
from keypoints.data.records import Records
from keypoints.evaluation.protocol import predict_points
from keypoints.inference.predictor import Predictor


def mirrored_points(predictor: Predictor, records: Records) -> np.ndarray:
    """Points `(n, 68, 2)` of a network averaged with those of the mirrored crops, truth boxes."""
    return predict_points(
        predictor.network,
        records,
        records.boxes,
        view=predictor.view,
        margin=predictor.margin,
        flip=True,
    ).points


def fit_side(annotated: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """How far `annotated` `(n, 68, 2)` lie to the right of points without a side.

    Pixels, and a share of the inter-ocular distance on top: the least squares over faces.
    """
    away = np.nanmean(annotated[..., 0] - found[..., 0], axis=1)
    size = metrics.inter_ocular(annotated)
    (pixels, share), *_ = np.linalg.lstsq(np.column_stack([np.ones_like(size), size]), away)
    return float(pixels), float(share)


def fit_markup(annotated: np.ndarray, found: np.ndarray) -> np.ndarray:
    """How points `found` `(n, 68, 2)` differ from hand labels `annotated`: `(68, 2)`.

    In the face's frame, whose x runs along the eyes, in inter-ocular distances. The median over
    faces, averaged with its mirror image: a side that the hand labels have is left out.
    """
    whole = landmarks.complete(annotated)
    right, left = (whole[:, corner] for corner in landmarks.OUTER_EYE_CORNERS)
    x, y = ((left - right) / np.square(left - right).sum(axis=1, keepdims=True)).T
    to_face = np.stack([np.stack([x, -y], -1), np.stack([y, x], -1)], axis=1)  # (n, 2, 2)
    middle = np.nanmedian((found - annotated) @ to_face, axis=0)
    return (middle + middle[landmarks.MIRROR] * [-1, 1]) / 2


def fit(predictors: list[Predictor], records: Records, reference: Records) -> Correction:
    """The correction of `records`, published points, by networks that were trained on such.

    `reference` are hand-labelled faces. The constants are means over the networks.
    """
    sides = [fit_side(records.points, mirrored_points(p, records)) for p in predictors]
    markups = [fit_markup(reference.points, mirrored_points(p, reference)) for p in predictors]
    pixels, share = np.mean(sides, axis=0)
    return Correction(float(pixels), float(share), np.mean(markups, axis=0))


def remaining_offset(predictor: Predictor, records: Records) -> np.ndarray:
    """Mean x and y `(2,)` of what a mirror-averaged network finds minus the annotations.

    In percent of the inter-ocular distance.
    """
    found = mirrored_points(predictor, records)
    size = metrics.inter_ocular(records.points)
    return 100 * metrics.mean_offset(records.points, found, size)


def table(correction: Correction) -> str:
    """The constants as they stand in `data.correction`."""
    assert correction.markup is not None  # a fit has it
    points = [f"({x:.3f}, {y:.3f})" for x, y in correction.markup]
    rows = [", ".join(points[i : i + 4]) for i in range(0, len(points), 4)]
    return f"pixels={correction.pixels:.2f}, share={correction.share:.4f}, markup:\n" + ",\n".join(
        rows
    )
