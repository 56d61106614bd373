"""Faces from frame to frame: boxes from the last points, ids that stay, steady points."""

from dataclasses import dataclass, field

import numpy as np

from keypoints import geometry
from keypoints.estimate import Estimate
from keypoints.inference.detectors import MOVING, Detector, load_detector, overlap
from keypoints.inference.predictor import Predictor, as_rgb
from keypoints.pose import Pose, estimate_pose

DETECT_EVERY = 0.5  # seconds between looks for new faces
DETECT_LOST_EVERY = 0.1  # the same while a face is lost
LOST_AFTER = 0.4  # seconds for which an unsure face keeps its id
HIDDEN_FOR = 1.2  # seconds for which a face behind another one does
SETTLED_AFTER = 0.3  # seconds after which a new face's id is as good as any other's
SAME_FACE_IOU = 0.3  # overlap of boxes from which on two are one face
MATCH_DISTANCE = 0.8  # sides of a face between a lost one and one that is found for it
# Score below which a crop is taken for no face; `face_score` says what it measures.
SCORE_THRESHOLD = 0.5
# Mean uncertainty in inter-ocular distances at which the score is a half: of pretrained-small,
# 98.8 % of the faces of `validation` lie below, and 1 % of what is beside them (`reliability`).
UNCERTAINTY_AT_HALF_SCORE = 0.05

VELOCITY_CUTOFF = 2.0  # hertz, of the speed by which a hidden face goes on

# One-Euro filter (Casiez, Roussel and Vogel, CHI 2012): cut-off at rest, its rise with speed in
# face sides a second, and the cut-off of the speed itself; hertz. A point's speed is mostly that
# of the whole face, in which the tremble of single points cancels; the rest is its own, so that
# lids and lips are not held back on a still head.
MIN_CUTOFF, SPEED_GAIN, SPEED_CUTOFF = 1.0, 150.0, 1.0
RIGID_SHARE = 0.7  # the whole face's share of a point's speed


@dataclass(frozen=True)
class Face:
    """One face of one frame, in pixels of the frame."""

    id: int
    box: np.ndarray  # (4,) left, top, width, height of the points
    points: np.ndarray  # (68, 2) float32, smoothed
    uncertainty: np.ndarray  # (68,) float32, mean absolute error to expect of their x and y
    score: float  # 0..1, how sure it is that this is a face

    @property
    def pose(self) -> Pose:
        """Yaw, pitch and roll, computed from the points at each call."""
        return estimate_pose(self.points)


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
        speed = RIGID_SHARE * speed.mean(axis=0) + (1 - RIGID_SHARE) * speed
        self._speed = self._speed + _share(SPEED_CUTOFF, elapsed) * (speed - self._speed)
        cutoff = MIN_CUTOFF + SPEED_GAIN * np.linalg.norm(self._speed, axis=1, keepdims=True)
        self._points = self._points + _share(cutoff, elapsed) * (points - self._points)
        self._time = timestamp
        return self._points.astype(np.float32)


@dataclass(eq=False)
class _Track:
    id: int
    points: np.ndarray  # as last found, not smoothed
    seen: float  # when that was
    born: float
    known: float  # when it was last seen, or hidden by another
    speed: np.ndarray = field(default_factory=lambda: np.zeros(2))  # pixels a second
    filter: OneEuro = field(default_factory=OneEuro)

    def expected(self, timestamp: float) -> np.ndarray:
        """The points if the face goes on as it did when it was last seen."""
        return (self.points + self.speed * (timestamp - self.seen)).astype(np.float32)

    def find(self, points: np.ndarray, timestamp: float) -> None:
        elapsed = timestamp - self.seen
        if elapsed > 0:
            speed = (points - self.points).mean(axis=0) / elapsed
            self.speed = self.speed + _share(VELOCITY_CUTOFF, elapsed) * (speed - self.speed)
        self.points, self.seen, self.known = points, timestamp, timestamp


