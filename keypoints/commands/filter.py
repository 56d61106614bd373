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
    from keypoints.filters.coverage import Coverage
    from keypoints.filters.jobs import Painter


def filter(
    input: str | None = None,
    *,
    filter: str = "sunglasses",
    output: str | None = None,
    model: str = DEFAULT,
    faces: int | None = None,
    points: str | None = None,
    detector: str = "centerface",
) -> None:
    """Draw a filter on every face; size and frame rate stay, and sound where ffmpeg is installed.

    A camera is recorded until Ctrl-C. The last line says how many faces were drawn on. Exit codes:
    0 all done; 1 all written, but in a picture, or in a whole video, no face was found, or blur or
    pixelate left a face uncovered that the detector saw; 2 bad input, or pictures were left out.

    Args:
        input: a picture, a folder of pictures, a video, the number of a camera or a stream's URL
        filter: name of a filter, a folder with one of your own, or list to see them all
        output: file, or folder for a folder; beside the input with the filter's name unless given
        model: pretrained, pretrained-small (quicker), a run folder or an export
        faces: at most this many faces are drawn on, the largest first; all of them unless given
        points: CSV file to write box, score, 68 points, pose and openings of each face to
        detector: centerface, haar (OpenCV's cascade), yunet (a download), or YuNet's .onnx file
    """
    if filter == "list":
        list_filters(input, output, model, detector)
        return
    if input is None:
        raise InputError("INPUT is missing: a picture, a folder, a video or a camera's number")
    if faces is not None and faces < 1:
        raise InputError(f"--faces={faces}: a whole number of at least 1 is expected")

    from keypoints.filters import load_filter
    from keypoints.filters.jobs import PROTECTED, Painter
    from keypoints.inference.detectors import MOVING, STILL, load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.media import landmark_csv, videos

    source = Path(input)
    live = videos.is_live(input)
    job = filter_camera if live else choose_job(source)
    loaded = load_filter(filter)
    name = f"camera-{loaded.spec.name}.mp4" if live else beside(source, loaded.spec.name)
    target = Path(output) if output is not None else Path(name)
    if not live and target.resolve() == source.resolve():
        raise InputError(f"--output={target}: would replace the input; give another name")
    with contextlib.ExitStack() as stack:
        smallest = STILL if job in (filter_picture, filter_folder) else MOVING
        smallest = min(smallest, PROTECTED) if loaded.protects else smallest
        finder = load_detector(detector, smallest=smallest)
        painter = Painter(loaded, Predictor.load(model), finder, faces)
        if points is not None:
            painter.note = stack.enter_context(landmark_csv.writing(Path(points)))
        code = job(input if live else source, target, painter)
    if code:
        sys.exit(code)


def choose_job(path: Path) -> "Callable[[Path, Path, Painter], int]":
    """What to do with a path; raises InputError where nothing can be done with it.

    Each job prints what it wrote, and returns the exit code.
    """
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


def filter_picture(path: Path, target: Path, painter: "Painter") -> int:
    from keypoints.filters import jobs

    coverage = jobs.filter_picture(path, target, painter).coverage
    print(f"{target}: {counted(coverage, painter)}")
    return exit_code(coverage, painter)


def filter_folder(path: Path, target: Path, painter: "Painter") -> int:
    from keypoints.filters import jobs

    progress, results = Progress("pictures"), []
    for total, result in jobs.filter_folder(path, target, painter):
        results.append(result)
        progress.clear()
        if result.error is not None:
            print(f"{result.target.name}: left out; {result.error}", file=sys.stderr)
        else:
            print(f"{result.target.name}: {counted(result.coverage, painter)}")
        progress.show(len(results), total)
    progress.clear()
    done = [result.coverage for result in results if result.error is None]
    line = f"{target}: {count_of(len(done), 'picture')}"
    line += f", {count_of(sum(coverage.faces for coverage in done), 'face')}{verb(painter)}"
    if empty := sum(coverage.empty for coverage in done):
        line += f"; no face found in {empty}"
    if painter.filter.protects and (left := sum(coverage.uncovered for coverage in done)):
        line += f"; {left} more seen and NOT covered"
    if len(done) < len(results):
        line += f"; {count_of(len(results) - len(done), 'picture')} left out"
    print(line)
    if len(done) < len(results):
        return 2
    return max(exit_code(coverage, painter) for coverage in done)


