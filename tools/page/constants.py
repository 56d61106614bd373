"""Everything that the page's code shares with the Python code, as plain JSON values.

The page holds no copy of these constants: each is read from the module that owns it, and the points
from the markup of the page's model.
"""

import json
from types import ModuleType
from typing import Any

import numpy as np

from keypoints import estimate, geometry, head_shape, markup, pose, pretrained
from keypoints.filters import FOLDER, effects, head, list_filters, loose_pupil
from keypoints.filters.engine import HOLD
from keypoints.filters.policy import PROTECTED
from keypoints.filters.spec import KINDS, Layer, Sticker, read_spec
from keypoints.inference import (
    centerface,
    cuts,
    detections,
    detectors,
    predictor,
    smoothing,
    tracking,
    upright,
)
from keypoints.media import landmark_csv, overlay
from keypoints.web.models import MODEL


def constants() -> dict[str, Any]:
    """Constants of landmarks, crop, detector, tracker, pose and filters by subject."""
    manifest = json.loads((pretrained.NAMES[MODEL] / "manifest.json").read_text("utf-8"))
    points = markup.read_content(manifest["markup"], "markup")
    half_score = manifest.get("half_score", estimate.UNCERTAINTY_AT_HALF_SCORE)
    crop = {"size": geometry.CROP, "scale": manifest["crop"]["scale"], "batch": predictor.BATCH}
    colours = _named(overlay, "AXES", "AXIS", "AXIS_WIDTH") | {"colour": overlay.TRUTH}
    values = {
        "crop": crop,
        "upright": _named(upright, "TILT_KEPT"),
        "detector": _detector(),
        "tracking": _tracking() | {"uncertainty_at_half_score": half_score},
        "cuts": _named(cuts, "SIDE", "CHANGE", "LIKENESS"),
        "smoothing": _named(
            smoothing,
            *("MIN_CUTOFF", "SPEED_GAIN", "SPEED_CUTOFF"),
            *("RIGID_SHARE", "ROTATION_CUTOFF", "ROTATION_GAIN"),
        ),
        "ball": _named(
            loose_pupil,
            *("GRAVITY", "DAMPING", "BOUNCE", "INERTIA", "STEP", "FASTEST", "PAUSE"),
        ),
        "overlay": colours,
        "csv": {"columns": landmark_csv.columns(points)},
        "hold": HOLD,
        "hiding": _named(effects, "SMALLEST_BLOCK", "SMALLEST_SIGMA")
        | _named(head, "BOX_CENTRE", "BOX_RADII", "BOX_CORNERS"),
        "filters": [_filter(name) for name in list_filters()],
    }
    return _plain(values | _face(points))


def _named(module: ModuleType, *names: str) -> dict[str, Any]:
    """Constants of a module by their names in small letters."""
    return {name.lower(): getattr(module, name) for name in names}


def _detector() -> dict[str, Any]:
    own = _named(
        centerface,
        *("STRIDE", "MULTIPLE", "MIN_SCORE", "CENTRE", "SIZE", "SMALLEST_SIDE", "LEVEL_STEP"),
        *("SMALL_PICTURE", "ASPECT", "LYING", "TURNED", "TILE", "TILE_OVERLAP"),
    )
    searches = _named(detectors, "STILL", "MOVING") | {"protected": PROTECTED}
    return own | searches | _named(detections, "SAME_FACE_IOU")


def _tracking() -> dict[str, Any]:
    own = _named(
        tracking,
        *("DETECT_EVERY", "DETECT_LOST_EVERY", "LOST_AFTER", "HIDDEN_FOR", "SETTLED_AFTER"),
        *("MATCH_DISTANCE", "VELOCITY_CUTOFF"),
    )
    own |= _named(detections, "SAME_FACE_IOU")
    return own | _named(estimate, "SCORE_THRESHOLD", "NEAR")


def _face(points: markup.Markup) -> dict[str, Any]:
    """What the points mean, and the head that they lie on."""
    return {
        "landmarks": {
            "count": points.count,
            "outlines": list(points.outlines.values()),
            "mouth": points.roles["mouth"],
            "eyes": points.roles["right_eye"] + points.roles["left_eye"],
            "jaw": points.roles["jaw"],
        },
        "pose": {"rigid": points.roles["rigid"]}
        | _named(pose, "FLAT", "SMALLEST", "FARTHEST", "ITERATIONS", "PRECISION"),
        "head": {"mean_shape": points.shape, "forehead": head_shape.FOREHEAD}
        | _named(head, "UPPER_FACE", "DISTANCE", "SKULL_CENTRE", "SKULL_RADII", "SKULL_CORNERS"),
        "expression": _openings(points),
    }


def _openings(points: markup.Markup) -> dict[str, Any]:
    """Pairs of points whose distances tell how far eyes and mouth are open; the ends first."""
    right, left, mouth = (
        np.reshape(points.roles[role], (-1, 2)).tolist()
        for role in ("right_eye_opening", "left_eye_opening", "mouth_opening")
    )
    return {"eyes": [right, left], "mouth": mouth}


def _filter(name: str) -> dict[str, Any]:
    spec = read_spec(FOLDER / name)
    layers = [_layer(name, layer) for layer in spec.layers]
    return {"name": name, "description": spec.description, "layers": layers}


def _layer(name: str, layer: Layer) -> dict[str, Any]:
    kind = type(layer).__name__.lower()
    assert kind in KINDS
    values = {"kind": kind, **vars(layer)}
    if isinstance(layer, Sticker):
        del values["levels"]
        values["art"] = f"filters/{name}/{layer.art}"
        values["anchors"] = [vars(anchor) for anchor in layer.anchors]
        values["loose"] = layer.loose and vars(layer.loose)
    return values


def _plain(value: Any) -> Any:
    """`value` with lists in place of arrays and tuples."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
