"""Code of this package in a Python process of its own: for another backend, or other devices."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from keypoints.errors import InputError


def run_python(code: str, *arguments: str, failure: str, **environment: str) -> str:
    """Run `code` with `arguments` as its `sys.argv[1:]`; returns what it printed.

    The child imports this very package, then what the user's PYTHONPATH names; `environment` is
    set on top of ours. Raises InputError, "FAILURE: REASON", where it does not end well: the
    signal that killed it, or the last line of its error output.
    """
    path = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), **environment},
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        hint = "; the system does so when memory runs out" * (name == "SIGKILL")
        raise InputError(f"{failure}: its process was killed by {name}{hint}")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise InputError(f"{failure}: {lines[-1].removeprefix('keypoints.errors.InputError: ')}")
    return done.stdout
