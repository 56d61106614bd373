"""The inputs of an annotation: pictures, tar shards, videos and Parquet tables, by path or URL.

Files are opened through fsspec, so `s3://` and its like work where their package is installed. A
`Unit` is what one worker takes at a time.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NoReturn
from urllib.parse import urlsplit

import numpy as np

from keypoints.errors import InputError
from keypoints.media import formats, pictures, videos
from keypoints.media.formats import MAX_BYTES
from keypoints.system.paths import is_hidden, stays_inside

FACTS = "annotation.json"  # what an annotation is made of; a folder that holds it is an output
MOST_UNPACKED = 100  # times the size of a table's part; pictures are packed already
TARS, TABLES = (".tar", ".tar.gz", ".tgz"), (".parquet",)
# Columns of a Parquet table that hold pictures, the first choice first: the bytes of a file, its
# path, or both as in the tables of Hugging Face.
COLUMNS = ("image", "bytes", "path")
PAUSES = (1.0, 4.0)  # seconds before a file is requested again from a server


@dataclass(frozen=True)
class Unit:
    """What one worker annotates at a time: some picture files, or one container."""

    sources: tuple[str, ...]  # paths or URLs
    group: int = -1  # row group of a Parquet table

    @property
    def name(self) -> str:
        """The name of its parts: the same for the same sources."""
        text = "\n".join([*self.sources, str(self.group)])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:20]


@dataclass(frozen=True)
class Picture:
    """One picture of a unit."""

    source: str  # file or URL
    load: Callable[[], np.ndarray]  # (h, w, 3) uint8 RGB; raises InputError or OSError
    member: str = ""  # name within a tar shard, number of the row of a table
    frame: int = 0  # of a video
    time: float | None = None  # seconds into a video


def list_sources(inputs: Sequence[str], *, output: str | None = None) -> list[str]:
    """All files of `inputs`, each once, sorted: files, folders with those in them, globs, URLs.

    Of folders and globs, hidden files and those of other kinds are passed over, and so are the
    files of annotations: of `output`, a folder's path or URL, and of others that are found. Raises
    InputError for an input that is not there, holds no picture, or cannot be listed.
    """
    from fsspec.core import url_to_fs

    found: set[str] = set()
    own = None if output is None else _resolved(*url_to_fs(output))
    for text in inputs:
        try:
            system, path = url_to_fs(text)
            if system.exists(path) and not system.isdir(path):
                names = [path]
            elif system.exists(path):
                names = _usable(system.find(path), path)
            else:
                names = _usable(system.glob(path), path) if set(path) & set("*?[") else []
        except (OSError, ValueError, ImportError) as error:
            raise InputError(f"{text}: {error}") from None
        names = _without_annotations(system, names, own)
        known = [name for name in names if is_known(name)]
        if not known:
            raise InputError(
                f"{text}: no picture, video, {TARS[0]} or {TABLES[0]} file is there"
                if not names
                else f"{text}: a picture, a video, {TARS[0]} or {TABLES[0]} is expected"
            )
        found.update(system.unstrip_protocol(name).removeprefix("file://") for name in known)
    return sorted(found)


def make_units(sources: Iterable[str], size: int) -> list[Unit]:
    """`sources` as units: `size` picture files at a time, each container (row group) alone."""
    units, files = [], []
    for source in sources:
        if is_picture(source):
            files.append(source)
        elif _ends(source, TABLES):
            units += [Unit((source,), group) for group in range(_row_groups(source))]
        else:
            units.append(Unit((source,)))
    chunks = (tuple(files[i : i + size]) for i in range(0, len(files), size))
    return [*(Unit(chunk) for chunk in chunks), *units]


def read_unit(unit: Unit, *, outside: bool = False) -> Iterator[Picture]:
    """The pictures of a unit in order; those that are not frames of a video are decoded by `load`.

    `outside`: what a table names is read wherever it is, not only in the table's folder. A
    container that cannot be read, or breaks off, is one more picture, whose `load` says why.
    """
    for source in unit.sources:
        if is_picture(source):
            yield Picture(source, partial(_decode_file, source))
            continue
        picture = Picture(source, partial(refuse, source))
        try:
            for picture in _contained(source, unit.group, outside):
                yield picture
        except Exception as error:  # decoders and file systems raise anything
            number = picture.frame + (picture.time is not None)
            reason = f"{source} breaks off: {error or type(error).__name__}"
            yield Picture(source, partial(refuse, reason), frame=number)


def _contained(source: str, group: int, outside: bool) -> Iterator[Picture]:
    if formats.is_video(_path(source)):
        return _frames(source)
    return _members(source) if _ends(source, TARS) else _rows(source, group, outside)


def is_known(name: str) -> bool:
    """Whether a file's name ends as those of pictures, videos, tar shards or tables do."""
    return is_picture(name) or formats.is_video(_path(name)) or _ends(name, TARS + TABLES)


