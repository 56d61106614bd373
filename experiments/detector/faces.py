"""Training pictures of the detector and the faces in them, as flat arrays in a folder."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from keypoints import geometry
from keypoints.data.records import Records
from keypoints.evaluation.matching import match
from keypoints.inference import centerface, upright
from keypoints.inference.detections import distinct, landmark_boxes, overlap, shrink

LARGEST = 448  # long side of a stored picture
SURE, DOUBTFUL = 0.45, 0.15  # scores of CenterFace for a face that nobody annotated
LARGE = 1200  # long side of a picture without people from which on its quarters are taken as well
LEAST = 100  # pixels of the short side of a picture without people
# In these, among the pictures of the Debian packages that README.md names, something is or looks
# like a human face.
WITH_FACES = (
    "fullscreenpreview.jpg", "gcompris-main-menu.png", "penguin_with_spider.png", "chimp.png",
    "gorilla.png", "fireman200b.png", "grannysmith.png", "German_Christmas_toy.png", "bunny.png",
    "football_helmet_front.png", "tux_tractor.png",
)  # fmt: skip
# Of iBUG's 68 points, those whose means are CenterFace's five.
FIVE = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47), (30,), (48,), (54,))


class Pictures(NamedTuple):
    """Pictures, and their faces as CenterFace would box them."""

    pixels: np.ndarray  # flat uint8, RGB
    places: np.ndarray  # (n, 3) int64: first byte, height, width
    faces: np.ndarray  # (m, 16) float32: picture, sure, box, five points
    # `sure` is 1 for a face, 0 for what may be one.

    def image(self, index: int) -> np.ndarray:
        first, height, width = self.places[index]
        return self.pixels[first : first + height * width * 3].reshape(height, width, 3)

    def halved(self, index: int, times: int, kept: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
        """The picture at half its size, `times` times; `kept` has those made before."""
        if times == 0:
            return self.image(index)
        if (index, times) not in kept:
            larger = self.halved(index, times - 1, kept)
            size = tuple(max(length // 2, 1) for length in larger.shape[1::-1])
            kept[index, times] = cv2.resize(larger, size, interpolation=cv2.INTER_AREA)
        return kept[index, times]


def write(folder: Path, pixels: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
    """Write pictures `(h, w, 3)` with their faces `(m, 15)`: sure, box, five points."""
    folder.mkdir(parents=True, exist_ok=True)
    places, faces, first = [], [], 0
    with (folder / "pixels.bin").open("wb") as file:
        for index, (image, found) in enumerate(pixels):
            places.append((first, *image.shape[:2]))
            first += image.size
            file.write(np.ascontiguousarray(image).tobytes())
            faces.append(np.concatenate([np.full((len(found), 1), index), found], axis=1))
    np.save(folder / "places.npy", np.array(places, np.int64))
    np.save(folder / "faces.npy", np.concatenate(faces).astype(np.float32))


def read(folder: Path) -> Pictures:
    pixels = np.memmap(folder / "pixels.bin", np.uint8, "r")
    return Pictures(pixels, np.load(folder / "places.npy"), np.load(folder / "faces.npy"))


def annotated(records: Records, rows: list[int], session: Any) -> tuple[np.ndarray, np.ndarray]:
    """The picture that these rows share, with its annotated faces and those that CenterFace finds.

    An annotated face has CenterFace's box if it finds one there, else that of its points by the
    inverse of the detector's conversion.
    """
    image = records.image(rows[0])
    image, ratio = shrink(image, max(image.shape[:2]) / LARGEST)
    truth = geometry.scaled_boxes(records.boxes[rows], 1 / ratio)
    five = (records.markup.complete(records.points[rows]) + 0.5) / ratio - 0.5
    five = np.stack([five[:, list(chosen)].mean(axis=1) for chosen in FIVE], axis=1)
    boxes, scores, points = found_in(image, session)
    tight = landmark_boxes(boxes, centerface.CENTERFACE.centre, centerface.CENTERFACE.size)
    matched = match(overlap(truth[:, None], tight[None]))
    faces = []
    for row, index in enumerate(matched):
        size = truth[row, 2:] / centerface.CENTERFACE.size
        corner = truth[row, :2] + truth[row, 2:] / 2 - size * centerface.CENTERFACE.centre
        box = boxes[index] if index >= 0 else np.concatenate([corner, size])
        faces.append([1.0, *box, *five[row].ravel()])
    for index in set(range(len(boxes))) - set(matched.tolist()):
        faces.append([float(scores[index] > SURE), *boxes[index], *points[index].ravel()])
    return image, np.array(faces).reshape(-1, 15)


def faceless(paths: Iterable[Path], seed: int = 0) -> Iterator[np.ndarray]:
    """Pictures without people, each once, on a drawn colour where they are transparent.

    A large one comes whole and in quarters.
    """
    rng = np.random.default_rng(seed)
    seen = set()
    for path in sorted(path for path in paths if path.name not in WITH_FACES):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim < 3 or min(image.shape[:2]) < LEAST:
            continue
        if image.dtype != np.uint8:
            image = (image / 257).astype(np.uint8)
        if image.shape[2] == 4:
            opacity = image[..., 3:] / 255.0
            image = image[..., :3] * opacity + rng.integers(0, 256, 3) * (1 - opacity)
        image = np.ascontiguousarray(image[..., ::-1].astype(np.uint8))
        small = cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA).tobytes()
        if small in seen:  # the same picture in another size
            continue
        seen.add(small)
        yield shrink(image, max(image.shape[:2]) / LARGEST)[0]
        if max(image.shape[:2]) > LARGE:
            image, _ = shrink(image, max(image.shape[:2]) / (2 * LARGEST))
            height, width = (length // 2 for length in image.shape[:2])
            for top in (0, height):
                for left in (0, width):
                    yield image[top : top + height, left : left + width]


def found_in(image: np.ndarray, session: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, scores and five points of CenterFace in the picture as it is and at half its size."""
    tries = []
    for factor in (1, 2):
        small, ratio = shrink(image, factor)
        boxes, scores, five = centerface.find(session, small, threshold=DOUBTFUL)
        tries.append((geometry.scaled_boxes(boxes, ratio), scores, (five + 0.5) * ratio - 0.5))
    boxes, scores, five = (np.concatenate(part) for part in zip(*tries))
    kept = distinct(boxes, scores)
    return boxes[kept], scores[kept], five[kept]


def rolls(five: np.ndarray) -> np.ndarray:
    """Degrees clockwise by which faces with these points `(n, 5, 2)` are tilted."""
    middle = five[:, :2].mean(axis=1), five[:, 3:].mean(axis=1)
    return upright.crop_rolls(*middle)
