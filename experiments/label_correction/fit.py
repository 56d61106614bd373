"""Fit of the constants of `data.correction`: systematic errors of annotations.

The average of the predictions for a picture and for its mirror image has no offset to one side. So
the common offset of the annotations in x is measured without other labels. Mirroring does not show
offsets in y or of single points: for these, a network that was trained on the published annotations
predicts faces that were labelled by hand with the same 68 points.
"""

import numpy as np

from keypoints import metrics
from keypoints.data.correction import Correction
from keypoints.data.records import Records
from keypoints.evaluation.protocol import flip_averaged, predict_points
from keypoints.markup import IBUG68
from keypoints.network import Network


def mirrored_points(network: Network, records: Records) -> np.ndarray:
    """Points `(n, 68, 2)` averaged over the crops and the flipped crops, ground-truth boxes."""
    return predict_points(flip_averaged(network), records, records.boxes).points


def fit_side(annotated: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Offset to the right of `annotated` `(n, 68, 2)` from points averaged with the mirror image.

    In pixels, plus a fraction of the inter-ocular distance: least squares over faces.
    """
    away = np.nanmean(annotated[..., 0] - found[..., 0], axis=1)
    size = metrics.inter_ocular(annotated)
    (pixels, share), *_ = np.linalg.lstsq(np.column_stack([np.ones_like(size), size]), away)
    return float(pixels), float(share)


def fit_markup(annotated: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Difference `(68, 2)` of points `found` `(n, 68, 2)` from hand labels `annotated`.

    In the face's frame, whose x runs along the eyes, in inter-ocular distances. The median over
    faces, averaged with its mirror image, so that an offset of the hand labels is left out.
    """
    whole = IBUG68.complete(annotated)
    corners = (IBUG68.roles[f"{side}_eye_corner"][0] for side in ("right", "left"))
    right, left = (whole[:, corner] for corner in corners)
    x, y = ((left - right) / np.square(left - right).sum(axis=1, keepdims=True)).T
    to_face = np.stack([np.stack([x, -y], -1), np.stack([y, x], -1)], axis=1)  # (n, 2, 2)
    middle = np.nanmedian((found - annotated) @ to_face, axis=0)
    return (middle + middle[IBUG68.mirror] * [-1, 1]) / 2


def fit(networks: list[Network], records: Records, reference: Records) -> Correction:
    """The correction of `records` with published points, by networks trained on such points.

    `reference` are hand-labelled faces. The constants are means over the networks.
    """
    sides = [fit_side(records.points, mirrored_points(n, records)) for n in networks]
    markups = [fit_markup(reference.points, mirrored_points(n, reference)) for n in networks]
    pixels, share = np.mean(sides, axis=0)
    return Correction(float(pixels), float(share), np.mean(markups, axis=0))


def remaining_offset(network: Network, records: Records) -> np.ndarray:
    """Mean offset in x and y `(2,)`: predictions averaged with the mirror image minus annotations.

    In percent of the inter-ocular distance.
    """
    found = mirrored_points(network, records)
    size = metrics.inter_ocular(records.points)
    return 100 * metrics.mean_offset(records.points, found, size)


def table(correction: Correction) -> str:
    """The constants in the form of keypoints/data/youtube_faces.toml."""
    assert correction.markup is not None  # a fit always has it
    points = [f"[{x:.3f}, {y:.3f}]" for x, y in correction.markup]
    rows = [f"    {', '.join(points[i : i + 4])},\n" for i in range(0, len(points), 4)]
    shifts = (
        f"pixel_shift = {correction.pixel_shift:.2f}\n"
        f"inter_ocular_shift = {correction.inter_ocular_shift:.4f}\n"
    )
    return f"{shifts}markup = [\n{''.join(rows)}]"
