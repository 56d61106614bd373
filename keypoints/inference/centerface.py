"""The face detector CenterFace (Xu, Yan, Yang and others, 2019): from its file to landmark boxes.

Two files are bundled: the published weights (MIT licence), and a pruned network that was trained to
answer as they do; `experiments.detector` made both. ONNX Runtime runs them, safe to call from
several threads, and right for any sequence of picture sizes, which OpenCV's dnn is not.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from keypoints import geometry, pretrained
from keypoints.errors import InputError
from keypoints.inference import upright
from keypoints.inference.detections import Detections, distinct, largest_first, shrink
from keypoints.system import backend

INPUT = "image"
OUTPUTS = ("heat", "sizes", "offsets", "points")
STRIDE = 4  # pixels of the network's input to a cell of its maps
MULTIPLE = 32  # of which the input's sides must be
SMALLEST_SIDE = 18  # pixels of the searched picture: smaller faces are mostly missed
LEVEL_STEP = 4  # from one size of the searched picture to the next
ASPECT = 1.27  # height over width of CenterFace's box of an upright face: a mean
# A face with a roll of more or a score of less may be seen better in the turned picture.
LYING, SURE = 30.0, 0.6
TURNED = 0.03  # `smallest` of those searches
TILE, TILE_OVERLAP = 1024, 160  # sides of what is searched at once: its memory is bounded


class Network(NamedTuple):
    """A network with CenterFace's outputs, and what was fitted to its answers."""

    file: Path
    sha256: str
    min_score: float  # a face has this score or more
    # Centre and size of the landmark box in units of the network's box, from its top-left corner:
    # means of the medians (`fit_conversion`) of `train` of youtube_faces_keypoints and of LFPW's
    # training faces, but for the centre's x: labels are biased to one side, and faces are
    # symmetric.
    centre: tuple[float, float]
    size: tuple[float, float]
    small_picture: int  # long side of a picture in which faces of all sizes are found at once
    second: "Network | None" = None  # searches too, where no face is found or a doubtful one


CENTERFACE = Network(
    pretrained.FOLDER / "centerface" / "model.onnx",
    "b69255a78a617c821fa4cbf71f0422cff80bc405dd70db923545e3010fd8b56a",
    0.4,
    centre=(0.500, 0.630),  # of (0.509, 0.635) and (0.497, 0.625)
    size=(1.028, 0.775),  # of (1.054, 0.776) and (1.003, 0.774)
    small_picture=480,
)
# CenterFace pruned to a quarter and trained to answer as it does (`experiments.detector`).
COMPACT = Network(
    pretrained.FOLDER / "compact" / "model.onnx",
    "2c2bcf47ef9e6774b541e131523aed416b55d4784768a3e158d9ed31fb87fda1",
    0.4,
    centre=(0.500, 0.626),  # of (0.495, 0.634) and (0.490, 0.617)
    size=(1.018, 0.778),  # of (1.034, 0.781) and (1.002, 0.774)
    small_picture=256,
    second=CENTERFACE,
)


