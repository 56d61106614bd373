"""Put a face filter on a picture, a folder, a video or a camera: `python -m tools.filter INPUT`."""

import contextlib
import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keypoints.errors import InputError
from keypoints.pretrained import DEFAULT

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def filter(
    input: str | None = None,
    *,
    filter: str = "sunglasses",
    output: str | None = None,
    model: str = DEFAULT,
    points: str | None = None,
    detector: str = "haar",
) -> None:
    """Draw a filter on every face; size and frame rate stay, and sound where ffmpeg is installed.

    A camera is recorded until Ctrl-C.

    Args:
        input: a picture, a folder of pictures, a video, the number of a camera or a stream's URL
        filter: name of a filter, a folder with one of your own, or list to see them all
        output: file, or folder for a folder; beside the input with the filter's name unless given
        model: pretrained, pretrained-small (quicker), a run folder or an export
        points: CSV file to write box, score and 68 points of every face in every frame to
        detector: haar (comes with OpenCV), yunet (a download), or the path of YuNet's .onnx file
    """
    if str(filter) == "list":
        list_filters(input, output, model, str(detector))
        return
    if input is None:
        raise InputError("INPUT is missing: a picture, a folder, a video or a camera's number")

    from keypoints.filters import load_filter

    source = Path(str(input))
    live = "://" in str(input) or (str(input).isdigit() and not source.exists())
    job = filter_camera if live else choose_job(source)
    draw = load_filter(str(filter))
    name = f"camera-{draw.spec.name}.mp4" if live else beside(source, draw.spec.name)
    target = Path(str(output)) if output is not None else Path(name)
    if not live and target.resolve() == source.resolve():
        raise InputError(f"--output={target}: would replace the input; give another name")
    with contextlib.ExitStack() as stack:
        note = None
        if points is not None:
            from keypoints.media import landmark_csv

            note = stack.enter_context(landmark_csv.writing(Path(str(points))))
        painter = Painter(draw, load_tracker(model, str(detector)), note)
        job(str(input) if live else source, target, painter)


@dataclass
class Painter:
    """What every kind of input goes through."""

    draw: Any  # a filter
    open_tracker: Callable[[], Any]  # a tracker without a past
    note: Callable | None  # takes frame, timestamp and faces

    def paint(
        self, image: Any, tracker: Any, number: int, timestamp: float, *, moving: bool = True
    ) -> tuple[Any, int]:
        """The filtered frame and how many faces it has; `moving`: it follows the one before."""
        import numpy as np

        faces = tracker.update(image, timestamp)
        if self.note is not None:
            self.note(number, timestamp, faces)
        points = np.array([face.points for face in faces], np.float32).reshape(-1, 68, 2)
        ids = [face.id for face in faces] if moving else None
        return self.draw.apply(image, points, ids=ids, timestamp=timestamp), len(faces)


def load_tracker(model: str, detector: str) -> Callable[[], Any]:
    """A function that makes trackers; the network is loaded once."""
    from keypoints.inference.detectors import load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.inference.tracking import Tracker

    finder = load_detector(detector)
    predictor = Predictor.load(str(model))
    return lambda: Tracker(predictor, detector=finder)


def choose_job(path: Path) -> Callable[[Path, Path, Painter], None]:
    """What to do with a path; raises InputError where nothing can be done with it."""
    from keypoints.media.videos import SUFFIXES

    suffix = path.suffix.lower()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir():
        return filter_folder
    if suffix in SUFFIXES:
        return filter_video
    if suffix in PICTURES:
        return filter_picture
    known = ", ".join(PICTURES + SUFFIXES)
    raise InputError(f"{path}: neither a picture nor a video by its name; known: {known}")


def beside(path: Path, label: str) -> Path:
    """Where the result goes by itself: beside the input, with the filter's name added."""
    whole = path.resolve()
    return whole.with_name(f"{whole.stem}-{label}{whole.suffix}")


def filter_picture(path: Path, target: Path, painter: Painter) -> None:
    faces = paint_picture(path, target, painter, 0)
    print(f"{target}: {count_of(faces, 'face')}")


def filter_folder(path: Path, target: Path, painter: Painter) -> None:
    """All pictures of a folder, by name; a damaged one is reported and the others are done."""
    pictures = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES)
    if not pictures:
        raise InputError(f"{path}: no picture in this folder; known: {', '.join(PICTURES)}")
    target.mkdir(parents=True, exist_ok=True)
    progress, bare, damaged = Progress(len(pictures), "pictures"), [], []
    for number, picture in enumerate(pictures):
        try:
            if not paint_picture(picture, target / picture.name, painter, number):
                bare.append(picture.name)
        except InputError as error:
            damaged.append(str(error))
        progress.show(number + 1)
    progress.close()
    print(f"{target}: {count_of(len(pictures) - len(damaged), 'picture')}")
    warn_of_bare(len(bare), len(pictures), "pictures")
    if damaged:
        raise InputError(f"{count_of(len(damaged), 'picture')} left out: " + "; ".join(damaged))


