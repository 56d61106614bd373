"""The processing of a frame: faces are followed, drawn on and counted. All loops use it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keypoints.filters.coverage import Coverage
from keypoints.filters.engine import Filter
from keypoints.filters.policy import SearchPolicy, search_policy
from keypoints.inference.detectors import DEFAULT
from keypoints.inference.predictor import Predictor
from keypoints.inference.tracking import Face, Tracker
from keypoints.media.overlay import TRUTH, draw_axes, draw_points


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
        self.axes = False
        self.coverage = Coverage()  # of the frames so far
        self._predictor, self._detector = predictor, detector
        self._max_faces, self._moving, self._live = max_faces, moving, live
        self._background = background
        self._policy: SearchPolicy | None = None  # of the tracker
        self._tracker: Tracker | None = None

    def restart(self, *, moving: bool) -> None:
        """Begin another picture or video, with a count of its own."""
        self._moving = moving
        self.forget()
        self.coverage = Coverage()

    def forget(self) -> None:
        """Begin another page: no face of those before is followed."""
        self._policy, self._tracker = None, None
        if self.filter is not None:
            self.filter.reset()

    @property
    def protects(self) -> bool:
        """Whether a privacy filter is drawn."""
        return self.filter is not None and self.filter.protects

    @property
    def ignored(self) -> np.ndarray:
        """Boxes `(n, 4)` of the faces that were seen and are not followed."""
        return np.empty((0, 4)) if self._tracker is None else self._tracker.ignored

    def find(self, image: np.ndarray, timestamp: float) -> list[Face]:
        """The faces of the next frame `(h, w, 3)` uint8 RGB, `timestamp` in seconds."""
        policy = search_policy(
            self.filter, moving=self._moving, live=self._live, max_faces=self._max_faces
        )
        if policy != self._policy:
            # A search in the background has one thread, as `Tracker` says.
            detector = policy.load(self._detector, threads=1 if self._background else None)
            if self._tracker is None:
                self._tracker = Tracker(
                    self._predictor, detector=detector, background=self._background
                )
            self._tracker.detector = detector
            self._tracker.detect_every = policy.detect_every
            self._tracker.max_faces = policy.max_faces
            self._policy = policy
        assert self._tracker is not None
        return self._tracker.update(image, timestamp)

    def count(self, faces: Sequence[Face], timestamp: float) -> None:
        """Add the frame that was searched last to `coverage`.

        A face that is not followed counts as uncovered where a privacy filter is drawn.
        """
        left = self.ignored if self.protects else np.empty((0, 4))
        self.coverage.add(_points(faces), left, timestamp)

    def draw(
        self, image: np.ndarray, faces: Sequence[Face], timestamp: float, *, moving: bool = True
    ) -> np.ndarray:
        """The frame with all that is drawn; `image` is left as it is.

        `moving`: it is the next frame of a video.
        """
        shown = image
        if self.filter is not None:
            ids = [face.id for face in faces] if moving else None
            shown = self.filter.apply(image, _points(faces), ids=ids, timestamp=timestamp)
        for face in faces if self.landmarks else ():
            shown = draw_points(shown, face.points, TRUTH)
        for face in faces if self.axes else ():
            shown = draw_axes(shown, face.points, face.rotation)
        return shown


def _points(faces: Sequence[Face]) -> np.ndarray:
    return np.array([face.points for face in faces], np.float32).reshape(-1, 68, 2)
