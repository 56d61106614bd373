"""What of a markup can be measured on annotated faces: mean face, face box, mirror pairs."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from keypoints import geometry
from keypoints.data.annotated_folder import LABELS, SPLITS, YAWS
from keypoints.data.annotation_files import arrange, read_annotations
from keypoints.data.records import Example, Records, make_records
from keypoints.errors import InputError, refuse
from keypoints.inference.detections import Detector, fit_conversion
from keypoints.inference.detectors import load_detector
from keypoints.markup import Markup, Outline

SAMPLE = 200  # faces that the detector searches for
ROUNDS = 10  # of the mean of faces: each lays all faces on the mean of the round before
WHOLE_BOX = (0.5, 0.5, 1.0, 1.0)
# A pair of points of the mean face are mirror images if one lies within this of where the other
# is reflected to, in sides of the face; a point within it of its own reflection is in the middle.
MIRROR_DISTANCE = 0.06
# Words in names of points and the part of the face that they tell; the first that fits.
PARTS = {
    "brow": "brows", "eye": "eyes", "pupil": "eyes", "iris": "eyes", "nose": "nose",
    "nostril": "nose", "mouth": "mouth", "lip": "mouth", "jaw": "jaw", "chin": "jaw",
    "cheek": "jaw",
}  # fmt: skip
TILTS = range(-12, 13, 2)  # degrees of the axis of symmetry that are tried
AXIS_REACH = 0.12  # from the middle of the points, in sides of the face


def measured(records: Records, detector: Detector | None = None) -> Markup:
    """The markup of `records` with a mean face and a face box, where it does not have them.

    The face box is that which `detector`, the default one unless given, finds around the points;
    where it finds fewer than half of the faces, the tight box of the points. Raises InputError
    where no face has two points.
    """
    markup = records.markup
    if markup.mean is None:
        markup = replace(markup, mean=mean_points(records.points))
    if markup.face_box is None:
        markup = replace(markup, face_box=_face_box(records, markup, detector or load_detector()))
    return markup if records.markup.mean is not None else _centred(markup)


def with_mean(markup: Markup, points: np.ndarray) -> Markup:
    """`markup` with the mean of faces `(n, k, 2)`; raises InputError as `mean_points`."""
    return _centred(replace(markup, mean=mean_points(points)))


def _centred(markup: Markup) -> Markup:
    """A markup with its mean face in units of the longer side of its box, about the middle."""
    assert markup.mean is not None
    box = markup.face_boxes(markup.mean)
    mean = (markup.mean - box[:2] - box[2:] / 2) / box[2:].max()
    return replace(markup, mean=mean.astype(np.float32))


def read_faces(folder: Path) -> Records:
    """Up to `SAMPLE` faces of a folder with annotations, evenly spread, and their markup.

    A folder whose points are of no known markup has one of its own: its name is the folder's, its
    lines are those that the files draw, its parts and roles come from the names of points. Raises
    InputError for what is wrong with the annotations.
    """
    found = read_annotations(folder, passed_over=(SPLITS, YAWS, LABELS))
    markup = found.own_markup()
    arrange(found, markup)
    refuse(found.problems, str(folder))
    if markup.name == "own":
        lines = next((face.annotations.lines for face in found.faces if face.annotations.lines), ())
        outlines = {f"line {i}": Outline(points, False) for i, points in enumerate(lines, 1)}
        markup = replace(told_by_names(markup.names, folder), outlines=outlines)
    places = np.linspace(0, len(found.faces) - 1, min(SAMPLE, len(found.faces)))
    faces = [found.faces[place] for place in places.round().astype(int)]
    examples = (
        Example(f"{number}/{face.name}", "", face.read(), face.points, read=face.read)
        for number, face in enumerate(faces)
    )
    return make_records(folder.name, examples, markup)


def told_by_names(names: tuple[str, ...], folder: Path) -> Markup:
    """A markup with the name of `folder`, and the parts and roles that names of points tell."""
    name = re.sub(r"[^\w .:+-]", "-", folder.resolve().name)[:64].lstrip(" .:+-")
    parts, roles = named_parts(names), named_roles(names)
    markup = Markup(name or "own", names, parts=parts, roles=roles)
    usual = next(n for n in (*markup.normalisers, "box") if n != "box_diagonal")
    return replace(markup, normaliser=usual)


def made_on(image: np.ndarray, points: np.ndarray, markup: Markup, detector: Detector) -> Markup:
    """A markup with the mean face and the face box of one face, upright, its pairs symmetric.

    `image` `(h, w, 3)` uint8 RGB, `points` `(n, 2)` in its pixels; the mirror pairs are known.
    """
    face = Example("face", "", image, points.astype(np.float32))
    found = measured(make_records("face", [face], markup), detector)
    assert found.mean is not None and found.mirror is not None
    mean = found.mean @ [1, 1j]
    sides = sorted(point for pair in found.pairs or () for point in pair)
    if sides:
        own, partner = mean[sides], found.mirror[sides]
        # A flipped face is turned the other way: half of the angle between the two is its roll.
        turn = np.vdot(own - own.mean(), own.mean().conj() - mean.conj()[partner])
        if abs(turn) > 0:
            mean = mean * np.sqrt(turn / abs(turn))
        mean = mean - mean[sides].real.mean()
        mean[sides] = (mean[sides] - mean.conj()[partner]) / 2
    return replace(found, mean=np.column_stack([mean.real, mean.imag]).astype(np.float32))


def paired(markup: Markup) -> tuple[Markup, str]:
    """A markup with a mean face with mirror pairs, and in words where they are from."""
    assert markup.mean is not None
    if pairs := named_pairs(markup.names):
        return replace(markup, pairs=pairs), "by the names of points"
    return replace(markup, pairs=symmetric_pairs(markup.mean)), "by the symmetry of the mean face"


def mean_points(points: np.ndarray) -> np.ndarray:
    """The mean `(k, 2)` float32 of faces `(n, k, 2)`, upright as these are on average.

    Generalised Procrustes analysis (Gower, 1975) by similarity transforms, with points as complex
    numbers; points that are missing, NaN, are left out. The size is that of the faces on average.
    Raises InputError where no face has two points, and for a point that no face has.
    """
    faces = np.asarray(points, np.float64) @ [1, 1j]
    known = np.isfinite(faces)
    if not len(faces) or known.sum(axis=1).max() < 2:
        raise InputError("no face has two annotated points")
    if (never := np.flatnonzero(~known.any(axis=0))).size:
        raise InputError(f"point {never[0]} is annotated in no face")
    mean = faces[known.sum(axis=1).argmax()]
    for _ in range(ROUNDS):
        laid, turns = [], []
        for face, here in zip(faces, known):
            both = here & np.isfinite(mean)
            if both.sum() < 2:
                continue
            design = np.column_stack([mean[both], np.ones(both.sum())])
            (turn, shift), *_ = np.linalg.lstsq(design, face[both], rcond=None)
            if abs(turn) > 0:
                laid.append((face - shift) / turn)
                turns.append(turn)
        # Turned and enlarged as the faces are on average, so that the first one does not count.
        sizes = np.abs(turns)
        tilt = np.mean(turns / sizes)
        around = np.nanmean(laid, axis=0) * np.mean(sizes) * tilt / np.abs(tilt)
        mean = around - np.nanmean(around)
    return np.column_stack([mean.real, mean.imag]).astype(np.float32)


def _face_box(
    records: Records, markup: Markup, detector: Detector
) -> tuple[float, float, float, float]:
    chosen = np.linspace(0, len(records) - 1, min(SAMPLE, len(records))).round().astype(int)
    points = markup.complete(records.points[chosen])
    tight = geometry.landmark_box(points)
    faces, boxes = [], []
    for index, face, box in zip(chosen, points, tight):
        found = detector.detect(records.image(index))
        corners = found.boxes[:, None, :2], found.boxes[:, None, :2] + found.boxes[:, None, 2:]
        inside = ((face > corners[0]) & (face < corners[1])).all(axis=-1).mean(axis=1)
        around = np.flatnonzero((inside > 0.5) & (found.rolls == 0) & (box[2:].min() > 0))
        if around.size:
            faces.append(box)
            boxes.append(found.boxes[around[found.boxes[around, 2].argmin()]])
    if len(boxes) < max(len(chosen) / 2, 1):
        return WHOLE_BOX
    centre, size = fit_conversion(np.array(faces), np.array(boxes))
    x, y, width, height = np.round(np.array([*centre, *size], np.float64), 3).tolist()
    return x, y, width, height


def symmetric_pairs(mean: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Mirror pairs of an about upright mean face `(k, 2)`, in units of the face, by its symmetry.

    Each pair are two points of which one lies where the other is reflected to, each the nearest
    there; points whose nearest is themselves are in the middle, and those without partner in none.
    The axis is the line within `TILTS` of a vertical one that reflects the points best.
    """
    best, away = np.inf, np.zeros((len(mean), len(mean)))
    for tilt in TILTS:
        points = np.asarray(mean, np.float64) @ geometry.rotation(tilt)
        middle = np.ptp(points[:, 0]) / 2 + points[:, 0].min()
        axes = np.unique(((points[:, None, 0] + points[None, :, 0]) / 2).round(3))
        for axis in axes[np.abs(axes - middle) < AXIS_REACH]:
            reflected = _reflected(points, axis)
            cost = np.minimum(reflected.min(axis=1), MIRROR_DISTANCE).sum()
            if cost < best:
                best, away = cost, reflected
    partner = away.argmin(axis=1)
    return tuple(
        (one, int(other))
        for one, other in enumerate(partner)
        if one < other and partner[other] == one and away[one, other] <= MIRROR_DISTANCE
    )


