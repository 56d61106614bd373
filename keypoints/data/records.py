"""Annotated faces, decoded and held in memory: what every data source is turned into."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from keypoints import geometry, landmarks
from keypoints.errors import InputError


class Example(NamedTuple):
    """One annotated face, as a source gives it."""

    file: str
    identity: str  # "" where the source does not tell
    image: np.ndarray  # (h, w, 3) uint8 RGB
    points: np.ndarray  # (68, 2), pixels of the picture; NaN where a point is not annotated
    box: np.ndarray | None = None  # (4,), where it is not that of the points
    yaw: float = np.nan  # degrees, where the source tells


@dataclass(frozen=True)
class Records:
    """Annotated faces of one split.

    All pictures lie in one flat buffer, so that a tf.data pipeline can hold them as one tensor
    and read them in any order without copying or decoding again.
    """

    name: str  # "SOURCE/SPLIT", for messages and reports
    files: tuple[str, ...]  # unique within the source, e.g. "training/Luis_Fonsi_21.jpg"
    identities: tuple[str, ...]  # "" where the source does not tell
    points: np.ndarray  # (n, 68, 2) float32, x then y, pixels of the picture; NaN: missing
    boxes: np.ndarray  # (n, 4) float32, tight boxes of whole faces: left, top, width, height
    yaw: np.ndarray  # (n,) float32, degrees; NaN where the source does not tell
    repeats: np.ndarray  # (n,) float64, how often an epoch of training shows each face
    pixels: np.ndarray  # flat uint8, RGB pictures one after the other
    shapes: np.ndarray  # (n, 2) int64, height and width
    offsets: np.ndarray  # (n,) int64, where each picture starts in `pixels`

    def __len__(self) -> int:
        return len(self.files)

    @property
    def shown(self) -> int:
        """Faces in an epoch of training."""
        return int(self.repeats.sum())

    def whole_points(self) -> np.ndarray:
        """Points `(n, 68, 2)` with the missing ones guessed (`landmarks.complete`)."""
        return landmarks.complete(self.points)

    def image(self, index: int) -> np.ndarray:
        """Picture `index` as `(h, w, 3)` uint8 RGB, a view into `pixels`."""
        height, width = self.shapes[index]
        start = self.offsets[index]
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)

    def digest(self) -> str:
        """SHA-256 over the ordered file names and points: the same value, the same split."""
        digest = hashlib.sha256("\n".join(self.files).encode())
        digest.update(self.points.astype("<f4").tobytes())
        return digest.hexdigest()

    def describe(self) -> dict[str, str | int]:
        """Name, number of pictures, and SHA-256 of all: names, points and pixels."""
        digest = hashlib.sha256(self.digest().encode())
        digest.update(self.shapes.astype("<i8").tobytes())
        digest.update(self.pixels)
        return {"name": self.name, "pictures": len(self), "sha256": digest.hexdigest()}


def make_records(name: str, examples: Iterable[tuple]) -> Records:
    """Gather `examples`, tuples in the order of `Example`, in their order.

    The box of a face is the tight one of its points, missing ones guessed, unless it is given.
    """
    faces = [Example(*example) for example in examples]
    boxes = [
        geometry.landmark_box(landmarks.complete(face.points)) if face.box is None else face.box
        for face in faces
    ]
    sizes = np.array([face.image.size for face in faces], np.int64)
    return Records(
        name=name,
        files=tuple(face.file for face in faces),
        identities=tuple(face.identity for face in faces),
        points=np.array([face.points for face in faces], np.float32).reshape(-1, 68, 2),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        yaw=np.array([face.yaw for face in faces], np.float32),
        repeats=np.ones(len(faces)),
        pixels=np.concatenate([face.image.ravel() for face in faces] or [np.empty(0, np.uint8)]),
        shapes=np.array([face.image.shape[:2] for face in faces], np.int64).reshape(-1, 2),
        offsets=np.cumsum(sizes) - sizes,
    )


def join(sets: Sequence[Records], shares: Sequence[float]) -> Records:
    """One set of several; an epoch shows each face of a set as often as its share says.

    Files keep their names behind that of their set, so that they stay unique. One set is itself.
    Raises InputError where two sets have the same name.
    """
    if len(sets) == 1:
        return replace(sets[0], repeats=sets[0].repeats * shares[0])
    names = [records.name.partition("/")[0] for records in sets]
    if len(set(names)) < len(names):
        raise InputError(f"two data sets have the same name: {', '.join(names)}")
    ends = np.cumsum([len(records.pixels) for records in sets])

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
        offsets=np.concatenate([r.offsets + end for r, end in zip(sets, [0, *ends[:-1]])]),
        **{name: joined(name) for name in ("points", "boxes", "yaw", "pixels", "shapes")},
    )