def is_picture(name: str) -> bool:
    return formats.is_picture(_path(name))


def _frames(source: str) -> Iterator[Picture]:
    with _local(source) as path, videos.reading(path) as reading:
        number = 0
        for number, (seconds, image) in enumerate(reading, 1):
            yield Picture(source, partial(np.asarray, image), "", number - 1, seconds)
        for note in reading.damage:
            yield Picture(source, partial(refuse, note), "", number)


def _members(source: str) -> Iterator[Picture]:
    """Members whose name is a picture's, in the order of the shard, which is read once."""
    found = False
    with _open(source) as file:
        try:
            with tarfile.open(fileobj=file, mode="r|*") as shard:
                for member in shard:
                    if not member.isfile() or not is_picture(member.name) or is_hidden(member.name):
                        continue
                    found, name = True, f"{source}: {member.name}"
                    if member.size > MAX_BYTES:
                        yield Picture(source, partial(_too_large, name), member.name)
                        continue
                    stream = shard.extractfile(member)
                    data = b"" if stream is None else stream.read()
                    yield Picture(source, partial(pictures.decode_picture, data, name), member.name)
        except (tarfile.TarError, EOFError) as error:
            raise InputError(f"{source}: not a whole tar file: {error}") from None
    if not found:
        raise InputError(f"{source}: no picture is in it")


def _rows(source: str, group: int, outside: bool) -> Iterator[Picture]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _open(source) as file:
        try:
            table = pq.ParquetFile(file)
            names = table.schema_arrow.names
            column = next((name for name in COLUMNS if name in names), None)
            if column is None:
                known = ", ".join(COLUMNS)
                raise InputError(f"{source}: a column {known} is expected; it has {names}")
            metadata = table.metadata
            packed = file.seek(0, os.SEEK_END) // metadata.num_row_groups
            _refuse_unpacking(metadata.row_group(group), packed, source)
            row = sum(metadata.row_group(earlier).num_rows for earlier in range(group))
            for batch in table.iter_batches(16, row_groups=[group], columns=[column]):
                for cell in batch.column(0).to_pylist():
                    load = partial(_decode_cell, cell, source, row, outside)
                    yield Picture(source, load, str(row))
                    row += 1
        except (pa.ArrowException, UnicodeError) as error:  # a name or a path that is no text
            raise InputError(f"{source}: not a whole Parquet table: {error}") from None


def _refuse_unpacking(group: Any, packed: int, source: str) -> None:
    """Raise InputError for a row group that little data would make fill the memory.

    `packed`: bytes of the file to each of its groups. Of a group only the whole is asked for:
    pyarrow ends the process at a column whose facts contradict each other.
    """
    unpacked = group.total_byte_size
    if unpacked > max(MAX_BYTES, MOST_UNPACKED * packed):
        raise InputError(f"{source}: {packed} bytes that unpack to {unpacked / 1e6:.0f} MB")


