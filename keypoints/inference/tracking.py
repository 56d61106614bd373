"""Faces from frame to frame: boxes from the last points, ids that stay, steady points."""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from keypoints.estimate import SCORE_THRESHOLD
from keypoints.images import as_rgb
from keypoints.inference.cuts import Cuts
from keypoints.inference.detections import Detector
from keypoints.inference.detectors import MOVING, load_detector
from keypoints.inference.face import FOUND, HELD, Face
from keypoints.inference.face_search import (
    BackgroundSearch,
    Estimator,
    Search,
    overlaps_any,
    search_faces,
)
from keypoints.inference.smoothing import OneEuro, OneEuroRotation, low_pass
from keypoints.inference.upright import upright_boxes
from keypoints.pose import fit_rotation

DETECT_EVERY = 0.2  # seconds between searches for new faces
DETECT_LOST_EVERY = 0.1  # the same while a face is lost
LOST_AFTER = 0.4  # seconds that a face with a low score keeps its id
HIDDEN_FOR = 1.2  # the same for a face hidden by another one
SETTLED_AFTER = 0.3  # seconds after which a new face's id is as good as any other's
MATCH_DISTANCE = 0.8  # between a lost face and a found one, in sides of a face
VELOCITY_CUTOFF = 2.0  # hertz, of the speed by which a hidden face goes on


@dataclass(eq=False)
class _Track:
    id: int
    points: np.ndarray  # as last found, not smoothed
    seen: float  # when that was
    born: float
    known: float  # when it was last seen, or hidden by another
    filter: OneEuro
    speed: np.ndarray = field(default_factory=lambda: np.zeros(2))  # pixels a second
    turn: OneEuroRotation = field(default_factory=OneEuroRotation)

    def expected(self, timestamp: float) -> np.ndarray:
        """The points if the face goes on as it did when it was last seen."""
        return (self.points + self.speed * (timestamp - self.seen)).astype(np.float32)

    def update(self, points: np.ndarray, timestamp: float) -> None:
        elapsed = timestamp - self.seen
        if elapsed > 0:
            speed = (points - self.points).mean(axis=0) / elapsed
            self.speed = self.speed + low_pass(VELOCITY_CUTOFF, elapsed) * (speed - self.speed)
        self.points, self.seen, self.known = points, timestamp, timestamp


