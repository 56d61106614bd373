"""SIGKILL at random moments: a few in every test run, 20 of each command by `make kills`."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

COUNT = int(os.environ.get("KILLS", 1))
ROOT = Path(__file__).parent.parent


def start(*arguments: str) -> subprocess.Popen:
    """Python with `arguments`, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def seconds(*arguments: str) -> float:
    """How long Python with `arguments` takes to end well."""
    clock = time.monotonic()
    process = start(*arguments)
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    return time.monotonic() - clock


def kill(*arguments: str, within: float) -> bool:
    """Kill Python with `arguments`, and its children, some time `within` these seconds.

    Returns whether it was still running. The start, in which nothing is written, is left out.
    """
    process = start(*arguments)
    try:
        process.communicate(timeout=random.uniform(0.3, 1) * within)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0
    return False
