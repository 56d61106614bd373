"""Filters on files: a picture, a video, or a folder of both."""

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keypoints.errors import InputError
from keypoints.filters.coverage import Coverage
from keypoints.filters.lookahead import lookahead
from keypoints.filters.pipeline import Pipeline
from keypoints.media import formats, picture_writer, pictures, video_writer, videos
from keypoints.media.landmark_csv import Row, WriteRow, no_rows
from keypoints.system.paths import is_hidden

Progress = Callable[[int, int], None]  # of frames done and, 0 where unknown, of all frames


@dataclass
class Result:
    """What was written for one input."""

    target: Path
    width: int = 0
    height: int = 0
    rate: float = 0.0  # frames/s of a video, on average
    seconds: float = 0.0  # time of the last frame of a video
    frames: int = 0  # written, of a video
    expected: int = 0  # frames according to the input; 0: unknown
    interrupted: bool = False  # whether Ctrl-C ended a video
    warnings: list[str] = field(default_factory=list)  # losses, one line each
    error: InputError | None = None  # the reason why there is no target
    coverage: Coverage = field(default_factory=Coverage)


@dataclass(frozen=True)
class Job:
    """What is drawn on files, and how the copies are written."""

    pipeline: Pipeline
    quality: str = "high"  # of `formats.QUALITIES`
    private: bool = False  # whether metadata that names people are left out
    write_row: WriteRow = no_rows


@dataclass(frozen=True)
class Task:
    """One file of several."""

    name: str  # for the reader
    source: str  # path or http URL
    target: Path
    moving: bool  # whether it is a video


def filter_picture(task: Task, job: Job) -> Result:
    """Filter every frame or page of a picture file; `picture_writer.save` says what is kept.

    Raises InputError for a target whose name is no picture's or that cannot be written, and for a
    damaged picture.
    """
    formats.picture_format(task.target)
    picture, pipeline = pictures.open_picture(Path(task.source)), job.pipeline
    pipeline.restart(moving=False, ahead=picture.animated)
    stills = list(picture.stills())
    times = [sum(still.seconds for still in stills[:index]) for index in range(len(stills))]
    images = [still.rgb() for still in stills]
    found = lookahead(zip(times, images), pipeline)
    painted = []
    for index, (still, image, seconds) in enumerate(zip(stills, images, times)):
        if picture.animated:
            faces = next(found)
        else:
            pipeline.forget()
            faces = pipeline.find(image, seconds)
        job.write_row(Row(index, seconds, faces, image.shape[1::-1], task.name))
        pipeline.count(faces, seconds)
        draw = functools.partial(
            pipeline.draw, faces=faces, timestamp=seconds, moving=picture.animated
        )
        painted.append(still.painted(draw))
    warnings = picture_writer.save(
        task.target, painted, source=picture, quality=job.quality, private=job.private
    )
    height, width = images[-1].shape[:2]
    return Result(
        task.target, width, height, warnings=picture.notes + warnings, coverage=pipeline.coverage
    )


def folder_tasks(folder: Path, target: Path, *, outputs: Path) -> tuple[list[Task], Counter[str]]:
    """The pictures and videos of a folder and its subfolders, each with its file in `target`.

    Sorted; the tree is kept. Hidden files, and `outputs` within the folder, are passed over.
    Also returns how many files of each other kind there are, by their extension. Raises InputError
    for a folder that cannot be read.
    """
    tasks: list[Task] = []
    others: Counter[str] = Counter()
    own = os.path.realpath(outputs)

    def fail(error: OSError) -> None:
        raise InputError(f"{error.filename}: {error.strerror or error}") from None

    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(
            name
            for name in folders
            if not is_hidden(name) and os.path.realpath(os.path.join(place, name)) != own
        )
        inside = Path(place).relative_to(folder)
        for name in sorted(name for name in names if not is_hidden(name)):
            moving = formats.is_video(name)
            if not moving and not formats.is_picture(name):
                others[Path(name).suffix.lower() or "without extension"] += 1
                continue
            source = os.path.join(place, name)
            written = target / inside / formats.writable(name, moving=moving)
            tasks.append(Task(str(inside / name), source, written, moving))
    return tasks, others


def run_tasks(tasks: Sequence[Task], job: Job, progress: Progress) -> Iterator[Result]:
    """Filter files one after the other; `progress` gets the frames of a video.

    The result of a file that cannot be read or written has an `error`, and the others are done; an
    `interrupted` video is the last one. Raises InputError where a folder cannot be made.
    """
    for task in tasks:
        try:
            task.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"cannot write {task.target.parent}: {error.strerror or error}"
            ) from None
        try:
            result = filter_file(task, job, progress)
        except InputError as error:
            result = Result(task.target, error=error)
        yield result
        if result.interrupted:
            return


def filter_file(task: Task, job: Job, progress: Progress) -> Result:
    """Filter a picture or a video; raises InputError as `filter_picture` and `filter_video` do."""
    return filter_video(task, job, progress) if task.moving else filter_picture(task, job)


def filter_video(task: Task, job: Job, progress: Progress) -> Result:
    """Filter a video, a file or an http URL, frame by frame.

    `video_writer.rewriting` says what is kept. Ctrl-C ends the video there; the file is whole, and
    the result says `interrupted`. Raises InputError for what is no video, and where the target
    cannot be written.
    """
    pipeline = job.pipeline
    pipeline.restart(moving=True, ahead=True)
    result = Result(task.target, coverage=pipeline.coverage)
    written = 0
    try:
        with (
            videos.reading(task.source) as first_pass,
            video_writer.rewriting(
                task.source, task.target, quality=job.quality, private=job.private
            ) as frames,
        ):
            found = lookahead(first_pass, pipeline)
            video = frames.video
            result.width, result.height, result.rate = video.width, video.height, video.rate
            result.expected = video.count
            for number, (timestamp, image) in enumerate(frames):
                faces = next(found, [])
                job.write_row(Row(number, timestamp, faces, (video.width, video.height), task.name))
                pipeline.count(faces, timestamp)
                frames.write(pipeline.draw(image, faces, timestamp))
                written, result.seconds = frames.written, timestamp
                progress(written, result.expected)
    except KeyboardInterrupt:
        if not written:
            raise
        result.interrupted = True
    result.frames, result.warnings = written, frames.notes
    return result
