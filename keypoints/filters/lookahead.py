"""The faces of a file, of which the next frames are known: two passes, a moment apart.

The first pass finds and follows faces a moment ahead of the second, which draws. So points are
smoothed from both sides, and a privacy filter covers a face before it was first found and after it
was last found, as long as its pixels can be followed; nothing is followed over a cut.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from keypoints import geometry
from keypoints.filters.following import follow, patch
from keypoints.filters.pipeline import BOX, FOLLOWED, LEFT, Pipeline, boxed_face
from keypoints.inference.detections import overlap
from keypoints.inference.face import FOUND, HELD, Face
from keypoints.inference.smoothing import REACH, two_sided_at
from keypoints.pose import fit_rotation

FOLLOW = 2.0  # seconds for which a face is followed by its pixels before and after it was found
HOLD = 0.5  # the same where they cannot be followed, or look like something else by now
LIKENESS = 0.3  # correlation with the face as it was found, below which they look so
UNSURE = 0.3  # the same before and after a box that no points were found in, and that came and went
MOST = 500  # frames that the first pass is ahead: times of damaged files may stand still
SIDE = 480  # long side of the pictures in which faces are followed, pixels
SAME = 0.2  # overlap from which on a box is where a face is expected
COVERED = 0.5  # overlap from which on a box is covered with another
# What tells where a face is that was not found: its pixels, followed on from where it was last
# found or back from where it was first found, or the line between two places where it was. They
# may differ, so each is covered; what lies between them is not.
ON, BACK, BETWEEN = "on", "back", "between"


@dataclass(eq=False)
class _Frame:
    """A frame of the first pass."""

    timestamp: float
    shot: int
    size: np.ndarray  # (2,) width and height, pixels
    small: np.ndarray  # gray, `SIDE` at most
    faces: list[Face]
    followed: dict[tuple[int, str], np.ndarray] = field(default_factory=dict)
    """Boxes by the trail's number and by what told them: `ON`, `BACK` or `BETWEEN`."""


@dataclass(eq=False)
class _Trail:
    """One face through a shot, found or not."""

    number: int
    id: int  # of the tracker; -1: none
    box: np.ndarray  # in the last frame
    first: _Frame  # in which it was found
    first_box: np.ndarray  # there
    last: _Frame  # in which it was found
    last_box: np.ndarray  # there
    sure: bool  # whether points were found in it, or its box stayed for `UNSURE` seconds
    look: np.ndarray  # `patch` of the face as it was last found
    lost: bool = False  # whether its pixels could not be followed
    unlike: bool = False  # whether they look like something else
    speed: np.ndarray = field(default_factory=lambda: np.zeros(2))  # pixels a second


def lookahead(
    frames: Iterable[tuple[float, np.ndarray]], pipeline: Pipeline
) -> Iterator[list[Face]]:
    """The faces of each of `frames`, times in seconds and `(h, w, 3)` uint8 RGB, in order.

    They are known when the frames of the next moment have been read. Beside those of
    `Pipeline.find` there are `FOLLOWED` ones while a privacy filter is drawn. Ctrl-C ends the
    reading: the faces of the frames so far are yielded before KeyboardInterrupt is raised.
    """
    window: deque[_Frame] = deque()
    trails = _Trails(window)
    waiting, interrupt = 0, None  # the number of frames at the end that are not yielded yet
    reader = iter(frames)
    while True:
        try:
            frame = _read(reader, pipeline)
        except KeyboardInterrupt as error:
            frame, interrupt = None, error
        if frame is None:
            break
        window.append(frame)
        if pipeline.protects:
            trails.add(frame)
        waiting += 1
        while waiting > MOST or frame.timestamp - window[-waiting].timestamp > max(FOLLOW, REACH):
            yield _settled(window, len(window) - waiting, pipeline)
            waiting -= 1
        while len(window) > 2 * MOST or window[0].timestamp < window[-waiting].timestamp - REACH:
            window.popleft()
    while waiting:
        yield _settled(window, len(window) - waiting, pipeline)
        waiting -= 1
    if interrupt is not None:
        raise interrupt