def filter_video(path: Path, target: Path, painter: "Painter") -> int:
    from keypoints.filters import jobs
    from keypoints.media import videos

    progress = Progress("frames")
    result = jobs.filter_video(path, target, painter, progress.show)
    progress.clear()
    frames = result.coverage.frames
    if frames < result.expected - 1:  # a claim may be one off
        print(f"{path} breaks off: {frames} of {result.expected} frames could be read",
              file=sys.stderr)  # fmt: skip
    sound = "" if videos.ffmpeg() else "; without sound, which takes ffmpeg"
    size = f"{result.width} x {result.height}, {result.rate:g} a second"
    print(f"{target}: {frames} frames, {size}{sound}; {counted(result.coverage, painter)}")
    return exit_code(result.coverage, painter)


def filter_camera(source: str, target: Path, painter: "Painter") -> int:
    from keypoints.filters import jobs

    progress = Progress("frames")

    def show(done: int, total: int) -> None:
        if not done:
            print(f"recording {source} to {target}; Ctrl-C ends it", file=sys.stderr)
        progress.show(done, total)

    result = jobs.filter_camera(source, target, painter, show)
    progress.clear()
    if not result.interrupted:
        print(f"no more frames come from {source}", file=sys.stderr)
    size = f"{result.seconds:.1f} seconds, {result.width} x {result.height}"
    print(f"{target}: {size}; {counted(result.coverage, painter)}")
    return exit_code(result.coverage, painter)


def counted(coverage: "Coverage", painter: "Painter") -> str:
    """What became of the faces of a picture or of a video, in words."""
    still = coverage.frames == 1
    if coverage.empty == coverage.frames:
        text = "no face found" if still else "no face found in any frame"
    else:
        most = "" if still else "at most "
        text = f"{most}{count_of(coverage.faces, 'face')}{verb(painter)}"
        text += "" if still else " at once"
        if coverage.empty:
            text += f", none found in {count_of(coverage.empty, 'frame')}"
    if painter.filter.protects and coverage.uncovered:
        text += f"; {coverage.uncovered} more seen and NOT covered"
        if not still:
            text += f" in {count_of(coverage.uncovered_frames, 'frame')}"
            text += f", first at {coverage.first_uncovered:.1f} s"
    return text


def verb(painter: "Painter") -> str:
    return " covered" if painter.filter.protects else ""


def exit_code(coverage: "Coverage", painter: "Painter") -> int:
    """1 where no face was found at all, or one was left uncovered that must be covered."""
    left_out = painter.filter.protects and coverage.uncovered
    return int(coverage.empty == coverage.frames or bool(left_out))


def count_of(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


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

    def clear(self) -> None:
        """Remove the line, so that others can be printed."""
        if self.shown:
            self.shown = 0.0
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def list_filters(input: str | None, output: str | None, model: str, detector: str) -> None:
    """Print the filters and write a picture of them, on drawn faces or on those of a picture."""
    import cv2

    from keypoints import filters
    from keypoints.atomic import replacing
    from keypoints.filters.gallery import draw_sheet
    from keypoints.inference.detectors import load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.inference.tracking import Tracker
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
        tracker = Tracker(Predictor.load(model), faces=4, detector=load_detector(detector))
        faces = [(image, face.points) for face in tracker.update(image, 0.0)]
        if not faces:
            raise InputError(f"{path}: no face was found to show the filters on")
    for name in filters.list_filters():
        print(f"{name:<15}{filters.load_filter(name).spec.description}")
    with replacing(target) as temporary:
        cv2.imwrite(str(temporary), draw_sheet(faces)[..., ::-1])
    print(f"a picture of them: {target}")
