"""Matching of found faces with annotated faces; counts of missed and false faces."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from keypoints import geometry
from keypoints.data.records import Records
from keypoints.inference.detections import Detections, overlap

FOUND_IOU = 0.35  # minimum overlap of the tight landmark boxes of one face


class FoundBoxes(NamedTuple):
    """The boxes of a detector for annotated faces."""

    boxes: np.ndarray  # (n, 4) float32, tight landmark boxes in pixels; NaN: not found
    annotated: np.ndarray  # (n, 4) float32, the boxes they were compared with
    rolls: np.ndarray  # (n,) float32, degrees, as in `Detections`
    false_faces: float  # boxes per picture that match no annotated face


def pictures(records: Records) -> dict[str, list[int]]:
    """The records of each picture; the second face of `PICTURE` is called `PICTURE#1`."""
    files = set(records.files)
    groups: dict[str, list[int]] = {}
    for index, file in enumerate(records.files):
        picture = file.rpartition("#")[0]
        groups.setdefault(picture if picture in files else file, []).append(index)
    return groups


def match(overlaps: np.ndarray) -> np.ndarray:
    """The found face of each annotated one `(n,)`, -1 where there is none.

    `overlaps` `(n, m)`: intersection over union of n annotated and m found boxes. Greedy: the pair
    that overlaps most first, down to `FOUND_IOU`; each face is in one pair at most.
    """
    left = np.array(overlaps, np.float64)
    matched = np.full(len(left), -1)
    while left.size and left.max() >= FOUND_IOU:
        face, found = np.unravel_index(left.argmax(), left.shape)
        matched[face] = found
        left[face], left[:, found] = -1, -1
    return matched


def detected_boxes(records: Records, detect: Callable[[np.ndarray], Detections]) -> FoundBoxes:
    """The result of `detect(image)` for each record; every picture is searched once."""
    boxes = np.full((len(records), 4), np.nan, np.float32)
    annotated = records.boxes.copy()
    rolls = np.zeros(len(records), np.float32)
    groups, false_faces = pictures(records), 0
    for faces in groups.values():
        found = detect(records.image(faces[0]))
        turned = _turned_boxes(records, faces, found)
        matched = match(overlap(turned, found.boxes[None]))
        for row, (face, index) in enumerate(zip(faces, matched)):
            if index >= 0:
                boxes[face], rolls[face] = found.boxes[index], found.rolls[index]
                annotated[face] = turned[row, index]
        false_faces += len(found) - int((matched >= 0).sum())
    return FoundBoxes(boxes, annotated, rolls, false_faces / len(groups))


def _turned_boxes(records: Records, faces: list[int], found: Detections) -> np.ndarray:
    """Annotated boxes `(n, m, 4)` in the picture rotated back about each found box by its roll."""
    annotated = np.repeat(records.boxes[faces][:, None], len(found), axis=1)
    if not found.rolls.any():
        return annotated
    whole = records.completed_points()[faces]
    for index in np.flatnonzero(found.rolls):
        middle = found.boxes[index, :2] + found.boxes[index, 2:] / 2
        turned = (whole - middle) @ geometry.rotation(found.rolls[index]) + middle
        annotated[:, index] = geometry.landmark_box(turned)
    return annotated


def matched_points(
    records: Records, found_faces: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, float]:
    """Points `(n, 68, 2)` of each record, NaN: not found; and false faces per picture.

    `found_faces`: the faces `(k, 68, 2)` that were found in each of `pictures`, in any order.
    """
    points = np.full((len(records), *records.points.shape[1:]), np.nan, np.float32)
    groups, false_faces = pictures(records), 0
    for picture, faces in groups.items():
        found = found_faces[picture]
        boxes = geometry.landmark_box(found)
        matched = match(overlap(records.boxes[faces][:, None], boxes[None]))
        for face, index in zip(faces, matched):
            if index >= 0:
                points[face] = found[index]
        false_faces += len(found) - int((matched >= 0).sum())
    return points, false_faces / len(groups)
