"""Filters on files: a picture, a folder of pictures, a video, or the recording of a camera."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keypoints.errors import InputError
from keypoints.filters.coverage import Coverage
from keypoints.filters.engine import Filter
from keypoints.inference.detections import Detector
from keypoints.inference.predictor import Predictor
from keypoints.inference.tracking import DETECT_EVERY, Face, Tracker
from keypoints.media import cameras, pictures, videos
from keypoints.media.pictures import SUFFIXES

# Smallest face side to search for in a video with a privacy filter, as a fraction of the square
# root of a frame's area: 29 pixels in 1920 x 1080.
PROTECTED = 0.02
Progress = Callable[[int, int], None]  # of frames done and, 0 where unknown, of all frames


@dataclass
class Result:
    """What was written for one input."""

    target: Path
    width: int = 0
    height: int = 0
    rate: float = 0.0  # frames/s of a video, on average
    seconds: float = 0.0  # time of the last frame of a video or recording
    frames: int = 0  # written, of a video or recording
    expected: int = 0  # frames according to the input; 0: unknown
    interrupted: bool = False  # whether Ctrl-C ended a video or recording
    notes: list[str] = field(default_factory=list)  # losses, one line each
    error: InputError | None = None  # the reason why there is no target
    coverage: Coverage = field(default_factory=Coverage)


@dataclass
class Painter:
    """The processing of a frame, for all kinds of input."""

    filter: Filter
    predictor: Predictor
    detector: Detector
    faces: int | None = None  # at most this many are drawn on; None: all
    note: Callable | None = None  # takes frame, timestamp and faces, as in `landmark_csv.writing`

    def tracker(self, *, live: bool = False) -> Tracker:
        """A new tracker; `live`: frames do not wait for the detector.

        With a privacy filter the detector runs on every frame of a file: a face must not be visible
        before it is followed.
        """
        every = 0.0 if self.filter.protects and not live else DETECT_EVERY
        return Tracker(
            self.predictor,
            faces=self.faces,
            detector=self.detector,
            detect_every=every,
            background=live,
        )

    def find(
        self, image: np.ndarray, tracker: Tracker, number: int, timestamp: float, result: Result
    ) -> list[Face]:
        """The faces of a frame; they are added to the table and counted in `result`."""
        faces = tracker.update(image, timestamp)
        if self.note is not None:
            self.note(number, timestamp, faces)
        result.height, result.width = image.shape[:2]
        result.coverage.add(_points(faces), tracker.ignored, timestamp)
        return faces

    def draw(
        self, image: np.ndarray, faces: Sequence[Face], timestamp: float, *, moving: bool = True
    ) -> np.ndarray:
        """The filtered frame; `moving`: it is the next frame of a video."""
        ids = [face.id for face in faces] if moving else None
        return self.filter.apply(image, _points(faces), ids=ids, timestamp=timestamp)

    def paint(
        self, image: np.ndarray, tracker: Tracker, number: int, timestamp: float, result: Result
    ) -> np.ndarray:
        """The filtered frame of a video."""
        faces = self.find(image, tracker, number, timestamp, result)
        return self.draw(image, faces, timestamp)


def _points(faces: Sequence[Face]) -> np.ndarray:
    return np.array([face.points for face in faces], np.float32).reshape(-1, 68, 2)


def filter_picture(
    path: Path, target: Path, painter: Painter, *, number: int = 0, quality: str = "high"
) -> Result:
    """Filter every frame or page of a picture file; `pictures.save` says what is kept.

    `number` is the first frame's in the table of landmarks. Raises InputError for a target whose
    name is no picture's or that cannot be written, and for a damaged picture.
    """
    pictures.format_of(target)
    picture = pictures.open_picture(path)
    result, tracker = Result(target, expected=picture.count), painter.tracker()
    seconds, painted = 0.0, []
    for index, still in enumerate(picture.stills()):
        if not picture.animated:
            tracker = painter.tracker()
        faces = painter.find(still.rgb(), tracker, number + index, seconds, result)
        draw = functools.partial(
            painter.draw, faces=faces, timestamp=seconds, moving=picture.animated
        )
        painted.append(still.painted(draw))
        seconds += still.seconds
    notes = pictures.save(target, painted, source=picture, quality=quality)
    result.notes = picture.notes + notes
    return result


def folder_pictures(path: Path, target: Path) -> list[tuple[Path, Path]]:
    """The pictures of a folder by their names, and the file in `target` for each.

    Hidden files are skipped. Raises InputError for a folder that has no pictures or cannot be read.
    """
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    known = [p for p in entries if pictures.is_picture(p) and not p.name.startswith(".")]
    if not known:
        raise InputError(f"{path}: no picture in this folder; known: {', '.join(SUFFIXES)}")
    return [(p, target / pictures.writable_name(p.name)) for p in known]


def filter_folder(
    pairs: Sequence[tuple[Path, Path]], painter: Painter, *, quality: str = "high"
) -> Iterator[Result]:
    """Filter pictures; `pairs` of a picture and its output as from `folder_pictures`.

    Yields the result of each one; that of a picture that cannot be read or written has an `error`,
    and the others are done. Raises InputError where the folder of the files cannot be made.
    """
    number = 0
    for picture, target in pairs:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write {target.parent}: {error.strerror or error}") from None
        try:
            result = filter_picture(picture, target, painter, number=number, quality=quality)
        except InputError as error:
            result = Result(target, error=error)
        number += max(result.coverage.frames, 1)
        yield result


def filter_video(
    source: Path | str,
    target: Path,
    painter: Painter,
    progress: Progress,
    *,
    quality: str = "high",
) -> Result:
    """Filter a video, a file or an http URL, frame by frame; `videos.rewriting` says what is kept.

    Ctrl-C ends the video there; the file is whole, and the result says `interrupted`. Raises
    InputError for what is no video, and where `target` cannot be written.
    """
    result, tracker = Result(target), painter.tracker()
    written = 0
    try:
        with videos.rewriting(source, target, quality=quality) as frames:
            result.rate, result.expected = frames.video.rate, frames.video.count
            for number, (timestamp, image) in enumerate(frames):
                frames.write(painter.paint(image, tracker, number, timestamp, result))
                written, result.seconds = frames.written, timestamp
                progress(written, result.expected)
    except KeyboardInterrupt:
        if not written:
            raise
        result.interrupted = True
    result.frames, result.notes = written, frames.notes
    return result


def filter_camera(
    source: str, target: Path, painter: Painter, progress: Progress, *, quality: str = "high"
) -> Result:
    """Record a camera or a stream until it ends, fails or Ctrl-C; the file plays at the true speed.

    `progress` is called with 0 frames when the camera starts. Raises InputError if it does not.
    """
    result, tracker = Result(target), painter.tracker(live=True)
    frames = cameras.live_frames(source)
    first = next(frames)
    height, width = first[1].shape[:2]
    progress(0, 0)
    with videos.recording(target, width, height, quality=quality) as write:
        try:
            for number, (timestamp, image) in enumerate(itertools.chain([first], frames)):
                write(painter.paint(image, tracker, number, timestamp, result), timestamp)
                result.frames, result.seconds = number + 1, timestamp
                progress(number + 1, 0)
        except KeyboardInterrupt:
            result.interrupted = True
        except InputError as error:
            if not result.frames:
                raise
            result.notes.append(str(error))
    return result
