"""Experiments: Python files with a `config`, by name or path."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keypoints.config import Config
from keypoints.errors import InputError, near_miss

# Of the installed package, which has a copy, and of a checkout.
FOLDERS = (Path(__file__).parent / "experiments", Path(__file__).parents[1] / "experiments")


@dataclass(frozen=True)
class Experiment:
    """The config of a file, and the fields that follow the training records."""

    config: Config
    adapt: Callable[[Any], dict[str, Any]] = lambda training: {}


def load_experiment(name: str) -> Experiment:
    """The experiment of a name in experiments/, or of the path of a Python file.

    The file has a `config`, and may have a function `adapt(training)` that returns the fields that
    follow from the training records. Raises InputError for a name or file that is not there,
    and for a file without a `config`.
    """
    folder = next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[-1])
    path = Path(name) if name.endswith(".py") else folder / f"{name}.py"
    if not path.is_file():
        known = sorted(path.stem for path in folder.glob("[a-z]*.py"))
        raise InputError(f"unknown experiment {name!r}{near_miss(name, known)}")
    spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # a .py file always has both
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not isinstance(getattr(module, "config", None), Config):
        raise InputError(f"{path} is no experiment: it has no `config` of type keypoints.Config")
    return Experiment(module.config, getattr(module, "adapt", Experiment.adapt))
