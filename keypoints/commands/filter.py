"""Draw a face filter on pictures, videos or a camera: `python -m tools.filter INPUT ..`."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from keypoints.checks import whole
from keypoints.commands.filter_overview import list_filters
from keypoints.commands.points import check_points, points_output, report_stream, writing_points
from keypoints.commands.progress import Progress, count_of
from keypoints.errors import InputError
from keypoints.pretrained import DEFAULT
from keypoints.system.atomic import keep_apart

if TYPE_CHECKING:
    from keypoints.filters.coverage import Coverage
    from keypoints.filters.jobs import Job, Result, Task
    from keypoints.filters.pipeline import Pipeline
    from keypoints.live.sources import Source


def filter(
    *input: str,
    filter: str = "sunglasses",
    output: str | None = None,
    model: str = DEFAULT,
    max_faces: int | None = None,
    points: str | None = None,
    detector: str = "compact",
    quality: str | None = None,
    metadata: str | None = None,
    skip_existing: bool = False,
) -> None:
    """Draw a filter on every face; docs/formats.md lists what is kept of each file format.

    A camera is recorded until Ctrl-C. Ctrl-C also ends a video, and keeps the frames written so
    far. The last lines state the number of faces, and of several files what became of them. Exit
    codes: 0 all done; 1 all written, but no face was found in a picture or in a whole video, or
    faces beyond --max_faces stay uncovered by blur or pixelate; 2 invalid input, a file that
    failed, or a lost camera or stream.

    Args:
        input: pictures, videos, folders of both, or one camera's number or URL
        filter: name of a filter, a folder with one of your own, or list to see them all
        output: file, or folder for a folder or several inputs; default: next to each input, with
            the filter's name
        model: pretrained, pretrained-small (quicker), a run folder or an export
        max_faces: maximum number of faces, the largest first; default: all
        points: CSV file for box, score, points, head pose, eye and mouth opening and origin of
            each face, or - for a line of JSON for each frame on standard output
        detector: compact, centerface, haar (OpenCV's), yunet (a download), or YuNet's .onnx file
        quality: of videos and lossy pictures: high (looks like the input, the default), medium or
            small
        metadata: keep, or drop GPS, names, titles, comments and serial numbers; default: drop with
            blur and pixelate, else keep; previews never stay
        skip_existing: leave out inputs whose output is there: goes on where it was interrupted
    """
    if filter == "list":
        given = {"max_faces": max_faces, "points": points, "quality": quality}
        given |= {"metadata": metadata, "skip_existing": skip_existing or None}
        for name, value in given.items():
            if value is not None:
                raise InputError(f"--{name}={value}: is of no use with --filter=list")
        list_filters(input, output, model, detector)
        return
    quality = "high" if quality is None else quality
    check_values(input, max_faces, quality, metadata)

    from keypoints.filters import load_filter
    from keypoints.filters.jobs import Job
    from keypoints.filters.pipeline import Pipeline
    from keypoints.inference.predictor import Predictor
    from keypoints.live.sources import Source

    predictor = Predictor.load(model)
    sources, loaded = [Source.parse(text) for text in input], load_filter(filter, predictor.markup)
    private = metadata == "drop" or (metadata is None and loaded.protects)
    tasks, others = plan(sources, loaded.spec.name, output)
    outputs = [("--output", task.target) for task in tasks]
    read = [Path(task.source) for task in tasks if "://" not in task.source]
    keep_apart([*read, Path(model), Path(detector)], [*outputs, *points_output(points)])
    check_points(points)
    live = sources[0].live
    pipeline = Pipeline(predictor, loaded, detector=detector, max_faces=max_faces, background=live)
    several, out = len(sources) > 1 or sources[0].kind == "folder", report_stream(points)
    left = [task for task in tasks if not (skip_existing and task.target.exists())]
    skipped = len(tasks) - len(left)
    with writing_points(points, predictor.markup, files=several) as write_row:
        job = Job(pipeline, quality, private, write_row)
        if several:
            code = filter_several(left, skipped, others, job, out)
        elif skipped:
            print(f"{tasks[0].target} is already there", file=out)
            code = 0
        elif live:
            code = filter_live(sources[0], tasks[0].target, job, out)
        else:
            code = filter_one(tasks[0], job, out)
    if code:
        sys.exit(code)


def check_values(
    input: Sequence[str], max_faces: int | None, quality: str, metadata: str | None
) -> None:
    """Raise InputError for a missing input and for values that are not known."""
    from keypoints.media import formats

    if not input:
        raise InputError("INPUT is missing: a picture, a folder, a video or a camera's number")
    if max_faces is not None:
        whole(max_faces, "--max_faces", low=1)
    if quality not in formats.QUALITIES:
        known = ", ".join(formats.QUALITIES)
        raise InputError(f"--quality={quality}: one of {known} is expected")
    if metadata not in (None, "keep", "drop"):
        raise InputError(f"--metadata={metadata}: keep or drop is expected")


def plan(
    sources: Sequence["Source"], label: str, output: str | None
) -> tuple[list["Task"], Counter[str]]:
    """What is to be done, and the number of files of other kinds by their extension.

    Raises InputError where nothing is to be done, and for a camera among other inputs.
    """
    from keypoints.filters.jobs import Task, folder_tasks

    several = len(sources) > 1 or sources[0].kind == "folder"
    if several and output is not None and Path(output).is_file():
        raise InputError(f"--output={output} is a file; a folder is expected for a folder")
    tasks: list[Task] = []
    others: Counter[str] = Counter()
    for source in sources:
        if source.live and several:
            raise InputError(f"{source.text}: a camera or a stream must be the only input")
        target = source.default_name(label)
        if output is not None and several and (len(sources) > 1 or source.kind != "folder"):
            target = Path(output, source.default_name().name)
        elif output is not None:
            target = Path(output)
        if source.kind != "folder":
            moving = source.kind != "picture"
            tasks.append(Task(source.text, source.text, target, moving))
            continue
        found, left = folder_tasks(
            Path(source.text), target, outputs=target if output is None else Path(output)
        )
        inside = source.text if len(sources) > 1 else ""
        tasks += [replace(task, name=os.path.join(inside, task.name)) for task in found]
        others += left
    if not tasks:
        raise InputError(f"{sources[0].text}: no picture or video in this folder")
    return tasks, others


def filter_one(task: "Task", job: "Job", out: TextIO) -> int:
    """Filter a picture or a video; returns the exit code."""
    from keypoints.filters import jobs

    progress = Progress("frames")
    result = jobs.filter_file(task, job, progress.show)
    progress.clear()
    warn(result.warnings)
    print(f"{result.target}: {described(result, job.pipeline)}", file=out)
    if result.interrupted:
        print(f"{result.target} ends at {result.seconds:.1f} seconds", file=sys.stderr)
        raise KeyboardInterrupt
    return exit_code(result.coverage)


def filter_several(
    tasks: Sequence["Task"], skipped: int, others: Counter[str], job: "Job", out: TextIO
) -> int:
    """Filter files, and print a line for each and a table at the end; returns the exit code."""
    from keypoints.filters import jobs

    progress = Progress("files")
    results: list[tuple[Task, Result]] = []
    interrupted = False

    def show(frames: int, expected: int) -> None:
        progress.show(len(results) + (frames / expected if expected else 0), len(tasks))

    try:
        for task, result in zip(tasks, jobs.run_tasks(tasks, job, show)):
            results.append((task, result))
            progress.clear()
            warn(result.warnings)
            if result.error is None:
                print(f"{task.name}: {described(result, job.pipeline)}", file=out, flush=True)
            else:
                print(f"{task.name}: left out; {result.error}", file=sys.stderr)
            interrupted |= result.interrupted
            progress.show(len(results), len(tasks))
    except KeyboardInterrupt:
        interrupted = True
    progress.clear()
    for line in summary(results, skipped, others, job.pipeline):
        print(line, file=out)
    if interrupted:
        undone = len(tasks) - len(results)
        print(f"not begun: {undone}; --skip_existing=True goes on", file=sys.stderr)
        raise KeyboardInterrupt
    if any(result.error is not None for _, result in results):
        return 2
    return max((exit_code(result.coverage) for _, result in results), default=0)


def summary(
    results: Sequence[tuple["Task", "Result"]],
    skipped: int,
    others: Counter[str],
    pipeline: "Pipeline",
) -> list[str]:
    """The table of several files: done, already there, left alone by kind, failed with reason."""
    done = [(task, result.coverage) for task, result in results if result.error is None]
    pictures = sum(not task.moving for task, _ in done)
    line = f"done: {count_of(pictures, 'picture')}"
    if videos := len(done) - pictures:
        line += f" and {count_of(videos, 'video')}"
    line += (
        f", {count_of(sum(coverage.most_faces for _, coverage in done), 'face')}{verb(pipeline)}"
    )
    if empty := sum(coverage.empty == coverage.frames for _, coverage in done):
        line += f"; no face found in {empty}"
    if uncovered := sum(coverage.uncovered for _, coverage in done):
        line += f"; {uncovered} more seen and NOT covered"
    lines = [line]
    if skipped:
        lines.append(f"already there: {skipped}")
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
        lines.append(f"left alone: {kinds}")
    failed = [(task, result.error) for task, result in results if result.error is not None]
    if failed:
        lines.append(f"failed: {len(failed)}")
        lines += [f"  {task.name}: {error}" for task, error in failed]
    return lines


def filter_live(source: "Source", target: Path, job: "Job", out: TextIO) -> int:
    """Record a camera or a stream with the filter; returns the exit code."""
    from keypoints.live import loop

    progress, pipeline = Progress("frames"), job.pipeline

    def show(done: int, total: int) -> None:
        if not done:
            print(f"recording {source.text} to {target}; Ctrl-C ends it", file=sys.stderr)
        progress.show(done, total)

    outputs = loop.Outputs(file=target, quality=job.quality, write_row=job.write_row)
    played = loop.run(source, pipeline, outputs=outputs, progress=show)
    progress.clear()
    size = f"{played.seconds:.1f} seconds, {played.width} x {played.height}"
    print(f"{target}: {size}; {counted(pipeline.coverage, pipeline)}", file=out)
    if played.failure is not None:
        raise played.failure
    return exit_code(pipeline.coverage)


def warn(warnings: Iterable[str]) -> None:
    """Print each loss on its own line."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def described(result: "Result", pipeline: "Pipeline") -> str:
    """What was done with a picture or a video."""
    text = counted(result.coverage, pipeline)
    if not result.rate:
        return text
    size = f"{result.width} x {result.height}, {result.rate:.4g} a second"
    return f"{count_of(result.frames, 'frame')}, {size}; {text}"


def counted(coverage: "Coverage", pipeline: "Pipeline") -> str:
    """The numbers of faces of a picture or a video as text."""
    still = coverage.frames == 1
    if coverage.empty == coverage.frames:
        text = "no face found" if still else "no face found in any frame"
    else:
        most = "" if still else "at most "
        text = f"{most}{count_of(coverage.most_faces, 'face')}{verb(pipeline)}"
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