def _read(reader: Iterator[tuple[float, np.ndarray]], pipeline: Pipeline) -> _Frame | None:
    timestamp, image = next(reader, (0.0, None))
    if image is None:
        return None
    faces = pipeline.find(image, timestamp)
    size = np.array(image.shape[1::-1])
    small = np.maximum(np.rint(size * min(SIDE / size.max(), 1)), 1).astype(int).tolist()
    gray = cv2.cvtColor(cv2.resize(image, small, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    return _Frame(timestamp, pipeline.shot, size, gray, faces)


def _settled(window: deque[_Frame], place: int, pipeline: Pipeline) -> list[Face]:
    """The faces of a frame when those of the next moment are known."""
    frame = window[place]
    faces = []
    for face in frame.faces:
        if face.origin == FOUND:
            faces.append(_smoothed(face, window, frame))
        elif face.origin in (BOX, LEFT):
            faces.append(face)
        elif not pipeline.protects:  # else its trail covers it
            faces += _bridged(face, window, frame)
    boxes = [face.box for face in faces]
    for box in frame.followed.values():
        if not any(overlap(box, other) >= COVERED for other in boxes):
            faces.append(boxed_face(box.astype(np.float32), FOLLOWED, markup=pipeline.markup))
    return faces


def _same(face: Face, window: Iterable[_Frame], frame: _Frame) -> list[tuple[float, np.ndarray]]:
    """Times and points of the frames of a shot in which a face was found."""
    return [
        (other.timestamp, one.points)
        for other in window
        if other.shot == frame.shot
        for one in other.faces
        if one.id == face.id and one.origin == FOUND
    ]


def _smoothed(face: Face, window: Iterable[_Frame], frame: _Frame) -> Face:
    times, points = zip(*_same(face, window, frame))
    index = times.index(frame.timestamp)
    smooth = two_sided_at(np.array(times), np.array(points), index, face.markup)
    return _moved(face, smooth)


def _moved(face: Face, points: np.ndarray) -> Face:
    """The face with other points `(k, 2)`."""
    box, rotation = face.markup.face_boxes(points), fit_rotation(points, face.markup)[0]
    return replace(face, points=points, box=box, rotation=rotation)


def _bridged(face: Face, window: Iterable[_Frame], frame: _Frame) -> list[Face]:
    """A face that is lost for a moment, between where it was and where it is found again."""
    known = _same(face, window, frame)
    before = [pair for pair in known if pair[0] < frame.timestamp]
    after = [pair for pair in known if pair[0] > frame.timestamp]
    if not before or not after:
        return []  # it does not come back
    (start, old), (end, new) = before[-1], after[0]
    share = (frame.timestamp - start) / (end - start)
    points = (old + share * (new - old)).astype(np.float32)
    return [replace(_moved(face, points), origin=HELD)]


class _Trails:
    """Follows all faces by their pixels through the frames of `window`, to its end and back."""

    def __init__(self, window: deque[_Frame]) -> None:
        self._window = window
        self._trails: list[_Trail] = []
        self._count = 0

    def add(self, frame: _Frame) -> None:
        """Take the faces of the frame that was just added to the window."""
        before = self._window[-2] if len(self._window) > 1 else None
        if before is None or before.shot != frame.shot:
            self._trails = []
        seen = [face for face in frame.faces if face.origin in (FOUND, BOX)]
        by_id = {trail.id: trail for trail in self._trails if trail.id >= 0}
        missing = list(self._trails)
        rest = []
        for face in seen:
            trail = by_id.get(face.id)
            if trail is not None:
                missing.remove(trail)
                self._find(trail, face, frame)
            else:
                rest.append(face)
        for trail in missing:
            assert before is not None  # there were no trails else
            self._move(trail, before, frame)
        for face in rest:
            apart = [float(overlap(face.box, trail.box)) for trail in missing]
            if apart and max(apart) >= SAME:
                self._find(missing.pop(int(np.argmax(apart))), face, frame)
            else:
                self._begin(face, frame)
        self._trails = [trail for trail in self._trails if self._goes_on(trail, frame)]
        for trail in missing:
            if trail in self._trails:
                frame.followed[trail.number, ON] = trail.box

    def _begin(self, face: Face, frame: _Frame) -> None:
        box = np.asarray(face.box, np.float64)
        sure, look = face.origin == FOUND, _look(frame, box)
        trail = _Trail(self._count, face.id, box, frame, box, frame, box, sure, look)
        self._count += 1
        self._trails.append(trail)
        self._follow_back(trail)

    def _find(self, trail: _Trail, face: Face, frame: _Frame) -> None:
        """A trail goes on with a face that was found; a gap before it is filled."""
        box = np.asarray(face.box, np.float64)
        elapsed = frame.timestamp - trail.last.timestamp
        for other in self._window:
            if trail.last.timestamp < other.timestamp < frame.timestamp:
                share = (other.timestamp - trail.last.timestamp) / elapsed
                line = trail.last_box + share * (box - trail.last_box)
                other.followed[trail.number, BETWEEN] = line
        if face.origin == FOUND and elapsed > 0:
            moved = box[:2] + box[2:] / 2 - trail.last_box[:2] - trail.last_box[2:] / 2
            trail.speed = trail.speed + (moved / elapsed - trail.speed) / 2
        trail.box = trail.last_box = box
        trail.last, trail.look = frame, _look(frame, box)
        trail.lost = trail.unlike = False
        trail.id = face.id if face.id >= 0 else trail.id
        stays = frame.timestamp - trail.first.timestamp >= UNSURE
        if (face.origin == FOUND or stays) and not trail.sure:
            trail.sure = True
            self._follow_back(trail)

    def _move(self, trail: _Trail, before: _Frame, frame: _Frame) -> None:
        """Follow a trail to the next frame; where its pixels are lost it goes on as it moved."""
        moved = None if trail.lost else _followed(trail.box, before, frame)
        if moved is None:
            trail.lost = True
            step = trail.speed * (frame.timestamp - before.timestamp)
            moved = trail.box + np.concatenate([step, [0, 0]])
        trail.box = moved
        trail.unlike |= float((_look(frame, moved) * trail.look).sum()) < LIKENESS

    def _goes_on(self, trail: _Trail, frame: _Frame) -> bool:
        away = frame.timestamp - trail.last.timestamp
        inside = (trail.box[:2] < frame.size).all() and (trail.box[:2] + trail.box[2:] > 0).all()
        return bool(inside) and away <= _limit(trail.sure, trail.lost or trail.unlike)

    def _follow_back(self, trail: _Trail) -> None:
        """Cover a face in the frames before it was first found."""
        frames = [f for f in self._window if f.timestamp <= trail.first.timestamp]
        box, lost, unlike = trail.first_box, False, False
        look = _look(trail.first, box)
        for after, before in zip(frames[::-1], frames[-2::-1]):
            away = trail.first.timestamp - before.timestamp
            if before.shot != after.shot or away > _limit(trail.sure, lost or unlike):
                return
            moved = None if lost else _followed(box, after, before)
            lost = moved is None
            box = box if moved is None else moved
            unlike |= float((_look(before, box) * look).sum()) < LIKENESS
            before.followed[trail.number, BACK] = box


def _limit(sure: bool, doubtful: bool) -> float:
    """Seconds for which a trail goes on without a face."""
    if not sure:
        return UNSURE
    return HOLD if doubtful else FOLLOW


def _look(frame: _Frame, box: np.ndarray) -> np.ndarray:
    return patch(frame.small, _shrunk(box, frame))


def _shrunk(box: np.ndarray, frame: _Frame) -> np.ndarray:
    """A box of a frame in its small picture."""
    return geometry.scaled_boxes(box, frame.small.shape[1::-1] / frame.size)


def _followed(box: np.ndarray, before: _Frame, after: _Frame) -> np.ndarray | None:
    """`follow` from one frame to another, in their full size."""
    if before.small.shape != after.small.shape:
        return None
    moved = follow(before.small, after.small, _shrunk(box, before))
    if moved is None:
        return None
    return geometry.scaled_boxes(moved, after.size / after.small.shape[1::-1])
