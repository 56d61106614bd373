"""Benchmark of the start of commands on many pictures: until the first one is read.

The cost must be linear: the last rows compare ten times the pictures with the time a picture of the
smaller folder.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.timings import Timing, timing
from keypoints.markup import IBUG68
from keypoints.media.pictures import encode_png

COUNTS = (1_000, 10_000)  # pictures
SIDE = 48  # pixels of a picture


def measure_starts(*, repeats: int = 3) -> list[Timing]:
    """Milliseconds of filter, annotate and evaluate before the first picture of a folder is read.

    The ratio is to the smaller folder, by the number of pictures: 1 where a picture costs the same.
    """
    starts = {"filter": start_filter, "annotate": start_annotate, "evaluate": start_evaluate}
    rows: dict[tuple[str, int], Timing] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            place = write_pictures(Path(folder) / str(count), count)
            for name, start in starts.items():
                samples = [1e3 * seconds(start, place) for _ in range(repeats)]
                rows[name, count] = timing(f"{name}, {count:,} pictures", "ms", samples)
    return [
        replace(row, ratio=rows[name, COUNTS[0]].median / COUNTS[0] * count / row.median)
        for (name, count), row in sorted(rows.items())
    ]


def write_pictures(folder: Path, count: int) -> Path:
    """A folder of `count` small pictures, each with a face in its points.csv."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    data = encode_png(np.full((SIDE, SIDE, 3), 90, np.uint8))
    lines = []
    for number in range(count):
        name = f"{number:06d}.png"
        (folder / name).write_bytes(data)
        assert IBUG68.mean is not None
        points = IBUG68.mean * SIDE * 0.6 + SIDE / 2 + rng.normal(0, 0.3, (68, 2))
        lines.append(",".join([name, *(f"{value:.2f}" for value in points.ravel())]))
    (folder / "points.csv").write_text("\n".join(lines) + "\n")
    return folder


def seconds(start: Callable[[Path], None], folder: Path) -> float:
    begin = time.perf_counter()
    start(folder)
    return time.perf_counter() - begin


def start_filter(folder: Path) -> None:
    from keypoints.filters import jobs
    from keypoints.system.atomic import keep_apart

    output = folder.with_name("filtered")
    tasks, _ = jobs.folder_tasks(folder, output, outputs=output)
    keep_apart([Path(task.source) for task in tasks], [("--output", t.target) for t in tasks])


def start_annotate(folder: Path) -> None:
    from keypoints.bulk import inputs, plan
    from keypoints.bulk.store import Store

    output = str(folder.with_name("annotated"))
    sources = inputs.list_sources([str(folder)], output=output)
    inputs.make_units(plan.left_sources(Store(output), sources), plan.SIZE)


def start_evaluate(folder: Path) -> None:
    from keypoints.data.annotated_folder import read_folder

    next(read_folder(folder, "all", labels="published")[1])
