"""The face detector YuNet (Wu, Peng and Yu, 2023), of OpenCV's model zoo; MIT licence."""

import os
from pathlib import Path

import cv2
import numpy as np

from keypoints.errors import InputError
from keypoints.inference import upright
from keypoints.inference.detections import Detections, PerThread, largest_first, shrink
from keypoints.markup import IBUG68
from keypoints.system import folders
from keypoints.system.backend import quiet_opencv
from keypoints.system.digests import file_digest

FILE = "face_detection_yunet_2023mar.onnx"
URL = "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/" + FILE
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
LONG_SIDE = 640  # larger pictures are searched at this size
MIN_SCORE = 0.6  # a face has this score or more


class YuNetDetector:
    """YuNet by OpenCV (`cv2.FaceDetectorYN`), from its model file.

    The landmark box is that of the mean face laid on the five points that it finds: no constant
    of ours depends on the network. Its recall and box error were not measured here, where its
    file could not be had.
    """

    def __init__(self, path: Path) -> None:
        try:
            with quiet_opencv():
                self._network = PerThread(
                    lambda: cv2.FaceDetectorYN.create(str(path), "", (320, 320), MIN_SCORE)
                )
                self.detect(np.zeros((64, 64, 3), np.uint8))  # fails for another kind of network
        except cv2.error as error:
            raise InputError(f"{path}: OpenCV cannot read it as YuNet: {error.err}") from None

    def detect(self, image: np.ndarray) -> Detections:
        image, factor = shrink(image, max(image.shape[:2]) / LONG_SIDE)
        network = self._network.value
        network.setInputSize(image.shape[1::-1])
        _, rows = network.detect(np.ascontiguousarray(image[..., ::-1]))  # it takes BGR
        rows = np.empty((0, 15), np.float32) if rows is None else rows
        # A row: box, the viewer's left eye, right eye, nose, left and right mouth corner, score.
        boxes, rolls = boxes_of_five((rows[:, 4:14].reshape(-1, 5, 2) + 0.5) * factor - 0.5)
        return largest_first(boxes, rows[:, 14], rolls)


def boxes_of_five(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`upright_boxes` of faces `(n, 5, 2)`: those of the mean face laid on them.

    The five: the middles of the eyes, the nose's tip and the mouth's corners, from the viewer's
    left to right. Placed by the similarity of least squares, with points as complex numbers.
    """
    assert IBUG68.mean is not None
    face, roles = IBUG68.mean @ [1, 1j], IBUG68.roles
    eyes = [face[list(roles[eye])].mean() for eye in ("right_eye", "left_eye")]
    model = np.array([*eyes, *face[[*roles["nose_tip"], *roles["mouth_corners"]]]])
    seen = np.asarray(points, np.float64) @ [1, 1j]
    centred, middle = model - model.mean(), seen.mean(axis=1, keepdims=True)
    turn = (seen - middle) @ centred.conj() / (np.abs(centred) ** 2).sum()
    placed = (face - model.mean()) * turn[:, None] + middle
    return upright.upright_boxes(np.stack([placed.real, placed.imag], -1))


def fetch() -> Path:
    """The model's file in `folders.cache_folder()`, downloaded where it is not there yet.

    Raises InputError where it cannot be had, and where it is not the file that it should be.
    """
    from keypoints.system.download import download

    path = folders.cache_folder() / FILE
    if not os.path.isfile(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            download(URL, path)
        except InputError as error:
            raise InputError(
                f"detector=yunet: {error}; put the file into {path.parent}, name one with "
                "detector=FILE.onnx, or do without: detector=haar needs none"
            ) from None
    if file_digest(path) != SHA256:
        path.unlink()
        raise InputError(f"{path} was not YuNet's file and is deleted: another SHA-256; try again")
    return path
