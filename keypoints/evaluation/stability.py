"""Flicker of the points on a still face, and their lag on a moving face.

Clips are made from annotated stills by a known motion, so the true points of every frame are exact
and no annotated video is needed. Smoothing lowers flicker and adds lag: report both.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from keypoints import geometry, metrics
from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.inference.predictor import Predictor
from keypoints.inference.smoothing import OneEuro, two_sided
from keypoints.markup import IBUG68, Markup
from keypoints.network import Network

CLIPS = 24  # stills, spread evenly over the split
FRAMES, RATE = 45, 30.0  # of one clip; frames/s
NOISE, FLICKER, JPEG = 3.0, 0.02, 80  # sigma in grey levels, relative sigma of the light, quality
BOX_JITTER = 0.01  # sigma of a crop's position and size, in longer sides of the box
LAGS = np.arange(0, 0.2005, 0.001)  # lags that are tried, seconds
MOTIONS = ("static", "fast")


@dataclass(frozen=True)
class Clip:
    """A synthetic video of one face."""

    times: np.ndarray  # (t,) seconds
    frames: list[np.ndarray]  # (h, w, 3) uint8 RGB
    points: np.ndarray  # (t, k, 2) float32, pixels of the frames


def _moving_average(times: np.ndarray, points: np.ndarray, markup: Markup) -> np.ndarray:
    """Mean of the new points and the last result: the filter that One-Euro is compared with."""
    return np.stack(list(itertools.accumulate(points, lambda last, new: (last + new) / 2)))


def _one_euro(times: np.ndarray, points: np.ndarray, markup: Markup) -> np.ndarray:
    smoother = OneEuro(markup)
    return np.stack([smoother.smooth(*frame) for frame in zip(points, times)])


# Times (t,), points (t, k, 2) of one face and their markup to smoothed points.
SMOOTHERS: dict[str, Callable[[np.ndarray, np.ndarray, Markup], np.ndarray]] = {
    "raw": lambda times, points, markup: points,
    "EMA": _moving_average,
    "One-Euro": _one_euro,
    "two-sided": two_sided,
}


def motion_matrices(box: np.ndarray, motion: str, phase: float) -> np.ndarray:
    """Matrices `(FRAMES, 2, 3)` from the still to the frames of a clip of the face in `box`.

    `fast`: about once a second the face moves by a quarter of its side, rotates by 12 degrees and
    grows by a tenth, starting at `phase` in radians.
    """
    centre, side = box[:2] + box[2:] / 2, box[2:].max()
    swing = 2 * np.pi * np.arange(FRAMES) / RATE + phase
    size = np.zeros_like(swing) if motion == "static" else np.ones_like(swing)
    angle = np.deg2rad(12) * size * np.sin(1.1 * swing)
    scale = 1 + 0.1 * size * np.sin(0.7 * swing)
    shift = 0.25 * side * size[:, None] * np.stack([np.sin(swing), 0.5 * np.cos(1.3 * swing)], 1)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    return np.concatenate([turn, (centre + shift - turn @ centre)[..., None]], axis=2)


def make_clip(
    image: np.ndarray, points: np.ndarray, box: np.ndarray, motion: str, *, seed: int
) -> Clip:
    """`FRAMES` frames of a still `(h, w, 3)` uint8 and its points `(k, 2)`, with sensor noise,
    flickering light and JPEG compression, which differ from frame to frame."""
    rng = np.random.default_rng(seed)
    matrices = motion_matrices(box, motion, phase=rng.uniform(0, 2 * np.pi))
    frames = []
    for matrix in matrices:
        frame = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
        frame = frame * (1 + FLICKER * rng.standard_normal())
        frame = np.clip(frame + NOISE * rng.standard_normal(frame.shape), 0, 255).astype(np.uint8)
        _, data = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG])
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None  # just encoded
        frames.append(decoded[..., ::-1])
    return Clip(np.arange(FRAMES) / RATE, frames, geometry.apply(matrices, points))


def follow(predictor: Predictor, clip: Clip, *, seed: int) -> np.ndarray:
    """Points `(t, k, 2)` as the tracker gets them before it smooths: each crop is made from the
    points of the frame before, the first from the truth, and all boxes have noise."""
    rng = np.random.default_rng(seed)
    points = clip.points[0]
    found = []
    for frame in clip.frames:
        box = predictor.network.markup.face_boxes(points)
        side = box[2:].max()
        middle = box[:2] + box[2:] / 2 + BOX_JITTER * side * rng.standard_normal(2)
        size = box[2:] * np.exp(BOX_JITTER * rng.standard_normal())
        box = np.concatenate([middle - size / 2, size])
        points = predictor.predict(frame, box[None])[0]
        found.append(points)
    return np.stack(found)


def flicker(truth: np.ndarray, predicted: np.ndarray, markup: Markup = IBUG68) -> float:
    """Normalised mean flicker of points `(t, k, 2)`: 100 is one pixel on a face of 256 pixels.

    The change of the error from frame to frame, over the face's size, as root mean square over
    points, then over frames (Micaelli et al., "Recurrence without Recurrence", CVPR 2023).
    """
    change = np.linalg.norm(np.diff(truth - predicted, axis=0), axis=-1)
    size = np.sqrt(markup.face_boxes(truth)[1:, 2:].prod(axis=-1)) / 256
    per_frame = np.sqrt(np.mean((100 * change / size[:, None]) ** 2, axis=1))
    return float(np.sqrt(np.mean(per_frame**2)))


def lag(times: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> float:
    """Seconds by which `predicted` `(t, k, 2)` trails `truth`: the shift that aligns them best.

    The mean offset of each point is left out. It has no meaning for a still face.
    """
    inside = times >= times[0] + LAGS[-1]
    flat, found = truth.reshape(len(times), -1), predicted.reshape(len(times), -1)[inside]
    errors = []
    for delay in LAGS:
        place = np.interp(times[inside] - delay, times, np.arange(len(times)))
        before = np.minimum(place.astype(int), len(times) - 2)
        share = (place - before)[:, None]
        apart = found - (1 - share) * flat[before] - share * flat[before + 1]
        errors.append(np.square(apart - apart.mean(axis=0)).sum())
    return float(LAGS[np.argmin(errors)])


def measure(
    network: Network, records: Records, *, clips: int | None = None, **facts: Any
) -> dict[str, Any]:
    """The report: `facts` as they are, then flicker, NME in percent and lag in milliseconds of
    every smoother, means over a static and a fast clip of `clips` (`CLIPS`) faces. Faces with
    missing points are skipped."""
    predictor, markup = Predictor(network), network.markup
    records = records.seen_by(markup)
    whole = np.flatnonzero(metrics.annotated(records.points).all(axis=1))
    if not len(whole):
        raise InputError(f"{records.name}: no face has all of its points")
    chosen = whole[
        np.linspace(0, len(whole) - 1, min(clips or CLIPS, len(whole))).round().astype(int)
    ]
    values: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in SMOOTHERS}
    for index, motion in itertools.product(chosen, MOTIONS):
        seed, box = int(index), records.boxes[index]
        clip = make_clip(records.image(index), records.points[index], box, motion, seed=seed)
        raw = follow(predictor, clip, seed=seed)
        for name, smoother in SMOOTHERS.items():
            found, row = smoother(clip.times, raw, markup), values[name]
            row[f"nmf_{motion}"].append(flicker(clip.points, found, markup))
            nme = metrics.nme(clip.points, found, markup.face_boxes(clip.points), markup).mean()
            row[f"nme_{motion}"].append(float(100 * nme))
            if motion == "fast":
                row["lag_ms"].append(1000 * lag(clip.times, clip.points, found))
    return {
        **facts,
        "split": records.name,
        "split_sha256": records.digest(),
        "clips": len(chosen),
        "frames": FRAMES,
        "frames_per_second": RATE,
        "smoothers": {
            name: {key: float(np.mean(each)) for key, each in row.items()}
            for name, row in values.items()
        },
    }


def table(report: dict[str, Any]) -> str:
    """The report of `measure` as text for a terminal."""
    lines = [
        f"{report['clips']} static and {report['clips']} fast clips of {report['split']}, "
        f"{report['frames']} frames at {report['frames_per_second']:.0f} frames/s",
        f"{'':10}{'NMF static':>12}{'NMF fast':>12}{'lag':>10}{'NME static':>12}{'NME fast':>12}",
    ]
    for name, row in report["smoothers"].items():
        lines.append(
            f"{name:10}{row['nmf_static']:>12.1f}{row['nmf_fast']:>12.1f}{row['lag_ms']:>7.0f} ms"
            f"{row['nme_static']:>10.2f} %{row['nme_fast']:>10.2f} %"
        )
    return "\n".join(lines)
