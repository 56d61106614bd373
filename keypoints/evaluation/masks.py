"""The effect of a face mask on the errors of the visible points.

Masks are drawn over the pictures of the records, at the place of surgical masks. They are drawn by
other code than the masks of training (`data.augment.add_mask`), so that a network is measured on
masks that it was not trained on.
"""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from keypoints import metrics
from keypoints.data.records import Records
from keypoints.data.stored_picture import store
from keypoints.errors import InputError
from keypoints.evaluation.protocol import predict_points
from keypoints.markup import IBUG68, Markup
from keypoints.network import Network

# RGB: light blue, white, black, mint, grey, dark blue, rose.
COLOURS = ((172, 205, 226), (240, 241, 238), (24, 25, 28), (178, 214, 200), (128, 130, 136),
           (34, 52, 92), (226, 176, 182))  # fmt: skip
SHARPNESS = 4  # supersampling of the drawn mask, for smooth edges
PARTS = {
    "eyes and brows": [*range(17, 27), *range(36, 48)],
    "covered": [*range(2, 15), *range(30, 36), *range(48, 68)],
    "all": list(range(IBUG68.count)),
}


def draw_mask(image: np.ndarray, points: np.ndarray, *, seed: int) -> np.ndarray:
    """`image` `(h, w, 3)` uint8 with a surgical mask over the face of `points` `(68, 2)`.

    Its upper edge runs from the cheeks over the bridge of the nose, its lower one below the chin;
    two pleats, a wire over the nose, loops to the ears. Colour and fit are random with `seed`.
    """
    rng = np.random.default_rng(seed)
    height, width = image.shape[:2]
    face = (points + 0.5) * SHARPNESS
    down = face[8] - face[27]
    top = face[28] * (1 - (share := rng.uniform(0, 1))) + face[29] * share
    cheeks = face[1] * 0.6 + face[2] * 0.4, face[15] * 0.6 + face[14] * 0.4
    right, left = (cheek + 0.06 * (face[30] - cheek) for cheek in cheeks)
    chin = face[8] + rng.uniform(0.03, 0.12) * down
    low = face[5] + 0.05 * down, face[11] + 0.05 * down
    edges = (
        (right, top - 0.02 * down, left),
        (left, face[13], low[1]),
        (low[1], chin, low[0]),
        (low[0], face[3], right),
    )
    outline = np.concatenate([_arc(*edge) for edge in edges])
    canvas = np.zeros((height * SHARPNESS, width * SHARPNESS), np.uint8)
    cv2.fillPoly(canvas, [np.rint(outline).astype(np.int32)], 255)
    lines = np.zeros_like(canvas)
    thick = max(int(0.012 * np.linalg.norm(down)), 1)
    for share in (0.35, 0.6):
        pleat = [right + share * (low[0] - right), face[33] + share * (chin - face[33]),
                 left + share * (low[1] - left)]  # fmt: skip
        _stroke(lines, _arc(*pleat), thick)
    cloth = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)[..., None] / 255
    pleats = cv2.resize(lines, (width, height), interpolation=cv2.INTER_AREA)[..., None] / 255
    colour = np.array(COLOURS[rng.integers(len(COLOURS))], np.float64)
    y, x = np.mgrid[:height, :width]
    centre, size = points[33], max(np.linalg.norm(points[8] - points[27]), 1.0)
    round_shade = 1.08 - 0.35 * np.hypot(x - centre[0], y - centre[1])[..., None] / size
    grain = 1 + 0.03 * rng.standard_normal((height, width, 1))
    mask = colour * np.clip(round_shade, 0.6, 1.1) * grain * (1 - 0.25 * pleats)
    loops = np.zeros_like(canvas)
    for corner, ear in ((right, face[0]), (left, face[16])):
        _stroke(loops, np.stack([corner, ear - 0.05 * down]), thick)
    loop = cv2.resize(loops, (width, height), interpolation=cv2.INTER_AREA)[..., None] / 255
    worn = image * (1 - loop) + 235 * loop
    return np.clip(np.rint(worn * (1 - cloth) + mask * cloth), 0, 255).astype(np.uint8)


def order_of(markup: Markup) -> np.ndarray:
    """The points of iBUG among those of `markup`; raises InputError where it lacks any."""
    order = markup.order_of(IBUG68)
    if order is None:
        raise InputError(
            f"masks are drawn on the points of ibug68, which the markup {markup.name} does not have"
        )
    return order


def masked(records: Records, *, seed: int = 0) -> Records:
    """The records with a mask on every face; a jaw that is not annotated is estimated."""
    faces = records.completed_points()[:, order_of(records.markup)]
    pictures = tuple(
        store(draw_mask(records.image(i), face, seed=seed + i), records.boxes[i])
        for i, face in enumerate(faces)
    )
    return replace(records, name=f"{records.name} with masks", pictures=pictures)


def measure(network: Network, records: Records, **facts: Any) -> dict[str, Any]:
    """`facts`, then NME in percent of the inter-ocular distance with and without masks.

    Truth boxes.
    """
    order, errors = order_of(network.markup), {}
    records = records.seen_by(network.markup)
    for name, faces in (("without", records), ("with", masked(records))):
        found = predict_points(network, faces, faces.boxes)
        truth = faces.points[:, order]
        shares = metrics.point_errors(truth, found.points[:, order])
        shares = 100 * shares / metrics.inter_ocular(truth)[:, None]
        errors[name] = {
            part: float(np.nanmean(shares[:, indices])) for part, indices in PARTS.items()
        }
    return {
        **facts,
        "split": records.name,
        "split_sha256": records.digest(),
        "images": len(records),
        **errors,
        "ratio": {part: errors["with"][part] / errors["without"][part] for part in errors["with"]},
    }


def table(report: dict[str, Any]) -> str:
    """The report of `measure` as text for a terminal."""
    lines = [
        f"{'NME, ' + str(report['images']) + ' faces':20}{'without':>10}{'masked':>10}{'ratio':>8}"
    ]
    lines += [
        f"{part:20}{report['without'][part]:>8.2f} %{report['with'][part]:>8.2f} %{ratio:>8.2f}"
        for part, ratio in report["ratio"].items()
    ]
    return "\n".join(lines)


def _arc(start: np.ndarray, through: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Positions `(16, 2)` on a parabola through three points, the middle one half-way."""
    control = 2 * through - (start + end) / 2
    t = np.linspace(0, 1, 16)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


def _stroke(canvas: np.ndarray, places: np.ndarray, thick: int) -> None:
    cv2.polylines(canvas, [np.rint(places).astype(np.int32)], False, 255, thick)