class Tracker:
    """Follows the faces of one video. Frames come with their times, in seconds, in order.

    A face that is unsure for a moment keeps its id and its way. Of two faces that pass each other
    the one behind is not answered while it is hidden, and is waited for where its way leads.
    """

    def __init__(self, predictor: Predictor, *, faces: int = 10, detector: Detector | None = None):
        self._predictor = predictor
        self._detector = load_detector(smallest=MOVING) if detector is None else detector
        self._limit = faces
        self._tracks: list[_Track] = []
        self._next_id = 0
        self._looked = self._last = -np.inf  # times of the last look for new faces, and frame

    def update(self, image: np.ndarray, timestamp: float) -> list[Face]:
        """The faces of the next frame `(h, w, 3)`, oldest first."""
        image = as_rgb(image)
        sure = [track for track in self._tracks if track.seen >= self._last]
        pause = DETECT_EVERY if len(sure) == len(self._tracks) else DETECT_LOST_EVERY
        due = timestamp - self._looked >= pause or not self._tracks
        if due and len(sure) < self._limit:
            self._look(image, timestamp, sure)
            self._looked = timestamp
        faces = self._follow(image, timestamp)
        self._tracks = [
            track
            for track in self._tracks
            if timestamp - track.known <= LOST_AFTER and timestamp - track.seen <= HIDDEN_FOR
        ]
        self._last = timestamp
        alive = {track.id for track in self._tracks}
        return [face for face in faces if face.id in alive]

    def _look(self, image: np.ndarray, timestamp: float, sure: list[_Track]) -> None:
        """Take up faces that are not among the `sure`: lost ones under their id, or new ones."""
        known = [geometry.landmark_box(track.points) for track in sure]
        boxes = [box for box in self._detector.detect(image).boxes if not _among(box, known)]
        boxes = boxes[: self._limit - len(sure)]
        if not boxes:
            return
        lost = [track for track in self._tracks if track not in sure]
        estimate, scores = face_score(self._predictor, image, np.stack(boxes))
        for points, score in zip(estimate.points, scores):
            box = geometry.landmark_box(points)
            if score < SCORE_THRESHOLD or _among(box, known):
                continue
            known.append(box)
            apart = [_apart(box, track, timestamp) for track in lost]
            if lost and min(apart) < MATCH_DISTANCE:
                track = lost.pop(int(np.argmin(apart)))
                track.find(points, timestamp)
                track.filter = OneEuro()
            elif len(self._tracks) < self._limit:
                track = _Track(self._next_id, points, timestamp, timestamp, timestamp)
                self._tracks.append(track)
                self._next_id += 1

    def _follow(self, image: np.ndarray, timestamp: float) -> list[Face]:
        """Crop every face where it is expected, and answer those that are not hidden."""
        if not self._tracks:
            return []
        boxes = geometry.landmark_box(np.stack([t.expected(timestamp) for t in self._tracks]))
        estimate, scores = face_score(self._predictor, image, boxes)
        points, uncertainty = estimate.points, estimate.uncertainty
        found = geometry.landmark_box(points)

        def claim(number: int) -> tuple:
            """How weak a track's claim to its face is, should another have found the same one."""
            track = self._tracks[number]
            settled = timestamp - track.born >= SETTLED_AFTER
            return track.seen < self._last, not settled, _apart(found[number], track, timestamp)

        faces, owners = [], []
        sure = np.flatnonzero(scores >= SCORE_THRESHOLD).tolist()
        claims = {number: claim(number) for number in sure}
        for number in sorted(sure, key=claims.get):
            track = self._tracks[number]
            if _among(found[number], [found[owner] for owner in owners]):
                track.known, track.filter = timestamp, OneEuro()
                continue
            owners.append(number)
            track.find(points[number], timestamp)
        for number, track in enumerate(self._tracks):
            if number in owners or number not in sure:
                smooth = track.filter.smooth(track.expected(timestamp), timestamp)
                box = geometry.landmark_box(smooth)
                face = Face(track.id, box, smooth, uncertainty[number], float(scores[number]))
                faces.append(face)
        return faces


def face_score(
    predictor: Predictor, image: np.ndarray, boxes: np.ndarray
) -> tuple[Estimate, np.ndarray]:
    """The estimate for each box, and a score `(n,)` of how likely it is a face.

    The score falls from 1 to 0 as `Estimate.relative_uncertainty` rises to
    `2 * UNCERTAINTY_AT_HALF_SCORE`, and is 0 where the points do not span a face or lie far from
    the box.
    """
    estimate = predictor.estimate(image, boxes)
    score = np.clip(1 - estimate.relative_uncertainty() / (2 * UNCERTAINTY_AT_HALF_SCORE), 0, 1)
    found = geometry.landmark_box(estimate.points)
    side = boxes[:, 2:].max(axis=1, keepdims=True)
    size = found[:, 2:].max(axis=1, keepdims=True) / np.maximum(side, 1)
    moved = found[:, :2] + found[:, 2:] / 2 - boxes[:, :2] - boxes[:, 2:] / 2
    near = (np.linalg.norm(moved, axis=1, keepdims=True) < 0.6 * side) & (abs(np.log(size)) < 0.6)
    inside = (found[:, :2] < image.shape[1::-1]) & (found[:, :2] + found[:, 2:] > 0)
    return estimate, score * near[:, 0] * inside.all(axis=1)


def _share(cutoff: np.ndarray | float, elapsed: float) -> np.ndarray | float:
    """How much of the new value a first-order low-pass takes in after `elapsed` seconds."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * elapsed))


def _among(box: np.ndarray, others: list[np.ndarray]) -> bool:
    return any(overlap(box, other) >= SAME_FACE_IOU for other in others)


def _apart(box: np.ndarray, track: _Track, timestamp: float) -> float:
    """How far a box is from where a track is expected, in sides, its change of size included."""
    other = geometry.landmark_box(track.expected(timestamp))
    side = max(other[2:].max(), 1.0)
    way = np.linalg.norm(box[:2] + box[2:] / 2 - other[:2] - other[2:] / 2) / side
    return float(way + abs(np.log(max(box[2:].max(), 1.0) / side)))
