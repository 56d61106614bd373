"""A network and a detector that take no time, and do with a picture what its first pixel says."""

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from keypoints.bulk.annotator import Annotator
from keypoints.bulk.work import Work
from keypoints.crop import Crop
from keypoints.filters import Filter
from keypoints.inference.detections import Detections
from keypoints.inference.predictor import Predictor
from keypoints.markup import IBUG68
from keypoints.media.pictures import encode_png
from keypoints.network import Network
from tests.faces import detections, estimated

POISON, ODD = 255, 254  # red of the first pixel: ends the process, makes the detector fail


def write_pictures(folder: Path, count: int, *, poison: tuple[int, ...] = ()) -> list[str]:
    """`count` pictures of 24 x 32 pixels, whose faces are one more than their number modulo 3."""
    folder.mkdir()
    paths = []
    for number in range(count):
        image = np.zeros((24, 32, 3), np.uint8)
        image[0, 0] = (POISON if number in poison else number % 3, 0, 0)
        paths.append(folder / f"{number:03d}.png")
        paths[-1].write_bytes(encode_png(image))
    return [str(path) for path in paths]


class Detector:
    """Finds as many boxes of 10 x 8 pixels as the first pixel says, and one more."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause

    def detect(self, image: np.ndarray) -> Detections:
        time.sleep(self.pause)
        red = int(image[0, 0, 0])
        if red == POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        if red == ODD:
            raise RuntimeError("an odd picture")
        boxes = [(3.0 * number, 2.0, 10.0, 8.0) for number in range(red + 1)]
        found = detections(np.array(boxes, np.float32))
        return replace(found, scores=np.float32([0.9, 0.7, 0.5][: len(boxes)]))


class Answers:
    """Answers the same points for each crop, and keeps the sizes of its batches.

    They fill a box of 10 x 8: faces are where the detector says, and are not estimated again.
    """

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, crops: np.ndarray):
        self.batches.append(len(crops))
        mean = IBUG68.mean - (IBUG68.mean.min(axis=0) + IBUG68.mean.max(axis=0)) / 2
        points = mean / np.ptp(mean, axis=0) * [160, 128] + 111.5
        return estimated(np.repeat(points[None], len(crops), axis=0))


def make_annotator(network: Answers, *, pause: float = 0.0, version: str = "1") -> Annotator:
    detector = Detector(pause)
    predictor = Predictor(Network(network, Crop(1.4)))
    return Annotator(predictor, detector, detector, model="stand-in", version=version)


@dataclass(frozen=True)
class StandIn(Work):
    """Work with the stand-ins; the version of a row is the process that started its worker."""

    pause: float = 0.0

    def annotator(self, filter: Filter | None) -> Annotator:
        return make_annotator(Answers(), pause=self.pause, version=str(os.getppid()))
