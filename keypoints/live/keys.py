"""What the keys of the window do."""

from dataclasses import dataclass, field

import numpy as np

from keypoints.filters import list_filters, load_filter
from keypoints.filters.pipeline import Pipeline
from keypoints.live.recorder import Recorder, snapshot

QUIT = ("q", "\x1b")  # q and Esc
HELP = "q quit   l landmarks   a axes   f filter   s snapshot   r record   h help"


@dataclass
class Keys:
    """The state that keys change: what the pipeline draws, the recording, the list of keys."""

    pipeline: Pipeline
    help: bool = False  # whether the window lists the keys
    recorder: Recorder = field(default_factory=Recorder)

    def press(self, key: str, shown: np.ndarray) -> str | None:
        """Do the action of a key; returns a message for the user, if any.

        `shown` `(h, w, 3)` uint8 RGB is the frame in the window. Raises InputError where a file
        cannot be written, and where the points have no head pose to draw.
        """
        if key == "f":
            self._next_filter()
        elif key == "l":
            self.pipeline.landmarks = not self.pipeline.landmarks
        elif key == "a":
            self.pipeline.axes = not self.pipeline.axes
        elif key == "h":
            self.help = not self.help
        elif key == "s":
            return str(snapshot(shown).absolute())
        elif key == "r":
            ended = self.recorder.switch(shown)
            return None if ended is None else str(ended.absolute())
        return None

    def _next_filter(self) -> None:
        """The next bundled filter; after the last one, the landmarks alone."""
        markup = self.pipeline.markup
        names = [None, *list_filters(markup)]
        current = self.pipeline.filter.spec.name if self.pipeline.filter is not None else None
        place = names.index(current) + 1 if current in names else 0
        name = names[place % len(names)]
        self.pipeline.filter = load_filter(name, markup) if name is not None else None
        self.pipeline.landmarks = self.pipeline.filter is None
