"""Several hosts that train one network, through JAX's own distributed service."""

import json
import re
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from keypoints.errors import InputError
from keypoints.system import backend
from keypoints.system.extras import installed_version

LIMITS: dict[str, Any] = {"initialization_timeout": 300, "heartbeat_timeout_seconds": 30}  # s


@dataclass
class Hosts:
    """The hosts of a run as one of them sees them: alone, or met by `connect`."""

    count: int = 1
    index: int = 0
    closed: bool = False

    def exchange(self, value: Any) -> list[Any]:
        """The values of all hosts in their order; a value is anything that JSON holds."""
        return [value]

    def from_first(self, array: np.ndarray) -> np.ndarray:
        """The array of host 0; all hosts call it with one shape and dtype."""
        return array

    def close(self) -> None:
        """Part from the others once all have called it."""
        self.closed = True

    def agree(self, facts: dict[str, Any]) -> None:
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
        first, end = (number * batch_size // self.count for number in (self.index, self.index + 1))
        return slice(first, end)


class _Several(Hosts):
    def exchange(self, value: Any) -> list[Any]:
        from jax.experimental.multihost_utils import process_allgather

        text = np.frombuffer(json.dumps(value).encode(), np.uint8)
        lengths = process_allgather(np.array(len(text)))
        rows = process_allgather(np.pad(text, (0, max(lengths) - len(text))))
        return [json.loads(row[:length].tobytes()) for row, length in zip(rows, lengths)]

    def from_first(self, array: np.ndarray) -> np.ndarray:
        from jax.experimental.multihost_utils import broadcast_one_to_all

        return np.asarray(broadcast_one_to_all(array))

    def close(self) -> None:
        import jax

        jax.distributed.shutdown()
        super().close()


def parse(hosts: str) -> dict[str, Any]:
    """Arguments of `jax.distributed.initialize`: of `ADDRESS:PORT,COUNT,INDEX`, none for `auto`.

    Without them JAX asks SLURM, Open MPI, Kubernetes or a cloud TPU. Raises InputError.
    """
    if hosts == "auto":
        return {}
    match = re.fullmatch(r"(\S+):(\d+),(\d+),(\d+)", hosts)
    expected = "ADDRESS:PORT,COUNT,INDEX is expected, such as 10.0.0.1:5000,2,0, or auto"
    if match:
        port, count, index = (int(number) for number in match.groups()[1:])
        if not 0 < port < 2**16:
            expected = f"the port {port} is not between 1 and 65535"
        elif count < 2:
            expected = f"the number of hosts is {count}; 2 or more are expected"
        elif index >= count:
            expected = f"of {count} hosts, INDEX is 0 to {count - 1}"
        else:
            names = ("coordinator_address", "num_processes", "process_id")
            return dict(zip(names, (f"{match[1]}:{port}", count, index)))
    raise InputError(f"hosts={hosts}: {expected}")


def connect(hosts: str) -> Hosts:
    """Meet the other hosts, before anything has started JAX; raises InputError if that fails.

    `hosts` as in `parse`. JAX itself ends the process where not all hosts come in time.
    """
    arguments = parse(hosts)
    if (found := backend.keras_backend()) != "jax":
        raise InputError(f"hosts need the JAX backend, but Keras runs on {found}")
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would take SIGTERM for itself, and a host could not be ended by it.
    jax.config.update("jax_enable_preemption_service", False)
    print(f"hosts={hosts}: waiting for all hosts, for up to 300 s", file=sys.stderr, flush=True)
    try:
        jax.distributed.initialize(**arguments, **LIMITS)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"hosts={hosts}: {error}") from None
    connected = _Several(jax.process_count(), jax.process_index())
    versions = {name: installed_version(name) for name in ("keypoints", "keras", "jax")}
    connected.agree({**versions, "devices": [d.device_kind for d in jax.local_devices()]})
    return connected
