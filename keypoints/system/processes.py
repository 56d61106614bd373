"""Run code of this package in a new Python process: for another backend, or other devices."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from keypoints.errors import InputError


def run_python(
    code: str, *arguments: str, failure: str, timeout: float | None = None, **environment: str
) -> str:
    """Run `code` with `arguments` as its `sys.argv[1:]`; returns what it printed.

    The child imports this very package, then what the user's PYTHONPATH names; `environment` is
    set on top of ours. Raises InputError, "FAILURE: REASON", if it fails: the
    signal that killed it, the last line of its error output, or that `timeout` seconds passed.
    """
    path = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{failure}: no answer within {timeout:g} s") from None
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        hint = "; the system does so when memory runs out" * (name == "SIGKILL")
        raise InputError(f"{failure}: its process was killed by {name}{hint}")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise InputError(f"{failure}: {lines[-1].removeprefix('keypoints.errors.InputError: ')}")
    return done.stdout
