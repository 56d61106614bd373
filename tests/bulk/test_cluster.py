"""Units on a real Ray: two nodes on this machine, of which one is killed."""

import os
import tempfile
import time
from collections import Counter
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from keypoints.bulk import cluster, plan, tables, work
from keypoints.bulk.inputs import Unit
from keypoints.bulk.store import Store
from tests.bulk.stand_ins import StandIn, write_pictures

# A node that does not answer is given up after about a second, not after half a minute.
HEALTH = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 300,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 3,
}


@pytest.fixture(scope="module")
def nodes():
    """A cluster of two nodes with a core each, as processes of their own."""
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": cluster.MEMORY, "include_dashboard": False}
    # Paths of sockets must be short: those of pytest's folders could be too long.
    with tempfile.TemporaryDirectory(prefix="kp-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        (Path(folder) / "ray").mkdir()
        made = Cluster(initialize_head=True, head_node_args={**options, "_system_config": HEALTH})
        try:
            yield made, made.add_node(**options)
        finally:
            made.shutdown()


def begin(tmp_path: Path, sources: list[str], **options) -> tuple[StandIn, list, Store]:
    """The work, its units and the store of a new output."""
    store, facts = Store(str(tmp_path / "out")), {"model": "stand-in"}
    plan.write_facts(store, facts)
    units = plan.plan_units(store, sources, workers=2)
    facts = tuple(facts.items())
    return StandIn(str(tmp_path / "out"), facts, "stand-in", "1", **options), units, store


def check_whole(output: Path, sources: list[str]) -> None:
    """Every picture once, with as many faces as it has."""
    pictures = tables.read_table(str(output), tables.PICTURES).to_pylist()
    assert sorted(row["source"] for row in pictures) == sources
    faces = Counter(row["source"] for row in tables.read_table(str(output)).to_pylist())
    assert {row["source"]: row["faces"] for row in pictures if row["error"] is None} == faces
    # A process that is killed may leave half a note, which the command removes.
    assert not Store(str(output)).names(work.ATTEMPTS)


@pytest.mark.long
def test_a_picture_that_ends_its_process_costs_nothing_else(nodes, tmp_path):
    sources = write_pictures(tmp_path / "in", 16, poison=(5,))
    job, units, _ = begin(tmp_path, sources)
    with cluster.connected(nodes[0].address, 2) as count:
        counts = list(cluster.annotate(units, partial(work.annotate_unit, job), count))
    assert sum(one.pictures for one in counts) == 16
    assert sum(one.unreadable for one in counts) == 1
    check_whole(tmp_path / "out", sources)
    rows = tables.read_table(str(tmp_path / "out"), tables.PICTURES).to_pylist()
    bad = {row["source"]: row["error"] for row in rows if row["error"]}
    assert list(bad) == [sources[5]] and "each process that read it ended" in bad[sources[5]]


def test_an_error_of_the_work_ends_the_run_with_its_line(nodes, tmp_path):
    sources = write_pictures(tmp_path / "in", 2)
    job, units, store = begin(tmp_path, sources)
    store.write(plan.FACTS, b'{"model": "another"}')
    with (
        cluster.connected(nodes[0].address, 2) as count,
        pytest.raises(cluster.InputError, match=r"^output=.* was made with model=another"),
    ):
        list(cluster.annotate(units, partial(work.annotate_unit, job), count))


def pause(unit: Unit) -> tuple[int, float, float]:
    """A unit's process, begin and end."""
    begin = time.monotonic()
    time.sleep(0.02)
    return os.getpid(), begin, time.monotonic()


def test_no_process_waits_between_two_units(nodes):
    units = [Unit((f"{number}.jpg",)) for number in range(60)]
    with cluster.connected(nodes[0].address, 2) as count:
        spans = sorted(cluster.annotate(units, pause, count))
    assert len(spans) == 60
    waits = [b[1] - a[2] for a, b in pairwise(spans) if a[0] == b[0]]
    assert median(waits) < 0.05


def test_a_node_that_is_killed_costs_no_picture(nodes, tmp_path):
    sources = write_pictures(tmp_path / "in", 64)
    job, units, _ = begin(tmp_path, sources, pause=0.05)
    made, node = nodes
    killed, pictures = False, 0
    with cluster.connected(made.address, 2) as count:
        for one in cluster.annotate(units, partial(work.annotate_unit, job), count):
            pictures += one.pictures
            nodes_seen = set(tables.read_table(job.output)["version"].to_pylist())
            if not killed and len(nodes_seen) == 2 and pictures <= 48:
                made.remove_node(node, allow_graceful=False)
                killed = True
    assert killed and pictures == 64
    check_whole(tmp_path / "out", sources)


def test_no_cluster_at_an_address():
    with (
        pytest.raises(cluster.InputError, match=r"^ray=127\.0\.0\.1:1: no cluster answers"),
        cluster.connected("127.0.0.1:1", 1),
    ):
        pass