class Tracker:
    """Follows the faces of one video. Frames come with their times, in seconds, in order.

    A face that is lost for a moment keeps its id. When two faces cross, the one behind is not
    returned while it is hidden, and is expected where its motion leads. After a cut, and where time
    goes back because another video begins, all faces are new.

    One tracker belongs to one video and one thread; trackers in several threads may share a
    predictor and a detector.
    """

    def __init__(
        self,
        predictor: Estimator,
        *,
        max_faces: int | None = None,
        detector: Detector | None = None,
        detect_every: float = DETECT_EVERY,
        background: bool = False,
        smooth: bool = True,
    ):
        """`max_faces`: at most this many are followed; None: all of them. `detect_every`: seconds
        between searches for new faces; 0: in every frame. These, and `detector`, may change between
        frames.

        `background`: search for new faces in a thread of its own, on the newest frame when it is
        free, so that no frame waits for the detector: for live video. Its result is used a few
        frames later, where the face has moved to. Otherwise the same frames always give the same
        faces. A detector for the background should compute with one thread, as the default one
        does: further threads would have the priority of the frames. `smooth`: points and rotations
        are low-passed, which is all that is possible while the next frames are not known.
        """
        self.max_faces = max_faces
        self.detect_every = detect_every
        # Boxes (n, 4) that the detector found in the last search and that are not followed: those
        # in which no points were found, and those beyond `max_faces`.
        self.unsure = self.left = np.empty((0, 4), np.float32)
        self.shot = 0  # counts the cuts and the videos so far
        self._predictor = predictor
        self.markup = predictor.markup
        if detector is None:
            threads = 1 if background else None
            detector = load_detector(smallest=MOVING, rotations=False, threads=threads)
        self.detector = detector
        self._background = BackgroundSearch() if background else None
        self._tracks: list[_Track] = []
        self._next_id = 0
        self._searched = self._last = -np.inf  # times of the last search, and frame
        self._smooth = smooth
        self._cuts = Cuts()

    def update(self, image: np.ndarray, timestamp: float) -> list[Face]:
        """The faces of the next frame `(h, w, 3)`, oldest first."""
        image = as_rgb(image)
        if self._cuts.is_cut(image) or timestamp < self._last:
            self._forget()
        search = None if self._background is None else self._background.take()
        if search is not None:
            self._merge(search)
        visible = self._visible()
        pause = self.detect_every
        if len(visible) < len(self._tracks):
            pause = min(pause, DETECT_LOST_EVERY)
        due = timestamp - self._searched >= pause - 1e-6 or not self._tracks
        if due and (self._background is None or self._background.pending is None):
            known = [self.markup.face_boxes(track.points) for track in visible]
            limit = None if self.max_faces is None else max(self.max_faces - len(visible), 0)
            begin = partial(search_faces, self.detector, self._predictor)
            if self._background is None:
                self._merge(begin(image, timestamp, known, limit))
            else:
                frame = image.copy()  # the caller may reuse its own
                self._background.start(partial(begin, frame, timestamp, known, limit))
            self._searched = timestamp
        faces = self._follow(image, timestamp)
        self._tracks = [
            track
            for track in self._tracks
            if timestamp - track.known <= LOST_AFTER and timestamp - track.seen <= HIDDEN_FOR
        ]
        self._last = timestamp
        alive = {track.id for track in self._tracks}
        return [face for face in faces if face.id in alive]

    def _forget(self) -> None:
        """Begin another shot or video: no face of those before is in it."""
        self.shot += 1
        self.unsure = self.left = np.empty((0, 4), np.float32)
        self._tracks = []
        if self._background is not None:
            self._background.pending = None
        self._searched = self._last = -np.inf

    def _visible(self) -> list[_Track]:
        """The tracks that were found in the last frame."""
        return [track for track in self._tracks if track.seen >= self._last]

    def _merge(self, search: Search) -> None:
        """Follow the faces of a search: lost ones under their old id, and new ones."""
        then = search.timestamp
        visible = self._visible()
        known = [self.markup.face_boxes(track.expected(then)) for track in visible]
        lost = [track for track in self._tracks if track not in visible]
        left = list(search.left)
        for points in search.faces:
            box = self.markup.face_boxes(points)
            if overlaps_any(box, known):
                continue
            known.append(box)
            apart = [_distance(box, self.markup.face_boxes(track.expected(then))) for track in lost]
            if lost and min(apart) < MATCH_DISTANCE:
                track = lost.pop(int(np.argmin(apart)))
                track.update(points, then)
                track.filter = OneEuro(self.markup)
            elif self.max_faces is None or len(self._tracks) < self.max_faces:
                smooth = OneEuro(self.markup)
                self._tracks.append(_Track(self._next_id, points, then, then, then, smooth))
                self._next_id += 1
            else:
                left.append(box)
        followed = [self.markup.face_boxes(track.expected(then)) for track in self._tracks]
        self.unsure, self.left = (
            np.array([box for box in boxes if not overlaps_any(box, followed)], "f4").reshape(-1, 4)
            for boxes in (search.unsure, left)
        )

    def _follow(self, image: np.ndarray, timestamp: float) -> list[Face]:
        """Crop every face where it is expected; returns those that are not hidden."""
        if not self._tracks:
            return []
        expected = np.stack([track.expected(timestamp) for track in self._tracks])
        boxes, rolls = upright_boxes(expected, self.markup)
        there = self.markup.face_boxes(expected)
        estimate = self._predictor.estimate(image, boxes, rolls)
        points, uncertainty, scores = estimate.points, estimate.uncertainty, estimate.scores
        found = self.markup.face_boxes(points)

        def claim(number: int) -> tuple:
            """How weak a track's claim to its face is, if another one found the same face."""
            track = self._tracks[number]
            settled = timestamp - track.born >= SETTLED_AFTER
            return track.seen < self._last, not settled, _distance(found[number], there[number])

        faces: list[Face] = []
        owners: list[int] = []
        sure = np.flatnonzero(scores >= SCORE_THRESHOLD).tolist()
        claims = {number: claim(number) for number in sure}
        for number in sorted(sure, key=lambda number: claims[number]):
            track = self._tracks[number]
            if overlaps_any(found[number], [found[owner] for owner in owners]):
                track.known, track.filter = timestamp, OneEuro(self.markup)
                continue
            owners.append(number)
            track.update(points[number], timestamp)
        for number, track in enumerate(self._tracks):
            if number in owners or number not in sure:
                shown = track.expected(timestamp)
                if self._smooth:
                    shown = track.filter.smooth(shown, timestamp)
                rotation = fit_rotation(shown, self.markup)[0]
                if self._smooth:
                    rotation = track.turn.smooth(rotation, timestamp)
                box, score = self.markup.face_boxes(shown), float(scores[number])
                origin = FOUND if number in owners else HELD
                face = Face(track.id, box, shown, uncertainty[number], score, rotation, origin)
                faces.append(replace(face, markup=self.markup))
        return faces


def _distance(box: np.ndarray, other: np.ndarray) -> float:
    """How far a box is from another, in sides of that one, the change of size included."""
    side = max(other[2:].max(), 1.0)
    moved = np.linalg.norm(box[:2] + box[2:] / 2 - other[:2] - other[2:] / 2) / side
    return float(moved + abs(np.log(max(box[2:].max(), 1.0) / side)))
