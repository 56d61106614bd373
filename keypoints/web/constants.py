"""Everything that the page's code shares with the Python code, as plain JSON values.

The page holds no copy of these constants: each is read from the module that owns it, and the points
from the markup of the page's model.
"""

import json
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

MODEL = "pretrained-small"


def constants() -> dict[str, Any]:
    """Constants of landmarks, crop, detector, tracker, pose and filters by subject."""
    manifest = json.loads((pretrained.NAMES[MODEL] / "manifest.json").read_text())
    crop, points = manifest["crop"], markup.read_content(manifest["markup"], "markup")
    half_score = manifest.get("half_score", estimate.UNCERTAINTY_AT_HALF_SCORE)
    values = {
        "landmarks": {
            "count": points.count,
            "outlines": list(points.outlines.values()),
            "mouth": points.roles["mouth"],
            "eyes": points.roles["right_eye"] + points.roles["left_eye"],
            "jaw": points.roles["jaw"],
        },
        "crop": {"size": geometry.CROP, "scale": crop["scale"], "batch": predictor.BATCH},
        "upright": {"tilt_kept": upright.TILT_KEPT},
        "detector": {
            "stride": centerface.STRIDE,
            "multiple": centerface.MULTIPLE,
            "still": detectors.STILL,
            "moving": detectors.MOVING,
            "protected": PROTECTED,
            "min_score": centerface.MIN_SCORE,
            "same_face_iou": detections.SAME_FACE_IOU,
            "centre": centerface.CENTRE,
            "size": centerface.SIZE,
            "smallest_side": centerface.SMALLEST_SIDE,
            "level_step": centerface.LEVEL_STEP,
            "small_picture": centerface.SMALL_PICTURE,
            "aspect": centerface.ASPECT,
            "lying": centerface.LYING,
            "turned": centerface.TURNED,
            "tile": centerface.TILE,
            "tile_overlap": centerface.TILE_OVERLAP,
        },
        "tracking": {
            "detect_every": tracking.DETECT_EVERY,
            "detect_lost_every": tracking.DETECT_LOST_EVERY,
            "lost_after": tracking.LOST_AFTER,
            "hidden_for": tracking.HIDDEN_FOR,
            "settled_after": tracking.SETTLED_AFTER,
            "same_face_iou": tracking.SAME_FACE_IOU,
            "match_distance": tracking.MATCH_DISTANCE,
            "score_threshold": estimate.SCORE_THRESHOLD,
            "uncertainty_at_half_score": half_score,
            "velocity_cutoff": tracking.VELOCITY_CUTOFF,
            "near": estimate.NEAR,
        },
        "cuts": {"side": cuts.SIDE, "change": cuts.CHANGE, "likeness": cuts.LIKENESS},
        "smoothing": {
            "min_cutoff": smoothing.MIN_CUTOFF,
            "speed_gain": smoothing.SPEED_GAIN,
            "speed_cutoff": smoothing.SPEED_CUTOFF,
            "rigid_share": smoothing.RIGID_SHARE,
            "rotation_cutoff": smoothing.ROTATION_CUTOFF,
            "rotation_gain": smoothing.ROTATION_GAIN,
        },
        "pose": {
            "rigid": points.roles["rigid"],
            "flat": pose.FLAT,
            "smallest": pose.SMALLEST,
            "farthest": pose.FARTHEST,
            "iterations": pose.ITERATIONS,
            "precision": pose.PRECISION,
        },
        "head": {
            "mean_shape": points.shape,
            "forehead": head_shape.FOREHEAD,
            "upper_face": head.UPPER_FACE,
            "distance": head.DISTANCE,
            "skull_centre": head.SKULL_CENTRE,
            "skull_radii": head.SKULL_RADII,
            "skull_corners": head.SKULL_CORNERS,
        },
        "expression": _openings(points),
        "ball": {
            name: getattr(loose_pupil, name.upper())
            for name in ("gravity", "damping", "bounce", "inertia", "step", "fastest", "pause")
        },
        "overlay": {
            "axes": overlay.AXES,
            "axis": overlay.AXIS,
            "axis_width": overlay.AXIS_WIDTH,
            "colour": overlay.TRUTH,
        },
        "csv": {"columns": landmark_csv.columns(points)},
        "hold": HOLD,
        "hiding": {
            "smallest_block": effects.SMALLEST_BLOCK,
            "smallest_sigma": effects.SMALLEST_SIGMA,
            "box_centre": head.BOX_CENTRE,
            "box_radii": head.BOX_RADII,
            "box_corners": head.BOX_CORNERS,
        },
        "filters": [_filter(name) for name in list_filters()],
    }
    return _plain(values)


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
