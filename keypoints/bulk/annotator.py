"""Pictures to rows: decoding, detection and landmarks overlap, and batches cross pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keypoints import geometry
from keypoints.bulk.inputs import Picture
from keypoints.bulk.steady import Steady
from keypoints.bulk.tables import Annotated, text_of
from keypoints.estimate import Estimate, in_picture
from keypoints.inference.cuts import Cuts
from keypoints.inference.detections import Detections, Detector
from keypoints.inference.predictor import BATCH, Predictor
from keypoints.pose import angles, fit_rotation

READERS = 4  # threads that read and decode pictures; most of their time they wait for files
AHEAD = 4  # pictures that are decoded before their turn
GROUP = 64  # most pictures whose crops wait for a batch
GROUP_PIXELS = 30_000_000  # of the pictures that are kept while their crops wait

_NUMBERS = ("left", "top", "width", "height", "yaw", "pitch", "roll", "score")
_NONE = Detections(np.empty((0, 4), np.float32), *[np.empty(0, np.float32)] * 2)

# Draws on a copy of a picture `(h, w, 3)` uint8 RGB the faces `(n, k, 2)` with scores `(n,)` and
# the detector's boxes `(n, 4)`, and writes it; `number` is the picture's in its unit. Returns the
# name of the file in the output.
Draw = Callable[[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray], str]


@dataclass
class _Searched:
    """A picture whose faces are found, or that could not be read; its crops wait for a batch."""

    picture: Picture
    number: int
    shape: tuple[int, ...] = ()  # of the picture; empty where it could not be read
    found: Detections = _NONE
    matrices: np.ndarray = field(default_factory=lambda: np.empty((0, 2, 3)))
    crops: Sequence[np.ndarray] = ()
    image: np.ndarray | None = None  # kept where its faces are settled, or it is drawn on
    shot: int = 0  # of a video: counts its cuts
    error: str | None = None


class Annotator:
    """The networks of one process. It computes in three places at once: threads that read and
    decode, the caller's thread, which searches for faces, and one that finds landmarks."""

    def __init__(
        self, predictor: Predictor, still: Detector, moving: Detector, *, model: str, version: str
    ) -> None:
        """`still` searches pictures, `moving` frames of videos; `model` and `version` name the
        predictor in the rows."""
        self._predictor, self._still, self._moving = predictor, still, moving
        self._names = {"model": model, "version": version}

    def annotate(
        self, pictures: Iterable[Picture], *, first: int = 0, draw: Draw | None = None
    ) -> Iterator[Annotated]:
        """The rows of each picture, in order; `first` is the number of the first one.

        A picture that cannot be read, or in which a search fails, becomes a row with the reason.
        So does a container that breaks off, after its pictures.
        """
        steady: Steady[_Searched] = Steady(self._predictor.markup)
        with ThreadPoolExecutor(1, "landmarks") as network:
            waiting: deque[Future[list[Annotated]]] = deque()
            for group in _groups(self._search(pictures, first, keep=draw is not None)):
                waiting.append(network.submit(self._finish, group, steady, draw))
                if len(waiting) > 1:
                    yield from waiting.popleft().result()
            for future in waiting:
                yield from future.result()
            for frame in steady.end():
                yield self._rows(*frame, draw)

    def _search(
        self, pictures: Iterable[Picture], first: int, *, keep: bool
    ) -> Iterator[_Searched]:
        shot, cuts = 0, Cuts()
        for number, (picture, load) in enumerate(_decoded(pictures), first):
            try:
                image = load()
                shot += picture.time is not None and cuts.is_cut(image)
                detector = self._still if picture.time is None else self._moving
                found = detector.detect(image)
                matrices = self._predictor.matrices(image, found.boxes, found.rolls)
                crops = [geometry.crop(image, matrix) for matrix in matrices]
                settles = picture.time is None and len(found) > 0
                kept = image if keep or settles else None
                yield _Searched(picture, number, image.shape, found, matrices, crops, kept, shot)
            except Exception as error:  # decoders and networks raise anything on odd pictures
                yield _Searched(picture, number, error=str(error) or type(error).__name__)

    def _finish(
        self, group: list[_Searched], steady: Steady[_Searched], draw: Draw | None
    ) -> list[Annotated]:
        """The rows of a group of pictures, whose crops go through the network together.

        Frames of videos wait in `steady` for those after them.
        """
        whole = self._predictor.predict_crops(crop for one in group for crop in one.crops)
        rows, start = [], 0
        for searched in group:
            end = start + len(searched.crops)
            estimate = in_picture(whole[start:end], searched.matrices)
            time = searched.picture.time
            if time is None and searched.image is not None:
                boxes = searched.found.boxes
                estimate = self._predictor.scored(estimate, boxes, searched.shape)
                estimate = self._predictor.settled(searched.image, boxes, estimate)
            settled = steady.add(searched, time, searched.shot, estimate)
            rows += [self._rows(*frame, draw) for frame in settled]
            start = end
        return rows

    def _rows(self, searched: _Searched, estimate: Estimate, draw: Draw | None) -> Annotated:
        picture, filtered = searched.picture, None
        place = {
            "source": text_of(picture.source),
            "member": text_of(picture.member),
            "frame": picture.frame,
            "time": picture.time,
        }
        faces: list[dict[str, Any]] = []
        if searched.shape:
            markup = self._predictor.network.markup
            if picture.time is not None:
                estimate = self._predictor.scored(estimate, searched.found.boxes, searched.shape)
            scores = estimate.scores
            boxes = markup.face_boxes(estimate.points).tolist()
            poses = angles(fit_rotation(estimate.points, markup)[0]).tolist()
            for number, points in enumerate(estimate.points):
                values = [*boxes[number], *poses[number], scores[number]]
                faces.append(
                    place
                    | {"face": number, "points": points.reshape(-1)}
                    | {"uncertainty": estimate.uncertainty[number]}
                    | dict(zip(_NUMBERS, map(float, values)))
                    | {"detector_score": float(searched.found.scores[number])}
                    | self._names
                )
            if draw is not None and searched.image is not None:
                filtered = draw(
                    searched.number, searched.image, estimate.points, scores, searched.found.boxes
                )
        height, width = searched.shape[:2] or (None, None)
        error = None if searched.error is None else text_of(searched.error)
        row = {"width": width, "height": height, "faces": len(faces)}
        return Annotated(place | row | {"filtered": filtered, "error": error}, faces)


