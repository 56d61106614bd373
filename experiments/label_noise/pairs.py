"""Annotation noise: the difference between the annotations of nearly the same face.

No face is annotated twice, but data from videos have several frames of each face. Two frames of a
face are aligned by their pixels with an affine motion, without the points. If the aligned pictures
agree, the points should agree too. Their remaining difference, divided by the square root of two,
estimates the error of one annotation. Motion that is not affine (a smile) counts as error, and an
error that both frames have in common is not seen.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from keypoints import geometry, metrics
from keypoints.crop import Crop
from keypoints.data.records import Records
from keypoints.errors import InputError

CROP = Crop(1.4, 112)  # of the faces that are aligned
LEVELS = (0.90, 0.95, 0.97, 0.98, 0.99)  # minimum correlation of the aligned faces
STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)


def frame_pairs(files: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Indices of all pairs of frames of one video: `NAME_vf.jpg` is frame f of video v of NAME."""
    videos = defaultdict(list)
    for index, file in enumerate(files):
        videos[file.rsplit("/", 1)[-1].rsplit(".", 1)[0][:-1]].append(index)
    for indices in videos.values():
        yield from itertools.combinations(indices, 2)


def disagreement(records: Records, first: int, second: int) -> tuple[float, float]:
    """Correlation of two aligned faces, and the NME between their points over the square root of 2.

    0 and NaN where the pictures cannot be aligned. The alignment maximises the correlation inside
    the hull of the first face's points (Evangelidis and Psarakis, "Parametric Image Alignment Using
    Enhanced Correlation Coefficient Maximization", PAMI 2008).
    """
    grays, points = [], []
    for index in (first, second):
        box = records.boxes[index]
        matrix = CROP.matrices(box)
        crop = records.crop(index, matrix, size=CROP.size)
        grays.append(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY))
        points.append(geometry.apply(matrix, records.points[index]))
    face = np.zeros((CROP.size, CROP.size), np.uint8)
    cv2.fillConvexPoly(face, cv2.convexHull(np.rint(points[0]).astype(np.int32)), 255)
    still = np.eye(2, 3, dtype=np.float32)
    try:
        correlation, motion = cv2.findTransformECC(
            grays[0], grays[1], still, cv2.MOTION_AFFINE, STOP, face, 5
        )
    except cv2.error:  # it did not converge: the pictures differ too much
        return 0.0, np.nan
    moved = geometry.apply(motion, points[0])
    error = metrics.inter_ocular_nme(points[1][None], moved[None])[0]
    return correlation, float(error / np.sqrt(2))


def measure(records: Records) -> list[dict[str, Any]]:
    """A row per level: correlation, pairs, mean and median disagreement as inter-ocular NME.

    Raises InputError where no two files are frames of one video in which a face looks the same.
    """
    found = [disagreement(records, *pair) for pair in frame_pairs(records.files)]
    if not found:
        raise InputError(f"{records.name}: no two files are frames of one video (NAME_vf.jpg)")
    correlation, error = np.array(found).T
    if correlation.max() < LEVELS[0]:
        raise InputError(f"{records.name}: in no two frames of a video does a face look the same")
    rows = []
    for level in LEVELS:
        alike = error[correlation >= level]
        mean, median = (alike.mean(), np.median(alike)) if len(alike) else (np.nan, np.nan)
        rows.append({"correlation": level, "pairs": len(alike), "mean": mean, "median": median})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows of `measure` as text for a terminal."""
    lines = [f"{'correlation':>12}{'pairs':>8}{'mean NME':>12}{'median':>10}"]
    lines += [
        f"{row['correlation']:>12.2f}{row['pairs']:>8}{100 * row['mean']:>10.2f} %"
        f"{100 * row['median']:>8.2f} %"
        for row in rows
    ]
    return "\n".join(lines)
