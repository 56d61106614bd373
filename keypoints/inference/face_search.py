"""The search of a frame for faces that are not followed yet, at once or in a thread of its own."""

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from keypoints.estimate import SCORE_THRESHOLD, Estimate
from keypoints.inference.detections import SAME_FACE_IOU, Detector, overlap
from keypoints.markup import Markup


@dataclass(frozen=True)
class Search:
    """The result of a search for new faces, without those that were followed already."""

    timestamp: float  # of the frame that was searched
    faces: list[np.ndarray]  # points (k, 2) of each face found
    unsure: list[np.ndarray]  # boxes of the detector in which no points were found
    left: list[np.ndarray]  # boxes above the limit


class Estimator(Protocol):
    """What a tracker needs of a predictor."""

    @property
    def markup(self) -> Markup: ...

    def estimate(
        self, image: np.ndarray, boxes: np.ndarray, rolls: np.ndarray | None = None
    ) -> Estimate:
        """Points, uncertainties and scores in `image`, one face for each box and roll."""


def search_faces(
    detector: Detector,
    predictor: Estimator,
    image: np.ndarray,
    timestamp: float,
    known: list[np.ndarray],
    limit: int | None,
) -> Search:
    """Search `image` `(h, w, 3)` for faces that are not in the boxes `known`, `limit` at most."""
    seen = detector.detect(image)
    new = [i for i, box in enumerate(seen.boxes) if not overlaps_any(box, known)]
    left = [] if limit is None else list(seen.boxes[new[limit:]])
    new = new[:limit]
    faces: list[np.ndarray] = []
    unsure: list[np.ndarray] = []
    if new:
        boxes = seen.boxes[new]
        estimate = predictor.estimate(image, boxes, seen.rolls[new])
        for box, points, score in zip(boxes, estimate.points, estimate.scores):
            if score >= SCORE_THRESHOLD:
                faces.append(points)
            else:
                unsure.append(box)
    return Search(timestamp, faces, unsure, left)


def overlaps_any(box: np.ndarray, others: Iterable[np.ndarray]) -> bool:
    """Whether a box `(4,)` is of the same face as one of `others`."""
    return any(overlap(box, other) >= SAME_FACE_IOU for other in others)


class BackgroundSearch:
    """One search at a time in a thread of its own, behind the thread that follows faces."""

    def __init__(self) -> None:
        self.pending: Future[Search] | None = None  # that runs now, or has a result
        self._thread = ThreadPoolExecutor(1, "face search", initializer=_lower_priority)

    def start(self, search: Callable[[], Search]) -> None:
        self.pending = self._thread.submit(search)

    def take(self) -> Search | None:
        """The result of a search that has ended, once; raises its error."""
        if self.pending is None or not self.pending.done():
            return None
        done, self.pending = self.pending, None  # also where it failed
        return done.result()


def _lower_priority() -> None:
    """Let the thread that follows faces go first. Only Linux has a priority for each thread."""
    if sys.platform == "linux":
        # A thread inherits real-time priority, under which niceness has no effect.
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.nice(10)
