"""Landmarks of many pictures as tables: `python -m tools.annotate INPUT.. --output=FOLDER`."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keypoints.checks import whole
from keypoints.commands.progress import Progress, count_of
from keypoints.errors import InputError
from keypoints.pretrained import DEFAULT, NAMES

if TYPE_CHECKING:
    from keypoints.bulk.inputs import Unit
    from keypoints.bulk.tables import Counts
    from keypoints.network import Network

SHOWN = 10  # at most so many unreadable pictures are listed


def annotate(
    *input: str,
    output: str,
    model: str = DEFAULT,
    filter: str | None = None,
    workers: int | None = None,
    ray: str | None = None,
    limit: int | None = None,
    outside: bool = False,
    dry_run: bool = False,
) -> None:
    """Find the faces and landmarks of all pictures in INPUT, and write them as Parquet tables.

    An INPUT is a picture, a video, a tar shard of pictures, a Parquet table with pictures or their
    paths, a folder or a glob of those, or a URL of any; outputs of this command that lie in a
    folder are passed over. If a run was interrupted, the same command resumes it and does only what
    is missing; more inputs may be added. docs/scale.md lists the columns of the tables. Exit codes:
    0 all done; 1 this command could not read some pictures; 2 invalid input. The table of pictures
    lists all that could not be read, by whatever command.

    Args:
        input: what to annotate, one or several
        output: folder for the tables, a path or a URL such as s3://bucket/folder
        model: pretrained, pretrained-small (quicker), a run folder, an export or one of its .onnx
            files
        filter: also write each picture with this filter on its faces, into the output
        workers: number of worker processes, each on one core; default: one per core
        ray: address of a running Ray cluster, or auto; default: only this machine
        limit: maximum number of files, in the order of their names
        outside: also read what Parquet tables name outside of their own folder, by an absolute path
            or a URL; only for tables that you trust
        dry_run: only print what would be done; nothing is written
    """
    if not input:
        raise InputError("INPUT is missing; see --help")
    for name, number in (("--workers", workers), ("--limit", limit)):
        if number is not None:
            whole(number, name, low=1)

    from functools import partial

    from keypoints.bulk import cluster, inputs, plan, work
    from keypoints.bulk.store import Store

    store = Store(output)
    facts, network = what_makes(model, filter, outside=outside)
    plan.check_facts(store, facts)
    sources = inputs.list_sources(input, output=output)[:limit]
    left = plan.left_sources(store, sources)
    done = len(sources) - len(left)
    print(
        f"{counted(sources)}"
        + f", of which {done} {'is' if done == 1 else 'are'} done" * (done > 0)
    )
    if dry_run or not left:
        return
    with cluster.connected(ray, workers) as count, store.locked():
        plan.check_facts(store, facts)
        plan.write_facts(store, facts)
        units = plan.plan_units(store, sources, count)
        work.forget_attempts(store)
        job = work.Work(
            output=output if "://" in output else str(Path(output).resolve()),
            facts=tuple(facts.items()),
            model=model if model in NAMES else str(Path(model).resolve()),
            version=network.digest,
            markup=network.markup,
            filter=everywhere(filter),
            outside=outside,
        )
        unreadable = follow(cluster.annotate(units, partial(work.annotate_unit, job), count), units)
        work.forget_attempts(store)
    if unreadable:
        sys.exit(1)


def everywhere(filter: str | None) -> str | None:
    """A filter as other processes and machines find it: its bundled name, or its whole path."""
    from keypoints.filters import list_filters

    return filter if filter is None or filter in list_filters() else str(Path(filter).resolve())


def follow(counts: "Iterable[Counts]", units: "Sequence[Unit]") -> int:
    """Show the progress until the end; returns the number of pictures that could not be read."""
    from keypoints.bulk.inputs import is_picture

    progress, start = Progress("pictures"), time.monotonic()
    pictures = faces = unreadable = shown = 0
    exact = all(is_picture(unit.sources[0]) for unit in units)
    files = sum(len(unit.sources) for unit in units)
    for number, one in enumerate(counts, 1):
        pictures, faces = pictures + one.pictures, faces + one.faces
        unreadable += one.unreadable
        progress.clear()
        for reason in one.errors[: SHOWN - shown]:
            shown += 1
            print(f"left out: {reason}", file=sys.stderr)
        # The number of pictures in containers is not known: estimated from those read so far.
        progress.show(pictures, files if exact else pictures * len(units) // number)
    progress.clear()
    if unreadable > shown:
        print(
            f"left out: {unreadable - shown} more; the table of pictures has all", file=sys.stderr
        )
    seconds = time.monotonic() - start
    line = f"{count_of(pictures, 'picture')}, {count_of(faces, 'face')}, "
    line += f"{pictures / seconds:.1f} pictures a second"
    print(line + f"; {unreadable} could not be read" * (unreadable > 0))
    return unreadable


def what_makes(
    model: str, filter: str | None, *, outside: bool = False
) -> tuple[dict[str, str | bool | None], "Network"]:
    """The facts of an output, as of `plan.check_facts`, and the model.

    Raises InputError where there is no such model or filter, or the filter needs other points.
    """
    import keypoints
    from keypoints.filters import filter_digest, load_filter
    from keypoints.inference import detectors
    from keypoints.inference.predictor import load_network

    network = load_network(model, threads=1)
    if filter is not None:
        load_filter(filter, network.markup)
    facts: dict[str, str | bool | None] = {
        "keypoints": keypoints.__version__,
        "model": model,
        "model_sha256": network.digest,
        "markup": network.markup.name,
        "detector": detectors.DEFAULT,
        "detector_sha256": detectors.NETWORKS[detectors.DEFAULT].sha256,
        "filter": filter,
        "filter_sha256": None if filter is None else filter_digest(filter),
        "outside": outside or None,
    }
    return facts, network


def counted(sources: Sequence[str]) -> str:
    """What kinds of files there are, such as `12 pictures and 1 other file`."""
    from keypoints.bulk.inputs import is_picture

    kinds = Counter("picture" if is_picture(source) else "container" for source in sources)
    return " and ".join(count_of(number, kind) for kind, number in sorted(kinds.items()))
