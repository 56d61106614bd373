"""The 68-point iBUG markup as data: parts, outlines, flip order, eye corners, mean face.

Left and right are those of the person: points 36 to 41 outline the right eye, which appears on the
left side of an image. Source: Sagonas et al., "300 Faces in-the-Wild Challenge", 2013.
"""

import numpy as np

COUNT = 68

# Half-open index ranges of the single parts. Reports merge some of them: see REPORT_PARTS, where
# `inner` is every point but the jaw's.
PARTS: dict[str, slice] = {
    "jaw": slice(0, 17),
    "right_brow": slice(17, 22),
    "left_brow": slice(22, 27),
    "nose_bridge": slice(27, 31),
    "nose_base": slice(31, 36),
    "right_eye": slice(36, 42),
    "left_eye": slice(42, 48),
    "outer_lips": slice(48, 60),
    "inner_lips": slice(60, 68),
}

REPORT_PARTS: dict[str, slice] = {
    "jaw": slice(0, 17),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
    "inner": slice(17, 68),
}

# Outer corners of the right and the left eye. Their distance is the inter-ocular normaliser.
OUTER_EYE_CORNERS = (36, 45)

# Polylines to draw: (point indices, closed?).
OUTLINES: dict[str, tuple[tuple[int, ...], bool]] = {
    name: (tuple(range(part.start, part.stop)), name in closed)
    for closed in [{"right_eye", "left_eye", "outer_lips", "inner_lips"}]
    for name, part in PARTS.items()
}


def _mirror_order() -> np.ndarray:
    """Landmark order after a horizontal flip: `flipped[i] = reflected[MIRROR[i]]`."""
    order = np.arange(COUNT)
    order[0:17] = np.arange(16, -1, -1)
    order[17:27] = np.arange(26, 16, -1)
    order[31:36] = np.arange(35, 30, -1)
    pairs = [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    pairs += [(48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)]
    for a, b in pairs:
        order[a], order[b] = b, a
    return order


MIRROR: np.ndarray = _mirror_order()


# Mean of the 2,975 faces of the `train` split of youtube_faces_keypoints and of the same faces
# flipped. Unit: the longer side of the landmark box; origin: the centre of that box.
# fmt: off
MEAN_FACE: np.ndarray = np.array(
    [
        (-0.482, -0.276), (-0.477, -0.148), (-0.456, -0.033), (-0.432, 0.078),
        (-0.392, 0.202), (-0.323, 0.305), (-0.248, 0.374), (-0.150, 0.434),
        (0.000, 0.474), (0.150, 0.434), (0.248, 0.374), (0.323, 0.305),
        (0.392, 0.202), (0.432, 0.078), (0.456, -0.033), (0.477, -0.148),
        (0.482, -0.276), (-0.366, -0.394), (-0.310, -0.431), (-0.240, -0.443),
        (-0.175, -0.436), (-0.117, -0.419), (0.117, -0.419), (0.175, -0.436),
        (0.240, -0.443), (0.310, -0.431), (0.366, -0.394), (0.000, -0.281),
        (0.000, -0.195), (0.000, -0.115), (0.000, -0.046), (-0.078, 0.004),
        (-0.045, 0.014), (0.000, 0.024), (0.045, 0.014), (0.078, 0.004),
        (-0.278, -0.291), (-0.233, -0.308), (-0.176, -0.308), (-0.123, -0.284),
        (-0.172, -0.267), (-0.232, -0.268), (0.123, -0.284), (0.176, -0.308),
        (0.233, -0.308), (0.278, -0.291), (0.232, -0.268), (0.172, -0.267),
        (-0.164, 0.162), (-0.109, 0.127), (-0.037, 0.105), (0.000, 0.113),
        (0.037, 0.105), (0.109, 0.127), (0.164, 0.162), (0.106, 0.212),
        (0.055, 0.240), (0.000, 0.246), (-0.055, 0.240), (-0.106, 0.212),
        (-0.153, 0.160), (-0.048, 0.148), (0.000, 0.147), (0.048, 0.148),
        (0.153, 0.160), (0.048, 0.182), (0.000, 0.187), (-0.048, 0.182),
    ],
    np.float32,
)
# fmt: on


def complete(points: np.ndarray) -> np.ndarray:
    """Points `(..., 68, 2)` whose missing ones, NaN, are those of the mean face put over the rest.

    By the rotation, scale and shift that fit best in least squares; a face of fewer than two
    points stays as it is, and so does one without missing points.
    """
    whole = np.array(points, order="C")  # `reshape` copies any other order
    faces = whole.reshape(-1, COUNT, 2)
    missing = np.isnan(faces).any(axis=-1)
    known = np.column_stack([MEAN_FACE @ [1, 1j], np.ones(COUNT)])
    for index in np.flatnonzero(missing.any(axis=1) & ((~missing).sum(axis=1) >= 2)):
        face, gaps = faces[index], missing[index]
        fit, *_ = np.linalg.lstsq(known[~gaps], (face @ [1, 1j])[~gaps], rcond=None)
        placed = known[gaps] @ fit
        face[gaps] = np.column_stack([placed.real, placed.imag])
    return whole
