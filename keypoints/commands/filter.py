"""Put a face filter on a picture, a folder, a video or a camera: `python -m tools.filter INPUT`."""

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from keypoints.errors import InputError
from keypoints.pretrained import DEFAULT

if TYPE_CHECKING:
    from keypoints.filters.jobs import Painter
    from keypoints.inference.tracking import Tracker


def filter(
    input: str | None = None,
    *,
    filter: str = "sunglasses",
    output: str | None = None,
    model: str = DEFAULT,
    points: str | None = None,
    detector: str = "centerface",
) -> None:
    """Draw a filter on every face; size and frame rate stay, and sound where ffmpeg is installed.

    A camera is recorded until Ctrl-C.

    Args:
        input: a picture, a folder of pictures, a video, the number of a camera or a stream's URL
        filter: name of a filter, a folder with one of your own, or list to see them all
        output: file, or folder for a folder; beside the input with the filter's name unless given
        model: pretrained, pretrained-small (quicker), a run folder or an export
        points: CSV file to write box, score, 68 points, pose and openings of each face to
        detector: centerface, haar (OpenCV's cascade), yunet (a download), or YuNet's .onnx file
    """
    if str(filter) == "list":
        list_filters(input, output, model, str(detector))
        return
    if input is None:
        raise InputError("INPUT is missing: a picture, a folder, a video or a camera's number")

    from keypoints.filters import load_filter
    from keypoints.filters.jobs import Painter
    from keypoints.media import landmark_csv, videos

    source = Path(str(input))
    live = videos.is_live(str(input))
    job = filter_camera if live else choose_job(source)
    draw = load_filter(str(filter))
    name = f"camera-{draw.spec.name}.mp4" if live else beside(source, draw.spec.name)
    target = Path(str(output)) if output is not None else Path(name)
    if not live and target.resolve() == source.resolve():
        raise InputError(f"--output={target}: would replace the input; give another name")
    with contextlib.ExitStack() as stack:
        note = None
        if points is not None:
            note = stack.enter_context(landmark_csv.writing(Path(str(points))))
        still = job in (filter_picture, filter_folder)
        open_tracker = load_tracker(model, str(detector), still=still)
        painter = Painter(draw, open_tracker, note)
        job(str(input) if live else source, target, painter)


def load_tracker(model: str, detector: str, *, still: bool) -> "Callable[[], Tracker]":
    """A function that makes trackers, for `still` or moving pictures; networks are loaded once."""
    from keypoints.inference.detectors import MOVING, STILL, load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.inference.tracking import Tracker

    finder = load_detector(detector, smallest=STILL if still else MOVING)
    predictor = Predictor.load(str(model))
    return lambda: Tracker(predictor, detector=finder)


def choose_job(path: Path) -> "Callable[[Path, Path, Painter], None]":
    """What to do with a path; raises InputError where nothing can be done with it."""
    from keypoints.media import pictures, videos

    suffix = path.suffix.lower()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir():
        return filter_folder
    if suffix in videos.SUFFIXES:
        return filter_video
    if suffix in pictures.SUFFIXES:
        return filter_picture
    known = ", ".join(pictures.SUFFIXES + videos.SUFFIXES)
    raise InputError(f"{path}: neither a picture nor a video by its name; known: {known}")


def beside(path: Path, label: str) -> Path:
    """The default output: beside the input, with the filter's name added."""
    whole = path.resolve()
    return whole.with_name(f"{whole.stem}-{label}{whole.suffix}")


def filter_picture(path: Path, target: Path, painter: "Painter") -> None:
    """Filter a picture, and print what was written."""
    from keypoints.filters import jobs

    result = jobs.filter_picture(path, target, painter)
    print(f"{target}: {count_of(result.faces, 'face')}")


