"""The processing of a frame: faces are followed, drawn on and counted. All loops use it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keypoints.errors import InputError
from keypoints.filters.coverage import Coverage
from keypoints.filters.engine import HOLD, Filter
from keypoints.filters.policy import SearchPolicy, search_policy
from keypoints.inference.detectors import DEFAULT
from keypoints.inference.face import FOUND, Face
from keypoints.inference.predictor import Predictor
from keypoints.inference.tracking import Tracker
from keypoints.markup import IBUG68, Markup
from keypoints.media.overlay import TRUTH, draw_axes, draw_points

# How a face without points came about, beside those of `tracking`: it is a box of the detector,
# such a box beyond `max_faces`, which is left as it is, or it was followed by its pixels.
BOX, LEFT, FOLLOWED = "box", "left", "followed"


class Pipeline:
    """Follows the faces of one video, or finds those of one picture, and draws on them.

    `filter`, `landmarks` and `axes` say what is drawn; they may change between frames.
    """

    def __init__(
        self,
        predictor: Predictor,
        filter: Filter | None = None,
        *,
        detector: str | Path = DEFAULT,
        max_faces: int | None = None,
        moving: bool = True,
        live: bool = False,
        background: bool = False,
    ) -> None:
        """`moving`, `live` and `max_faces` as in `search_policy`; `background`: no frame waits for
        the search, as in `Tracker`."""
        self.filter = filter
        self.landmarks = filter is None
        self._axes = False
        self.coverage = Coverage()  # of the frames so far
        self._predictor, self._detector = predictor, detector
        self._max_faces, self._moving, self._live = max_faces, moving, live
        self._background, self._ahead = background, False
        self._policy: SearchPolicy | None = None  # of the tracker
        self._tracker: Tracker | None = None

    def restart(self, *, moving: bool, ahead: bool = False) -> None:
        """Begin another picture or video, with a count of its own.

        `ahead`: `lookahead` smooths and follows its faces, since the next frames are known.
        """
        self._moving, self._ahead = moving, ahead
        self.forget()
        self.coverage = Coverage()

    def forget(self) -> None:
        """Begin another page: no face of those before is followed."""
        self._policy, self._tracker = None, None
        if self.filter is not None:
            self.filter.reset()

    @property
    def markup(self) -> Markup:
        """What the points of the faces mean."""
        return self._predictor.markup

    @property
    def axes(self) -> bool:
        """Whether head axes are drawn; setting it raises InputError for points without a pose."""
        return self._axes

    @axes.setter
    def axes(self, drawn: bool) -> None:
        if drawn and self.markup.rigid is None:
            raise InputError(
                "head axes need a head pose: the points of ibug68, or the role rigid with mean and "
                f"depth, which the markup {self.markup.name} does not have"
            )
        self._axes = drawn

    @property
    def protects(self) -> bool:
        """Whether a privacy filter is drawn."""
        return self.filter is not None and self.filter.protects

    @property
    def shot(self) -> int:
        """A number that changes with each cut."""
        return 0 if self._tracker is None else self._tracker.shot

    def find(self, image: np.ndarray, timestamp: float) -> list[Face]:
        """The faces of the next frame `(h, w, 3)` uint8 RGB, `timestamp` in seconds.

        While a privacy filter is drawn, these are followed by all other boxes of the detector,
        each as a face without points: `BOX`, which is covered too, and `LEFT`, which is not.
        """
        policy = search_policy(
            self.filter, moving=self._moving, live=self._live, max_faces=self._max_faces
        )
        if policy != self._policy:
            # A search in the background has one thread, as `Tracker` says.
            detector = policy.load(self._detector, threads=1 if self._background else None)
            if self._tracker is None:
                self._tracker = Tracker(
                    self._predictor,
                    detector=detector,
                    background=self._background,
                    smooth=not self._ahead,
                )
            self._tracker.detector = detector
            self._tracker.detect_every = policy.detect_every
            self._tracker.max_faces = policy.max_faces
            self._policy = policy
        assert self._tracker is not None
        faces = self._tracker.update(image, timestamp)
        if self.protects:
            faces += [boxed_face(box, BOX, markup=self.markup) for box in self._tracker.unsure]
            faces += [boxed_face(box, LEFT, markup=self.markup) for box in self._tracker.left]
        return faces

    def count(self, faces: Sequence[Face], timestamp: float) -> None:
        """Add the faces of a frame, as from `find`, to `coverage`."""
        left = [face.box for face in faces if face.origin == LEFT]
        drawn = sum(map(_forms_face, faces))
        self.coverage.add(len(faces) - len(left) if self.protects else drawn, left, timestamp)

    def draw(
        self, image: np.ndarray, faces: Sequence[Face], timestamp: float, *, moving: bool = True
    ) -> np.ndarray:
        """The frame with all that is drawn on `faces`, as from `find`; `image` is left as it is.

        Nothing but blur and squares is drawn where no points were found. `moving`: it is the next
        frame of a video.
        """
        shown = image
        whole = [face for face in faces if _forms_face(face)]
        if self.filter is not None:
            shown = self.filter.apply(
                image,
                [face.points for face in whole],
                boxes=[f.box for f in faces if not _forms_face(f) and f.origin != LEFT],
                ids=[face.id for face in whole] if moving else None,
                timestamp=timestamp,
                hold=0.0 if self._ahead else HOLD,
            )
        for face in whole if self.landmarks else ():
            shown = draw_points(shown, face.points, TRUTH, markup=face.markup)
        for face in whole if self.axes else ():
            shown = draw_axes(shown, face.points, face.rotation, face.markup)
        return shown


def boxed_face(box: np.ndarray, origin: str, id: int = -1, *, markup: Markup = IBUG68) -> Face:
    """A face of which no more than its box `(4,)` is known; `id` is -1 if nobody follows it."""
    points = np.full((markup.count, 2), np.nan, "f4")
    return Face(id, box, points, points[:, 0], 0.0, np.full((3, 3), np.nan), origin, markup=markup)


def _forms_face(face: Face) -> bool:
    """Whether points were found in this frame, and form a face, as far as a pose can tell."""
    known = face.rotation if face.markup.rigid is not None else face.points
    return face.origin == FOUND and bool(np.isfinite(known).all())
