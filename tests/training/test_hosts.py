"""Several hosts, as processes on this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keypoints import config as configs
from keypoints.config import Config
from keypoints.data.pipeline import training_pipeline
from keypoints.errors import InputError
from keypoints.system import backend
from keypoints.training.checkpoints import read_progress
from keypoints.training.hosts import Hosts, connect, parse
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


# Meets the others as the host argv[1], and tells what each sent.
MEET = """
import sys
from keypoints.system import backend
backend.configure()
from keypoints.training import hosts
connected = hosts.connect(sys.argv[1])
print(connected.exchange(connected.index))
connected.close()
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
@pytest.mark.long
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
    assert read_progress(tmp_path / "run0").epoch == 1
    for process in start_two(tmp_path):
        printed, error = process.communicate(timeout=200)
        assert process.returncode == 0, error[-2000:]
        assert "step 2 1" in printed and "step 1 1" not in printed  # resumed
    assert not (tmp_path / "run1").exists()
    alone = train(CONFIG, tmp_path / "alone", dotted_faces(9), dotted_faces(3, seed=1))
    both = read_progress(tmp_path / "run0").rows
    for name in ("loss", "training_nme", "validation_nme"):
        np.testing.assert_allclose(
            [row[name] for row in both], [row[name] for row in alone], rtol=1e-3
        )


# As the host argv[1] of SLURM's variables, tells what the hosts exchange.
MEETING = """
import os, sys
import numpy as np
from keypoints.commands.train import several
from keypoints.training import hosts
os.environ["SLURM_PROCID"] = sys.argv[1]
with several("auto") as connected:
    index = connected.index
    print(connected.exchange({"from": index}), connected.exchange(index == 1))
    print(connected.from_first(np.full(2, 5 + index, np.float32)))
    connected.agree({"epochs": 3, "stages": ()})
    connected.agree({"epochs": 3 + index})
"""


@pytest.mark.slow
def test_two_hosts_that_slurm_started_exchange_values_and_agree():
    job = str(free_port())  # of which JAX makes the port
    slurm = {
        "SLURM_JOB_ID": job, "SLURM_STEP_NODELIST": "localhost,node[7-9]", "SLURM_NTASKS": "2",
        "SLURM_LOCALID": "0",
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MEETING, str(index)], cwd=ROOT, env={**os.environ, **slurm},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for index in range(2)
    ]  # fmt: skip
    for process in processes:
        printed, error = process.communicate(timeout=120)
        assert "[{'from': 0}, {'from': 1}] [False, True]" in printed, error[-2000:]
        assert "[5. 5.]" in printed
        assert process.returncode == 2
        # The first of them to end with this takes the connection away from the other.
        wanted = ("epochs is 4 on host 1, but 3 on host 0; start all", "so all hosts stop")
        assert any(reason in error for reason in wanted) and "Traceback" not in error


def test_each_host_makes_its_rows_of_the_batch_of_one():
    faces, config = dotted_faces(9), configs.replace(CONFIG, {"batch_size": 6})
    whole = next(training_pipeline(faces, config, epoch=2).as_numpy_iterator())
    parts = [
        next(
            training_pipeline(
                faces, config, epoch=2, rows=Hosts(3, index).rows(6)
            ).as_numpy_iterator()
        )
        for index in range(3)
    ]
    assert [len(images) for images, _ in parts] == [2, 2, 2]
    for joined, expected in zip(zip(*parts), whole):
        np.testing.assert_array_equal(np.concatenate(joined), expected)


def test_a_host_that_is_alone_agrees_with_itself():
    alone = Hosts()
    assert alone.exchange({"epochs": 3}) == [{"epochs": 3}] and alone.rows(7) == slice(0, 7)
    alone.agree({"epochs": 3})


def test_hosts_that_differ_are_named():
    class Two(Hosts):
        def exchange(self, value):
            return [value, {**value, "epochs": 4}]

    with pytest.raises(InputError, match="epochs is 4 on host 1, but 3 on host 0; start all"):
        Two(2, 0).agree({"seed": 1, "epochs": 3})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("node", "ADDRESS:PORT,COUNT,INDEX is expected"),
        ("node:5000,2", "ADDRESS:PORT,COUNT,INDEX is expected"),
        ("node:70000,2,0", "the port 70000 is not between 1 and 65535"),
        ("node:5000,1,0", "the number of hosts is 1; 2 or more"),
        ("node:5000,2,2", "of 2 hosts, INDEX is 0 to 1"),
    ],
)
def test_a_wrong_place_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        parse(given)


def test_places_by_hand_and_of_a_cluster():
    assert parse("train-0.train:5000,4,3") == {
        "coordinator_address": "train-0.train:5000", "num_processes": 4, "process_id": 3,
    }  # fmt: skip
    assert parse("[fd00::1]:5000,2,1")["coordinator_address"] == "[fd00::1]:5000"
    assert parse("auto") == {}


def test_hosts_without_jax_or_a_cluster_are_told(monkeypatch, capsys):
    def without_cluster(**limits):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr("jax.distributed.initialize", without_cluster)
    with pytest.raises(InputError, match="hosts=auto: coordinator_address should be defined"):
        connect("auto")
    assert "waiting for all hosts, for up to 300 s" in capsys.readouterr().err
    monkeypatch.setattr(backend, "keras_backend", lambda: "tensorflow")
    with pytest.raises(InputError, match="need the JAX backend, but Keras runs on tensorflow"):
        connect("127.0.0.1:5000,2,0")


@pytest.mark.slow
def test_strangers_on_the_port_stop_nobody():
    port = free_port()

    def host(index: int) -> subprocess.Popen:
        command = [sys.executable, "-c", MEET, f"127.0.0.1:{port},2,{index}"]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    first, strangers = host(0), []
    for sent in (b'{"hosts": Infinity, "index": 0}\n', b"[" * 999 + b"\n", b"x"):
        for _ in range(300):
            try:
                strangers.append(socket.create_connection(("127.0.0.1", port)))
                break
            except ConnectionRefusedError:  # it does not listen yet
                time.sleep(0.2)
        strangers[-1].sendall(sent)  # and stays
    second = host(1)
    for process in (first, second):
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0 and said.endswith("\n[0, 1]\n")
    for stranger in strangers:
        stranger.close()
