"""Benchmark of bulk annotation: pictures/s by the number of worker processes.

All rows are measured in turns, and only while every process of a row works: the start of Ray and of
the networks is not counted. The CPU time of a picture says more than the wall clock where other
programs use the same cores.
"""

import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.processes import call_python
from benchmarks.timings import Timing, compared, peak_memory, timing
from keypoints.bulk.inputs import Unit
from keypoints.bulk.work import Work

WORKERS = (1, 2, 4)
NICENESS = 15  # of Ray's worker processes; one process beside them must not have more of the cores
PICTURES, UNIT = 160, 8  # drawn pictures of a sample, and of each unit
ALONE, FREE = "one process, one core", "one process, all cores"


@dataclass(frozen=True)
class Span:
    """One unit: which process annotated it, when, and what that took."""

    process: int
    begin: float  # seconds of a clock that all processes of the machine share
    end: float
    cpu: float  # seconds, of all threads of the process
    pictures: int
    memory: float  # peak of the process so far, MiB


def measure_annotation(
    model: str, sources: Sequence[str] | None = None, *, repeats: int = 3
) -> list[Timing]:
    """Pictures/s of one process, pinned to a core and free, and of Ray with 1, 2 and 4 workers.

    `sources` are files of pictures; drawn ones of 640 x 480 pixels with one face unless given.
    """
    found: dict[str, list[list[Span]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        sources = sources or _draw(Path(folder))
        units = [Unit(tuple(sources[i : i + UNIT])) for i in range(0, len(sources), UNIT)]
        for number in range(repeats):
            output = str(Path(folder) / f"out{number}")
            for name, pin in ((ALONE, True), (FREE, False)):
                spans = _one_process(_begin(f"{output}-{pin}", model), units, pin)
                found.setdefault(name, []).append(spans)
            for workers in WORKERS:
                spans = _on_ray(_begin(f"{output}-{workers}", model), units, workers)
                name = f"Ray, {workers} worker{'s' * (workers > 1)}"
                found.setdefault(name, []).append(spans)
    return compared([_row(name, samples) for name, samples in found.items()], ALONE)


def steady_rate(spans: Sequence[Span]) -> float:
    """Pictures/s while all processes of `spans` work.

    From when the last process has finished its first unit, which loads the networks, to when the
    first one has finished its last. Of units across these moments their share counts. NaN where no
    process has a second unit by then.
    """
    ends: dict[int, list[float]] = {}
    for span in spans:
        ends.setdefault(span.process, []).append(span.end)
    begin, end = max(map(min, ends.values())), min(map(max, ends.values()))
    if begin >= end:
        return float("nan")
    inside = (max(min(s.end, end) - max(s.begin, begin), 0) / (s.end - s.begin) for s in spans)
    return sum(share * span.pictures for share, span in zip(inside, spans)) / (end - begin)


def annotate_span(work: Work, unit: Unit) -> Span:
    """Annotate a unit in this process."""
    from keypoints.bulk.work import annotate_unit

    begin, cpu = time.monotonic(), time.process_time()
    counts = annotate_unit(work, unit)
    cpu, end = time.process_time() - cpu, time.monotonic()
    return Span(os.getpid(), begin, end, cpu, counts.pictures, peak_memory())


def annotate_alone(path: str) -> list[dict[str, Any]]:
    """Annotate units one after the other in this process.

    `path` is of JSON: the work, the sources of each unit, and whether one core is to be used.
    """
    from keypoints.inference.predictor import load_network

    work, units, pin = json.loads(Path(path).read_text())
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    if pin and hasattr(os, "sched_setaffinity"):  # of Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    facts = tuple((name, value) for name, value in work.pop("facts"))
    job = Work(facts=facts, markup=load_network(work["model"], threads=1).markup, **work)
    return [asdict(annotate_span(job, Unit(tuple(sources)))) for sources in units]


def _one_process(work: Work, units: Sequence[Unit], pin: bool) -> list[Span]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "work.json"
        # The points are known from the model; their arrays are not for JSON.
        values = {name: value for name, value in vars(work).items() if name != "markup"}
        path.write_text(json.dumps([values, [unit.sources for unit in units], pin]))
        function = "benchmarks.annotation.annotate_alone"
        spans = call_python(function, str(path), failure="the annotation failed")
    return [Span(**span) for span in spans]


def _on_ray(work: Work, units: Sequence[Unit], workers: int) -> list[Span]:
    from keypoints.bulk import cluster

    with cluster.connected(None, workers) as count:
        return list(cluster.annotate(units, partial(annotate_span, work), count))


def _begin(output: str, model: str) -> Work:
    """The work of a new output."""
    from keypoints.bulk import plan
    from keypoints.bulk.store import Store
    from keypoints.inference.predictor import load_network

    plan.write_facts(Store(output), {"model": model})
    network = load_network(model, threads=1)
    return Work(
        output=output,
        facts=(("model", model),),
        model=model,
        version=network.digest,
        markup=network.markup,
    )


def _draw(folder: Path) -> list[str]:
    import cv2

    from keypoints.synthetic.clip import drawn_clip

    paths = [folder / f"{number:04d}.jpg" for number in range(PICTURES)]
    for path, (_, image) in zip(paths, islice(drawn_clip(), PICTURES)):
        cv2.imwrite(str(path), image[:, :, ::-1])
    return [str(path) for path in paths]


def _row(name: str, samples: list[list[Span]]) -> Timing:
    """The row of a subject; the first unit of each process is not in its CPU time either."""
    costs = []
    for spans in samples:
        first = {span.process: span for span in reversed(spans)}.values()
        later = [span for span in spans if span not in first] or spans
        costs.append(1e3 * sum(s.cpu for s in later) / max(sum(s.pictures for s in later), 1))
    peak = max(span.memory for spans in samples for span in spans)
    note = f"CPU {median(costs):.1f} ms a picture, process {peak:.0f} MiB at most"
    return timing(name, "pictures/s", map(steady_rate, samples), note=note)
