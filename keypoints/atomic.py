"""Writing files so that each is either whole or the one before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keypoints.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write `path` under; moved into place when the block ends well.

    The temporary file keeps the suffix, which some writers read their format from. Raises
    InputError where the folder cannot be written or the disk is full.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise InputError(f"cannot write {path}: {reason}; what it held before is kept") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def reserve(path: Path, size: int) -> None:
    """Raise OSError unless a file of `size` bytes can be written as `path`.

    For HDF5, which on a full disk may leave half a file without an error, or crash.
    """
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)
