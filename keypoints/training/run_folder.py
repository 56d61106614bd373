"""The run folder as a training uses it; only one host writes it."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.evaluation.plots import training_curves
from keypoints.markup import Markup
from keypoints.models import runs
from keypoints.system.atomic import replacing, write_rows
from keypoints.system.locks import locked
from keypoints.training import checkpoints
from keypoints.training.checkpoints import Progress

Share = Callable[[np.ndarray], np.ndarray]
DRAWN_EVERY = 5.0  # seconds: a plot takes half of one, as long as an epoch of a small training


class RunFolder(ExitStack):
    """The folder of a run, locked from its start to the end of the `with` block."""

    def __init__(self, path: Path, markup: Markup):
        super().__init__()
        self.path = path
        self.markup = markup
        self._started = False
        self._drawn = time.monotonic()

    def check(self, config: Config, data: dict[str, dict]) -> Progress:
        """How far its run is; raises InputError for a run with another config or other data."""
        runs.check_run(self.path, config, data, self.markup)
        return checkpoints.read_progress(self.path)

    def start(
        self, config: Config, data: dict[str, dict], devices: Sequence[str], progress: Progress
    ) -> None:
        """Make and lock the folder for a run that has come to `progress`; once is enough.

        Raises InputError where it cannot be made, or another training writes to it.
        """
        if self._started:
            return
        runs.make_folder(self.path)
        message = f"run={self.path}: another training writes to it now"
        self.enter_context(locked(self.path, message))
        found = checkpoints.read_progress(self.path)
        if (found.epoch, found.step) != (progress.epoch, progress.step):
            raise InputError(message)  # it was here after `check`
        runs.start_run(self.path, config, data, devices, markup=self.markup)
        self._started = True

    def restore(self, model: keras.Model, *, optimizer: bool, share: Share) -> None:
        """Load the checkpoint, on all hosts (`checkpoints.restore_checkpoint`)."""
        checkpoints.restore_checkpoint(self.path, model, optimizer=optimizer, share=share)

    def write_weights(self, name: str, model: keras.Model) -> None:
        runs.write_weights(self.path / name, model)

    def keep_as_best(self) -> None:
        """The last weights are the best ones."""
        with replacing(self.path / runs.BEST) as temporary:
            shutil.copyfile(self.path / runs.LAST, temporary)

    def write_checkpoint(self, model: keras.Model, progress: Progress) -> None:
        checkpoints.write_checkpoint(self.path, model, progress)

    def write_history(self, rows: Sequence[dict[str, float]], *, final: bool = False) -> None:
        """Write metrics.csv and its plot, this one if it is `final` or some seconds old."""
        write_rows(self.path / runs.METRICS, [list(rows[0]), *(row.values() for row in rows)])
        if final or time.monotonic() - self._drawn > DRAWN_EVERY:
            with replacing(self.path / runs.CURVES) as temporary:
                training_curves(rows, temporary)
            self._drawn = time.monotonic()


class ElsewhereFolder(RunFolder):
    """The folder of a run that another host reads and writes: nothing happens here."""

    def check(self, config: Config, data: dict[str, dict]) -> Progress:
        return Progress()

    def restore(self, model: keras.Model, *, optimizer: bool, share: Share) -> None:
        checkpoints.restore_checkpoint(None, model, optimizer=optimizer, share=share)

    def _nothing(self, *arguments: Any, **options: Any) -> None:
        pass

    start = write_weights = keep_as_best = write_checkpoint = write_history = _nothing
