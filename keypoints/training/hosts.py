"""Several hosts that train one network: how they meet, agree and end together.

Host 0 listens on an address that all hosts are given, and the others connect to it. Over these
connections the hosts exchange small values, and each learns at once when another one ends. Without
them a host that is left alone would wait in an operation of JAX until JAX aborts the process.
Batches, gradients and weights go through `jax.distributed`.
"""

import json
import os
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from keypoints.errors import InputError
from keypoints.system import backend
from keypoints.system.extras import installed_version

TIMEOUT = 300.0  # seconds to wait for hosts that start later
GREETING = 10.0  # seconds to wait for the first line of a connection
# A connection without an answer for 15 + 3 x 5 seconds is closed: the machine or network is gone.
KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
GO_ON = "the same commands go on from the last checkpoint"
SLURM = ("SLURM_STEP_NODELIST", "SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID")


@dataclass(frozen=True)
class Group:
    """Hosts of one run: where host 0 listens, how many there are, and which this is, from 0."""

    address: str
    port: int
    count: int
    index: int


class Hosts:
    """The hosts of a run, seen from one of them; made by `connect`.

    `on_disconnect` is called in a thread of its own with one line when another host has ended. The
    main thread may then be inside an operation of JAX that never returns, so `on_disconnect` must
    end the process (`os._exit`).
    """

    def __init__(
        self,
        group: Group,
        links: Mapping[int, socket.socket],
        on_disconnect: Callable[[str], None],
    ):
        self.count, self.index = group.count, group.index
        self.closed = False
        self._on_disconnect = on_disconnect
        self._links = dict(sorted(links.items()))  # of host 0 to all others, else to host 0
        self._values: dict[int, queue.SimpleQueue] = {n: queue.SimpleQueue() for n in self._links}
        self._threads = [
            threading.Thread(target=self._listen, args=(other,), daemon=True)
            for other in self._links
        ]
        for thread in self._threads:
            thread.start()

    @property
    def writes(self) -> bool:
        """Whether this host writes the run folder."""
        return self.index == 0

    def exchange(self, value: Any) -> list[Any]:
        """The values of all hosts, in their order; returns when all have called it.

        A value is anything that JSON holds.
        """
        value = json.loads(json.dumps(value))
        if self.index:
            _send(self._links[0], {"value": value})
            return self._values[0].get()
        values = [value, *(self._values[other].get() for other in self._links)]
        for link in self._links.values():
            _send(link, {"value": values})
        return values

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Raise InputError, on all hosts, where one of `facts` is not the same on all of them."""
        first, *others = self.exchange(facts)
        for index, other in enumerate(others, 1):
            for name, value in first.items():
                if other.get(name) != value:
                    raise InputError(
                        f"{name} is {other.get(name)!r} on host {index}, but {value!r} on host 0; "
                        "start all hosts with the same command, data and versions"
                    )

    def rows(self, batch_size: int) -> slice:
        """This host's rows of a batch of all hosts."""
        return slice(
            self.index * batch_size // self.count, (self.index + 1) * batch_size // self.count
        )

    def from_first(self, array: np.ndarray) -> np.ndarray:
        """The array of host 0, through JAX; all hosts call it with one shape and dtype."""
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.broadcast_one_to_all(array))

    def fail(self, reason: str) -> None:
        """Tell the others why this host ends; they end as well."""
        for link in self._links.values():
            with suppress(OSError):
                _send(link, {"failed": f"host {self.index}: {reason}"})
        if self.index == 0:  # whose end makes JAX abort those that have not yet ended by themselves
            for thread in self._threads:
                thread.join(timeout=2)

    def close(self) -> None:
        """Disconnect once all hosts have called it."""
        import jax

        self.exchange(None)
        self.closed = True
        for link in self._links.values():
            with suppress(OSError):
                _send(link, {"end": True})
        jax.distributed.shutdown()

    def _listen(self, other: int) -> None:
        """Take what host `other` sends, to its end."""
        reason = f"host {other} ended or cannot be reached, so all hosts stop; {GO_ON}"
        with suppress(OSError, ValueError):
            for line in self._links[other].makefile("rb"):
                message = json.loads(line)
                if "end" in message:
                    return
                if "failed" in message:
                    reason = message["failed"]
                    break
                self._values[other].put(message["value"])
        if self.closed:
            return
        if self.index == 0:
            for link in self._links.values():
                with suppress(OSError):
                    _send(link, {"failed": reason})
        self._on_disconnect(reason)


def parse(hosts: str) -> Group:
    """The group of `hosts`: `ADDRESS:PORT,COUNT,INDEX`, or `slurm` for what srun has set.

    Raises InputError for anything else.
    """
    if hosts == "slurm":
        return _slurm_group()
    match = re.fullmatch(r"\[?([^\s,\[\]]+)\]?:(\d+),(\d+),(\d+)", hosts)
    if not match:
        raise InputError(
            f"hosts={hosts}: ADDRESS:PORT,COUNT,INDEX is expected, such as 10.0.0.1:5000,2,0, "
            "or slurm"
        )
    address, (port, count, index) = match[1], (int(number) for number in match.groups()[1:])
    if not 0 < port < 2**16:
        raise InputError(f"hosts={hosts}: the port {port} is not between 1 and 65535")
    if count < 2:
        raise InputError(f"hosts={hosts}: the number of hosts is {count}; 2 or more are expected")
    if index >= count:
        raise InputError(f"hosts={hosts}: of {count} hosts, INDEX is 0 to {count - 1}")
    return Group(address, port, count, index)