def _reflected(points: np.ndarray, axis: float) -> np.ndarray:
    """Distances `(k, k)` from each point's reflection at the vertical line x = axis to each."""
    mirrored = points * [-1, 1] + [2 * axis, 0]
    return np.linalg.norm(mirrored[:, None] - points[None], axis=-1)


def named_pairs(names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Mirror pairs of points whose names differ in `left` and `right` alone, or in `l` and `r`."""
    words = {"left": "right", "right": "left", "l": "r", "r": "l", "lt": "rt", "rt": "lt"}
    plain = [tuple(_words(name)) for name in names]
    pairs = []
    for number, name in enumerate(plain):
        other = tuple(words.get(word, word) for word in name)
        if other != name and other in plain and number < plain.index(other):
            pairs.append((number, plain.index(other)))
    return tuple(pairs)


def named_parts(names: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Points by the part of the face that their names tell, those of `PARTS`."""
    parts: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        part = next((part for word, part in PARTS.items() if word in name.lower()), None)
        if part:
            parts.setdefault(part, []).append(number)
    return {part: tuple(points) for part, points in parts.items()}


def named_roles(names: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Roles of points whose names tell them: eyes, mouth and its corners, tip of the nose, jaw."""
    parts, words = named_parts(names), [set(_words(name)) for name in names]

    def those(part: str, *any_of: str) -> tuple[int, ...]:
        return tuple(i for i in parts.get(part, ()) if words[i] & set(any_of))

    right, left = those("eyes", "right", "r", "rt"), those("eyes", "left", "l", "lt")
    corners = [i for side in (("right", "r", "rt"), ("left", "l", "lt"))
               for i in those("mouth", *side) if "corner" in words[i]]  # fmt: skip
    roles = {
        "right_eye": right if left else (),
        "left_eye": left if right else (),
        "mouth": parts.get("mouth", ()),
        "mouth_corners": tuple(corners) if len(corners) == 2 else (),
        "nose_tip": those("nose", "tip") or parts.get("nose", ()),
        "jaw": parts.get("jaw", ()),
    }
    if len(roles["nose_tip"]) != 1:
        del roles["nose_tip"]
    return {role: points for role, points in roles.items() if points}


def _words(name: str) -> list[str]:
    """The words of a name in lower case: those of `leftEye`, `left_eye` and `Eye L`."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]
