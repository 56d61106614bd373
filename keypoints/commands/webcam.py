"""Landmarks or a filter live on a camera: `python -m tools.webcam`."""

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from keypoints.checks import whole
from keypoints.commands.points import check_points, points_output, report_stream, writing_points
from keypoints.commands.progress import count_of
from keypoints.errors import InputError
from keypoints.pretrained import DEFAULT
from keypoints.system.atomic import keep_apart

if TYPE_CHECKING:
    from keypoints.filters.coverage import Coverage
    from keypoints.live.loop import Played


def webcam(
    model: str = DEFAULT,
    *,
    source: str = "0",
    filter: str | None = None,
    axes: bool = False,
    max_faces: int | None = None,
    detector: str = "compact",
    output: str | None = None,
    points: str | None = None,
    virtual_camera: bool = False,
    headless: bool = False,
    max_frames: int = 0,
) -> None:
    """Show a camera with the landmarks of every face, or with a filter.

    In the window, q or Esc quits, l switches the landmarks on or off, a the head axes, f selects
    the next filter, s writes a snapshot, r starts or ends a recording, h shows the keys. Ctrl-C
    also quits and keeps the recording. Exit codes: 1 faces beyond --max_faces stay uncovered by
    blur or pixelate; 2 invalid input, or a camera or stream that is lost.

    Args:
        model: pretrained, pretrained-small (quicker), a run folder or an export
        source: number of a camera, a video file, a stream's URL, or synthetic for a drawn face
        filter: name of a filter to start with, or a folder with one of your own
        axes: draw the axes of each head: x red, y green, z (out of the face) blue
        max_faces: maximum number of faces; default: 4, with blur or pixelate all
        detector: compact, centerface, haar (OpenCV's), yunet (a download), or YuNet's .onnx file
        output: video file to record what is shown
        points: CSV file for box, score, points, head pose, eye and mouth opening and origin of
            each face, or - for a line of JSON for each frame on standard output
        virtual_camera: what is shown becomes a camera for calls; needs the extra `camera` and a
            driver
        headless: open no window; for servers, with --output or --points
        max_frames: stop after this many frames; 0: no limit
    """
    check_values(max_faces, max_frames, virtual_camera)
    outputs = [("--output", Path(output))] if output is not None else []
    keep_apart([Path(source), Path(model), Path(detector)], [*outputs, *points_output(points)])
    check_points(points)

    from keypoints.live import window

    require_window = (lambda: None) if headless else window.try_window()

    from keypoints.filters import load_filter
    from keypoints.filters.pipeline import Pipeline
    from keypoints.inference.predictor import Predictor
    from keypoints.live import loop
    from keypoints.live.sources import Source

    parsed = Source.parse(source)
    predictor = Predictor.load(model)
    pipeline = Pipeline(
        predictor,
        load_filter(filter, predictor.markup) if filter is not None else None,
        detector=detector,
        max_faces=max_faces,
        live=True,
        background=parsed.live,
    )
    pipeline.axes = axes
    require_window()
    out = report_stream(points)
    with writing_points(points, predictor.markup) as write_row:
        played = loop.run(
            parsed,
            pipeline,
            outputs=loop.Outputs(
                file=Path(output) if output is not None else None,
                camera=virtual_camera,
                write_row=write_row,
            ),
            show=None if headless else window.show,
            max_frames=max_frames,
            report=functools.partial(report, out),
        )
    summarise(played, pipeline.coverage, out)


def check_values(max_faces: int | None, max_frames: int, virtual_camera: bool) -> None:
    """Raise InputError for numbers that are too low, and where a virtual camera cannot be had."""
    if max_faces is not None:
        whole(max_faces, "--max_faces", low=1)
    whole(max_frames, "--max_frames", low=0)
    if virtual_camera:
        from keypoints.live.virtual_camera import require_package

        require_package()


def summarise(played: "Played", coverage: "Coverage", out: TextIO) -> None:
    """Print what was shown; raises the error that ended it, and exits by 1 for uncovered faces."""
    if played.speed.frames:
        print(f"{count_of(played.speed.frames, 'frame')}; {played.speed}", file=out)
    if coverage.uncovered:
        place = f"first at {coverage.first_uncovered:.1f} s: {coverage.place}"
        print(f"at most {coverage.uncovered} more seen and NOT covered, {place}", file=out)
    if played.failure is not None:
        raise played.failure
    if coverage.uncovered:
        sys.exit(1)


def report(out: TextIO, message: str | InputError) -> None:
    """Print the result of a key, or its error."""
    if isinstance(message, InputError):
        print(f"error: {message}", file=sys.stderr)
    else:
        print(message, file=out)
