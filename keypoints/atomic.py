"""Atomic file writes: a file is either complete or unchanged."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keypoints.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in place of `path`, renamed to `path` when the block ends without an error.

    The temporary file keeps the suffix, because some writers derive the format from it. Raises
    InputError if the folder cannot be written or the disk is full.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise InputError(f"cannot write {path}: {reason}; its previous content is kept") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def reserve(path: Path, size: int) -> None:
    """Raise OSError unless a file of `size` bytes can be written as `path`.

    HDF5 may leave half a file without an error, or crash, when the disk is full.
    """
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)
