"""The networks of the page, and what it must know of the one that finds the points."""

import json
from typing import Any

import numpy as np

from keypoints.errors import InputError
from keypoints.expression import EYES, MOUTH
from keypoints.filters import FOLDER, list_filters
from keypoints.filters.engine import fits_any
from keypoints.filters.spec import read_spec
from keypoints.inference import centerface
from keypoints.inference.predictor import load_network
from keypoints.markup import IBUG68, Markup
from keypoints.media import landmark_csv
from keypoints.network import Network

DEFAULT = "pretrained-small"


def models(model: str = DEFAULT) -> dict[str, bytes]:
    """Files by their place in the page; `model` is named as in `load_network`.

    Raises InputError for one that is no ONNX file of a network of faces, and where a file is
    missing or damaged.
    """
    network = load_network(model)
    if network.source is None or network.source.suffix != ".onnx" or network.crop.frame:
        raise InputError(
            f"--model={model}: an ONNX file that finds the points of faces is expected, as "
            "`keypoints export RUN --formats=onnx` writes it"
        )
    constants = model_constants(network)
    return {
        "models/landmarks.onnx": network.source.read_bytes(),
        "models/model.json": json.dumps(constants, default=np.ndarray.tolist).encode(),
        "models/detector.onnx": centerface.model_bytes(centerface.COMPACT),
        "models/second.onnx": centerface.model_bytes(centerface.CENTERFACE),
    }


def model_constants(network: Network) -> dict[str, Any]:
    """What the page must know of the network that finds the points.

    The page draws stickers on the 68 points of iBUG alone; other faces it hides by their box.
    """
    points = network.markup
    rigid, shape = points.rigid or ([], np.empty((0, 3)))
    upright = points.has("right_eye", "left_eye", "mouth")
    whole = not points.difference(IBUG68)
    return {
        "crop_scale": network.crop.scale,
        "half_score": network.half_score,
        "count": points.count,
        "outlines": list(points.outlines.values()),
        "face_box": points.face_box or (0.5, 0.5, 1.0, 1.0),
        "eyes": points.roles["right_eye"] + points.roles["left_eye"] if upright else (),
        "mouth": points.roles["mouth"] if upright else (),
        "mean": () if points.mean is None else points.mean,
        "rigid": rigid,
        "rigid_shape": shape,
        "eye_openings": [_opening(points, eye) for eye in EYES] if points.has(*EYES) else (),
        "mouth_opening": _opening(points, MOUTH) if points.has(MOUTH) else (),
        "columns": landmark_csv.columns(points),
        "whole": whole,
        "filters": [n for n in list_filters() if whole or fits_any(read_spec(FOLDER / n))],
    }


def _opening(points: Markup, role: str) -> np.ndarray:
    """Pairs of points whose distances tell how far an eye or mouth is open; the ends first."""
    return np.reshape(points.roles[role], (-1, 2))
