"""Draw a face filter on pictures, a video or a camera: `python -m tools.filter INPUT`."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keypoints.commands.cli import check_csv
from keypoints.commands.progress import Progress, count_of
from keypoints.errors import InputError
from keypoints.pretrained import DEFAULT
from keypoints.system.atomic import keep_apart

if TYPE_CHECKING:
    from keypoints.filters.coverage import Coverage
    from keypoints.filters.pipeline import Pipeline
    from keypoints.live.sources import Source
    from keypoints.media.landmark_csv import WriteRow


def filter(
    input: str | None = None,
    *,
    filter: str = "sunglasses",
    output: str | None = None,
    model: str = DEFAULT,
    max_faces: int | None = None,
    points: str | None = None,
    detector: str = "centerface",
    quality: str = "high",
    metadata: str | None = None,
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
        max_faces: maximum number of faces, the largest first; default: all
        points: CSV file for box, score, 68 points, head pose and eye and mouth opening of each face
        detector: centerface, haar (OpenCV's cascade), yunet (a download), or YuNet's .onnx file
        quality: of videos and lossy pictures: high (looks like the input), medium or small
        metadata: keep, or drop GPS, names, titles, comments and serial numbers; default: drop with
            blur and pixelate, else keep; previews never stay
    """
    if filter == "list":
        list_filters(input, output, model, detector)
        return
    if input is None:
        raise InputError("INPUT is missing: a picture, a folder, a video or a camera's number")
    if max_faces is not None and max_faces < 1:
        raise InputError(f"--max_faces={max_faces}: a whole number of at least 1 is expected")

    from keypoints.filters import jobs, load_filter
    from keypoints.filters.pipeline import Pipeline
    from keypoints.inference.predictor import Predictor
    from keypoints.live.sources import Source
    from keypoints.media import formats, landmark_csv

    if quality not in formats.QUALITIES:
        known = ", ".join(formats.QUALITIES)
        raise InputError(f"--quality={quality}: one of {known} is expected")
    if metadata not in (None, "keep", "drop"):
        raise InputError(f"--metadata={metadata}: keep or drop is expected")
    source, loaded = Source.parse(input), load_filter(filter)
    private = metadata == "drop" or (metadata is None and loaded.protects)
    target = Path(output) if output is not None else source.default_name(loaded.spec.name)
    pairs = [(Path(source.text), target)]
    if source.kind == "folder":
        if target.is_file():
            raise InputError(f"--output={target} is a file; a folder is expected for a folder")
        pairs = jobs.folder_pictures(Path(source.text), target)
    outputs = [("--output", written) for _, written in pairs]
    if points is not None:
        outputs.append(("--points", Path(points)))
    keep_apart([*(read for read, _ in pairs), Path(model), Path(detector)], outputs)
    check_csv(points)
    pipeline = Pipeline(
        Predictor.load(model),
        loaded,
        detector=detector,
        max_faces=max_faces,
        background=source.live,
    )
    table = Path(points) if points is not None else None
    with landmark_csv.writing(table) as write_row:
        if source.kind == "folder":
            code = filter_folder(pairs, target, pipeline, write_row, quality, private)
        else:
            job = filter_picture if source.kind == "picture" else filter_video
            job = filter_live if source.live else job
            code = job(source, target, pipeline, write_row, quality, private)
    if code:
        sys.exit(code)


def filter_picture(
    source: "Source",
    target: Path,
    pipeline: "Pipeline",
    write_row: "WriteRow",
    quality: str,
    private: bool,
) -> int:
    from keypoints.filters import jobs

    result = jobs.filter_picture(
        Path(source.text), target, pipeline, write_row=write_row, quality=quality, private=private
    )
    warn(result.warnings)
    print(f"{target}: {counted(result.coverage, pipeline)}")
    return exit_code(result.coverage)


def filter_folder(
    pairs: Sequence[tuple[Path, Path]],
    target: Path,
    pipeline: "Pipeline",
    write_row: "WriteRow",
    quality: str,
    private: bool,
) -> int:
    from keypoints.filters import jobs

    progress, results = Progress("pictures"), []
    for result in jobs.filter_folder(
        pairs, pipeline, write_row=write_row, quality=quality, private=private
    ):
        results.append(result)
        progress.clear()
        warn(result.warnings)
        if result.error is not None:
            print(f"{result.target.name}: left out; {result.error}", file=sys.stderr)
        else:
            print(f"{result.target.name}: {counted(result.coverage, pipeline)}")
        progress.show(len(results), len(pairs))
    progress.clear()
    done = [result.coverage for result in results if result.error is None]
    line = f"{target}: {count_of(len(done), 'picture')}"
    line += f", {count_of(sum(coverage.faces for coverage in done), 'face')}{verb(pipeline)}"
    if empty := sum(coverage.empty for coverage in done):
        line += f"; no face found in {empty}"
    if left := sum(coverage.uncovered for coverage in done):
        line += f"; {left} more seen and NOT covered"
    if len(done) < len(results):
        line += f"; {count_of(len(results) - len(done), 'picture')} left out"
    print(line)
    if len(done) < len(results):
        return 2
    return max(exit_code(coverage) for coverage in done)


