"""Face landmarks: data, training, evaluation, live use and export.

The public names below are loaded on first use, so that `import keypoints` is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `as` marks a name as public for type checkers
    from keypoints import geometry as geometry
    from keypoints import markup as markup
    from keypoints import metrics as metrics
    from keypoints.config import Config as Config
    from keypoints.crop import Crop as Crop
    from keypoints.data.records import Records as Records
    from keypoints.data.sources import load_records as load_records
    from keypoints.errors import InputError as InputError
    from keypoints.estimate import Estimate as Estimate
    from keypoints.evaluation.models import evaluate_model as evaluate_model
    from keypoints.evaluation.protocol import evaluate as evaluate
    from keypoints.exports.writer import export as export
    from keypoints.filters import list_filters as list_filters
    from keypoints.filters import load_filter as load_filter
    from keypoints.inference.detectors import detect as detect
    from keypoints.inference.detectors import load_detector as load_detector
    from keypoints.inference.face import Face as Face
    from keypoints.inference.predictor import Predictor as Predictor
    from keypoints.inference.predictor import load_network as load_network
    from keypoints.inference.tracking import Tracker as Tracker
    from keypoints.markup import Markup as Markup
    from keypoints.markup import read_markup as read_markup
    from keypoints.network import Network as Network
    from keypoints.pose import Pose as Pose
    from keypoints.pose import estimate_pose as estimate_pose
    from keypoints.training.loop import train as train

__version__ = "0.2.0"
# Where each public name that is not a module of the package comes from.
_HOMES = {
    "Config": "keypoints.config",
    "Crop": "keypoints.crop",
    "Estimate": "keypoints.estimate",
    "Face": "keypoints.inference.face",
    "InputError": "keypoints.errors",
    "Markup": "keypoints.markup",
    "Network": "keypoints.network",
    "Pose": "keypoints.pose",
    "Predictor": "keypoints.inference.predictor",
    "Records": "keypoints.data.records",
    "Tracker": "keypoints.inference.tracking",
    "detect": "keypoints.inference.detectors",
    "estimate_pose": "keypoints.pose",
    "evaluate": "keypoints.evaluation.protocol",
    "evaluate_model": "keypoints.evaluation.models",
    "export": "keypoints.exports.writer",
    "list_filters": "keypoints.filters",
    "load_detector": "keypoints.inference.detectors",
    "load_filter": "keypoints.filters",
    "load_network": "keypoints.inference.predictor",
    "load_records": "keypoints.data.sources",
    "read_markup": "keypoints.markup",
    "train": "keypoints.training.loop",
}
_MODULES = ("geometry", "markup", "metrics")
__all__ = ["__version__", *_MODULES, *_HOMES]


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
