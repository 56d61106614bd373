"""Annotated faces, decoded and held in memory: the form that all data sources are converted to."""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from keypoints import geometry
from keypoints.data.stored_picture import StoredPicture, store
from keypoints.errors import InputError
from keypoints.markup import IBUG68, Markup

# Bytes of pixels that one set may hold: half of the machine's memory. Pictures beyond it that can
# be read again are decoded each time they are used.
MEMORY_LIMIT = (
    os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    if hasattr(os, "sysconf")
    else 4_000_000_000  # Windows, which is asked in another way
)


class Example(NamedTuple):
    """One annotated face from a data source."""

    file: str
    identity: str  # "" where the source does not tell
    image: np.ndarray  # (h, w, 3) uint8 RGB
    points: np.ndarray  # (k, 2), pixels of the picture; NaN where a point is not annotated
    box: np.ndarray | None = None  # (4,), where it is not that of the points
    yaw: float = np.nan  # degrees, where the source has it
    read: Callable[[], np.ndarray] | None = None  # decodes the image again, where that is possible
    covered: np.ndarray | None = None  # (k,) bool: points behind something, their place estimated


@dataclass(frozen=True)
class Records:
    """Annotated faces of one split.

    Pictures are decoded once. Of a large photograph only the part around the face stays in memory
    (`stored_picture.store`).
    """

    name: str  # "SOURCE/SPLIT", for messages and reports
    files: tuple[str, ...]  # unique within the source, e.g. "training/Luis_Fonsi_21.jpg"
    identities: tuple[str, ...]  # "" where the source does not tell
    points: np.ndarray  # (n, k, 2) float32, x then y, pixels of the picture; NaN: missing
    boxes: np.ndarray  # (n, 4) float32, face boxes (`Markup.face_boxes`): left, top, width, height
    yaw: np.ndarray  # (n,) float32, degrees; NaN where the source does not tell
    covered: np.ndarray  # (n, k) bool: points behind something; False where it is not told
    repeats: np.ndarray  # (n,) float64, how often an epoch of training shows each face
    pictures: tuple[StoredPicture, ...]
    markup: Markup = IBUG68  # what the points mean

    def __len__(self) -> int:
        return len(self.files)

    @property
    def epoch_size(self) -> int:
        """Faces in an epoch of training."""
        return int(round(self.repeats.sum(), 9))  # ten times 0.3 are 2.9999999999999996

    def completed_points(self) -> np.ndarray:
        """Points `(n, k, 2)` with the missing ones guessed (`Markup.complete`)."""
        return self.markup.complete(self.points)

    @cached_property
    def shapes(self) -> np.ndarray:
        """Height and width `(n, 2)` int64 of all pictures."""
        return np.array([picture.shape for picture in self.pictures], np.int64).reshape(-1, 2)

    def image(self, index: int) -> np.ndarray:
        """Picture `index`, whole, as `(h, w, 3)` uint8 RGB."""
        return self.pictures[index].whole()

    @property
    def people(self) -> np.ndarray:
        """Who is in each picture `(n,)`; one each where the source does not tell."""
        known = all(self.identities)
        return np.array(self.identities) if known else np.arange(len(self))

    def crop(self, index: int, matrix: np.ndarray, *, size: int = geometry.CROP) -> np.ndarray:
        """`geometry.crop` of picture `index`."""
        return self.pictures[index].crop(matrix, size=size)

    def converted(self, markup: Markup) -> "Records":
        """These faces with the points of `markup`: those that are not annotated are missing.

        Their boxes stay. Raises InputError where the markups have no points in common.
        """
        if not self.markup.difference(markup):
            return replace(self, markup=markup) if markup is not self.markup else self
        order = np.array(self.markup.map_to(markup))
        return replace(
            self,
            points=self.markup.converted(self.points, markup),
            covered=self.covered[:, order] & (order >= 0),
            markup=markup,
        )

    def seen_by(self, markup: Markup) -> "Records":
        """These faces as the networks of `markup` see them: with its mean and its face boxes.

        Raises InputError where its points are others.
        """
        if difference := self.markup.difference(markup):
            raise InputError(f"{self.name} has other points than the network: {difference}")
        if markup.face_box in (self.markup.face_box, None):
            return replace(self, markup=markup)
        boxes = markup.face_boxes(markup.complete(self.points))
        return replace(self, markup=markup, boxes=boxes)

    def digest(self) -> str:
        """SHA-256 over the ordered file names and points; equal for equal splits."""
        digest = hashlib.sha256("\n".join(self.files).encode())
        digest.update(self.points.astype("<f4").tobytes())
        return digest.hexdigest()

    def describe(self) -> dict[str, str | int]:
        """Name, number of pictures, and SHA-256 of all that a training depends on."""
        digest = hashlib.sha256(self.digest().encode())
        for array in (self.boxes, self.yaw, self.repeats):
            digest.update(array.astype("<f8").tobytes())
        digest.update(b"".join(picture.digest for picture in self.pictures))
        return {"name": self.name, "pictures": len(self), "sha256": digest.hexdigest()}