def _row_groups(source: str) -> int:
    """How many units a table makes; a table that cannot be read is one, which says why."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with _open(source) as file:
            return max(pq.ParquetFile(file).num_row_groups, 1)
    except (pa.ArrowException, UnicodeError, OSError):
        return 1


def _decode_cell(cell: Any, source: str, row: int, outside: bool) -> np.ndarray:
    name = f"{source}, row {row}"
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, str):
        name = f"{name}: {cell}"
        if not outside and ("://" in cell or "::" in cell or not stays_inside(cell)):
            raise InputError(
                f"{name}: is not in the folder of the table; --outside=True reads it all the same"
            )
        # Relative names are of the table's folder.
        folder = posixpath.dirname(source)
        cell = _read(cell if "://" in cell else posixpath.join(folder, cell))
    if not isinstance(cell, bytes):
        raise InputError(f"{name}: the bytes or the path of a picture are expected, not {cell!r}")
    return pictures.decode_picture(cell, name)


def _decode_file(source: str) -> np.ndarray:
    return pictures.decode_picture(_read(source), source)


def _read(source: str) -> bytes:
    """The bytes of a file. What a server does not give is requested again, `PAUSES` apart."""
    for pause in (*PAUSES, None):
        try:
            with _open(source) as file:
                data = file.read(MAX_BYTES + 1)
        except Exception as error:  # each file system has errors of its own
            if pause is None or "://" not in source or _lasts(error):
                raise
            time.sleep(pause)
        else:
            return _too_large(source) if len(data) > MAX_BYTES else data
    raise AssertionError


def _lasts(error: Exception) -> bool:
    """Whether a server would give the same error again."""
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        # What fsspec makes of any answer of a server, and of none.
        return 400 <= getattr(error.__cause__, "status", 0) < 500
    return isinstance(error, InputError | FileNotFoundError | PermissionError)


def _open(source: str) -> BinaryIO:
    import fsspec

    if "://" not in source:
        return open(source, "rb")
    try:
        return fsspec.open(source, "rb").open()
    except (ValueError, ImportError) as error:
        raise InputError(f"{source}: {error}") from None


@contextmanager
def _local(source: str) -> Iterator[Path]:
    """The path of `source`, or of a copy of it where it is a URL."""
    if "://" not in source:
        yield Path(source)
        return
    suffix = posixpath.splitext(urlsplit(source).path)[1]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"copy{suffix}"
        with _open(source) as file, open(copy, "wb") as written:
            shutil.copyfileobj(file, written)
        yield copy


def refuse(text: str) -> NoReturn:
    """Raise InputError: the `load` of what cannot be read."""
    raise InputError(text)


def _too_large(name: str) -> NoReturn:
    raise InputError(f"{name}: a picture file of more than {MAX_BYTES // 1_000_000} MB")


def _without_annotations(system: Any, names: Sequence[str], own: str | None) -> list[str]:
    """`names` without those in the folder `own`, and in folders with the facts of an annotation."""
    folders = {posixpath.dirname(name) for name in names}
    facts = {posixpath.dirname(name) for name in names if posixpath.basename(name) == FACTS}

    def is_output(folder: str) -> bool:
        above = {folder, *map(str, PurePosixPath(folder).parents)}
        whole = f"{_resolved(system, folder)}/"
        return not above.isdisjoint(facts) or (own is not None and whole.startswith(f"{own}/"))

    outputs = {folder for folder in folders if is_output(folder)}
    return [name for name in names if posixpath.dirname(name) not in outputs]


def _resolved(system: Any, path: str) -> str:
    """A folder as a URL without symbolic links, so that two names of one are equal."""
    from fsspec.implementations.local import LocalFileSystem

    local = isinstance(system, LocalFileSystem)
    return system.unstrip_protocol(os.path.realpath(path) if local else path).rstrip("/")


def _usable(names: Iterable[str], folder: str) -> list[str]:
    """The names in `folder`, or that fit it, that are not hidden there."""
    start = len(folder) if not set(folder) & set("*?[") else len(posixpath.dirname(folder))
    return [name for name in names if not is_hidden(name[start:])]


def _ends(name: str, suffixes: tuple[str, ...]) -> bool:
    return _path(name).lower().endswith(suffixes)


def _path(name: str) -> str:
    """A file's name, or the part of a URL that names a file."""
    return urlsplit(name).path if "://" in name else name
