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
        reason = error.strerror or error
        raise InputError(f"cannot write {path}: {reason}; what it held before is kept") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)
