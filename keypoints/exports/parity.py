"""Comparison of an export with the run: differences, speed and size."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keypoints import geometry, metrics
from keypoints.data.records import Records
from keypoints.estimate import Predict, unflatten
from keypoints.inference.exported import load_exported, read_manifest
from keypoints.models import runs
from keypoints.system.processes import run_python

TOLERANCE = 0.05  # crop pixels by which a float format may differ from the live model
# Allowed rise of the NME of a rounded format, relative to that of the run. LiteRT rounds what
# enters a layer by its range in that one crop: the NME of pretrained-small rises by 3 to 4 % on
# faces of four sets, and by 5 % on drawn ones.
NME_RISE = {"onnx-int8": 0.03, "litert-int8": 0.1, "weights": 0.005}
BATCHES = (1, 7, 32)
RUNS = 30  # number of single crops for the median time


@dataclass(frozen=True)
class Row:
    """One format compared with the run."""

    format: str
    megabytes: float
    difference: float  # largest, crop pixels, over all BATCHES
    worst: str  # file of the picture where it is
    milliseconds: float  # median of one crop
    nme: float  # percent, truth boxes, of the whole split
    rms: float = 0.0  # root mean square of the differences, crop pixels


def fault(row: Row, live: Row) -> str:
    """The reason why a format fails, or "": its pixels, or its NME for a rounded format."""
    rise = NME_RISE.get(row.format)
    if rise is None and not row.difference <= TOLERANCE:
        return (
            f"{row.format} is {row.difference:.3f} px off on {row.worst}, {TOLERANCE} are allowed"
        )
    if rise is not None and not row.nme <= (1 + rise) * live.nme:
        return (
            f"{row.format} has an NME of {row.nme:.2f} %, the live model {live.nme:.2f} %; "
            f"a rise of {100 * rise:g} % of it is allowed"
        )
    return ""


def check(run: Path, folder: Path, records: Records) -> list[Row]:
    """The row of the run, then one for each format of the export in `folder`.

    Each format is loaded in a new process, with only the packages that it needs. Raises InputError
    where one cannot be loaded there.
    """
    network = runs.load_network(run)
    matrices = network.crop.matrices(records.boxes, shapes=records.shapes)
    crops = np.stack([records.crop(i, m) for i, m in enumerate(matrices)])
    live = responses(network.predict, crops)
    formats = read_manifest(folder)["formats"]
    rows = [_row("live", run / runs.BEST, live, live, records, matrices)]
    with tempfile.TemporaryDirectory() as scratch:
        np.save(Path(scratch) / "crops.npy", crops)
        for name, file in formats.items():
            found = _responses_of_child(folder, name, Path(scratch))
            rows.append(_row(name, folder / file, found, live, records, matrices))
    return rows


def table(rows: list[Row]) -> str:
    """The rows as text for a terminal."""
    lines = [
        f"{'format':12}{'size':>10}{'max |diff|':>14}{'rms diff':>13}{'one crop':>12}{'NME':>10}"
    ]
    for row in rows:
        lines.append(
            f"{row.format:12}{row.megabytes:>7.1f} MB{row.difference:>11.4f} px"
            f"{row.rms:>10.4f} px"
            f"{row.milliseconds:>9.1f} ms{row.nme:>8.2f} %"
        )
    return "\n".join(lines)


def summary(rows: list[Row], records: Records) -> dict[str, Any]:
    """The entries of the manifest."""
    return {
        "split": records.name,
        "split_sha256": records.digest(),
        "boxes": "truth",
        "inter_ocular_nme": {row.format: round(row.nme, 4) for row in rows},
        "largest_difference_px": {row.format: round(row.difference, 6) for row in rows[1:]},
    }


def responses(predict: Predict, crops: np.ndarray) -> dict[str, np.ndarray]:
    """Results of `predict` for `(n, 224, 224, 3)` crops: all, the first few, the time of one.

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
    predict = load_exported(Path(folder), format=name).predict
    found: dict[str, Any] = responses(predict, np.load(Path(scratch) / "crops.npy"))
    np.savez(Path(scratch) / "responses.npz", **found)


def _responses_of_child(folder: Path, name: str, scratch: Path) -> dict[str, np.ndarray]:
    code = (
        "import sys; from keypoints.exports import parity; parity.respond_in_child(*sys.argv[1:])"
    )
    failure = f"{folder}: {name} cannot be read back"
    run_python(code, str(folder), name, str(scratch), failure=failure)
    with np.load(scratch / "responses.npz") as arrays:
        return dict(arrays)


def _row(
    name: str, path: Path, found: dict, live: dict, records: Records, matrices: np.ndarray
) -> Row:
    apart = [np.abs(found[key] - live[key]).max(axis=1) for key in live if key != "milliseconds"]
    worst = max(apart, key=np.max)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    points = geometry.apply(geometry.invert(matrices), unflatten(found["all"]).points)
    return Row(
        format=name,
        megabytes=sum(file.stat().st_size for file in files) / 1e6,
        difference=float(np.max(worst)),
        worst=records.files[int(np.argmax(worst))],
        milliseconds=float(found["milliseconds"]),
        nme=float(100 * metrics.nme(records.points, points, records.boxes, records.markup).mean()),
        rms=float(np.sqrt(np.square(found["all"] - live["all"]).mean())),
    )