def _decoded(pictures: Iterable[Picture]) -> Iterator[tuple[Picture, Callable[[], np.ndarray]]]:
    """Each picture with a function that waits for its pixels, or raises why there are none.

    Threads read and decode `AHEAD` pictures before their turn.
    """
    iterator = iter(pictures)

    def fetch() -> tuple[Picture, Future[np.ndarray]] | None:
        """The next picture; runs in one thread, so that they stay in order."""
        picture = next(iterator, None)
        return None if picture is None else (picture, readers.submit(picture.load))

    with (
        ThreadPoolExecutor(1, "listing") as front,
        ThreadPoolExecutor(READERS, "reading") as readers,
    ):
        fetches = deque(front.submit(fetch) for _ in range(AHEAD))
        while fetches:
            fetched = fetches.popleft().result()
            if fetched is not None:
                fetches.append(front.submit(fetch))
                yield fetched[0], fetched[1].result


def _groups(searched: Iterable[_Searched]) -> Iterator[list[_Searched]]:
    """Pictures whose crops make at least a batch, or as many as may wait for one."""
    group: list[_Searched] = []
    crops = pixels = 0
    for one in searched:
        group.append(one)
        crops += len(one.crops)
        pixels += 0 if one.image is None else one.image.shape[0] * one.image.shape[1]
        if crops >= BATCH or len(group) == GROUP or pixels >= GROUP_PIXELS:
            yield group
            group, crops, pixels = [], 0, 0
    if group:
        yield group