def filter_video(path: Path, target: Path, painter: Painter) -> None:
    from keypoints.media import videos

    video = videos.probe(path)
    progress, tracker, bare, done = Progress(video.count, "frames"), painter.open_tracker(), 0, 0
    with videos.writing(target, video.width, video.height, video.rate, sound=path) as write:
        for timestamp, image in videos.read_frames(path):
            shown, faces = painter.paint(image, tracker, done, timestamp)
            write(shown)
            bare += not faces
            done += 1
            progress.show(done)
    progress.close()
    sound = "" if videos.ffmpeg() else "; without sound, which takes ffmpeg"
    print(
        f"{target}: {done} frames, {video.width} x {video.height}, {video.rate:g} a second{sound}"
    )
    if done < video.count - 1:  # a claim may be one off
        print(f"{path} breaks off: {done} of {video.count} frames could be read", file=sys.stderr)
    warn_of_bare(bare, done, "frames")


def filter_camera(source: str, target: Path, painter: Painter) -> None:
    """Record a camera or a stream until it ends or Ctrl-C; the file plays at the true speed."""
    from keypoints.media import videos

    progress, tracker, bare, done = Progress(0, "frames"), painter.open_tracker(), 0, 0
    frames = videos.live_frames(source)
    first = next(frames)
    height, width = first[1].shape[:2]
    print(f"recording {source} to {target}; Ctrl-C ends it", file=sys.stderr)
    record = videos.recording(target, width, height)
    with record as write, contextlib.suppress(KeyboardInterrupt):
        for timestamp, image in itertools.chain([first], frames):
            shown, faces = painter.paint(image, tracker, done, timestamp)
            write(shown, timestamp)
            bare += not faces
            done += 1
            progress.show(done)
        print(f"no more frames come from {source}", file=sys.stderr)
    progress.close()
    print(f"{target}: {timestamp:.1f} seconds, {width} x {height}")
    warn_of_bare(bare, done, "frames")


def paint_picture(path: Path, target: Path, painter: Painter, number: int) -> int:
    """Filter one picture file into another; returns how many faces it has."""
    import cv2

    from keypoints.atomic import replacing
    from keypoints.media.pictures import decode_picture

    if target.suffix.lower() not in PICTURES:
        raise InputError(f"{target}: a picture's name ends in {', '.join(PICTURES)}")
    image = decode_picture(path.read_bytes(), str(path))
    shown, faces = painter.paint(image, painter.open_tracker(), number, 0.0, moving=False)
    with replacing(target) as temporary:
        cv2.imwrite(str(temporary), shown[..., ::-1])
    return faces


def count_of(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def warn_of_bare(bare: int, total: int, noun: str) -> None:
    """Who hides faces must know where none was found."""
    if bare:
        print(f"no face was found in {bare} of {total} {noun}: they are as they were",
              file=sys.stderr)  # fmt: skip


class Progress:
    """A progress line on a terminal; nothing in a log."""

    def __init__(self, total: int, noun: str):
        self.total, self.noun, self.start, self.shown = total, noun, time.monotonic(), 0.0

    def show(self, done: int) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self.shown < 0.1:
            return
        self.shown = now
        speed = done / max(now - self.start, 1e-6)
        line = f"{done} {self.noun}, {speed:.0f} a second"
        if self.total:
            share = min(done / self.total, 1)
            left = int(max(self.total - done, 0) / speed)
            line = f"[{'=' * int(30 * share):<30}] {done}/{self.total} {self.noun}, "
            line += f"{speed:.0f} a second, {left // 60}:{left % 60:02} left"
        print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def list_filters(input: str | None, output: str | None, model: str, detector: str) -> None:
    """Print the filters and write a picture of them, on drawn faces or on those of a picture."""
    import cv2

    from keypoints import filters
    from keypoints.atomic import replacing
    from keypoints.filters.gallery import draw_sheet

    target = Path(str(output)) if output is not None else Path("filters.png")
    if target.suffix.lower() not in PICTURES:
        raise InputError(f"--output={target}: a picture's name ends in {', '.join(PICTURES)}")
    faces = None
    if input is not None:
        from keypoints.media.pictures import decode_picture

        path = Path(str(input))
        if not path.is_file():
            raise InputError(f"{path}: no such picture; --filter=list shows filters on a picture")
        image = decode_picture(path.read_bytes(), str(path))
        found = load_tracker(model, detector)().update(image, 0.0)
        faces = [(image, face.points) for face in found[:4]]
        if not faces:
            raise InputError(f"{path}: no face was found to show the filters on")
    for name in filters.list_filters():
        print(f"{name:<15}{filters.load_filter(name).spec.description}")
    with replacing(target) as temporary:
        cv2.imwrite(str(temporary), draw_sheet(faces)[..., ::-1])
    print(f"a picture of them: {target}")
