"""68 face landmarks: data, training, evaluation, live use and export.

The public names below are loaded on first use, so that `import keypoints` is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keypoints import geometry, landmarks, metrics
    from keypoints.config import Config
    from keypoints.data.sources import load_records
    from keypoints.evaluation.models import evaluate_model
    from keypoints.evaluation.protocol import evaluate
    from keypoints.exports.writer import export
    from keypoints.filters import list_filters, load_filter
    from keypoints.inference.detectors import detect, load_detector
    from keypoints.inference.predictor import Predictor
    from keypoints.inference.tracking import Tracker
    from keypoints.training.loop import train

__version__ = "0.2.0"
__all__ = [
    "Config",
    "Predictor",
    "Tracker",
    "__version__",
    "detect",
    "evaluate",
    "evaluate_model",
    "export",
    "geometry",
    "landmarks",
    "list_filters",
    "load_detector",
    "load_filter",
    "load_records",
    "metrics",
    "train",
]

# Where each public name that is not a module of the package comes from.
_HOMES = {
    "Config": "keypoints.config",
    "Predictor": "keypoints.inference.predictor",
    "Tracker": "keypoints.inference.tracking",
    "detect": "keypoints.inference.detectors",
    "evaluate": "keypoints.evaluation.protocol",
    "evaluate_model": "keypoints.evaluation.models",
    "export": "keypoints.exports.writer",
    "list_filters": "keypoints.filters",
    "load_detector": "keypoints.inference.detectors",
    "load_filter": "keypoints.filters",
    "load_records": "keypoints.data.sources",
    "train": "keypoints.training.loop",
}
_MODULES = ("geometry", "landmarks", "metrics")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"keypoints.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'keypoints' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        from keypoints.system.extras import missing_extra

        command = missing_extra(error)
        if command is None:
            raise
        raise ModuleNotFoundError(
            f"keypoints.{name} needs {error.name}: {command}", name=error.name
        ) from error


def __dir__() -> list[str]:
    return sorted(__all__)
