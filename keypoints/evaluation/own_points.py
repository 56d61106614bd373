"""A first markup for points of one's own, from annotated faces, and a sheet to check it by eye."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keypoints.data.annotation_files import Face
from keypoints.inference.detections import Detector, fit_conversion
from keypoints.markup import Markup, Outline, read_content

FEWEST = 5  # faces that the face box is measured on, at least
MOST = 100  # pictures that a detector looks at for it
INSIDE = 0.7  # share of a face's points that lie in the box of a detector that found it
# Mean distance of points from their mirror images, in root mean square radii of the shape: beyond
# it there is no symmetry.
SYMMETRIC = 0.08
# Words of names and the part of a face that they tell; the first that fits.
PARTS = {
    "brow": "brows", "eye": "eyes", "pupil": "eyes", "iris": "eyes", "nose": "nose",
    "nostril": "nose", "mouth": "mouth", "lip": "mouth", "jaw": "jaw", "chin": "jaw",
    "cheek": "jaw",
}  # fmt: skip
OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}
SIDE = re.compile(r"left|right|(?<![a-z])[lr](?![a-z])")
TILE, COLUMNS = 420, 4  # of the sheet, pixels and faces
DOT, PAIR, INK = (255, 200, 0), (90, 200, 255), (255, 255, 255)  # RGB


class Proposal(NamedTuple):
    """A first markup and how its pairs came about, for messages."""

    markup: Markup
    pairs: str
    notes: tuple[str, ...]


def propose(name: str, faces: Sequence[Face], plain: Markup, detector: Detector) -> Proposal:
    """The markup `name` for faces whose points have the names of `plain`.

    Pairs come from sides in the names, else from the symmetry of the mean shape; parts and roles
    from words in the names; the face box from what `detector` finds in the pictures. Raises
    InputError for a name of a point that a markup cannot have.
    """
    points = np.array([face.points for face in faces], np.float64)
    notes = []
    pairs, how = pairs_by_name(plain.names), "from the names"
    if pairs is None:
        pairs, how = pairs_by_symmetry(mean_shape(points)), "from the symmetry of the mean shape"
    if pairs is None:
        notes.append("no mirror pairs were found: nothing is flipped in training")
    face_box, found = measured_face_box(faces, detector)
    if face_box is None:
        notes.append(
            f"the detector found {found} of the faces, too few to measure their box; it is that of "
            "the points"
        )
    markup = Markup(
        name=re.sub(r"[^\w.-]+", "_", name)[:64] or "own",
        names=plain.names,
        pairs=pairs,
        parts=parts_by_name(plain.names),
        outlines=_outlines(faces),
        roles=roles_by_name(plain.names),
        face_box=face_box,
    )
    content = markup.content() | {"mean": _mean(points, markup)}
    content = {key: value for key, value in content.items() if key != "normaliser"}
    content = {key: value for key, value in content.items() if value is not None}
    return Proposal(read_content(content, f"{name}: its points"), how, tuple(notes))


def pairs_by_name(names: Sequence[str]) -> tuple[tuple[int, int], ...] | None:
    """Mirror pairs of names that differ in their side alone; None where no name has a side."""
    places = {name.lower(): index for index, name in enumerate(names)}
    pairs = []
    for name, index in places.items():
        other = places.get(SIDE.sub(lambda side: OTHER[side[0]], name), index)
        if index < other:
            pairs.append((index, other))
    return tuple(pairs) or None


def pairs_by_symmetry(shape: np.ndarray) -> tuple[tuple[int, int], ...] | None:
    """Mirror pairs of a mean shape `(n, 2)` of about upright faces; None without symmetry.

    The shape is reflected, laid over itself, and each point's nearest one is its twin.
    """
    if np.isnan(shape).any() or len(shape) < 3:
        return None
    there = shape @ [1, 1j]
    there = (there - there.mean()) / np.sqrt(np.mean(np.abs(there - there.mean()) ** 2))
    reflected = moved = -there.conj()
    twins = np.arange(len(shape))
    for _ in range(10):
        twins = np.abs(moved[:, None] - there).argmin(axis=1)
        # The rotation and shift that lay the reflection over the points best.
        turn = np.vdot(reflected - reflected.mean(), there[twins] - there[twins].mean())
        moved = (reflected - reflected.mean()) * turn / abs(turn) + there[twins].mean()
    mutual = (twins[twins] == np.arange(len(shape))).all()
    if not mutual or np.abs(moved - there[twins]).mean() > SYMMETRIC:
        return None
    return tuple((int(i), int(twin)) for i, twin in enumerate(twins) if i < twin)


def mean_shape(points: np.ndarray) -> np.ndarray:
    """Mean `(n, 2)` of faces `(m, n, 2)` laid over each other; NaN for a point that none has.

    Each face is moved, turned and scaled to fit the mean in least squares, three times.
    """
    faces = points @ [1, 1j]
    faces = faces - np.nanmean(faces, axis=1, keepdims=True)
    faces = faces / np.sqrt(np.nanmean(np.abs(faces) ** 2, axis=1, keepdims=True))
    with np.errstate(invalid="ignore"):
        mean = np.nanmean(faces, axis=0)
        for _ in range(3):
            for index, face in enumerate(faces):
                known = np.isfinite(face) & np.isfinite(mean)
                plain = np.column_stack([face[known], np.ones(known.sum())])
                fit, *_ = np.linalg.lstsq(plain, mean[known], rcond=None)
                faces[index] = face * fit[0] + fit[1]
            mean = np.nanmean(faces, axis=0)
            mean = (mean - np.nanmean(mean)) / np.sqrt(np.nanmean(np.abs(mean) ** 2))
    return np.column_stack([mean.real, mean.imag])


def parts_by_name(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Points by the part of the face that words in their names tell."""
    parts: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        part = next((part for word, part in PARTS.items() if word in name.lower()), None)
        if part:
            parts.setdefault(part, []).append(index)
    return {part: tuple(points) for part, points in parts.items()}


