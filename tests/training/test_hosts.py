"""Several hosts: as threads for what they exchange, as processes for what they train."""

import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from keypoints import config as configs
from keypoints.config import Config
from keypoints.data.pipeline import training_pipeline
from keypoints.errors import InputError
from keypoints.models import runs
from keypoints.system import backend
from keypoints.training import hosts
from keypoints.training.hosts import Group, Hosts, connect, parse
from keypoints.training.loop import train
from tests.faces import dotted_faces

ROOT = Path(__file__).parents[2]
CONFIG = Config(
    data="dots", backbone="tiny", head="pooled", resolution=56, epochs=2, batch_size=4,
    learning_rate=1e-3, warmup=0,
)  # fmt: skip
# Trains the config in argv[1] into argv[2] as the host argv[3]; tells of each step.
SCRIPT = """
import sys
from pathlib import Path
from keypoints import config
from keypoints.commands.train import several
from tests.faces import dotted_faces
given = config.from_json(Path(sys.argv[1]).read_text(), sys.argv[1])
tell = lambda step: print("step", step.epoch, step.step, flush=True)
with several(sys.argv[3]) as connected:
    from keypoints.training.loop import train
    faces, others = dotted_faces(9), dotted_faces(3, seed=1)
    train(given, Path(sys.argv[2]), faces, others, on_step=tell, hosts=connected)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def start(run: Path, group: str) -> subprocess.Popen:
    """A process that trains `CONFIG` into `run` as the host of `group`."""
    path = run.with_name("config.json")
    path.write_text(configs.to_json(CONFIG))
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), str(run), group],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_two(folder: Path) -> list[subprocess.Popen]:
    """Two hosts, of which only the first one has the run folder."""
    port = free_port()
    return [start(folder / f"run{i}", f"127.0.0.1:{port},2,{i}") for i in range(2)]


@pytest.mark.slow
def test_two_hosts_train_what_one_trains_and_go_on_after_one_was_killed(tmp_path):
    first, second = start_two(tmp_path)
    for line in first.stdout:
        if line.startswith("step 2 1"):  # the first epoch is in a checkpoint
            second.send_signal(signal.SIGKILL)
            break
    clock = time.monotonic()
    _, error = first.communicate(timeout=60)
    second.communicate()
    assert first.returncode != 0 and time.monotonic() - clock < 20
    assert "error: host 1 ended or cannot be reached, so all hosts stop" in error
    assert runs.read_progress(tmp_path / "run0")["epoch"] == 1
    for process in start_two(tmp_path):
        printed, error = process.communicate(timeout=200)
        assert process.returncode == 0, error[-2000:]
        assert "step 2 1" in printed and "step 1 1" not in printed  # resumed
    assert not (tmp_path / "run1").exists()
    alone = train(CONFIG, tmp_path / "alone", dotted_faces(9), dotted_faces(3, seed=1))
    both = runs.read_progress(tmp_path / "run0")["rows"]
    for name in ("loss", "training_nme", "validation_nme"):
        np.testing.assert_allclose(
            [row[name] for row in both], [row[name] for row in alone], rtol=1e-3
        )


def meet(count: int) -> list[tuple[Hosts, queue.SimpleQueue]]:
    """Hosts in this process, connected but without JAX, and what each hears of losses."""
    port, found = free_port(), {}

    def one(index: int) -> None:
        group, losses = Group("127.0.0.1", port, count, index), queue.SimpleQueue()
        deadline = time.monotonic() + 20
        links, _ = (hosts._join if index else hosts._await_others)(group, deadline)
        found[index] = Hosts(group, links, losses.put), losses

    on_all(one, range(count))
    return [found[index] for index in range(count)]


def on_all(call, arguments) -> list:
    """`call` in a thread for each argument; the results or errors in order."""
    results = {}

    def one(index, argument):
        try:
            results[index] = call(argument)
        except InputError as error:
            results[index] = error

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(arguments)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return [results[index] for index in range(len(threads))]


def test_hosts_exchange_values_in_order_and_agree():
    connected = [host for host, _ in meet(3)]
    values = on_all(lambda host: host.exchange({"from": host.index}), connected)
    assert values == [[{"from": 0}, {"from": 1}, {"from": 2}]] * 3
    assert on_all(lambda host: host.agree({"epochs": 3, "stages": ()}), connected) == [None] * 3
    errors = on_all(lambda host: host.agree({"epochs": 3 + (host.index == 2)}), connected)
    assert {str(error).partition(";")[0] for error in errors} == {
        "epochs is 4 on host 2, but 3 on host 0"
    }


def test_each_host_makes_its_rows_of_the_batch_of_one():
    faces, config = dotted_faces(9), configs.replace(CONFIG, {"batch_size": 6})
    whole = next(training_pipeline(faces, config, epoch=2).as_numpy_iterator())
    parts = [
        next(training_pipeline(faces, config, epoch=2, rows=host.rows(6)).as_numpy_iterator())
        for host, _ in meet(3)
    ]
    assert [len(images) for images, _ in parts] == [2, 2, 2]
    for joined, expected in zip(zip(*parts), whole):
        np.testing.assert_array_equal(np.concatenate(joined), expected)


def test_all_hosts_hear_why_one_ends():
    connected = meet(3)
    connected[1][0].fail("epochs=0: at least 1 is expected")
    for index in (0, 2):
        assert connected[index][1].get(timeout=10) == "host 1: epochs=0: at least 1 is expected"
    connected = meet(3)
    for link in connected[2][0]._links.values():  # as the system does for a process that is killed
        link.shutdown(socket.SHUT_RDWR)
    for index in (0, 1):
        assert connected[index][1].get(timeout=10).startswith("host 2 ended or cannot be reached")


def test_hosts_that_expect_different_numbers_of_hosts_are_told():
    port = free_port()
    places = [Group("127.0.0.1", port, 2, 0), Group("127.0.0.1", port, 3, 1)]
    deadline = time.monotonic() + 20
    errors = on_all(
        lambda group: (hosts._join if group.index else hosts._await_others)(group, deadline),
        places,
    )
    assert [str(error) for error in errors] == [
        "hosts: host 1 expects 3 hosts, host 0 expects 2"
    ] * 2


def test_a_connection_of_something_else_is_ignored():
    port = free_port()
    group = Group("127.0.0.1", port, 2, 0)

    def stranger_then_host(_):
        while True:
            try:
                stranger = socket.create_connection(("127.0.0.1", port), timeout=5)
                break
            except OSError:
                time.sleep(0.05)
        stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return hosts._join(Group("127.0.0.1", port, 2, 1), time.monotonic() + 20)

    calls = [lambda: hosts._await_others(group, time.monotonic() + 20)]
    calls.append(lambda: stranger_then_host(None))
    (links, jax_port), (_, told) = on_all(lambda call: call(), calls)
    assert list(links) == [1] and jax_port == told


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("node", "ADDRESS:PORT,COUNT,INDEX is expected"),
        ("node:5000,2", "ADDRESS:PORT,COUNT,INDEX is expected"),
        ("node:70000,2,0", "the port 70000 is not between 1 and 65535"),
        ("node:5000,1,0", "the number of hosts is 1; 2 or more"),
        ("node:5000,2,2", "of 2 hosts, INDEX is 0 to 1"),
        ("slurm", "SLURM_STEP_NODELIST, SLURM_JOB_ID, SLURM_NTASKS, SLURM_PROCID is not set"),
    ],
)
def test_a_wrong_place_is_refused(given, message, monkeypatch):
    for name in hosts.SLURM:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=message):
        parse(given)


def test_places_by_hand_and_of_slurm(monkeypatch):
    assert parse("train-0.train:5000,4,3") == Group("train-0.train", 5000, 4, 3)
    assert parse("[fd00::1]:5000,2,1") == Group("fd00::1", 5000, 2, 1)
    for name, value in zip(hosts.SLURM, ("gpu[007-010,012]", "8195", "5", "2")):
        monkeypatch.setenv(name, value)
    assert parse("slurm") == Group("gpu007", 61440 + 3, 5, 2)  # 8195 = 2 * 4096 + 3
    monkeypatch.setenv("SLURM_STEP_NODELIST", "node7,node9")
    assert parse("slurm").address == "node7"


def test_hosts_that_do_not_come_end_the_wait(monkeypatch):
    port = free_port()
    for group, message in (
        (f"127.0.0.1:{port},3,0", "host 1, 2 of 3 did not come"),
        (
            f"127.0.0.1:{port},2,1",
            f"host 0 does not answer on 127.0.0.1:{port}: Connection refused",
        ),
        ("no.such.host.invalid:5000,2,1", "host 0 does not answer on no.such.host.invalid:5000"),
        ("203.0.113.1:5000,2,0", "host 0 cannot listen on 203.0.113.1:5000"),
    ):
        with pytest.raises(InputError, match=message):
            connect(group, on_disconnect=print, timeout=0.6)
    monkeypatch.setattr(backend, "keras_backend", lambda: "tensorflow")
    with pytest.raises(InputError, match="need the JAX backend, but Keras runs on tensorflow"):
        connect("127.0.0.1:5000,2,0", on_disconnect=print)
