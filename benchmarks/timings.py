"""Timings: interleaved samples, their median and quartiles, and the ratio to a baseline."""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keypoints.models import runs
from keypoints.system.processor import has_units, processor_info


@dataclass(frozen=True)
class Timing:
    """One row of a result. A row without samples was skipped; `note` states the reason."""

    name: str
    unit: str  # "images/s", or "ms"
    median: float = float("nan")
    low: float = float("nan")  # quartiles
    high: float = float("nan")
    samples: int = 0
    ratio: float = float("nan")  # speed relative to the baseline, by medians
    note: str = ""


def timing(name: str, unit: str, samples: Iterable[float], *, note: str = "") -> Timing:
    """Median and quartiles of `samples`."""
    samples = np.array(list(samples), np.float64)
    low, median, high = np.percentile(samples, [25, 50, 75]).tolist()
    return Timing(name, unit, median, low, high, len(samples), note=note)


def compared(rows: list[Timing], baseline: str) -> list[Timing]:
    """`rows` with their ratio to the row named `baseline`; NaN if that row was skipped."""
    base = next((row.median for row in rows if row.name == baseline), float("nan"))

    def ratio(row: Timing) -> float:
        return base / row.median if row.unit == "ms" else row.median / base

    return [Timing(**{**asdict(row), "ratio": ratio(row)}) for row in rows]


def interleaved(subjects: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of `repeats` calls of each subject, interleaved.

    In each round a subject is called twice and the second call is timed, because the other subjects
    have used the caches in between. A subject that returns a float reports its own seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for call in subjects.values():
        call()  # compiles
    for _ in range(repeats):
        for name, call in subjects.items():
            call()
            start = time.perf_counter()
            reported = call()
            passed = time.perf_counter() - start
            seconds[name].append(reported if isinstance(reported, float) else passed)
    return seconds


def peak_memory() -> float:
    """Peak memory of this process, MiB; NaN on Windows, which does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def environment() -> dict[str, Any]:
    """`runs.environment` with the processor name, its vector extensions and the current load."""
    facts = runs.environment()
    units = [u for u in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if has_units(u)]
    name = processor_info().get("model name", platform.processor() or "unknown processor")
    facts["machine"] = (
        f"{name}, {facts['machine']}, {' '.join(units) or 'vector extensions unknown'}"
    )
    facts["load"] = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return facts
