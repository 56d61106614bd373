"""Frames of a video to label: those that differ, by the motion of the points and by doubt."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keypoints.errors import InputError
from keypoints.label.proposals import Proposer, face_size
from keypoints.markup import Markup
from keypoints.media.pictures import encode_png
from keypoints.media.videos import probe, read_frames
from keypoints.system.atomic import replacing
from keypoints.system.locks import locked

FRAMES = 20  # that are taken of a clip, at most
LOOKED_AT = 10  # frames that the model sees for each of them
STILL = 0.02  # of the face: where the points moved less, two frames are alike


def frames_folder(clip: Path) -> Path:
    """Where the frames of a clip are: a folder beside it."""
    return clip.with_name(f"{clip.name}-frames")


def take_frames(
    clip: Path,
    proposer: Proposer,
    *,
    count: int = FRAMES,
    on_frame: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write frames of `clip` that differ as PNG files into `frames_folder(clip)`; its path.

    At most `count`, by `chosen`, of frames at equal distances; the largest face in each is looked
    at. The folder appears when it is complete; one that is there stays. `on_frame` gets the number
    of frames that were read, and of all. Raises InputError for a clip that cannot be read or shows
    no face.
    """
    target = frames_folder(clip)
    if target.is_dir():
        return target
    total = probe(clip).count or sum(1 for _ in read_frames(clip))
    step = max(1, -(-total // (LOOKED_AT * count)))
    numbers, faces = [], []
    for number, (_, image) in enumerate(read_frames(clip)):
        on_frame(number, total)
        if number % step == 0 and (found := proposer.faces(image)):
            numbers.append(number)
            faces.append(found[0])
    if not faces:
        raise InputError(f"{clip}: no face found in it; label pictures that you take from it")
    points = np.stack([face.points for face in faces])
    doubts = np.array([face.doubt for face in faces])
    taken = {numbers[i] for i in chosen(points, doubts, proposer.markup, count)}
    part = target.with_name(f".{target.name}.part")
    part.mkdir(exist_ok=True)
    with locked(part, f"{clip}: another `keypoints label` takes frames of it"):
        for left in part.iterdir():  # by one that was killed
            left.unlink()
        for number, (_, image) in enumerate(read_frames(clip)):
            if number in taken:
                with replacing(part / f"{clip.stem}-{number:06}.png") as temporary:
                    temporary.write_bytes(encode_png(image))
        os.replace(part, target)
    return target


def chosen(points: np.ndarray, doubts: np.ndarray, markup: Markup, count: int) -> list[int]:
    """The numbers of at most `count` frames that differ, in their order.

    `points` `(n, k, 2)` in pixels, `doubts` `(n,)`: a face in each frame. The first is the one most
    in doubt. Each further one is that with the largest product of its doubt and its distance to the
    nearest of those before: the mean over the points, over the size of the face. Frames that are
    nearer than `STILL` are left out.
    """
    size = float(np.mean([face_size(markup, face) for face in points]))
    taken = [int(doubts.argmax())]
    away = np.full(len(points), np.inf)
    while len(taken) < count:
        moved = np.linalg.norm(points - points[taken[-1]], axis=-1).mean(axis=1) / size
        away = np.minimum(away, moved)
        best = int(np.where(away < STILL, -1, away * doubts).argmax())
        if away[best] < STILL:
            break
        taken.append(best)
    return sorted(taken)
