"""Checks of the annotations of a data set before training: errors and warnings.

No real face reaches the thresholds: each one states the largest value among 2,975 faces of YouTube
Faces, 805 of LFPW and 1,000 of AFLW2000-3D, with many profiles and some faces upside down.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.markup import IBUG68, Markup

NAMED = 5  # files that a finding lists
# Coordinates that stand for "not annotated" in some tools; .pts files count from 1, we from 0.
MARKERS = (0.0, -1.0, -2.0)
# Longer sides of a face, 5 % of its points left out at each end, by which a point may lie outside
# of its picture: at most 0.51 seen.
OUTSIDE = 0.75
# Share of the points' variance that the mean face leaves unexplained after the best affine map: at
# most 0.41 seen, and 0.61 or more where all x come before all y.
UNLIKE = 0.5
# Signed area of that map, 1 for a frontal face, -1 for its mirror image: at least -0.26 seen, in
# profiles, whose far side is hidden.
MIRRORED = -0.5
# Distance of the outer eye corners in longer sides of the box: at least 0.011 seen, in profiles.
EYES = 0.005
FEWEST_POINTS = 30  # annotated points that are needed to check the shape of a face


@dataclass(frozen=True)
class Finding:
    """Something wrong (`refused`) or odd about some pictures of a data set."""

    reason: str
    files: tuple[str, ...]
    pictures: int  # of the whole set
    refused: bool

    def __str__(self) -> str:
        rest = len(self.files) - NAMED
        more = f" and {rest} more" if rest > 0 else ""
        named = ", ".join(self.files[:NAMED])
        return f"{self.reason}: {len(self.files)} of {self.pictures} pictures ({named}{more})"


Check = tuple[np.ndarray, str, bool]  # faces `(n,)`, what is wrong with them, and if it is refused


def check_records(records: Records) -> list[Finding]:
    """All errors and warnings about the points of `records`; nothing is raised.

    Each face is listed for one kind of error only, the first that applies.
    """
    points = records.points.astype(np.float64)
    boxes = _boxes(points)
    with np.errstate(invalid="ignore"):
        checks = _checks(points, boxes, records)
    left = np.ones(len(records), bool)  # no error found so far
    findings = []
    for faces, reason, refused in checks:
        chosen = np.flatnonzero(faces & left)
        if len(chosen):
            files = tuple(records.files[i] for i in chosen)
            findings.append(Finding(reason, files, len(records), refused))
        if refused:
            left[chosen] = False
    duplicates = _duplicates(records, boxes)
    return findings + [Finding(why, tuple(files), len(records), False) for why, files in duplicates]


def _checks(points: np.ndarray, boxes: np.ndarray, records: Records) -> list[Check]:
    """Faces of points `(n, k, 2)` in tight boxes `(n, 4)` that cannot be meant, or are strange."""
    shapes, markup = records.shapes, records.markup
    shares = np.nanmax(np.abs(points), axis=(1, 2)) <= 1.5
    fit, area = _shapes(points, markup)
    other_fit, _ = _shapes(points.reshape(-1, 2, markup.count).transpose(0, 2, 1), markup)
    middle, sides = np.nanmedian(points, axis=1), shapes[:, ::-1]
    away = ((middle < -0.5) | (middle > sides - 0.5)).any(axis=1)
    # Pixels by which the farthest point lies outside of the picture.
    beyond = np.maximum(-0.5 - points, points - (sides[:, None] - 0.5))
    beyond = np.nanmax(beyond, axis=(1, 2))
    low, high = np.nanpercentile(points, [5, 95], axis=1)  # ignores stray points
    eyes = np.full(len(points), np.inf)
    if markup.has("right_eye_corner", "left_eye_corner"):
        right, left = markup.roles["right_eye_corner"][0], markup.roles["left_eye_corner"][0]
        eyes = np.linalg.norm(points[:, left] - points[:, right], axis=-1)
    return [
        (
            shares & (shapes.min(axis=1) > 16),
            "coordinates are shares of the picture, pixels are expected: multiply x by the width "
            "and y by the height",
            True,
        ),
        (boxes[:, 2:].max(axis=1) < 1, "all points lie at the same place", True),
        (
            np.asarray(marked(points).any(axis=1)),
            "points at (0, 0) or (-1, -1), far from the rest of the face, look like missing ones: "
            "leave the cells of a point without annotation empty",
            True,
        ),
        (
            (fit > UNLIKE) & (other_fit < UNLIKE) & (other_fit < 0.7 * fit),
            "all x come before all y: x0, y0, x1, y1, .. is expected",
            True,
        ),
        (area < MIRRORED, _how_mirrored(points[area < MIRRORED], markup), True),
        (away | (beyond > sides.max(axis=1)), "points lie far outside of the picture", True),
        (
            beyond > OUTSIDE * (high - low).max(axis=1),
            f"points lie outside of the picture by more than {OUTSIDE:g} of the face",
            False,
        ),
        (
            fit > UNLIKE,
            f"the points form no face of the markup {markup.name}",
            bool(np.mean(fit > UNLIKE) > 0.5),
        ),
        (
            eyes < EYES * boxes[:, 2:].max(axis=1),
            "the outer eye corners coincide, so that no inter-ocular NME can be measured",
            False,
        ),
    ]


def check_leakage(training: Records, validation: Records) -> list[Finding]:
    """Pictures of `validation` that are also in `training`, by their pixels."""
    known = {picture.digest for picture in training.pictures}
    pairs = zip(validation.files, validation.pictures)
    files = tuple(file for file, picture in pairs if picture.digest in known)
    reason = f"the same pictures are in {training.name}, so that their errors say nothing"
    return [Finding(reason, files, len(validation), False)] if files else []


def refuse(findings: Iterable[Finding], name: str) -> None:
    """Raise one InputError for all findings that are errors, if there are any."""
    wrong = [f"\n  {finding}" for finding in findings if finding.refused]
    if wrong:
        raise InputError(f"{name}: these annotations are invalid:{''.join(wrong)}")


def marked(points: np.ndarray) -> np.ndarray:
    """Which points `(n, k)` of `(n, k, 2)` look like a marker of a missing point.

    Both coordinates are the same of `MARKERS`, and the point lies outside of the box of the others
    by more than a tenth of its side.
    """
    markers = (points[..., 0] == points[..., 1]) & np.isin(points[..., 0], MARKERS)
    faces = np.where(markers[..., None], np.nan, points)
    faces[markers.all(axis=1) | np.isnan(faces).all(axis=(1, 2))] = 0.0
    box = _boxes(faces)
    room = 0.1 * box[:, 2:].max(axis=1)[:, None, None]
    low, high = box[:, None, :2] - room, box[:, None, :2] + box[:, None, 2:] + room
    return markers & ((points < low) | (points > high)).any(axis=-1)


def _boxes(points: np.ndarray) -> np.ndarray:
    """Tight boxes `(n, 4)` of the points that are annotated."""
    low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
    return np.concatenate([low, high - low], axis=1)


def _shapes(points: np.ndarray, markup: Markup) -> tuple[np.ndarray, np.ndarray]:
    """Difference of each of `(n, k, 2)` from the mean face, and the signed area of the map to it.

    Both `(n,)`, as in `UNLIKE` and `MIRRORED`; NaN for a face of fewer than `FEWEST_POINTS` points,
    and for a markup that has no mean face.
    """
    fit, area = np.full((2, len(points)), np.nan)
    if markup.mean is None:
        return fit, area
    known = np.isfinite(points).all(axis=-1)
    patterns, member = np.unique(known, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        faces = np.flatnonzero(member.ravel() == number)
        if pattern.sum() < FEWEST_POINTS:
            continue
        mean = markup.mean[pattern].astype(np.float64)
        mean -= mean.mean(axis=0)
        seen = points[faces][:, pattern]
        seen = seen - seen.mean(axis=1, keepdims=True)
        maps = np.linalg.pinv(mean) @ seen
        spread = (seen**2).sum(axis=(1, 2))
        spread[spread == 0] = np.nan
        fit[faces] = ((seen - mean @ maps) ** 2).sum(axis=(1, 2)) / spread
        area[faces] = np.linalg.det(maps) * (mean**2).sum() / spread
    return fit, area


def _how_mirrored(points: np.ndarray, markup: Markup) -> str:
    """How faces `(n, k, 2)` became mirror images, if most of them were upright before."""
    if markup.name != IBUG68.name:
        return "the points are a mirror image: left and right, or x and y, are swapped"
    down = np.abs(np.nanmean(points[:, 48:], axis=1) - np.nanmean(points[:, 17:27], axis=1))
    if np.sum(down[:, 0] > down[:, 1]) > len(points) / 2:  # the mouth is beside the brows
        return "x and y are swapped: x comes first"
    return (
        "left and right are swapped: points 0 and 36 belong to the face's own right side, which a "
        "picture shows on the left"
    )


def _duplicates(records: Records, boxes: np.ndarray) -> Iterable[tuple[str, list[str]]]:
    """Duplicates: a face of a picture under another name, or annotated again."""
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    seen: dict[bytes, list[int]] = {}
    same: list[str] = []
    again: list[str] = []
    for index, picture in enumerate(records.pictures):
        others = seen.setdefault(picture.digest, [])
        near = boxes[index, 2:].max() / 3  # two centres as near are of one face
        twins = [i for i in others if np.linalg.norm(centres[i] - centres[index]) < near]
        if twins:
            equal = any(
                np.array_equal(records.points[i], records.points[index], equal_nan=True)
                for i in twins
            )
            (same if equal else again).append(records.files[index])
        others.append(index)
    if same:
        yield "duplicates, the same picture and points as another", same
    if again:
        yield "duplicates, a face of the same picture annotated again with other points", again