def filter_folder(path: Path, target: Path, painter: "Painter") -> None:
    """Filter a folder's pictures; raises InputError with the damaged ones once all are done."""
    from keypoints.filters import jobs

    progress, results = Progress("pictures"), []
    for total, result in jobs.filter_folder(path, target, painter):
        results.append(result)
        progress.show(len(results), total)
    progress.close()
    damaged = [str(result.error) for result in results if result.error is not None]
    print(f"{target}: {count_of(len(results) - len(damaged), 'picture')}")
    warn_of_empty(sum(result.empty for result in results), len(results), "pictures")
    if damaged:
        raise InputError(f"{count_of(len(damaged), 'picture')} left out: " + "; ".join(damaged))


def filter_video(path: Path, target: Path, painter: "Painter") -> None:
    """Filter a video, and print what was written."""
    from keypoints.filters import jobs
    from keypoints.media import videos

    progress = Progress("frames")
    result = jobs.filter_video(path, target, painter, progress.show)
    progress.close()
    sound = "" if videos.ffmpeg() else "; without sound, which takes ffmpeg"
    size = f"{result.width} x {result.height}, {result.rate:g} a second"
    print(f"{target}: {result.frames} frames, {size}{sound}")
    if result.frames < result.expected - 1:  # a claim may be one off
        print(f"{path} breaks off: {result.frames} of {result.expected} frames could be read",
              file=sys.stderr)  # fmt: skip
    warn_of_empty(result.empty, result.frames, "frames")


def filter_camera(source: str, target: Path, painter: "Painter") -> None:
    """Record a camera, and print what was written."""
    from keypoints.filters import jobs

    progress = Progress("frames")

    def show(done: int, total: int) -> None:
        if not done:
            print(f"recording {source} to {target}; Ctrl-C ends it", file=sys.stderr)
        progress.show(done, total)

    result = jobs.filter_camera(source, target, painter, show)
    progress.close()
    if not result.interrupted:
        print(f"no more frames come from {source}", file=sys.stderr)
    print(f"{target}: {result.seconds:.1f} seconds, {result.width} x {result.height}")
    warn_of_empty(result.empty, result.frames, "frames")


def count_of(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def warn_of_empty(empty: int, total: int, noun: str) -> None:
    """Users who hide faces must know where none was found."""
    if empty:
        print(f"no face was found in {empty} of {total} {noun}: they are as they were",
              file=sys.stderr)  # fmt: skip


class Progress:
    """A progress line on a terminal; nothing in a log."""

    def __init__(self, noun: str):
        self.noun, self.start, self.shown = noun, time.monotonic(), 0.0

    def show(self, done: int, total: int) -> None:
        """`done` of `total`, which is 0 where it is not known."""
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self.shown < 0.1:
            return
        self.shown = now
        speed = done / max(now - self.start, 1e-6)
        line = f"{done} {self.noun}, {speed:.0f} a second"
        if total and speed:
            share = min(done / total, 1)
            left = int(max(total - done, 0) / speed)
            line = f"[{'=' * int(30 * share):<30}] {done}/{total} {self.noun}, "
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
    from keypoints.media.pictures import SUFFIXES, decode_picture

    target = Path(str(output)) if output is not None else Path("filters.png")
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(f"--output={target}: a picture's name ends in {', '.join(SUFFIXES)}")
    faces = None
    if input is not None:
        path = Path(str(input))
        if not path.is_file():
            raise InputError(f"{path}: no such picture; --filter=list shows filters on a picture")
        image = decode_picture(path.read_bytes(), str(path))
        found = load_tracker(model, detector, still=True)().update(image, 0.0)
        faces = [(image, face.points) for face in found[:4]]
        if not faces:
            raise InputError(f"{path}: no face was found to show the filters on")
    for name in filters.list_filters():
        print(f"{name:<15}{filters.load_filter(name).spec.description}")
    with replacing(target) as temporary:
        cv2.imwrite(str(temporary), draw_sheet(faces)[..., ::-1])
    print(f"a picture of them: {target}")
