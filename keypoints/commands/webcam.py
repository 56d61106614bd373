"""Points or a filter live on a camera: `python -m tools.webcam`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keypoints.atomic import keep_apart
from keypoints.errors import InputError
from keypoints.pretrained import DEFAULT


def webcam(
    model: str = DEFAULT,
    *,
    source: str = "0",
    filter: str | None = None,
    axes: bool = False,
    faces: int | None = None,
    detector: str = "centerface",
    output: str | None = None,
    points: str | None = None,
    headless: bool = False,
    max_frames: int = 0,
) -> None:
    """Show a camera with the 68 points of every face, or with a filter on them.

    Keys: q or Esc quits, l switches the points, a the axes of the heads, f takes the next filter, s
    writes a snapshot, r starts a recording and ends it, h shows this. Ctrl-C ends it too, and keeps
    what was recorded. Exit code 1: blur or pixelate left a face uncovered that the detector saw.

    Args:
        model: pretrained, pretrained-small (quicker), a run folder or an export
        source: number of a camera, a video file, a stream's URL, or synthetic for a drawn face
        filter: name of a filter to start with, or a folder with one of your own
        axes: draw each head's axes, x red, y green, z (out of the face) blue
        faces: at most this many faces are followed; 4 unless given, all with blur or pixelate
        detector: centerface, haar (OpenCV's cascade), yunet (a download), or YuNet's .onnx file
        output: video file to record what is shown
        points: CSV file to write box, score, 68 points, pose and openings of each face to
        headless: open no window, for servers; then output or points say what to leave
        max_frames: stop after this many frames; 0 goes on to the end
    """
    for name, value, low in (("faces", faces, 1), ("max_frames", max_frames, 0)):
        if value is not None and value < low:
            raise InputError(f"--{name}={value}: a whole number of at least {low} is expected")
    files = {"--output": output, "--points": points}
    outputs = [(flag, Path(path)) for flag, path in files.items() if path is not None]
    keep_apart([Path(source), Path(model), Path(detector)], outputs)
    require_window = (lambda: None) if headless else try_window()

    from keypoints.filters import load_filter
    from keypoints.inference.detectors import MOVING, load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.inference.tracking import Tracker
    from keypoints.live import loop
    from keypoints.live.view import View
    from keypoints.media import cameras

    view = View(load_filter(filter) if filter is not None else None, axes=axes)
    live = cameras.is_live(source)
    threads = 1 if live else None  # as `Tracker` says
    finder = load_detector(detector, smallest=MOVING, rotations=False, threads=threads)
    tracker = Tracker(Predictor.load(model), detector=finder, background=live)
    require_window()
    speed = loop.run(
        source,
        tracker,
        view,
        faces=faces,
        output=Path(output) if output is not None else None,
        points=Path(points) if points is not None else None,
        headless=headless,
        max_frames=max_frames,
        report=report,
    )
    if speed.frames:
        print(f"{speed.frames} frames; {speed}")
        if view.coverage.uncovered:
            count, first = view.coverage.uncovered, view.coverage.first_uncovered
            print(f"at most {count} more seen and NOT covered, first at {first:.1f} s")
            sys.exit(1)


def try_window() -> Callable[[], None]:
    """Start to find out whether a window can open; returns a wait for the answer."""
    from keypoints.live import window

    def asked(question: Callable[[], Any]) -> Any:
        try:
            return question()
        except InputError as error:
            raise InputError(f"{error}; add --headless=True") from None

    require_window = asked(window.try_window)
    return lambda: asked(require_window)


def report(message: str | InputError) -> None:
    """Print what a key did, or the error that kept it from doing it."""
    if isinstance(message, InputError):
        print(f"error: {message}", file=sys.stderr)
    else:
        print(message)
