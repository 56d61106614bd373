"""How faces are searched for: one rule for every command that draws."""

from dataclasses import dataclass
from pathlib import Path

from keypoints.filters.engine import Filter
from keypoints.inference import detectors
from keypoints.inference.detections import Detector
from keypoints.inference.tracking import DETECT_EVERY

# Smallest face side to search for with a privacy filter, as a fraction of the square root of a
# frame's area: 29 pixels in 1920 x 1080.
PROTECTED = 0.02
LIVE_FACES = 4  # faces that are followed in a live picture: more would delay each frame


@dataclass(frozen=True)
class SearchPolicy:
    """Which faces are looked for, and when."""

    smallest: float  # side of the smallest faces, as in `load_detector`
    rotations: bool  # whether turned pictures are searched too, as in `load_detector`
    detect_every: float  # seconds between searches in a video; 0: every frame
    max_faces: int | None  # at most this many are followed; None: all of them

    def load(self, detector: str | Path, *, threads: int | None = None) -> Detector:
        """The detector of that name for this search; `threads` as in `load_detector`."""
        return detectors.load_detector(
            detector, smallest=self.smallest, rotations=self.rotations, threads=threads
        )


def search_policy(
    filter: Filter | None,
    *,
    moving: bool,
    live: bool = False,
    max_faces: int | None = None,
) -> SearchPolicy:
    """The search for what is drawn with `filter`: a privacy filter must see every face.

    With one, small faces are searched for and every frame is. `moving`: frames of a video or a
    camera, not pictures. `live`: frames are shown as they come, so that without a privacy filter
    only `LIVE_FACES` are followed, unless the user says `max_faces`.
    """
    protects = filter is not None and filter.protects
    smallest = detectors.MOVING if moving else detectors.STILL
    if protects:
        smallest = min(smallest, PROTECTED)
    elif live and max_faces is None:
        max_faces = LIVE_FACES
    return SearchPolicy(
        smallest=smallest,
        rotations=not moving,
        detect_every=0.0 if protects else DETECT_EVERY,
        max_faces=max_faces,
    )
