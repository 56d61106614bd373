"""Exported models read back. ONNX needs ONNX Runtime alone; SavedModel needs TensorFlow alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.errors import InputError
from keypoints.runs import Predict

MANIFEST = "manifest.json"


def load_exported(path: Path) -> tuple[Predict, dict[str, Any]]:
    """`(predict, crop)` of an export's folder or of one of its .onnx files.

    Of a folder the first of ONNX, int8 ONNX and SavedModel that is there is read. `crop` is the
    manifest's: view and margin. Raises InputError where there is no manifest or no model.
    """
    folder = path if path.is_dir() else path.parent
    if not path.exists() or not (folder / MANIFEST).is_file():
        raise InputError(f"{path} is neither a run folder nor an export: it has no {MANIFEST}")
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        crop, formats = manifest["crop"], manifest["formats"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / MANIFEST} is damaged: {error!r}") from None
    if path.suffix == ".onnx":
        return _onnx(path), crop
    for name in ("onnx", "onnx-int8"):
        if name in formats:
            return _onnx(folder / formats[name]), crop
    if "savedmodel" in formats:
        return _savedmodel(folder / formats["savedmodel"]), crop
    raise InputError(f"{folder / MANIFEST} names no model")


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
