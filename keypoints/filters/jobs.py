"""Filters on files: a picture, a folder of pictures, or a video."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keypoints.errors import InputError
from keypoints.filters.coverage import Coverage
from keypoints.filters.lookahead import lookahead
from keypoints.filters.pipeline import Pipeline
from keypoints.media import formats, picture_writer, pictures, video_writer, videos
from keypoints.media.landmark_csv import WriteRow, no_rows

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


def filter_picture(
    path: Path,
    target: Path,
    pipeline: Pipeline,
    *,
    write_row: WriteRow = no_rows,
    number: int = 0,
    quality: str = "high",
    private: bool = False,
) -> Result:
    """Filter every frame or page of a picture file; `picture_writer.save` says what is kept.

    `number` is the first frame's in the table of landmarks. Raises InputError for a target whose
    name is no picture's or that cannot be written, and for a damaged picture.
    """
    formats.picture_format(target)
    picture = pictures.open_picture(path)
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
        write_row(number + index, seconds, faces)
        pipeline.count(faces, seconds)
        draw = functools.partial(
            pipeline.draw, faces=faces, timestamp=seconds, moving=picture.animated
        )
        painted.append(still.painted(draw))
    warnings = picture_writer.save(
        target, painted, source=picture, quality=quality, private=private
    )
    height, width = image.shape[:2]
    return Result(
        target, width, height, warnings=picture.notes + warnings, coverage=pipeline.coverage
    )


def folder_pictures(path: Path, target: Path) -> list[tuple[Path, Path]]:
    """The pictures of a folder by their names, and the file in `target` for each.

    Hidden files are skipped. Raises InputError for a folder that has no pictures or cannot be read.
    """
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    known = [p for p in entries if formats.is_picture(p) and not p.name.startswith(".")]
    if not known:
        raise InputError(
            f"{path}: no picture in this folder; known: {', '.join(formats.picture_inputs())}"
        )
    return [(p, target / formats.writable_picture(p.name)) for p in known]


def filter_folder(
    pairs: Sequence[tuple[Path, Path]],
    pipeline: Pipeline,
    *,
    write_row: WriteRow = no_rows,
    quality: str = "high",
    private: bool = False,
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
            result = filter_picture(
                picture,
                target,
                pipeline,
                write_row=write_row,
                number=number,
                quality=quality,
                private=private,
            )
        except InputError as error:
            result = Result(target, error=error)
        number += max(result.coverage.frames, 1)
        yield result


def filter_video(
    source: Path | str,
    target: Path,
    pipeline: Pipeline,
    progress: Progress,
    *,
    write_row: WriteRow = no_rows,
    quality: str = "high",
    private: bool = False,
) -> Result:
    """Filter a video, a file or an http URL, frame by frame.

    `video_writer.rewriting` says what is kept. Ctrl-C ends the video there; the file is whole, and
    the result says `interrupted`. Raises InputError for what is no video, and where `target`
    cannot be written.
    """
    pipeline.restart(moving=True, ahead=True)
    result = Result(target, coverage=pipeline.coverage)
    written = 0
    try:
        with (
            videos.reading(source) as first_pass,
            video_writer.rewriting(source, target, quality=quality, private=private) as frames,
        ):
            found = lookahead(first_pass, pipeline)
            video = frames.video
            result.width, result.height, result.rate = video.width, video.height, video.rate
            result.expected = video.count
            for number, (timestamp, image) in enumerate(frames):
                faces = next(found, [])
                write_row(number, timestamp, faces)
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