def roles_by_name(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Points by roles that words in their names tell."""
    parts = parts_by_name(names)

    def those(part: str, pattern: str) -> tuple[int, ...]:
        return tuple(i for i in parts.get(part, ()) if re.search(pattern, names[i].lower()))

    right, left = r"right|(?<![a-z])r(?![a-z])", r"left|(?<![a-z])l(?![a-z])"
    corners = [*those("mouth", rf"({right}).*corner"), *those("mouth", rf"({left}).*corner")]
    tips = those("nose", "tip") or parts.get("nose", ())
    roles = {
        "right_eye": those("eyes", right),
        "left_eye": those("eyes", left),
        "mouth": parts.get("mouth", ()),
        "mouth_corners": tuple(corners) if len(corners) == 2 else (),
        "nose_tip": tips if len(tips) == 1 else (),
        "jaw": parts.get("jaw", ()),
    }
    return {role: points for role, points in roles.items() if points}


def measured_face_box(
    faces: Sequence[Face], detector: Detector
) -> tuple[tuple[float, float, float, float] | None, int]:
    """Centre and size of detected boxes in tight boxes of the points, and faces it is fitted on.

    Faces with all points, at most `MOST` of them over the whole set; None for fewer than `FEWEST`.
    """
    whole = [face for face in faces if np.isfinite(face.points).all()]
    chosen = whole[:: max(-(-len(whole) // MOST), 1)]
    tight, boxes = [], []
    for face in chosen:
        detected = detector.detect(face.read())
        low = detected.boxes[:, None, :2]
        high = low + detected.boxes[:, None, 2:]
        inside = ((face.points >= low) & (face.points <= high)).all(axis=-1).mean(axis=1)
        if len(detected) and inside.max() >= INSIDE:
            points = face.points
            tight.append([*points.min(axis=0), *np.ptp(points, axis=0)])
            boxes.append(detected.boxes[inside.argmax()])
    if len(tight) < FEWEST or not np.array(tight)[:, 2:].all():
        return None, len(tight)
    (x, y), (width, height) = fit_conversion(np.array(tight), np.array(boxes))
    return tuple(round(float(value), 3) for value in (x, y, width, height)), len(tight)  # type: ignore[return-value]


def _mean(points: np.ndarray, markup: Markup) -> list[list[float]] | None:
    """Mean of whole faces in face boxes, as `Markup.mean`; None without such faces."""
    whole = points[np.isfinite(points).all(axis=(1, 2))]
    if not len(whole):
        return None
    boxes = markup.face_boxes(whole)
    middle, side = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:].max(axis=1)
    mean = ((whole - middle[:, None]) / np.maximum(side, 1e-6)[:, None, None]).mean(axis=0)
    if markup.mirror is not None:
        mean = (mean + (mean * [-1, 1])[markup.mirror]) / 2
    return np.round(mean, 4).tolist()


def _outlines(faces: Sequence[Face]) -> dict[str, Outline]:
    """The lines of the first file that has any."""
    lines = next((face.annotations.lines for face in faces if face.annotations.lines), ())
    return {f"line {number}": Outline(line, False) for number, line in enumerate(lines, 1)}


def sheet(faces: Sequence[Face], markup: Markup) -> np.ndarray:
    """A picture `(h, w, 3)` uint8 RGB of four faces, numbered, over their flipped twins.

    Lines join the pairs. In the twins the numbers must be at the same parts of the face as above.
    """
    import cv2

    chosen = [faces[i * len(faces) // COLUMNS] for i in range(min(len(faces), COLUMNS))]
    columns = []
    for face in chosen:
        points = markup.complete(face.points)
        box = markup.face_boxes(np.array(points[np.isfinite(points).all(axis=1)]))
        scale = TILE / (1.6 * max(float(box[2:].max()), 1.0))
        middle = box[:2] + box[2:] / 2
        shift = (TILE - 1) / 2 - scale * middle
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        tile = cv2.warpAffine(face.read(), matrix, (TILE, TILE), flags=cv2.INTER_AREA)
        placed = face.points * scale + shift
        tiles = [_numbered(tile, placed, markup)]
        if markup.mirror is not None:
            twin = (placed * [-1, 1] + [TILE - 1, 0])[markup.mirror]
            tiles.append(_numbered(np.ascontiguousarray(tile[:, ::-1]), twin, markup))
        columns.append(np.concatenate(tiles))
    names = _names(markup, len(columns[0]))
    return np.concatenate([*columns, names], axis=1)


def _numbered(tile: np.ndarray, points: np.ndarray, markup: Markup) -> np.ndarray:
    import cv2

    image = tile // 2  # so that the numbers can be read
    size = 0.45 if markup.count <= 30 else 0.33
    for one, other in markup.pairs or ():
        if np.isfinite(points[[one, other]]).all():
            first, last = np.rint(points[[one, other]]).astype(int).tolist()
            cv2.line(image, first, last, PAIR, 1, cv2.LINE_AA)
    for index, point in enumerate(points):
        if np.isfinite(point).all():
            x, y = np.rint(point).astype(int).tolist()
            cv2.circle(image, (x, y), 2, DOT, -1, cv2.LINE_AA)
            place = (x + 4, y - 3)
            cv2.putText(image, str(index), place, 0, size, INK, 1, cv2.LINE_AA)
    return image


def _names(markup: Markup, height: int) -> np.ndarray:
    """A column with the names of the points, where they have any."""
    import cv2

    if all(name.isdecimal() for name in markup.names):
        return np.zeros((height, 0, 3), np.uint8)
    rows = [f"{index} {name}" for index, name in enumerate(markup.names)]
    per_column = max(height // 18 - 1, 1)
    count = -(-len(rows) // per_column)
    image = np.zeros((height, 230 * count, 3), np.uint8)
    for index, row in enumerate(rows):
        place = (230 * (index // per_column) + 8, 18 * (index % per_column + 1))
        cv2.putText(image, row[:30], place, 0, 0.42, INK, 1, cv2.LINE_AA)
    return image
