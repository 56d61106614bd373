"""The folder of an output, on disk or at a URL: files appear whole or not at all."""

from __future__ import annotations

import posixpath
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keypoints.errors import InputError
from keypoints.system.atomic import replacing
from keypoints.system.locks import locked


class Store:
    """The files of one folder by their relative names, such as `faces/NAME.parquet`."""

    def __init__(self, url: str) -> None:
        """Raises InputError for a URL of an unknown or missing file system, and for a file."""
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        try:
            self._system, self._root = url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise InputError(f"output={url}: {error}") from None
        self.url = url
        self.local = isinstance(self._system, LocalFileSystem)
        if self.local and Path(self._root).is_file():
            raise InputError(f"output={url} is a file; a folder is expected")

    def names(self, folder: str = "") -> set[str]:
        """The names of the whole files in a folder; none where there is no such folder."""
        try:
            paths = self._system.ls(self._path(folder), detail=False, refresh=True)
        except FileNotFoundError:
            return set()
        names = {posixpath.basename(path.rstrip("/")) for path in paths}
        return {name for name in names if not name.startswith(".")}

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none."""
        try:
            return self._system.cat_file(self._path(name))
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        with self.replacing(name) as temporary:
            temporary.write_bytes(data)

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A temporary file on disk that becomes `name` when the block ends without an error."""
        target = self._path(name)
        if self.local:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            with replacing(Path(target)) as temporary:
                yield temporary
            return
        with tempfile.TemporaryDirectory(prefix="keypoints-") as folder:
            temporary = Path(folder) / posixpath.basename(name)
            yield temporary
            # Not all file systems put a file in one step, but all rename it so.
            hidden = f"{posixpath.dirname(target)}/.{uuid.uuid4().hex}"
            self._system.makedirs(posixpath.dirname(target), exist_ok=True)
            try:
                self._system.put_file(str(temporary), hidden)
                self._system.mv(hidden, target)
            except BaseException:
                with suppress(OSError):  # the half file, where there is one
                    self._system.rm_file(hidden)
                raise

    def remove(self, name: str) -> None:
        """Remove a file that may be gone already."""
        with suppress(FileNotFoundError):
            self._system.rm_file(self._path(name))

    def remove_folder(self, name: str) -> None:
        """Remove a folder that may be gone already, with half files of killed processes."""
        with suppress(FileNotFoundError):
            self._system.rm(self._path(name), recursive=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs on this machine out of the folder, which is made.

        Raises InputError where another one is in. Folders at URLs have no locks.
        """
        if not self.local:
            yield
            return
        Path(self._root).mkdir(parents=True, exist_ok=True)
        with locked(Path(self._root), f"output={self.url}: another run writes to it now"):
            yield

    def _path(self, name: str) -> str:
        return posixpath.join(self._root, name) if name else self._root