class CenterFaceDetector:
    """A network by ONNX Runtime, at the sizes that faces from `smallest` on need.

    `smallest` is the side of a face's landmark box as a share of the square root of the picture's
    area, so that time and memory depend on it and not on the picture. No picture is enlarged:
    faces of under 18 pixels are mostly missed.
    """

    def __init__(
        self,
        network: Network,
        smallest: float,
        *,
        rotations: bool = True,
        threads: int | None = None,
    ) -> None:
        """`rotations`: where no face is found, or one that is not upright and sure, search the
        picture again for faces from `TURNED` on: turned by 90, 180 and 270 degrees, or, as it is
        and turned, with the network's `second`, which is read when it is first needed. `threads`:
        of ONNX Runtime, one for each core unless given."""
        self.network = network
        self.smallest = smallest
        self.rotations = rotations
        self.threads = threads
        self._session = load_session(network, threads)

    def faces(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The network's own boxes `(n, 4)`, of whole faces, and scores `(n,)`, best first."""
        return self._faces(image, self.smallest)[:2]

    def detect(self, image: np.ndarray) -> Detections:
        found, _ = self._ranked(image)
        return largest_first(found.boxes, found.scores, found.rolls)

    def _ranked(self, image: np.ndarray) -> tuple[Detections, np.ndarray]:
        """What is found, and the rank `(n,)` of each among answers on the same face."""
        found = self._tilted(image, self.smallest)
        tries = [(found, _rank(found))]
        if not self.rotations or (len(found) and _settled(found).all()):
            return tries[0]
        smallest = max(self.smallest, TURNED)
        if self.network.second is None:
            tries += self._turned(image, smallest)
        else:
            second = CenterFaceDetector(self.network.second, smallest, threads=self.threads)
            tries.append(second._ranked(image))
        detections, all_ranks = zip(*tries, strict=True)
        boxes, scores, rolls = (
            np.concatenate([getattr(each, part) for each in detections])
            for part in ("boxes", "scores", "rolls")
        )
        ranks = np.concatenate(all_ranks)
        kept = distinct(boxes, ranks)
        return Detections(boxes[kept], scores[kept], rolls[kept]), ranks[kept]

    def _turned(
        self, image: np.ndarray, smallest: float
    ) -> Iterator[tuple[Detections, np.ndarray]]:
        """As `_ranked`, of the picture turned by 90, 180 and 270 degrees."""
        # As small as the faces that are looked for allow: the copies of a large picture are small.
        small, scale = shrink(image, _factor(image, smallest))
        for turns in (1, 2, 3):
            turned = self._tilted(np.ascontiguousarray(np.rot90(small, turns)), smallest)
            back = _turned_back(turned, turns, small.shape[:2])
            yield replace(back, boxes=geometry.scaled_boxes(back.boxes, scale)), _rank(turned)

    def _tilted(self, image: np.ndarray, smallest: float) -> Detections:
        """Landmark boxes, scores and rolls, searched as the picture is."""
        faces, scores, five = self._faces(image, smallest)
        rolls = upright.crop_rolls(five[:, :2].mean(axis=1), five[:, 3:].mean(axis=1))
        # The box of a tilted face has another shape, but about the same area.
        shape = np.sqrt([1 / ASPECT, ASPECT])
        sides = np.where(
            rolls[:, None], np.sqrt(faces[:, 2:].prod(1))[:, None] * shape, faces[:, 2:]
        )
        down = sides * np.subtract(self.network.centre, 0.5)
        centre = faces[:, :2] + faces[:, 2:] / 2
        centre = centre + (geometry.rotation(rolls) @ down[..., None])[..., 0]
        sides = sides * self.network.size
        return largest_first(np.concatenate([centre - sides / 2, sides], 1), scores, rolls)

    def _faces(
        self, image: np.ndarray, smallest: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As in `faces`, with the five points `(n, 5, 2)` of each."""
        level, scale = shrink(image, _factor(image, smallest))
        found_boxes, found_scores, found_points = [], [], []
        while True:
            last = max(level.shape[:2]) <= self.network.small_picture
            for found, scores, five in self._search(level):
                # Larger faces may be cut by a tile; the next level finds them whole.
                fit = last | (found[:, 2:].max(axis=1) <= TILE_OVERLAP)
                found_boxes.append(geometry.scaled_boxes(found[fit], scale))
                found_scores.append(scores[fit])
                found_points.append((five[fit] + 0.5) * scale - 0.5)
            if last:
                break
            level, step = shrink(level, LEVEL_STEP)
            scale = scale * step
        boxes, scores = np.concatenate(found_boxes), np.concatenate(found_scores)
        kept = distinct(boxes, scores)
        return boxes[kept], scores[kept], np.concatenate(found_points)[kept]

    def _search(self, image: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Boxes, scores and points by tile; a face is of the tile whose middle holds its own."""
        half = TILE_OVERLAP / 2
        for top, bottom in _spans(image.shape[0]):
            for left, right in _spans(image.shape[1]):
                tile = image[top:bottom, left:right]
                boxes, scores, five = find(self._session, tile, threshold=self.network.min_score)
                boxes[:, :2] += (left, top)
                centre = boxes[:, :2] + boxes[:, 2:] / 2
                low = np.where(np.array([left, top]) > 0, (left + half, top + half), -np.inf)
                inside = np.array([right, bottom]) < image.shape[1::-1]
                high = np.where(inside, (right - half, bottom - half), np.inf)
                own = ((centre >= low) & (centre < high)).all(axis=1)
                yield boxes[own], scores[own], five[own] + np.array([left, top], np.float32)


def _settled(found: Detections) -> np.ndarray:
    """Which faces are upright and sure: one upside down may look like a doubtful upright one."""
    return (np.abs(found.rolls) <= LYING) & (found.scores >= SURE)


def _rank(found: Detections) -> np.ndarray:
    """Of several detections of one face, the settled one has the correct roll."""
    return found.scores + _settled(found)


def _factor(image: np.ndarray, smallest: float) -> float:
    """How much smaller the picture is searched for faces from `smallest` on, at least 1.

    By some percent more or less, so that the network's input needs no padding along the long side.
    """
    height, width = image.shape[:2]
    factor = smallest * math.sqrt(height * width) / SMALLEST_SIDE
    if factor <= 1:
        return 1.0
    long = max(height, width)
    return long / min(max(round(long / factor / MULTIPLE), 1) * MULTIPLE, long)


def _turned_back(found: Detections, turns: int, shape: tuple[int, int]) -> Detections:
    """What was found in `np.rot90(image, turns)` as in the image, whose height and width are given.

    Boxes keep their sizes: they are those of the picture turned back by the roll.
    """
    half = found.boxes[:, 2:] / 2
    x, y = (found.boxes[:, :2] + half).T
    height, width = shape
    x, y = {
        0: (x, y), 1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)
    }[turns]  # fmt: skip
    boxes = np.concatenate([np.stack([x, y], 1) - half, 2 * half], axis=1)
    return Detections(boxes, found.scores, (found.rolls + 90 * turns + 180) % 360 - 180)


def _spans(length: int) -> list[tuple[int, int]]:
    """Starts and ends of the tiles that cover `length` pixels, in equal steps.

    Tiles are no larger than they must be: where two overlap, the picture is searched twice.
    """
    count = max(-(-(length - TILE_OVERLAP) // (TILE - TILE_OVERLAP)), 1)
    least = -(-(length + (count - 1) * TILE_OVERLAP) // count)
    tile = min(-(-least // MULTIPLE) * MULTIPLE, length)
    starts = [number * (length - tile) // max(count - 1, 1) for number in range(count)]
    return [(start, start + tile) for start in starts]


@cache
def load_session(network: Network, threads: int | None = None) -> Any:
    """ONNX Runtime's session of a network, for pictures of any size; made once.

    `threads`: as in `backend.onnx_session`. Raises InputError as `model_bytes`.
    """
    # Memory that one large picture needed would be kept for ever.
    return backend.onnx_session(model_bytes(network), threads=threads, keep_memory=False)


def model_bytes(network: Network) -> bytes:
    """The network's file; raises InputError where it is missing or damaged."""
    data = network.file.read_bytes() if network.file.is_file() else b""
    if hashlib.sha256(data).hexdigest() != network.sha256:
        state = "damaged (its SHA-256 differs)" if data else "missing"
        raise InputError(f"{network.file} is {state}: install the package keypoints again")
    return data


def find(
    session: Any, image: np.ndarray, *, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The network's own boxes `(n, 4)`, scores `(n,)` and points `(n, 5, 2)`, best first; float32.

    `image`: `(h, w, 3)` uint8 RGB, searched at its size. Boxes are left, top, width, height of
    the whole face in pixels, and may reach over the picture's edge. The points are the middles
    of the eyes, the nose's tip and the mouth's corners, from the viewer's left to right. Of the
    cells whose score is above `threshold` the best of each 3 x 3 is a candidate.
    """
    height, width = (-(-side // MULTIPLE) * MULTIPLE for side in image.shape[:2])
    padded = np.zeros((1, 3, height, width), np.float32)
    for plane, channel in zip(padded[0], cv2.split(image)):  # faster than a transpose
        plane[: image.shape[0], : image.shape[1]] = channel
    heat, sizes, offsets, points = session.run(OUTPUTS, {INPUT: padded})
    heat, sizes, offsets, points = heat[0, 0], sizes[0], offsets[0], points[0]
    peaks = (heat > threshold) & (heat >= cv2.dilate(heat, np.ones((3, 3), np.uint8)))
    rows, columns = np.nonzero(peaks)
    # The maps' channels are y before x.
    size = np.exp(sizes[::-1, rows, columns].T) * STRIDE
    cells = np.stack([columns, rows], 1)
    centre = (cells + offsets[::-1, rows, columns].T + 0.5) * STRIDE - 0.5
    corner = centre - size / 2
    boxes = np.concatenate([corner, size], 1).astype(np.float32)
    five = points[:, rows, columns].reshape(5, 2, -1).transpose(2, 0, 1)[..., ::-1]
    return boxes, heat[rows, columns], (five * size[:, None] + corner[:, None]).astype(np.float32)
