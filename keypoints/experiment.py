"""Experiments: Python files with a `config`, by name or path."""

import runpy
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
    names = runpy.run_path(str(path), run_name=f"experiment_{path.stem}")
    if not isinstance(names.get("config"), Config):
        raise InputError(f"{path} is no experiment: it has no `config` of type keypoints.Config")
    return Experiment(names["config"], names.get("adapt", Experiment.adapt))
