"""Sources of frames: a camera, a stream, a video file or URL, or the synthetic clip."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import numpy as np

from keypoints.errors import InputError
from keypoints.media import cameras, formats, videos

SYNTHETIC = "synthetic"  # name of the synthetic clip


@dataclass(frozen=True)
class Source:
    """What a user named as the input, parsed once."""

    text: str  # a camera's number, a URL, a path or `SYNTHETIC`
    kind: str  # camera, stream, synthetic, url, video, picture or folder

    @classmethod
    def parse(cls, text: str) -> "Source":
        """The source that `text` names; a `file://` URL is the path in it.

        Raises InputError for a file that is not there, and for one that is neither a picture nor
        a video by its name.
        """
        if text == SYNTHETIC:
            return cls(text, "synthetic")
        if cameras.is_live(text):
            return cls(text, "camera" if text.isdigit() else "stream")
        scheme, separator, _ = text.partition("://")
        if separator and scheme.lower() == "file":
            text = url2pathname(urlsplit(text).path)
        elif separator:
            return cls(text, "url")
        path = Path(text)
        if os.path.isdir(path):
            return cls(text, "folder")
        if not os.path.exists(path):
            raise InputError(f"{path}: no such file or folder")
        if formats.is_video(path):
            return cls(text, "video")
        if formats.is_picture(path):
            return cls(text, "picture")
        known = ", ".join(formats.picture_inputs() + formats.VIDEO_INPUTS)
        raise InputError(f"{path}: neither a picture nor a video by its name; known: {known}")

    @property
    def live(self) -> bool:
        """Whether frames come at their own time, and are lost if they are not taken."""
        return self.kind in ("camera", "stream")

    @property
    def rate(self) -> float:
        """Frames/s to record the source at: a file's own, or the default."""
        if self.kind in ("video", "url"):
            return videos.probe(self.text).rate
        return videos.DEFAULT_RATE

    def frames(
        self, idle: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Times in seconds and frames `(h, w, 3)` uint8 RGB.

        `idle` is called while no frame of a live source comes, and ends it by True. Raises
        InputError where nothing can be read, and for a folder.
        """
        if self.kind == "synthetic":
            from keypoints.synthetic.clip import drawn_clip

            return drawn_clip()
        if self.live:
            return cameras.live_frames(self.text, idle)
        if self.kind == "folder":
            raise InputError(f"source={self.text}: a folder; a camera or a video is expected")
        return videos.read_frames(self.text)

    def default_name(self, label: str = "") -> Path:
        """The file or folder for an edited copy: beside the source, with `label` in its name.

        For a camera or a URL it is in the current folder.
        """
        label = f"-{label}" if label else ""
        if self.live:
            return Path(f"camera{label}.mp4")
        if self.kind == "url":
            whole = Path(unquote(urlsplit(self.text).path).rpartition("/")[2] or "video.mp4")
        else:
            whole = Path(os.path.abspath(self.text))
        if self.kind == "folder":
            return whole.with_name(f"{whole.name}{label}")
        name = f"{whole.stem}{label}{whole.suffix}"
        return whole.with_name(formats.writable(name, moving=self.kind != "picture"))