def filter_video(
    source: "Source",
    target: Path,
    pipeline: "Pipeline",
    write_row: "WriteRow",
    quality: str,
    private: bool,
) -> int:
    from keypoints.filters import jobs

    progress = Progress("frames")
    result = jobs.filter_video(
        source.text,
        target,
        pipeline,
        progress.show,
        write_row=write_row,
        quality=quality,
        private=private,
    )
    progress.clear()
    warn(result.warnings)
    text = f"{count_of(result.frames, 'frame')}, {result.width} x {result.height}"
    text += f", {result.rate:.4g} a second; {counted(result.coverage, pipeline)}"
    print(f"{target}: {text}")
    if result.interrupted:
        print(f"{target} ends at {result.seconds:.1f} seconds", file=sys.stderr)
        raise KeyboardInterrupt
    return exit_code(result.coverage)


def filter_live(
    source: "Source",
    target: Path,
    pipeline: "Pipeline",
    write_row: "WriteRow",
    quality: str,
    private: bool,
) -> int:
    from keypoints.live import loop

    progress = Progress("frames")

    def show(done: int, total: int) -> None:
        if not done:
            print(f"recording {source.text} to {target}; Ctrl-C ends it", file=sys.stderr)
        progress.show(done, total)

    played = loop.run(
        source, pipeline, output=target, quality=quality, write_row=write_row, progress=show
    )
    progress.clear()
    size = f"{played.seconds:.1f} seconds, {played.width} x {played.height}"
    print(f"{target}: {size}; {counted(pipeline.coverage, pipeline)}")
    if played.failure is not None:
        raise played.failure
    return exit_code(pipeline.coverage)


def warn(warnings: Iterable[str]) -> None:
    """Print each loss on its own line."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def counted(coverage: "Coverage", pipeline: "Pipeline") -> str:
    """The numbers of faces of a picture or a video as text."""
    still = coverage.frames == 1
    if coverage.empty == coverage.frames:
        text = "no face found" if still else "no face found in any frame"
    else:
        most = "" if still else "at most "
        text = f"{most}{count_of(coverage.faces, 'face')}{verb(pipeline)}"
        text += "" if still else " at once"
        if coverage.empty:
            text += f", none found in {count_of(coverage.empty, 'frame')}"
    if coverage.uncovered:
        text += f"; {coverage.uncovered} more seen and NOT covered"
        if not still:
            text += f" in {count_of(coverage.uncovered_frames, 'frame')}"
            text += f", first at {coverage.first_uncovered:.1f} s"
        text += f": {coverage.place}"
    return text


def verb(pipeline: "Pipeline") -> str:
    return " covered" if pipeline.protects else ""


def exit_code(coverage: "Coverage") -> int:
    """1 if no face was found, or if a face that must be covered is not covered."""
    return int(coverage.empty == coverage.frames or bool(coverage.uncovered))


def list_filters(input: str | None, output: str | None, model: str, detector: str) -> None:
    """Print the filters and write an overview image, on drawn faces or on those of a picture."""
    from keypoints import filters
    from keypoints.filters.gallery import draw_sheet
    from keypoints.inference.detectors import load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.inference.tracking import Tracker
    from keypoints.media import formats, picture_writer, pictures

    target = Path(output) if output is not None else Path("filters.png")
    if target.suffix.lower() not in formats.PICTURES:
        known = ", ".join(formats.PICTURES)
        raise InputError(f"--output={target}: a picture's name ends in {known}")
    faces = None
    if input is not None:
        path = Path(input)
        if not path.is_file():
            raise InputError(f"{path}: no such picture; --filter=list shows filters on a picture")
        keep_apart([path], [("--output", target)])
        image = next(pictures.open_picture(path).stills()).rgb()
        tracker = Tracker(Predictor.load(model), max_faces=4, detector=load_detector(detector))
        faces = [(image, face.points) for face in tracker.update(image, 0.0)]
        if not faces:
            raise InputError(f"{path}: no face was found to show the filters on")
    for name in filters.list_filters():
        print(f"{name:<15}{filters.load_filter(name).spec.description}")
    picture_writer.save(target, [pictures.Still(draw_sheet(faces))], quality="medium")
    print(f"a picture of them: {target}")
