"""What a model proposes: the faces of a picture, and how much each of them is in doubt."""

import threading
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from keypoints.errors import InputError
from keypoints.estimate import Estimate
from keypoints.inference.detectors import load_detector
from keypoints.inference.predictor import Predictor
from keypoints.markup import Markup

LEAST_SCORE = 0.25  # of a face that is proposed: a wrong one is removed by a key


@dataclass(frozen=True)
class Proposal:
    """A face as the model sees it."""

    points: np.ndarray  # (n, 2) float32, x then y in pixels of the picture; NaN: no such point
    doubt: float  # as in `Proposer`


class Proposer:
    """A model that proposes the points of a markup; safe in threads.

    The doubt of a face is the mean uncertainty of its points and, with `twins`, the mean distance
    to what the model sees in the flipped picture, both over the size of the face. A markup without
    mirror pairs has no such twin. Without a model nothing is proposed.
    """

    def __init__(self, predictor: Predictor | None, markup: Markup, *, twins: bool = False):
        self._predictor, self._detector, self.markup = predictor, load_detector(), markup
        self._twins, self._one_at_a_time = twins, threading.Lock()

    @cached_property
    def _order(self) -> np.ndarray:
        if self._predictor is None:
            return np.full(self.markup.count, -1)
        return self._predictor.network.markup.stand_ins(self.markup)

    def faces(self, image: np.ndarray) -> list[Proposal]:
        """The faces in `image` `(h, w, 3)` uint8 RGB, largest first.

        None where the model knows no point of the markup.
        """
        if (self._order < 0).all():
            return []
        with self._one_at_a_time:
            found = self._detector.detect(image)
            if not len(found):
                return []
            estimate, proposals = self._estimated(image, found.boxes, found.rolls, settled=True)
        return [p for p, score in zip(proposals, estimate.scores) if score >= LEAST_SCORE]

    def face_in(self, image: np.ndarray, box: np.ndarray) -> Proposal:
        """The face in a box `(4,)` that somebody drew: left, top, width and height in pixels.

        The mean face where the model knows no point of the markup; raises InputError without one.
        """
        if (self._order < 0).all():
            if self.markup.mean is None:
                raise InputError(
                    f"the model knows none of the points of {self.markup.name}, which has no mean "
                    "face: place them one by one"
                )
            points = self.markup.mean * box[2:].max() + box[:2] + box[2:] / 2
            return Proposal(points.astype(np.float32), 0.0)
        with self._one_at_a_time:
            return self._estimated(image, box[None], np.zeros(1))[1][0]

    def _estimated(
        self, image: np.ndarray, boxes: np.ndarray, rolls: np.ndarray, *, settled: bool = False
    ) -> tuple[Estimate, list[Proposal]]:
        """The estimate in boxes, and the proposals; `settled` where a detector found them."""
        predictor = self._predictor
        assert predictor is not None
        markup = predictor.network.markup
        estimate = predictor.estimate(image, boxes, rolls)
        if settled:
            estimate = predictor.settled(image, boxes, estimate)
        doubts = estimate.relative_uncertainty(markup)
        if self._twins and markup.mirror is not None:
            across = image.shape[1] - 1  # x of the last column
            turned = np.column_stack([across - boxes[:, 0] - boxes[:, 2], boxes[:, 1:]])
            other = image[:, ::-1]
            twin = predictor.estimate(other, turned, -rolls)
            twins = (predictor.settled(other, turned, twin) if settled else twin).points
            twins = twins[:, markup.mirror] * [-1, 1] + [across, 0]
            away = np.linalg.norm(twins - estimate.points, axis=-1).mean(axis=1)
            doubts = doubts + away / [face_size(markup, points) for points in estimate.points]
        points = estimate.points[:, self._order]
        points[:, self._order < 0] = np.nan
        points = self.markup.complete(points)
        return estimate, [Proposal(*pair) for pair in zip(points, doubts.tolist())]


def face_size(markup: Markup, points: np.ndarray) -> float:
    """The size of a face: the root of the area of the box of its points `(n, 2)`, in pixels."""
    whole = markup.complete(points)
    box = markup.face_boxes(whole[np.isfinite(whole).all(axis=1)])
    return max(float(np.sqrt(box[2:].prod())), 1e-3)
