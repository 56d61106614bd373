"""The two networks of the page, as the installed packages have them."""

from keypoints import pretrained
from keypoints.errors import InputError
from keypoints.inference import centerface

MODEL = "pretrained-small"
LANDMARKS = "model-int8.onnx"


def models() -> dict[str, bytes]:
    """ONNX files by their place in the page; raises InputError where one is missing or damaged."""
    path = pretrained.NAMES[MODEL] / LANDMARKS
    if LANDMARKS in pretrained.damaged_files(MODEL):
        raise InputError(f"{path} is missing or damaged (its SHA-256 differs): install again")
    return {
        "models/landmarks.onnx": path.read_bytes(),
        "models/detector.onnx": centerface.model_bytes(centerface.model_file()),
    }
