"""Crops to train the detector on, and where in them faces may be."""

from typing import NamedTuple

import cv2
import numpy as np

from experiments.detector.faces import Pictures, rolls
from keypoints import geometry
from keypoints.inference.centerface import ASPECT, STRIDE


class Found(NamedTuple):
    """Faces in a crop, as CenterFace would box them."""

    sure: np.ndarray  # (m,) bool; the others may be faces, and do not count
    boxes: np.ndarray  # (m, 4)
    five: np.ndarray  # (m, 5, 2), NaN where not annotated


def join(parts: list[Found]) -> Found:
    if not parts:
        return Found(np.zeros(0, bool), np.zeros((0, 4)), np.zeros((0, 5, 2)))
    return Found(*(np.concatenate(part) for part in zip(*parts)))


class Source:
    """Draws crops from pictures with faces and from pictures without."""

    def __init__(self, pictures: Pictures, people_free: Pictures, shares: np.ndarray) -> None:
        """`shares`: how often each picture is drawn."""
        self.pictures, self.empty = pictures, people_free
        order = pictures.faces[:, 0].astype(int)
        self.rows = np.split(
            np.arange(len(order)), np.searchsorted(order, np.arange(1, len(pictures.places)))
        )
        self.drawn = np.cumsum(shares) / np.sum(shares)
        self.kept: tuple[dict, dict] = {}, {}  # smaller copies of both kinds of pictures

    def crop(self, rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
        """A crop `(side, side, 3)` uint8 and its cells of `possible` faces."""
        kind = rng.random()
        if kind < 0.12:
            image, found = self._without(rng, side)
        elif kind < 0.72:
            image, found = self._single(rng, side)
        else:
            image, found = self._mosaic(rng, side)
        if rng.random() < 0.5:
            image, found = mirrored(image, found)
        image = photographed(image, rng)
        return image, possible(found, side)

    def _pick(self, rng: np.random.Generator) -> int:
        return min(int(np.searchsorted(self.drawn, rng.random())), len(self.drawn) - 1)

    def _without(self, rng: np.random.Generator, side: int) -> tuple[np.ndarray, Found]:
        index = int(rng.integers(len(self.empty.places)))
        _, height, width = self.empty.places[index]
        least = side / max(height, width)
        scale = np.exp(rng.uniform(np.log(least), np.log(least * 4)))
        angle = rng.uniform(-180, 180) if rng.random() < 0.2 else 0.0
        spot = rng.uniform(0.2, 0.8, 2) * [width, height]
        return self._warped(
            index, spot, np.full(2, side / 2), scale, angle, side, rng, empty=True
        ), join([])

    def _warped(
        self,
        index: int,
        spot: np.ndarray,
        to: np.ndarray,
        scale: float,
        angle: float,
        side: int,
        rng: np.random.Generator,
        *,
        empty: bool = False,
        behind: bool = False,
    ) -> np.ndarray:
        """A picture about its `spot`, which comes to lie at `to`, turned clockwise and scaled."""
        pictures, kept = (self.empty, self.kept[1]) if empty else (self.pictures, self.kept[0])
        times = int(np.clip(np.floor(np.log2(1 / scale)), 0, 4))
        image = pictures.halved(index, times, kept)
        ratio = np.array(image.shape[1::-1]) / pictures.places[index][:0:-1]
        matrix = similarity((spot + 0.5) * ratio - 0.5, to, scale / ratio[0], angle)
        border = rng.random()
        if behind and border < 0.4:
            canvas, _ = self._without(rng, side)
            return cv2.warpAffine(
                image, matrix, (side, side), dst=canvas, borderMode=cv2.BORDER_TRANSPARENT
            )
        mode = cv2.BORDER_REPLICATE if border < 0.5 else cv2.BORDER_CONSTANT
        value = tuple(int(v) for v in rng.integers(0, 256, 3)) if border > 0.8 else (0, 0, 0)
        return cv2.warpAffine(image, matrix, (side, side), borderMode=mode, borderValue=value)

    def _single(self, rng: np.random.Generator, side: int) -> tuple[np.ndarray, Found]:
        index = self._pick(rng)
        rows = self.rows[index]
        sure = rows[self.pictures.faces[rows, 1] > 0]
        if len(sure) == 0:
            return self._without(rng, side)
        face = self.pictures.faces[rng.choice(sure), 2:6]
        middle = face[:2] + face[2:] / 2
        root = np.sqrt(face[2] * face[3])
        wanted = np.exp(rng.uniform(np.log(9.0), np.log(0.85 * side)))
        scale = min(wanted / root, 3.0)
        angle = drawn_angle(rng)
        # The face's middle anywhere, now and then partly outside.
        to = rng.uniform(0.1, 0.9, 2) * side
        image = self._warped(index, middle, to, scale, angle, side, rng, behind=True)
        found = moved(self.pictures.faces[rows], middle, to, scale, angle)
        return covered(image, found, rng), found

    def _mosaic(self, rng: np.random.Generator, side: int) -> tuple[np.ndarray, Found]:
        """Pictures side by side, or small ones laid over a picture without people."""
        count = int(rng.choice([2, 3, 4, 5, 6], p=[0.3, 0.3, 0.2, 0.1, 0.1]))
        cell = side / count
        image, parts = np.zeros((side, side, 3), np.uint8), []
        if rng.random() < 0.5:
            image, _ = self._without(rng, side)
        for row in range(count):
            for column in range(count):
                if rng.random() < 0.15:
                    continue
                index = self._pick(rng)
                faces = self.pictures.faces[self.rows[index]]
                _, height, width = self.pictures.places[index]
                scale = cell / min(height, width) * rng.uniform(0.8, 1.3)
                low = np.round(np.array([column, row]) * cell).astype(int)
                high = np.round(np.array([column + 1, row + 1]) * cell).astype(int)
                size = int((high - low).max())
                spot = (np.array([width, height]) - 1) / 2
                if len(faces):
                    box = faces[0, 2:6]
                    spot = box[:2] + box[2:] / 2
                to = np.full(2, (size - 1) / 2) + rng.uniform(-0.15, 0.15, 2) * size
                angle = drawn_angle(rng) if rng.random() < 0.5 else 0.0
                part = self._warped(index, spot, to, scale, angle, size, rng)
                wide, tall = high - low
                image[low[1] : high[1], low[0] : high[0]] = part[:tall, :wide]
                found = inside(moved(faces, spot, to, scale, angle), size)
                parts.append(
                    found._replace(boxes=found.boxes + [*low, 0, 0], five=found.five + low)
                )
        return image, join(parts)


def drawn_angle(rng: np.random.Generator) -> float:
    """Degrees; searches see faces at all angles, and upright and tilted ones most often."""
    kind = rng.random()
    if kind < 0.3:
        return float(rng.uniform(-180, 180))
    return float(rng.uniform(-75, 75) if kind < 0.75 else rng.normal(0, 12))


def similarity(spot: np.ndarray, to: np.ndarray, scale: float, angle: float) -> np.ndarray:
    """The matrix `(2, 3)` that turns clockwise by `angle`, scales, and brings `spot` to `to`."""
    turn = scale * geometry.rotation(angle)
    return np.concatenate([turn, (to - turn @ spot)[:, None]], axis=1)


def moved(faces: np.ndarray, spot: np.ndarray, to: np.ndarray, scale: float, angle: float) -> Found:
    """Faces `(m, 16)` of `Pictures` in the warped picture."""
    boxes, five = faces[:, 2:6].astype(np.float64), faces[:, 6:16].reshape(-1, 5, 2)
    matrix = similarity(spot, to, scale, angle)
    middles = geometry.apply(matrix, boxes[:, :2] + boxes[:, 2:] / 2)
    sides = boxes[:, 2:] * scale
    if abs(angle) > 8 and len(sides):
        # The box around the turned ellipse of the face.
        before = np.nan_to_num(rolls(five))
        aspect = np.where(np.abs(before) < 10, sides[:, 1] / sides[:, 0], ASPECT)
        root = np.sqrt(sides.prod(axis=1))
        wide, high = root / np.sqrt(aspect), root * np.sqrt(aspect)
        turned = np.radians(before + angle)
        cos, sin = np.cos(turned), np.sin(turned)
        sides = np.stack(
            [np.hypot(wide * cos, high * sin), np.hypot(wide * sin, high * cos)], axis=1
        )
    moved_boxes = np.concatenate([middles - sides / 2, sides], axis=1)
    return Found(faces[:, 1] > 0, moved_boxes, geometry.apply(matrix, five))


def inside(found: Found, side: int) -> Found:
    """The faces with a part in a square from 0 on."""
    kept = ((found.boxes[:, :2] < side) & (found.boxes[:, :2] + found.boxes[:, 2:] > 0)).all(axis=1)
    return Found(*(part[kept] for part in found))


def mirrored(image: np.ndarray, found: Found) -> tuple[np.ndarray, Found]:
    side = image.shape[1]
    boxes = found.boxes.copy()
    boxes[:, 0] = side - 1 - boxes[:, 0] - boxes[:, 2]
    five = found.five[:, [1, 0, 2, 4, 3]].copy()
    five[..., 0] = side - 1 - five[..., 0]
    return np.ascontiguousarray(image[:, ::-1]), Found(found.sure, boxes, five)


def covered(image: np.ndarray, found: Found, rng: np.random.Generator) -> np.ndarray:
    """Faces partly behind a mask, a hand or another thing, drawn."""
    for box, five, sure in zip(found.boxes, found.five, found.sure):
        if not sure or rng.random() > 0.15 or not np.isfinite(five).all():
            continue
        image = np.ascontiguousarray(image)
        root = np.sqrt(box[2] * box[3])
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        eyes, mouth = five[:2].mean(axis=0), five[3:].mean(axis=0)
        if rng.random() < 0.5:  # a mask: from under the eyes to the chin
            down = mouth - eyes
            across = np.array([down[1], -down[0]]) * 0.75
            top, low = eyes + 0.42 * down, mouth + 0.6 * down
            outline = np.array(
                [
                    top - across,
                    top + across,
                    mouth + across * 0.9,
                    low + across * 0.3,
                    low - across * 0.3,
                    mouth - across * 0.9,
                ]
            )
            cv2.fillConvexPoly(
                image, np.round(outline * 16).astype(np.int32), colour, cv2.LINE_AA, 4
            )
        else:  # anything: an ellipse over a part of the face
            middle = box[:2] + box[2:] * rng.uniform(0, 1, 2)
            axes = root * rng.uniform(0.1, 0.35, 2)
            cv2.ellipse(
                image,
                (tuple(middle.tolist()), tuple((2 * axes).tolist()), rng.uniform(0, 180)),
                colour,
                -1,
            )
    return image


def photographed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light, colour, blur, noise and compression of cameras."""
    if rng.random() < 0.7:
        gain = rng.uniform(0.6, 1.4) * rng.uniform(0.85, 1.15, 3)
        table = np.arange(256)[:, None] / 255.0
        table = np.clip(table, 0, 1) ** np.exp(rng.normal(0, 0.3)) * gain * 255 + rng.normal(0, 12)
        if rng.random() < 0.12:  # dark
            table = table * rng.uniform(0.15, 0.5)
        image = cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8).reshape(256, 1, 3))
    if rng.random() < 0.15:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 2.0)))
    if rng.random() < 0.15:
        noise = rng.normal(0, rng.uniform(2, 14), image.shape[:2]).astype(np.float32)
        image = np.clip(image + noise[..., None], 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        quality = int(rng.integers(20, 80))
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
    return image


def possible(found: Found, side: int) -> np.ndarray:
    """The cells `(side / 4, side / 4)` bool in which something is or may be a face."""
    cells = side // STRIDE
    marked = np.zeros((cells, cells), bool)
    for box in found.boxes:
        low = np.clip(np.floor(box[:2] / STRIDE).astype(int), 0, cells)
        high = np.clip(np.ceil((box[:2] + box[2:]) / STRIDE).astype(int) + 1, 0, cells)
        marked[low[1] : high[1], low[0] : high[0]] = True
    return marked
