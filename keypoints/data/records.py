"""Annotated faces, decoded and held in memory: what every data source is turned into."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Records:
    """Annotated faces of one split.

    All pictures lie in one flat buffer, so that a tf.data pipeline can hold them as one tensor
    and read them in any order without copying or decoding again.
    """

    name: str  # "SOURCE/SPLIT", for messages and reports
    files: tuple[str, ...]  # unique within the source, e.g. "training/Luis_Fonsi_21.jpg"
    identities: tuple[str, ...]  # "" where the source does not tell
    points: np.ndarray  # (n, 68, 2) float32, x then y, pixels of the picture
    pixels: np.ndarray  # flat uint8, RGB pictures one after the other
    shapes: np.ndarray  # (n, 2) int64, height and width
    offsets: np.ndarray  # (n,) int64, where each picture starts in `pixels`

    def __len__(self) -> int:
        return len(self.files)

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


def make_records(name: str, examples: Iterable[tuple[str, str, np.ndarray, np.ndarray]]) -> Records:
    """Gather `(file, identity, image (h, w, 3) uint8, points (68, 2))` examples, in their order."""
    files, identities, images, points = [], [], [], []
    for file, identity, image, annotated in examples:
        files.append(file)
        identities.append(identity)
        images.append(image)
        points.append(annotated)
    sizes = np.array([image.size for image in images], np.int64)
    return Records(
        name=name,
        files=tuple(files),
        identities=tuple(identities),
        points=np.array(points, np.float32).reshape(-1, 68, 2),
        pixels=np.concatenate([image.reshape(-1) for image in images] or [np.empty(0, np.uint8)]),
        shapes=np.array([image.shape[:2] for image in images], np.int64).reshape(-1, 2),
        offsets=np.cumsum(sizes) - sizes,
    )
