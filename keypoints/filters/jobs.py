"""A filter put on files: a picture, a folder of pictures, a video, or a camera's recording."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keypoints.atomic import replacing
from keypoints.errors import InputError
from keypoints.filters.coverage import Coverage
from keypoints.filters.engine import Filter
from keypoints.inference.detectors import Detector
from keypoints.inference.predictor import Predictor
from keypoints.inference.tracking import DETECT_EVERY, Tracker
from keypoints.media import videos
from keypoints.media.pictures import SUFFIXES, decode_picture

# Side of the smallest faces to look for in a video whose people are protected, as a share of the
# square root of a frame's area: 29 pixels in 1920 x 1080.
PROTECTED = 0.02
Progress = Callable[[int, int], None]  # of frames done and, 0 where unknown, of all frames


@dataclass
class Result:
    """What was written for one input."""

    target: Path
    width: int = 0
    height: int = 0
    rate: float = 0.0  # frames/s of a video
    seconds: float = 0.0  # length of a recording
    expected: int = 0  # frames that the input claims to have; 0: unknown
    interrupted: bool = False  # a recording was ended by Ctrl-C, not by its source
    error: InputError | None = None  # why there is no target
    coverage: Coverage = field(default_factory=Coverage)


@dataclass
class Painter:
    """What every frame goes through, whatever it comes from."""

    filter: Filter
    predictor: Predictor
    detector: Detector
    faces: int | None = None  # at most this many are drawn on; None: all
    note: Callable | None = None  # takes frame, timestamp and faces, as of `landmark_csv.writing`

    def tracker(self, *, live: bool = False) -> Tracker:
        """A tracker that has seen nothing yet; `live`: one that no frame has to wait for.

        For a filter that protects people each frame of a file is searched: a face must not be
        seen before it is followed.
        """
        every = 0.0 if self.filter.protects and not live else DETECT_EVERY
        return Tracker(
            self.predictor,
            faces=self.faces,
            detector=self.detector,
            detect_every=every,
            background=live,
        )

    def paint(
        self,
        image: np.ndarray,
        tracker: Tracker,
        number: int,
        timestamp: float,
        result: Result,
        *,
        moving: bool = True,
    ) -> np.ndarray:
        """The filtered frame; `moving`: it follows the one before. Counts it in `result`."""
        faces = tracker.update(image, timestamp)
        if self.note is not None:
            self.note(number, timestamp, faces)
        points = np.array([face.points for face in faces], np.float32).reshape(-1, 68, 2)
        ids = [face.id for face in faces] if moving else None
        result.height, result.width = image.shape[:2]
        result.coverage.add(points, tracker.ignored, timestamp)
        return self.filter.apply(image, points, ids=ids, timestamp=timestamp)


def filter_picture(path: Path, target: Path, painter: Painter, *, number: int = 0) -> Result:
    """Filter one picture file; `number` is its frame in the table of landmarks.

    Raises InputError for a target whose name is no picture's, and for a damaged picture.
    """
    import cv2

    if target.suffix.lower() not in SUFFIXES:
        raise InputError(f"{target}: a picture's name ends in {', '.join(SUFFIXES)}")
    result = Result(target, expected=1)
    image = decode_picture(path.read_bytes(), str(path))
    shown = painter.paint(image, painter.tracker(), number, 0.0, result, moving=False)
    with replacing(target) as temporary:
        cv2.imwrite(str(temporary), shown[..., ::-1])
    return result


def filter_folder(path: Path, target: Path, painter: Painter) -> Iterator[tuple[int, Result]]:
    """Filter all pictures of a folder into the folder `target`, in the order of their names.

    Yields the number of pictures in all and the result of each one; that of a damaged picture has
    an `error`, and the others are done. Raises InputError for a folder without pictures.
    """
    pictures = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    if not pictures:
        raise InputError(f"{path}: no picture in this folder; known: {', '.join(SUFFIXES)}")
    target.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        try:
            result = filter_picture(picture, target / picture.name, painter, number=number)
        except InputError as error:
            result = Result(target / picture.name, error=error)
        yield len(pictures), result


def filter_video(path: Path, target: Path, painter: Painter, progress: Progress) -> Result:
    """Filter a video frame by frame; size, frame rate and sound stay.

    Raises InputError for what is no video, and where `target` cannot be written.
    """
    video = videos.probe(path)
    result = Result(target, rate=video.rate, expected=video.count)
    tracker = painter.tracker()
    with videos.writing(target, video.width, video.height, video.rate, sound=path) as write:
        for number, (timestamp, image) in enumerate(videos.read_frames(path)):
            write(painter.paint(image, tracker, number, timestamp, result))
            progress(number + 1, result.expected)
    return result


def filter_camera(source: str, target: Path, painter: Painter, progress: Progress) -> Result:
    """Record a camera or a stream until it ends or Ctrl-C; the file plays at the true speed.

    `progress` is called with 0 frames once the camera sends. Raises InputError where it does not.
    """
    result, tracker = Result(target, interrupted=True), painter.tracker(live=True)
    frames = videos.live_frames(source)
    first = next(frames)
    height, width = first[1].shape[:2]
    progress(0, 0)
    record = videos.recording(target, width, height)
    with record as write, contextlib.suppress(KeyboardInterrupt):
        for number, (timestamp, image) in enumerate(itertools.chain([first], frames)):
            write(painter.paint(image, tracker, number, timestamp, result), timestamp)
            result.seconds = timestamp
            progress(number + 1, 0)
        result.interrupted = False
    return result
