"""Exported models read back. ONNX needs ONNX Runtime alone; SavedModel needs TensorFlow alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.errors import InputError
from keypoints.runs import Predict

MANIFEST = "manifest.json"


def load_exported(path: Path, *, format: str | None = None) -> tuple[Predict, dict[str, Any]]:
    """`(predict, crop)` of an export's folder or of one of its .onnx files.

    Of a folder, `format` or else the first of ONNX, int8 ONNX and SavedModel is read. `crop` is the
    manifest's: view and margin. Raises InputError where there is no manifest or no model.
    """
    folder = path if path.is_dir() else path.parent
    manifest = read_manifest(folder)
    if path.suffix == ".onnx":
        return _onnx(path), manifest["crop"]
    formats = manifest["formats"]
    names = [name for name in (format,) if name] or ["onnx", "onnx-int8", "savedmodel"]
    name = next((name for name in names if name in formats), None)
    if name is None:
        raise InputError(f"{folder} holds {', '.join(formats)}, not {' or '.join(names)}")
    load = _savedmodel if name == "savedmodel" else _onnx
    return load(folder / formats[name]), manifest["crop"]


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an export; raises InputError where there is none, or a damaged one."""
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} is neither a run folder nor an export: it has no {MANIFEST}")
    try:
        manifest = json.loads(path.read_text())
        crop = manifest["crop"]
        if not isinstance(manifest["formats"], dict) or not {"view", "margin"} <= set(crop):
            raise KeyError("formats or crop")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error!r}") from None
    return manifest


def _onnx(path: Path) -> Predict:
    try:
        import onnxruntime
    except ImportError:
        raise InputError(f"{path}: reading it needs `pip install onnxruntime`") from None
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no public base class of its errors
        raise InputError(f"{path}: ONNX Runtime cannot read it: {error}") from None

    def predict(crops: np.ndarray) -> np.ndarray:
        return session.run(["points"], {"image": crops.astype(np.float32)})[0]

    return predict


def _savedmodel(folder: Path) -> Predict:
    try:
        import tensorflow as tf
    except ImportError:
        raise InputError(f"{folder}: reading it needs TensorFlow") from None
    try:
        model = tf.saved_model.load(str(folder))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: TensorFlow cannot read it: {error}") from None

    def predict(crops: np.ndarray) -> np.ndarray:
        return model.serve(crops.astype(np.float32)).numpy()

    return predict
