"""Draw a face filter on pictures, a video or a camera: `python -m tools.filter INPUT`."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from keypoints.commands.cli import check_csv
from keypoints.commands.progress import Progress, count_of
from keypoints.errors import InputError
from keypoints.pretrained import DEFAULT
from keypoints.system.atomic import keep_apart

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
    quality: str = "high",
) -> None:
    """Draw a filter on every face; docs/formats.md lists what is kept of each file format.

    A camera is recorded until Ctrl-C. Ctrl-C also ends a video, and keeps the frames written so
    far. The last line states the number of faces. Exit codes: 0 all done; 1 all written, but no
    face was found in a picture or in a whole video, or blur or pixelate did not cover a face that
    the detector found; 2 invalid input, or pictures were left out.

    Args:
        input: a picture, a folder of pictures, a video, the number of a camera or a URL
        filter: name of a filter, a folder with one of your own, or list to see them all
        output: file, or folder for a folder; default: next to the input, with the filter's name
        model: pretrained, pretrained-small (quicker), a run folder or an export
        faces: maximum number of faces, the largest first; default: all
        points: CSV file for box, score, 68 points, head pose and eye and mouth opening of each face
        detector: centerface, haar (OpenCV's cascade), yunet (a download), or YuNet's .onnx file
        quality: of videos and lossy pictures: high (looks like the input), medium or small
    """
    if filter == "list":
        list_filters(input, output, model, detector)
        return
    if input is None:
        raise InputError("INPUT is missing: a picture, a folder, a video or a camera's number")
    if faces is not None and faces < 1:
        raise InputError(f"--faces={faces}: a whole number of at least 1 is expected")

    from keypoints.filters import jobs, load_filter
    from keypoints.inference.detectors import MOVING, STILL, load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.media import landmark_csv, pictures

    if quality not in pictures.QUALITIES:
        known = ", ".join(pictures.QUALITIES)
        raise InputError(f"--quality={quality}: one of {known} is expected")
    job = choose_job(input)
    loaded = load_filter(filter)
    target = Path(output) if output is not None else beside(input, loaded.spec.name)
    pairs = [(Path(input), target)]
    if job is filter_folder:
        if target.is_file():
            raise InputError(f"--output={target} is a file; a folder is expected for a folder")
        pairs = jobs.folder_pictures(Path(input), target)
    outputs = [("--output", written) for _, written in pairs]
    if points is not None:
        outputs.append(("--points", Path(points)))
    keep_apart([*(read for read, _ in pairs), Path(model), Path(detector)], outputs)
    check_csv(points)
    with contextlib.ExitStack() as stack:
        still = job in (filter_picture, filter_folder)
        smallest = STILL if still else MOVING
        smallest = min(smallest, jobs.PROTECTED) if loaded.protects else smallest
        finder = load_detector(detector, smallest=smallest, rotations=still)
        painter = jobs.Painter(loaded, Predictor.load(model), finder, faces)
        if points is not None:
            painter.note = stack.enter_context(landmark_csv.writing(Path(points)))
        if job is filter_folder:
            code = filter_folder(pairs, target, painter, quality)
        else:
            code = job(input, target, painter, quality)
    if code:
        sys.exit(code)


def choose_job(source: str) -> Callable[..., int]:
    """The job for an input; raises InputError for an input of another kind.

    Each job prints what it wrote, and returns the exit code.
    """
    from keypoints.media import cameras, pictures, videos

    if cameras.is_live(source):
        return filter_camera
    path = Path(source)
    if "://" in source:
        return filter_video
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir():
        return filter_folder
    if videos.is_video(path):
        return filter_video
    if pictures.is_picture(path):
        return filter_picture
    known = ", ".join(pictures.SUFFIXES + videos.INPUTS)
    raise InputError(f"{path}: neither a picture nor a video by its name; known: {known}")


def beside(source: str, label: str) -> Path:
    """The default output: next to the input, with the filter's name added.

    For a camera or a URL it is in the current folder.
    """
    from keypoints.media import cameras, pictures, videos

    if cameras.is_live(source):
        return Path(f"camera-{label}.mp4")
    if "://" in source:
        whole = Path(unquote(urlsplit(source).path).rpartition("/")[2] or "video.mp4")
    else:
        whole = Path(source).resolve()
    if whole.is_dir():
        return whole.with_name(f"{whole.name}-{label}")
    kind = videos if "://" in source or videos.is_video(whole) else pictures
    return whole.with_name(kind.writable_name(f"{whole.stem}-{label}{whole.suffix}"))


def filter_picture(source: str, target: Path, painter: "Painter", quality: str) -> int:
    from keypoints.filters import jobs

    result = jobs.filter_picture(Path(source), target, painter, quality=quality)
    warn(result.notes)
    print(f"{target}: {counted(result.coverage, painter)}")
    return exit_code(result.coverage, painter)


def filter_folder(
    pairs: Sequence[tuple[Path, Path]], target: Path, painter: "Painter", quality: str
) -> int:
    from keypoints.filters import jobs

    progress, results = Progress("pictures"), []
    for result in jobs.filter_folder(pairs, painter, quality=quality):
        results.append(result)
        progress.clear()
        warn(result.notes)
        if result.error is not None:
            print(f"{result.target.name}: left out; {result.error}", file=sys.stderr)
        else:
            print(f"{result.target.name}: {counted(result.coverage, painter)}")
        progress.show(len(results), len(pairs))
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


def filter_video(source: str, target: Path, painter: "Painter", quality: str) -> int:
    from keypoints.filters import jobs

    progress = Progress("frames")
    result = jobs.filter_video(source, target, painter, progress.show, quality=quality)
    progress.clear()
    warn(result.notes)
    size = f"{result.width} x {result.height}, {result.rate:.4g} a second"
    print(
        f"{target}: {count_of(result.frames, 'frame')}, {size}; {counted(result.coverage, painter)}"
    )
    if result.interrupted:
        print(f"{target} ends at {result.seconds:.1f} seconds", file=sys.stderr)
        raise KeyboardInterrupt
    return exit_code(result.coverage, painter)


def filter_camera(source: str, target: Path, painter: "Painter", quality: str) -> int:
    from keypoints.filters import jobs

    progress = Progress("frames")

    def show(done: int, total: int) -> None:
        if not done:
            print(f"recording {source} to {target}; Ctrl-C ends it", file=sys.stderr)
        progress.show(done, total)

    result = jobs.filter_camera(source, target, painter, show, quality=quality)
    progress.clear()
    warn(result.notes)
    if not result.interrupted:
        print(f"no more frames come from {source}", file=sys.stderr)
    size = f"{result.seconds:.1f} seconds, {result.width} x {result.height}"
    print(f"{target}: {size}; {counted(result.coverage, painter)}")
    return exit_code(result.coverage, painter)


def warn(notes: Iterable[str]) -> None:
    """Print each loss on its own line."""
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)


def counted(coverage: "Coverage", painter: "Painter") -> str:
    """The numbers of faces of a picture or a video as text."""
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
    """1 if no face was found, or if a face that must be covered is not covered."""
    left_out = painter.filter.protects and coverage.uncovered
    return int(coverage.empty == coverage.frames or bool(left_out))


def list_filters(input: str | None, output: str | None, model: str, detector: str) -> None:
    """Print the filters and write an overview image, on drawn faces or on those of a picture."""
    from keypoints import filters
    from keypoints.filters.gallery import draw_sheet
    from keypoints.inference.detectors import load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.inference.tracking import Tracker
    from keypoints.media import pictures

    target = Path(output) if output is not None else Path("filters.png")
    if target.suffix.lower() not in pictures.SUFFIXES:
        known = ", ".join(pictures.SUFFIXES)
        raise InputError(f"--output={target}: a picture's name ends in {known}")
    faces = None
    if input is not None:
        path = Path(input)
        if not path.is_file():
            raise InputError(f"{path}: no such picture; --filter=list shows filters on a picture")
        keep_apart([path], [("--output", target)])
        image = next(pictures.open_picture(path).stills()).rgb()
        tracker = Tracker(Predictor.load(model), faces=4, detector=load_detector(detector))
        faces = [(image, face.points) for face in tracker.update(image, 0.0)]
        if not faces:
            raise InputError(f"{path}: no face was found to show the filters on")
    for name in filters.list_filters():
        print(f"{name:<15}{filters.load_filter(name).spec.description}")
    pictures.save(target, [pictures.Still(draw_sheet(faces))], quality="medium")
    print(f"a picture of them: {target}")
