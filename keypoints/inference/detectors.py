"""Face boxes in a picture, as the tight landmark boxes that crops are made from."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from keypoints import folders, geometry, landmarks
from keypoints.errors import InputError

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


class Detector(Protocol):
    """Anything that finds faces."""

    def detect(self, image: np.ndarray) -> np.ndarray:
        """Tight landmark boxes `(n, 4)` float32 of the faces in `image` `(h, w, 3)` uint8 RGB.

        Left, top, width, height in pixels, largest first; `(0, 4)` where there is no face.
        """


class HaarDetector:
    """OpenCV's bundled frontal-face cascade (Viola and Jones, 2001): nothing to download.

    On the 417 faces of `validation` its largest box overlaps the landmark box by at least 0.4
    (IoU) in 97.4 %; the median error is 8.0 % of the longer side for the centre and 5.5 % for the
    size. In 7 of the pictures it takes something else for a face as well. The same faces in
    frames of 640 x 480: of those 180 pixels long it finds 98 %, of 110 pixels 85 %, of 75 70 %.
    """

    def __init__(self) -> None:
        import cv2

        path = cv2.data.haarcascades + "haarcascade_frontalface_default.xml"
        self.cascade = cv2.CascadeClassifier(path)

    def squares(self, image: np.ndarray) -> np.ndarray:
        """What the cascade itself answers, `(n, 4)` left, top, width, height, largest first."""
        import cv2

        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        gray, factor = _shrink(gray, min(gray.shape) / SHORT_SIDE)
        gray = cv2.equalizeHist(gray)
        side = max(round(MIN_SHARE * min(gray.shape)), 24)
        found = self.cascade.detectMultiScale(
            gray, scaleFactor=SCALE_STEP, minNeighbors=NEIGHBOURS, minSize=(side, side)
        )
        found = np.array(found, np.float64).reshape(-1, 4)
        found[:, :2] = (found[:, :2] + 0.5) * factor - 0.5
        found[:, 2:] *= factor
        return found[np.argsort(-found[:, 2], kind="stable")].astype(np.float32)

    def detect(self, image: np.ndarray) -> np.ndarray:
        squares = self.squares(image)
        size = squares[:, 2:] * HAAR_SIZE
        return (
            np.concatenate([squares[:, :2] + squares[:, 2:] * HAAR_CENTRE - size / 2, size], 1)
        ).astype(np.float32)


class YuNetDetector:
    """YuNet by OpenCV (`cv2.FaceDetectorYN`), from its model file.

    The landmark box is that of the mean face laid on the five points that it finds: no constant
    of ours depends on the network. Its recall and box error were not measured here, where its
    file could not be had.
    """

    def __init__(self, path: Path) -> None:
        import cv2

        try:
            self.network = cv2.FaceDetectorYN.create(str(path), "", (320, 320), YUNET_SURE)
        except cv2.error as error:
            raise InputError(f"{path}: OpenCV cannot read it as YuNet: {error.err}") from None

    def detect(self, image: np.ndarray) -> np.ndarray:
        image, factor = _shrink(image, max(image.shape[:2]) / YUNET_LONG_SIDE)
        self.network.setInputSize(image.shape[1::-1])
        _, rows = self.network.detect(np.ascontiguousarray(image[..., ::-1]))  # it takes BGR
        rows = np.empty((0, 15), np.float32) if rows is None else rows
        # A row: box, then the viewer's left eye, right eye, nose, left and right mouth corner.
        boxes = boxes_of_five((rows[:, 4:14].reshape(-1, 5, 2) + 0.5) * factor - 0.5)
        return boxes[np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable")]


def boxes_of_five(points: np.ndarray) -> np.ndarray:
    """Tight landmark boxes `(n, 4)` float32 of faces `(n, 5, 2)`: the mean face laid on them.

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
    return geometry.landmark_box(np.stack([placed.real, placed.imag], -1)).astype(np.float32)


def load_detector(name: str | Path = "haar") -> Detector:
    """`haar`, `yunet`, or the path of YuNet's model file; each is read once.

    `yunet` is read from `folders.cache_folder()`, and downloaded to it where it is not there yet.
    Raises InputError for another name, and where the file cannot be had or is not the one it
    should be.
    """
    return _load(str(name))


@cache
def _load(name: str) -> Detector:
    if name == "haar":
        return HaarDetector()
    if name == "yunet":
        return YuNetDetector(_fetch_yunet())
    if Path(name).suffix != ".onnx":
        raise InputError(f"--detector={name}: haar, yunet or the path of YuNet's .onnx file")
    if not Path(name).is_file():
        raise InputError(f"--detector={name}: no such file; {YUNET_URL} has it")
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
                f"--detector=yunet: {error}; put the file into {path.parent}, name one with "
                "--detector=FILE.onnx, or do without: --detector=haar needs none"
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


def fit_conversion(squares: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(centre, size)` as of `HAAR_CENTRE` and `HAAR_SIZE` from matched `(n, 4)` boxes."""
    centre = (boxes[:, :2] + boxes[:, 2:] / 2 - squares[:, :2]) / squares[:, 2:]
    return np.median(centre, axis=0), np.median(boxes[:, 2:] / squares[:, 2:], axis=0)


def overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes `(..., 4)` pair by pair."""
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., :2] + boxes[..., 2:], others[..., :2] + others[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    return shared / (boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - shared)
