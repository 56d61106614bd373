"""Does an export answer what the live model answers, how fast, and how large is it?"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keypoints import geometry, metrics
from keypoints.config import Config
from keypoints.data.pipeline import view_matrices
from keypoints.data.records import Records
from keypoints.errors import InputError
from keypoints.estimate import Predict, unflatten
from keypoints.inference.exported import load_exported, read_manifest
from keypoints.models import runs

TOLERANCE = 0.05  # crop pixels by which a float format may differ from the live model
BATCHES = (1, 7, 32)
RUNS = 30  # single crops whose median time is given


@dataclass(frozen=True)
class Row:
    """One format beside the live model."""

    format: str
    megabytes: float
    difference: float  # largest, crop pixels, over all BATCHES
    worst: str  # file of the picture where it is
    milliseconds: float  # median of one crop
    nme: float  # percent, truth boxes, of the whole split

    @property
    def mismatch(self) -> bool:
        """Whether it answers something else; rounded weights are judged by their NME instead."""
        return self.difference > TOLERANCE and self.format in ("savedmodel", "onnx")


def check(run: Path, folder: Path, records: Records) -> list[Row]:
    """The live model's row, then one of each format of the export in `folder`.

    Each format is loaded in a process of its own, with no more than it needs. Raises InputError
    where one cannot be loaded there.
    """
    predict, config = runs.load_predict(run)
    matrices = view_matrices(records, view=config.view, margin=config.margin)
    crops = np.stack([geometry.crop(records.image(i), m) for i, m in enumerate(matrices)])
    live = responses(predict, crops)
    formats = read_manifest(folder)["formats"]
    rows = [_row("live", run / runs.BEST, live, live, records, config)]
    with tempfile.TemporaryDirectory() as scratch:
        np.save(Path(scratch) / "crops.npy", crops)
        for name, file in formats.items():
            found = _responses_of_child(folder, name, Path(scratch))
            rows.append(_row(name, folder / file, found, live, records, config))
    return rows


def table(rows: list[Row]) -> str:
    """The rows as text for a terminal."""
    lines = [f"{'format':12}{'size':>10}{'max |diff|':>14}{'one crop':>12}{'NME':>10}"]
    for row in rows:
        lines.append(
            f"{row.format:12}{row.megabytes:>7.1f} MB{row.difference:>11.4f} px"
            f"{row.milliseconds:>9.1f} ms{row.nme:>8.2f} %"
        )
    return "\n".join(lines)


def summary(rows: list[Row], records: Records) -> dict[str, Any]:
    """What a manifest says of it."""
    return {
        "split": records.name,
        "split_sha256": records.digest(),
        "boxes": "truth",
        "inter_ocular_nme": {row.format: round(row.nme, 4) for row in rows},
        "largest_difference_px": {row.format: round(row.difference, 6) for row in rows[1:]},
    }


def responses(predict: Predict, crops: np.ndarray) -> dict[str, np.ndarray]:
    """What `predict` says to crops `(n, 224, 224, 3)`: all, the first few, and how long one takes.

    Batches are those of `BATCHES` where there are so many crops; the last one serves all crops, the
    rest of it filled up with black.
    """
    size = BATCHES[-1]
    padded = np.concatenate([crops, np.zeros((-len(crops) % size, *crops.shape[1:]), np.uint8)])

    def flat(batch: np.ndarray) -> np.ndarray:
        found = predict(batch)
        return np.concatenate([found.points.reshape(len(found), -1), found.uncertainty], axis=1)

    whole = [flat(padded[i : i + size]) for i in range(0, len(padded), size)]
    found = {"all": np.concatenate(whole)[: len(crops)]}
    for batch in BATCHES:
        found[f"batch_{batch}"] = flat(crops[:batch])
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        predict(crops[:1])
        times.append(1000 * (time.perf_counter() - start))
    return {**found, "milliseconds": np.array(np.median(times))}


def respond_in_child(folder: str, name: str, scratch: str) -> None:
    """The child's part of `check`: from crops.npy to responses.npz in `scratch`."""
    predict = load_exported(Path(folder), format=name)[0]
    found = responses(predict, np.load(Path(scratch) / "crops.npy"))
    np.savez(Path(scratch) / "responses.npz", **found)


def _responses_of_child(folder: Path, name: str, scratch: Path) -> dict[str, np.ndarray]:
    code = (
        "import sys; from keypoints.exports import parity; parity.respond_in_child(*sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder.resolve()), name, str(scratch)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise InputError(f"{folder}: {name} cannot be read back: {done.stderr.strip()[-500:]}")
    with np.load(scratch / "responses.npz") as arrays:
        return dict(arrays)


def _row(name: str, path: Path, found: dict, live: dict, records: Records, config: Config) -> Row:
    apart = [np.abs(found[key] - live[key]).max(axis=1) for key in live if key != "milliseconds"]
    worst = max(apart, key=np.max)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    back = geometry.invert(view_matrices(records, view=config.view, margin=config.margin))
    points = geometry.apply(back, unflatten(found["all"]).points)
    return Row(
        format=name,
        megabytes=sum(file.stat().st_size for file in files) / 1e6,
        difference=float(np.max(worst)),
        worst=records.files[int(np.argmax(worst))],
        milliseconds=float(found["milliseconds"]),
        nme=float(100 * metrics.inter_ocular_nme(records.points, points).mean()),
    )
