"""Atomic file writes: a file is either complete or unchanged."""

import csv
import errno
import io
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from keypoints.errors import InputError

BLOCK = 1 << 20  # bytes written at a time
# Errors of a write to an open file, which do not name the file.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in place of `path`, renamed to `path` when the block ends without an error.

    The temporary file keeps the suffix, because some writers derive the format from it. Raises
    InputError if the folder cannot be written or the disk is full; any other error of the block
    is passed on as it is.
    """
    # Another process, or a machine that shares the folder, may write the same file.
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}.{path.name}")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(temporary))
        yield temporary
        with open(temporary, "r+b") as file:  # Windows syncs only what may be written
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        own = str(error.filename).endswith(temporary.name) if error.filename else False
        if not own and (error.filename or error.errno not in _FULL):
            raise
        reason = os.strerror(error.errno) if error.errno else error
        kept = "; its previous content is kept" if path.is_file() else ""
        raise InputError(f"cannot write {path}: {reason}{kept}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_partial_files(folder: Path) -> None:
    """Remove the temporary files of `replacing` that killed processes left in `folder`."""
    for path in folder.glob(".*.*"):
        if re.fullmatch(r"\.[0-9a-f]{12}\..+", path.name):
            path.unlink(missing_ok=True)


def keep_apart(inputs: Iterable[Path], outputs: Sequence[tuple[str, Path]]) -> None:
    """Raise InputError if an output would replace an input or another output.

    `outputs`: pairs of what the user calls an output, such as `--points`, and its path.
    """
    taken = {mark: "the input" for path in inputs for mark in _marks(path)}
    for name, path in outputs:
        marks = _marks(path)
        other = next((taken[mark] for mark in marks if mark in taken), None)
        if other is not None:
            raise InputError(f"{name}={path}: would replace {other}; give another name")
        taken |= dict.fromkeys(marks, f"the file of {name}")


def _marks(path: Path) -> list[str | tuple[int, int]]:
    """What two names of one file share: its path without links or, if it exists, its inode."""
    marks: list[str | tuple[int, int]] = []
    with suppress(OSError):  # a circle of links
        marks.append(os.path.realpath(path))
    with suppress(OSError):  # not there
        found = path.stat()
        marks.append((found.st_dev, found.st_ino))
    return marks


def write_rows(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def reserve(path: Path, size: int) -> None:
    """Raise OSError unless a file of `size` bytes can be written as `path`.

    HDF5 may leave half a file without an error, or crash, when the disk is full.
    """
    with open(path, "wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:  # neither macOS nor Windows have it
            for start in range(0, size, BLOCK):
                file.write(bytes(min(BLOCK, size - start)))


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8 with its line ends as they are, on every system."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