def connect(hosts: str, *, on_disconnect: Callable[[str], None], timeout: float = TIMEOUT) -> Hosts:
    """Meet the other hosts and start `jax.distributed`, before anything has started JAX.

    `hosts` as in `parse`; `on_disconnect` as in `Hosts`. Raises InputError for another
    backend than JAX, for hosts that do not fit together, and where not all have come after
    `timeout` seconds.
    """
    if backend.keras_backend() != "jax":
        raise InputError(
            f"hosts={hosts}: several hosts need the JAX backend, but Keras runs on "
            f"{backend.keras_backend()}; set KERAS_BACKEND=jax"
        )
    import jax

    group = parse(hosts)
    deadline = time.monotonic() + timeout
    links, port = _await_others(group, deadline) if group.index == 0 else _join(group, deadline)
    connected = Hosts(group, links, on_disconnect)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would take SIGTERM for itself, and a host could not be ended by it.
    jax.config.update("jax_enable_preemption_service", False)
    host = f"[{group.address}]" if ":" in group.address else group.address
    jax.distributed.initialize(
        f"{host}:{port}",
        group.count,
        group.index,
        cluster_detection_method="deactivate",
        initialization_timeout=60,  # all hosts are there
        coordinator_bind_address=f"{host}:{port}",
    )
    # Now that all hosts are at this line: JAX gives them two minutes to tell their devices.
    device = jax.local_devices()[0]
    facts = {"devices": f"{jax.local_device_count()} x {device.device_kind}"}
    packages = {name: installed_version(name) for name in ("keypoints", "keras", "jax")}
    connected.agree(facts | packages)
    return connected


def _await_others(group: Group, deadline: float) -> tuple[dict[int, socket.socket], int]:
    """Connections to all other hosts, and a port for JAX's own service; of host 0."""
    try:
        family, *_, where = _resolve(group)
        server = socket.create_server(where[:2], family=family)
    except OSError as error:
        raise InputError(
            f"hosts: host 0 cannot listen on {group.address}:{group.port}: {error.strerror}; an "
            "address of its own and a free port are expected"
        ) from None
    links: dict[int, socket.socket] = {}
    with server:
        while len(links) < group.count - 1:
            server.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                link, _ = server.accept()
            except TimeoutError:
                missing = [n for n in range(1, group.count) if n not in links]
                raise InputError(
                    f"hosts: host {', '.join(map(str, missing))} of {group.count} did not come; "
                    "start all hosts with the same address and number of hosts"
                ) from None
            greeting = _greeting(link)
            if greeting is None:  # no host of ours
                link.close()
                continue
            count, index = greeting
            problem = ""
            if count != group.count:
                problem = f"host {index} expects {count} hosts, host 0 expects {group.count}"
            elif index in links or not 0 < index < count:
                problem = f"two hosts have the index {index}"
            if problem:
                for each in (link, *links.values()):
                    _send(each, {"failed": f"hosts: {problem}"})
                raise InputError(f"hosts: {problem}")
            links[index] = link
    with socket.create_server((where[0], 0), family=family) as free:
        port = free.getsockname()[1]
    for link in links.values():
        _send(link, {"port": port})
    return links, port


def _greeting(link: socket.socket) -> tuple[int, int] | None:
    """Number of hosts and index of a host that has connected; None from anything else."""
    link.settimeout(GREETING)
    try:
        greeting = _receive(link)
        numbers = (int(greeting["hosts"]), int(greeting["index"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    _keep(link)
    return numbers


def _join(group: Group, deadline: float) -> tuple[dict[int, socket.socket], int]:
    """The connection to host 0, and the port of JAX's service there."""
    while True:
        left = deadline - time.monotonic()
        try:
            link = socket.create_connection((group.address, group.port), timeout=max(left, 0.01))
            break
        except OSError as error:  # host 0, or its name, is not there yet
            if left < 0.5:
                raise InputError(
                    f"hosts: host 0 does not answer on {group.address}:{group.port}: "
                    f"{error.strerror or error}"
                ) from None
        time.sleep(0.2)
    link.settimeout(max(deadline - time.monotonic(), GREETING))
    try:
        _send(link, {"hosts": group.count, "index": group.index})
        answer = _receive(link)
    except (OSError, ValueError):
        answer = {}
    if "port" not in answer:
        raise InputError(answer.get("failed", "hosts: host 0 ended before all hosts had come"))
    _keep(link)
    return {0: link}, int(answer["port"])


def _receive(link: socket.socket) -> dict[str, Any]:
    """One line of JSON, read byte by byte: what follows it is left for `makefile`."""
    line = b""
    while not line.endswith(b"\n"):
        byte = link.recv(1)
        if not byte or len(line) > 1000:
            raise ValueError("no line")
        line += byte
    return json.loads(line)


def _send(link: socket.socket, message: dict[str, Any]) -> None:
    link.sendall(json.dumps(message).encode() + b"\n")


def _keep(link: socket.socket) -> None:
    """Make a connection one that lasts, and that ends when the other machine is gone."""
    link.settimeout(None)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # not on every system
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _resolve(group: Group) -> tuple:
    return socket.getaddrinfo(group.address, group.port, type=socket.SOCK_STREAM)[0]


def _slurm_group() -> Group:
    """The group of an srun job step. The first node of the list has task 0."""
    missing = [name for name in SLURM if name not in os.environ]
    if missing:
        raise InputError(f"hosts=slurm: {', '.join(missing)} is not set; start it with srun")
    nodes, job, count, index = (os.environ[name] for name in SLURM)
    # Such as node7, node7,node9 or node[007-010,012].
    match = re.match(r"([^,\[]+)(?:\[(\w+))?", nodes)
    if not match:
        raise InputError(f"hosts=slurm: no node in SLURM_STEP_NODELIST={nodes}")
    port = 61440 + int(job) % 4096  # of its own for each job on a node
    return parse(f"{match[1]}{match[2] or ''}:{port},{count},{index}")
