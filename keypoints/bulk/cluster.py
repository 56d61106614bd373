"""Ray: units to the cores of this machine, or of a cluster that runs already."""

from __future__ import annotations

import logging
import os
import pickle
import secrets
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from keypoints.bulk.inputs import Unit
from keypoints.errors import InputError

Result = TypeVar("Result")

MEMORY = 200 << 20  # bytes of Ray's own store on one machine; only units and counts are in it
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0"}  # nothing is sent to Ray's makers
# Of a Ray that this process starts: it listens on the loopback address alone, and serves
# only those who know a token, which is kept in no file.
LOCAL = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[int]:
    """Ray while the block runs; gives the number of workers: of the cores unless given.

    Without an address it is started on this machine, and gone afterwards. Raises InputError where
    there is no cluster at `address`.
    """
    os.environ.update(ENVIRONMENT)
    if address is None:
        root = str(Path(__file__).parents[2])
        path = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ.update({**LOCAL, "PYTHONPATH": os.pathsep.join(path)})
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    # Python warns that JAX has threads; Ray's processes only replace themselves by other programs.
    warnings.filterwarnings("ignore", r"os\.fork\(\)", RuntimeWarning)
    with tempfile.TemporaryDirectory(prefix="keypoints-", ignore_cleanup_errors=True) as folder:
        try:
            if address is None:
                ray.init(
                    num_cpus=workers or os.cpu_count(),
                    include_dashboard=False,
                    object_store_memory=MEMORY,
                    _temp_dir=folder,
                    **quiet,
                )
            else:
                _knock(address)
                ray.init(address, **quiet)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"ray={address}: no cluster answers: {error}") from None
        try:
            yield workers or max(int(ray.cluster_resources().get("CPU", 1)), 1)
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "://" not in address:
        socket.create_connection((host, int(port)), timeout=5).close()


def annotate(
    units: Sequence[Unit], function: Callable[[Unit], Result], workers: int
) -> Iterator[Result]:
    """The result for each unit as it is finished, by `workers` processes of the connected Ray.

    `function` annotates a unit; done twice it must leave what it leaves once. GPUs are shared
    evenly. Raises the InputError of `function`.
    """
    import ray

    gpus = ray.cluster_resources().get("GPU", 0)

    def annotate_pickled(unit: bytes) -> bytes:
        try:
            result: Result | InputError = function(pickle.loads(unit))
        except InputError as error:  # Ray would wrap it
            result = error
        return pickle.dumps(result)

    # Tasks and not actors: an actor whose machine is gone would wait for another one. Not Ray Data:
    # it looks for finished tasks every 0.1 s, and a core waits so long between two units.
    task = ray.remote(annotate_pickled).options(
        num_cpus=1,
        num_gpus=int(1000 * min(gpus / workers, 1)) / 1000 or None,
        max_retries=-1,  # a unit whose process or machine is gone is tried again
        scheduling_strategy="SPREAD",
    )
    left = iter(units)
    running = [task.remote(pickle.dumps(unit)) for unit in islice(left, workers)]
    while running:
        done, running = ray.wait(running)
        running += [task.remote(pickle.dumps(unit)) for unit in islice(left, len(done))]
        for data in ray.get(done):
            result = pickle.loads(data)
            if isinstance(result, InputError):
                raise result
            yield result
