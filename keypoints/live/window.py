"""The display window."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from keypoints.errors import InputError
from keypoints.live.keys import HELP
from keypoints.media import overlay

NAME = "keypoints"


def try_window() -> Callable[[], None]:
    """Start a check whether a window can open; returns a function that waits for the result.

    The check runs in a new process, because OpenCV's window toolkit ends the process if it fails,
    and its window has another name. The returned function raises InputError if no window can open.
    """
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not screen:
        raise InputError("no window can open here (DISPLAY is not set); add --headless=True")
    command = [sys.executable, "-c", "import cv2; cv2.namedWindow('attempt')"]
    attempt = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def require_window() -> None:
        if attempt.wait() != 0:
            raise InputError(f"no window can open here (DISPLAY is {screen}); add --headless=True")

    return require_window


def show(
    image: np.ndarray, text: str, wait: float, *, help: bool, recording: Path | None, note: str
) -> str:
    """Show a frame for `wait` seconds, at least a moment; returns the pressed key, or "".

    `text` is drawn over it, with `help` also the keys; a dot marks a `recording`, and `note` stands
    at the bottom. Returns "q" if the window was closed.
    """
    frame = image[..., ::-1].copy()
    for line, words in enumerate([text, HELP] if help else [text]):
        write(frame, words, 20 + 20 * line)
    if note and not (help and note == HELP):
        write(frame, note, frame.shape[0] - 10)
    if recording is not None:
        cv2.circle(frame, (frame.shape[1] - 18, 18), 7, (40, 40, 230), -1, cv2.LINE_AA)
    cv2.imshow(NAME, frame)
    key = cv2.waitKey(max(round(1000 * wait), 1))
    if cv2.getWindowProperty(NAME, cv2.WND_PROP_VISIBLE) < 1:
        return "q"
    return chr(key & 0xFF) if key >= 0 else ""


def write(frame: np.ndarray, words: str, row: int) -> None:
    """Write text on a frame, smaller where it would not fit."""
    (width, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    overlay.write(frame, words, (8, row), 0.5 * min((frame.shape[1] - 16) / max(width, 1), 1))
