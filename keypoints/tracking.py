"""Faces from frame to frame: boxes from the last points, ids that stay, steady points."""

from dataclasses import dataclass

import numpy as np

from keypoints import geometry, landmarks
from keypoints.detector import load_detector, overlap
from keypoints.predictor import Predictor, as_rgb

DETECT_EVERY = 0.5  # seconds between looks for new faces
LOST_AFTER = 0.4  # seconds for which an unsure face keeps its id
SAME_FACE = 0.3  # overlap of boxes from which on two are one face
# Score below which a crop is taken for no face; `face_score` says what it measures.
SURE = 0.5
AGREEMENT = 0.06  # in inter-ocular distances; on a wall, two crops differ by about 0.11

# One-Euro filter (Casiez, Roussel and Vogel, CHI 2012): cut-off at rest, its rise with speed in
# face sides a second, and the cut-off of the speed itself; hertz.
MIN_CUTOFF, SPEED_GAIN, SPEED_CUTOFF = 1.0, 40.0, 2.0


@dataclass(frozen=True)
class Face:
    """One face of one frame, in pixels of the frame."""

    id: int
    box: np.ndarray  # (4,) left, top, width, height of the points
    points: np.ndarray  # (68, 2) float32, smoothed
    score: float  # 0..1, how sure it is that this is a face


class OneEuro:
    """Smooths the points of one face: still faces strongly, moving ones hardly."""

    def __init__(self) -> None:
        self._points: np.ndarray | None = None
        self._speed: np.ndarray | None = None
        self._time = 0.0

    def smooth(self, points: np.ndarray, timestamp: float) -> np.ndarray:
        """The filtered `points` `(68, 2)` at `timestamp` seconds, which must not go back."""
        elapsed = timestamp - self._time
        if self._points is None or elapsed <= 0:
            if self._points is None:
                self._points, self._speed = points.astype(np.float64), np.zeros_like(points)
            self._time = timestamp
            return self._points.astype(np.float32)
        side = max(np.ptp(points, axis=0).max(), 1.0)
        speed = (points - self._points) / elapsed / side
        self._speed = self._speed + _share(SPEED_CUTOFF, elapsed) * (speed - self._speed)
        cutoff = MIN_CUTOFF + SPEED_GAIN * np.linalg.norm(self._speed, axis=1, keepdims=True)
        self._points = self._points + _share(cutoff, elapsed) * (points - self._points)
        self._time = timestamp
        return self._points.astype(np.float32)


@dataclass
class _Track:
    id: int
    points: np.ndarray  # as predicted, not smoothed: the next crop's
    filter: OneEuro
    seen: float  # when it was last sure


class Tracker:
    """Follows the faces of one video. Frames come with their times, in seconds, in order."""

    def __init__(self, predictor: Predictor, *, faces: int = 10):
        self._predictor = predictor
        self._limit = faces
        self._tracks: list[_Track] = []
        self._next_id = 0
        self._looked = -np.inf

    def update(self, image: np.ndarray, timestamp: float) -> list[Face]:
        """The faces of the next frame `(h, w, 3)`, oldest first."""
        image = as_rgb(image)
        due = timestamp - self._looked >= DETECT_EVERY or not self._tracks
        if due and len(self._tracks) < self._limit:
            self._find_new(image, timestamp)
            self._looked = timestamp
        if not self._tracks:
            return []
        boxes = geometry.landmark_box(np.stack([track.points for track in self._tracks]))
        points, scores = face_score(self._predictor, image, boxes)
        faces = []
        for track, found, score in zip(self._tracks, points, scores):
            if score >= SURE:
                track.points, track.seen = found, timestamp
            smooth = track.filter.smooth(track.points, timestamp)
            faces.append(Face(track.id, geometry.landmark_box(smooth), smooth, float(score)))
        self._drop(timestamp)
        alive = {track.id for track in self._tracks}
        return [face for face in faces if face.id in alive]

    def _find_new(self, image: np.ndarray, timestamp: float) -> None:
        boxes = load_detector().detect(image)
        known = [geometry.landmark_box(track.points) for track in self._tracks]
        boxes = [box for box in boxes if all(overlap(box, other) < SAME_FACE for other in known)]
        boxes = boxes[: max(self._limit - len(self._tracks), 0)]
        if not boxes:
            return
        points, scores = face_score(self._predictor, image, np.stack(boxes))
        for found, score in zip(points, scores):
            if score >= SURE:
                self._tracks.append(_Track(self._next_id, found, OneEuro(), timestamp))
                self._next_id += 1

    def _drop(self, timestamp: float) -> None:
        """Forget faces that were unsure for too long, and the younger of two that became one."""
        kept: list[_Track] = []
        for track in self._tracks:
            box = geometry.landmark_box(track.points)
            twin = any(
                overlap(box, geometry.landmark_box(other.points)) > 1 - SAME_FACE for other in kept
            )
            if timestamp - track.seen <= LOST_AFTER and not twin:
                kept.append(track)
        self._tracks = kept


def face_score(
    predictor: Predictor, image: np.ndarray, boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points `(n, 68, 2)` of the boxes, the mean of two crops, and how face-like they are `(n,)`.

    A face is found at the same place in a slightly larger crop, and its points form a face; on a
    wall they follow the crop. The score falls from 1 to 0 as the two answers differ by up to
    `2 * AGREEMENT` inter-ocular distances, and is 0 where the points do not span a face or lie
    far from the box.
    """
    side = boxes[:, 2:].max(axis=1, keepdims=True)
    larger = boxes + side * [-0.04, -0.10, 0.14, 0.14]
    both = predictor.predict(image, np.concatenate([boxes, larger]))
    first, second = both[: len(boxes)], both[len(boxes) :]
    right, left = landmarks.OUTER_EYE_CORNERS
    eyes = np.linalg.norm(first[:, left] - first[:, right], axis=1)
    apart = np.linalg.norm(first - second, axis=2).mean(axis=1) / np.maximum(eyes, 1e-3)
    score = np.clip(1 - apart / (2 * AGREEMENT), 0, 1)
    found = geometry.landmark_box(first)
    size = found[:, 2:].max(axis=1, keepdims=True) / np.maximum(side, 1)
    moved = found[:, :2] + found[:, 2:] / 2 - boxes[:, :2] - boxes[:, 2:] / 2
    near = (np.linalg.norm(moved, axis=1, keepdims=True) < 0.6 * side) & (abs(np.log(size)) < 0.6)
    inside = (found[:, :2] < image.shape[1::-1]) & (found[:, :2] + found[:, 2:] > 0)
    return (first + second) / 2, score * near[:, 0] * inside.all(axis=1)


def _share(cutoff: np.ndarray | float, elapsed: float) -> np.ndarray | float:
    """How much of the new value a first-order low-pass takes in after `elapsed` seconds."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * elapsed))
