"""Faces of pictures, estimated again where their detector's box was off.

The box may be off most of all for a profile. The points tell better where the face is, even those
of a low score: for faces that are not in the middle of their crop the network has learned little.
In videos the crops of each frame are made from the points of the one before anyway.
"""

from dataclasses import replace

import numpy as np

from keypoints.estimate import SCORE_THRESHOLD, Estimate
from keypoints.inference.detections import SAME_FACE_IOU, overlap
from keypoints.inference.face_search import overlaps_any
from keypoints.inference.upright import upright_boxes
from keypoints.markup import IBUG68, Markup

# A face whose box overlaps that of its points less is estimated again, in a crop of that one. On
# `validation` of AFLW2000-3D, in the boxes of `compact`, these are 19 % of the faces.
SETTLED_IOU = 0.8


def boxes_again(
    found: Estimate, boxes: np.ndarray, markup: Markup = IBUG68
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The faces to estimate again: which of `found` they are `(m,)`, their boxes and their rolls.

    `boxes` `(n, 4)` are those of a detector, in which `found` was estimated.
    """
    better, rolls = upright_boxes(found.points, markup)
    again = np.flatnonzero(overlap(better, np.asarray(boxes)) < SETTLED_IOU)
    return again, better[again], rolls[again]


def settled(
    found: Estimate,
    boxes: np.ndarray,
    again: np.ndarray,
    others: Estimate,
    markup: Markup = IBUG68,
) -> Estimate:
    """`found`, all faces of one picture, with what the second estimates `others` `(m,)` mend.

    The one of a face, `again` `(m,)`, is taken where its score is as high, or that of a face; where
    it is still the face of its detector's box, one of `boxes` `(n, 4)`; and where it is no other
    face of the picture.
    """
    parts = [part.copy() for part in (found.points, found.uncertainty, found.scores)]
    places, scores = markup.face_boxes(found.points), parts[2]
    ends, stays = markup.face_boxes(others.points), upright_boxes(others.points, markup)[0]
    for number in np.argsort(-others.scores, kind="stable"):
        face, score = again[number], others.scores[number]
        rivals = np.flatnonzero(scores >= SCORE_THRESHOLD)
        rivals = rivals[rivals != face]
        if (
            0 < score >= min(scores[face], SCORE_THRESHOLD)
            and overlap(stays[number], np.asarray(boxes)[face]) >= SAME_FACE_IOU
            and not overlaps_any(ends[number], places[rivals])
        ):
            places[face] = ends[number]
            for part, other in zip(parts, (others.points, others.uncertainty, others.scores)):
                part[face] = other[number]
    return replace(found, points=parts[0], uncertainty=parts[1], scores=parts[2])
