"""Locks between processes of one machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keypoints.errors import InputError

try:
    import fcntl
except ModuleNotFoundError:  # Windows has none
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(folder: Path, message: str) -> Iterator[None]:
    """Keep other processes that ask for the same lock out of `folder`, and leave no file in it.

    Raises InputError with `message` where another one is in. The lock ends with the process,
    however it ends. There is none on Windows and on file systems without locks.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(message) from None
        except OSError:  # a network file system without locks
            pass
        yield
    finally:
        os.close(handle)