def make_records(name: str, examples: Iterable[tuple], markup: Markup = IBUG68) -> Records:
    """Records of `examples`, tuples with the fields of `Example`, in the given order.

    The box of a face is that of its points, with missing points estimated, unless given.
    """
    faces, boxes, pictures, held = [], [], [], 0
    for example in examples:
        face = Example(*example)
        box = face.box
        if box is None:
            box = markup.face_boxes(markup.complete(face.points))
        pictures.append(store(face.image, box, read=face.read, room=held < MEMORY_LIMIT))
        held += pictures[-1].bytes
        boxes.append(box)
        faces.append(face._replace(image=np.empty(0)))  # it would keep the whole picture in memory
    seen = np.zeros(markup.count, bool)
    return Records(
        name=name,
        files=tuple(face.file for face in faces),
        identities=tuple(face.identity for face in faces),
        points=np.array([face.points for face in faces], np.float32).reshape(-1, markup.count, 2),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        yaw=np.array([face.yaw for face in faces], np.float32),
        covered=np.array(
            [seen if face.covered is None else face.covered for face in faces]
        ).reshape(-1, markup.count),
        repeats=np.ones(len(faces)),
        pictures=tuple(pictures),
        markup=markup,
    )


def join(sets: Sequence[Records], shares: Sequence[float]) -> Records:
    """One set of several; in an epoch each face of a set is used as often as its share says.

    Files keep their names behind that of their set, so that they stay unique. One set is itself.
    Sets of other markups than the first one get its points (`Markup.converted`), those that they
    do not have as missing ones. Raises InputError where two sets have the same name, and where two
    markups have no points in common.
    """
    if len(sets) == 1:
        return replace(sets[0], repeats=sets[0].repeats * shares[0])
    names = [records.name.partition("/")[0] for records in sets]
    if len(set(names)) < len(names):
        raise InputError(f"two data sets have the same name: {', '.join(names)}")

    sets = [records.converted(sets[0].markup) for records in sets]

    def joined(field: str) -> np.ndarray:
        return np.concatenate([getattr(records, field) for records in sets])

    return Records(
        name="+".join(names) + "/" + sets[0].name.partition("/")[2],
        files=tuple(f"{n}/{file}" for n, records in zip(names, sets) for file in records.files),
        identities=tuple(
            f"{n}/{person}" if person else ""
            for n, records in zip(names, sets)
            for person in records.identities
        ),
        repeats=np.concatenate([r.repeats * share for r, share in zip(sets, shares)]),
        pictures=tuple(picture for records in sets for picture in records.pictures),
        markup=sets[0].markup,
        **{name: joined(name) for name in ("points", "boxes", "yaw", "covered")},
    )
