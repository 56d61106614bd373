"""Points of the frames of a video, smoothed from both sides: frames come out a moment later."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from keypoints.estimate import Estimate
from keypoints.inference.detections import SAME_FACE_IOU, overlap
from keypoints.inference.smoothing import REACH, two_sided_at
from keypoints.markup import Markup

T = TypeVar("T")


@dataclass(eq=False)
class _Frame(Generic[T]):
    item: T
    time: float
    shot: int
    estimate: Estimate
    ids: list[int]  # of each face; the same in the frames that it was followed through


class Steady(Generic[T]):
    """Smooths what `add` gets of one video; frames without a time go through as they are."""

    def __init__(self, markup: Markup) -> None:
        self._markup = markup
        self._window: deque[_Frame[T]] = deque()
        self._waiting = 0  # frames at the end of the window that are not out yet
        self._count = 0  # of faces

    def add(
        self, item: T, time: float | None, shot: int, estimate: Estimate
    ) -> list[tuple[T, Estimate]]:
        """Take the next frame, in pixels of the frame; returns those that are settled by it.

        `item` comes out with its frame. Faces are followed by their boxes, within a `shot`.
        """
        if time is None:
            return [*self.end(), (item, estimate)]
        settled = []
        if self._window and (time < self._window[-1].time or shot != self._window[-1].shot):
            settled = self.end()
            self._window.clear()
        self._window.append(_Frame(item, time, shot, estimate, self._followed(estimate)))
        self._waiting += 1
        while time - self._window[-self._waiting].time > REACH:
            settled.append(self._settle())
        while self._window[0].time < self._window[-self._waiting].time - REACH:
            self._window.popleft()
        return settled

    def end(self) -> list[tuple[T, Estimate]]:
        """The frames that still wait; no others come after them."""
        return [self._settle() for _ in range(self._waiting)]

    def _followed(self, estimate: Estimate) -> list[int]:
        """The ids of its faces: those of the last frame of the window, and new ones."""
        free: dict[int, np.ndarray] = {}  # boxes by id
        if self._window:
            last = self._window[-1]
            free = dict(zip(last.ids, self._markup.face_boxes(last.estimate.points)))
        ids = []
        for box in self._markup.face_boxes(estimate.points):
            shares = {id: overlap(box, other) for id, other in free.items()}
            best = max(shares, key=shares.__getitem__, default=None)
            if best is not None and shares[best] >= SAME_FACE_IOU:
                ids.append(best)
                del free[best]
            else:
                ids.append(self._count)
                self._count += 1
        return ids

    def _settle(self) -> tuple[T, Estimate]:
        frame = self._window[-self._waiting]
        self._waiting -= 1
        points = np.array(frame.estimate.points)
        for number, id in enumerate(frame.ids):
            known = [
                (other.time, other.estimate.points[other.ids.index(id)], other is frame)
                for other in self._window
                if id in other.ids
            ]
            times, found, own = zip(*known)
            points[number] = two_sided_at(
                np.array(times), np.array(found), own.index(True), self._markup
            )
        return frame.item, replace(frame.estimate, points=points)
