"""Checkpoints: how far a run is, and all variables of its network and optimizer."""

import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keypoints.errors import InputError
from keypoints.models.runs import CHECKPOINT
from keypoints.system.atomic import replacing

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Progress:
    """How far a run is, and the sums over the steps of the epoch that is not finished."""

    epoch: int = 0  # finished ones
    step: int = 0  # finished ones of the next epoch
    rows: tuple[dict[str, float], ...] = ()  # of metrics.csv
    loss: float = 0.0
    nme: float = 0.0
    seconds: float = 0.0


def write_checkpoint(run: Path, model: "keras.Model", progress: Progress) -> None:
    """Write the state needed to resume in one file: variables, optimizer, `progress`."""
    arrays = {
        name: variable.numpy()
        for kind in ("network", "optimizer")
        for name, variable in _state(model, kind).items()
    }
    with replacing(run / CHECKPOINT) as temporary:
        np.savez(temporary, progress=np.array(json.dumps(asdict(progress))), **arrays)


def read_progress(run: Path) -> Progress:
    """The progress in the checkpoint of a run; that of a start if there is no checkpoint."""
    if not os.path.exists(run / CHECKPOINT):
        return Progress()
    with _open_checkpoint(run) as arrays:
        return parse_progress(json.loads(str(arrays["progress"])))


def parse_progress(values: Any) -> Progress:
    """The progress that JSON holds as an object; raises ValueError for any other content."""
    names = {entry.name for entry in fields(Progress)}
    if not isinstance(values, dict) or set(values) != names:
        raise ValueError(f"an object of {', '.join(sorted(names))} is expected")
    if not all(type(values[name]) is int and values[name] >= 0 for name in ("epoch", "step")):
        raise ValueError("epoch and step are whole numbers")
    sums, rows = [values[name] for name in ("loss", "nme", "seconds")], values["rows"]
    if not all(_is_number(number) and math.isfinite(number) for number in sums):
        raise ValueError("loss, nme and seconds are numbers")
    if not isinstance(rows, list | tuple) or not all(map(_is_row, rows)):
        raise ValueError("rows are objects of numbers")
    return Progress(**values | {"rows": tuple(rows)})


def restore_checkpoint(
    run: Path | None,
    model: "keras.Model",
    *,
    optimizer: bool = True,
    share: Callable[[np.ndarray], np.ndarray] = lambda array: array,
) -> None:
    """Load a checkpoint into a built model and, if `optimizer`, into its built optimizer.

    Each array goes through `share`, which sends it to other hosts. These have no folder (`run` is
    None): there `share` takes zeros of the same shapes and gives the arrays.
    """
    states = _state(model, "network") | (_state(model, "optimizer") if optimizer else {})
    if run is None:
        for variable in states.values():
            variable.assign(share(np.zeros(variable.shape, variable.dtype)))
        return
    with _open_checkpoint(run) as arrays:
        for name, variable in states.items():
            variable.assign(share(arrays[name]))


def _state(model: "keras.Model", kind: str) -> dict[str, Any]:
    """Variables of the network or of its optimizer by names that are stable across processes."""
    variables = model.variables if kind == "network" else model.optimizer.variables
    return {f"{kind}_{i}": variable for i, variable in enumerate(variables)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_row(row: Any) -> bool:
    """Whether it can be a row of metrics.csv."""
    known = isinstance(row, dict) and {"epoch", "validation_nme"} <= set(row)
    return known and all(map(_is_number, row.values()))


@contextmanager
def _open_checkpoint(run: Path) -> Iterator[Any]:
    path = run / CHECKPOINT
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    # TypeError: one array without an archive; RuntimeError: packed or locked in an unknown way.
    except (OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, MemoryError,
            zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        raise InputError(
            f"{path} is damaged ({error}); delete it to restart the training"
        ) from None
