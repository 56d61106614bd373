"""Sources of frames: a camera, a stream, a video file or the synthetic clip."""

from collections.abc import Iterator

import numpy as np

from keypoints.media import cameras, videos

SYNTHETIC = "synthetic"  # name of the synthetic clip


def open_source(source: str) -> Iterator[tuple[float, np.ndarray]]:
    """Times in seconds and frames `(h, w, 3)` uint8 RGB of a source.

    `source`: number of a camera, a stream's URL, a video file or its http URL, or `synthetic`.
    Raises InputError where nothing can be read.
    """
    if source == SYNTHETIC:
        from keypoints.synthetic.clip import drawn_clip

        return drawn_clip()
    if cameras.is_live(source):
        return cameras.live_frames(source)
    return videos.read_frames(source)


def source_rate(source: str) -> float:
    """Frames/s to record a source at: a file's own, or the default."""
    if cameras.is_live(source) or source == SYNTHETIC:
        return videos.DEFAULT_RATE
    return videos.probe(source).rate
