"""Everything that the page's code shares with the Python code, as plain JSON values.

The page holds no copy of these constants: each is read from the module that owns it. Those of the
network that finds the points are apart (`keypoints.web.models`): the page can have another one.
"""

import json
from types import ModuleType
from typing import Any

import numpy as np

from keypoints import estimate, geometry, head_shape, pose
from keypoints.filters import FOLDER, effects, head, list_filters, loose_pupil
from keypoints.filters.engine import HOLD
from keypoints.filters.policy import PROTECTED
from keypoints.filters.spec import KINDS, LINE_WIDTH, Layer, Sticker, read_spec
from keypoints.inference import (
    centerface,
    cuts,
    detections,
    detectors,
    predictor,
    settling,
    smoothing,
    tracking,
    upright,
)
from keypoints.markup import IBUG68
from keypoints.media import overlay


def constants() -> dict[str, Any]:
    """Constants of crop, detector, tracker, pose, head and filters by subject."""
    colours = _named(overlay, "AXES", "AXIS", "AXIS_WIDTH")
    colours |= {"colour": overlay.TRUTH, "line_width": LINE_WIDTH}
    values = {
        "crop": {"size": geometry.CROP, "batch": predictor.BATCH},
        "upright": _named(upright, "TILT_KEPT"),
        "settling": _named(settling, "SETTLED_IOU"),
        "detector": _detector(),
        "tracking": _tracking(),
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
        "hold": HOLD,
        "hiding": _named(effects, "SMALLEST_BLOCK", "SMALLEST_SIGMA")
        | _named(head, "BOX_CENTRE", "BOX_RADII", "BOX_CORNERS"),
        "filters": [_filter(name) for name in list_filters()],
        "pose": _named(pose, "FLAT", "SMALLEST", "FARTHEST", "ITERATIONS", "PRECISION"),
        "head": {"mean_shape": IBUG68.shape, "jaw": IBUG68.roles["jaw"]}
        | {"forehead": head_shape.FOREHEAD}
        | _named(head, "UPPER_FACE", "DISTANCE", "SKULL_CENTRE", "SKULL_RADII", "SKULL_CORNERS"),
    }
    return json.loads(json.dumps(values, default=np.ndarray.tolist))


def _named(module: ModuleType, *names: str) -> dict[str, Any]:
    """Constants of a module by their names in small letters."""
    return {name.lower(): getattr(module, name) for name in names}


def _detector() -> dict[str, Any]:
    own = _named(
        centerface,
        *("STRIDE", "MULTIPLE", "SMALLEST_SIDE", "LEVEL_STEP"),
        *("ASPECT", "LYING", "SURE", "TURNED", "TILE", "TILE_OVERLAP"),
    )
    own |= {"compact": _facts(centerface.COMPACT), "second": _facts(centerface.CENTERFACE)}
    searches = _named(detectors, "STILL", "MOVING") | {"protected": PROTECTED}
    return own | searches | _named(detections, "SAME_FACE_IOU")


def _facts(network: centerface.Network) -> dict[str, Any]:
    """What was fitted to the answers of a network."""
    return {n: getattr(network, n) for n in ("min_score", "centre", "size", "small_picture")}


def _tracking() -> dict[str, Any]:
    own = _named(
        tracking,
        *("DETECT_EVERY", "DETECT_LOST_EVERY", "LOST_AFTER", "HIDDEN_FOR", "SETTLED_AFTER"),
        *("MATCH_DISTANCE", "VELOCITY_CUTOFF"),
    )
    own |= _named(detections, "SAME_FACE_IOU")
    return own | _named(estimate, "SCORE_THRESHOLD", "NEAR")


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
