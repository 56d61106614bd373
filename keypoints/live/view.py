"""The layers that are drawn over each frame; keys change them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from keypoints.filters import list_filters, load_filter
from keypoints.filters.coverage import Coverage
from keypoints.filters.engine import Filter
from keypoints.inference.tracking import Face
from keypoints.live.recorder import Recorder, snapshot
from keypoints.media.overlay import TRUTH, draw_axes, draw_points


@dataclass
class View:
    """The layers over the picture: a filter, the landmarks, the heads' axes."""

    filter: Filter | None
    axes: bool = False
    help: bool = False  # whether the window lists the keys
    recorder: Recorder = field(default_factory=Recorder)
    coverage: Coverage = field(default_factory=Coverage)  # of the frames with a protecting filter
    warning: str = ""  # faces that the last frame left uncovered

    def __post_init__(self) -> None:
        self.landmarks = self.filter is None

    def paint(
        self, image: np.ndarray, found: Sequence[Face], timestamp: float, *, ignored: np.ndarray
    ) -> np.ndarray:
        """The frame `(h, w, 3)` uint8 RGB to show; `image` is left as it is.

        `ignored`: boxes of faces that were seen and are not in `found`, as in `Tracker.ignored`.
        """
        shown, self.warning = image, ""
        if self.filter is not None:
            faces = np.array([face.points for face in found], np.float32).reshape(-1, 68, 2)
            ids = [face.id for face in found]
            shown = self.filter.apply(image, faces, ids=ids, timestamp=timestamp)
            if self.filter.protects:
                self.coverage.add(faces, ignored, timestamp)
                if len(ignored):
                    self.warning = f", {len(ignored)} NOT covered"
        if self.landmarks:
            for face in found:
                shown = draw_points(shown, face.points, TRUTH)
        if self.axes:
            for face in found:
                shown = draw_axes(shown, face.points, face.rotation)
        return shown

    def press(self, key: str, shown: np.ndarray) -> str | None:
        """Do the action of a key; returns a message for the user, if any.

        Raises InputError where a file cannot be written.
        """
        if key == "f":
            names = [None, *list_filters()]
            current = self.filter.spec.name if self.filter is not None else None
            place = names.index(current) + 1 if current in names else 0
            name = names[place % len(names)]
            self.filter = load_filter(name) if name is not None else None
            self.landmarks = self.filter is None
        elif key == "l":
            self.landmarks = not self.landmarks
        elif key == "a":
            self.axes = not self.axes
        elif key == "h":
            self.help = not self.help
        elif key == "s":
            return str(snapshot(shown))
        elif key == "r":
            ended = self.recorder.switch(shown)
            return None if ended is None else str(ended)
        return None
