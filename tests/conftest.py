"""Tests leave the user's folders and the source tree alone; the run ends with a check of that."""

import atexit
import os
import shutil
import site
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest

from keypoints.system import backend

ROOT = Path(__file__).parent.parent
# Kept by Keras, Matplotlib, JAX for us, OpenVINO, and by pip, which asks Rust's compiler
# for its version; all else in a home folder is left behind.
KEPT_IN_HOME = (
    ".keras", ".cache/matplotlib", ".config/matplotlib", ".cache/keypoints/jax-", ".cache/pip",
    ".rustup", "intel/",
)  # fmt: skip
# Not of the tests: version control, installed packages, and the caches of Python and its tools.
NOT_OF_TESTS = {
    ".git", ".venv", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".hypothesis", "__pycache__",
    "node_modules",
}  # fmt: skip

# Files that take more than 20 seconds, the longest first.
LONGEST = (
    "training/test_loop.py", "web/test_page.py", "test_documents.py", "training/test_backends.py",
    "commands/test_offline.py", "exports/test_writer.py", "label/test_page.py",
    "label/test_loop.py", "training/test_hosts.py", "experiments/test_label_correction.py",
    "benchmarks/test_training.py", "commands/test_webcam.py", "commands/test_train.py",
    "commands/test_export.py", "test_kills.py", "inference/test_detectors.py", "test_package.py",
)  # fmt: skip

# Events of Python's audit that write a path, and which of their arguments it is.
WRITING = {"open": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1, "os.mkdir": 0}

# All tests, and the processes that they start, have a home folder of their own.
os.environ.setdefault("PYTHONUSERBASE", site.getuserbase())  # packages may be in the real one
HOME = Path(tempfile.mkdtemp(prefix="keypoints-home-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ["HOME"] = os.environ["USERPROFILE"] = str(HOME)  # the second of Windows
for name in ("TFDS_DATA_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "KERAS_HOME", "MPLCONFIGDIR"):
    os.environ.pop(name, None)
# Compiling is most of the time of small trainings; with few optimisations, and with XLA's older way
# to make code, it takes a third of it.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # the processes of a run share it
    PROGRAMS = tempfile.mkdtemp(prefix="keypoints-programs-")
    atexit.register(shutil.rmtree, PROGRAMS, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = PROGRAMS
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
backend.configure()


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_behind():
    before, written = contents(ROOT), Written(ROOT)
    yield
    new = contents(ROOT) - before
    assert new & written.names == set(), "written into the source tree"
    if new:  # a user may run a command in the checkout meanwhile
        warnings.warn(f"not by this process, but new in the source tree: {new}", stacklevel=1)
    assert left_in(HOME) == set(), "written into the home folder"


class Written:
    """The paths in a folder, relative to it, that this process has written so far.

    Python tells of each file that it opens or renames. OpenCV and others do not, but what the
    package writes through them is renamed to its name at the end.
    """

    def __init__(self, root: Path) -> None:
        self.names: set[str] = set()
        self._root = f"{root}{os.sep}"
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        place = WRITING.get(event)
        if place is None:
            return
        path, flags = arguments[place], arguments[2] if event == "open" else os.O_WRONLY
        if isinstance(path, str | bytes | os.PathLike) and flags & (os.O_WRONLY | os.O_RDWR):
            whole = os.path.abspath(os.fsdecode(path))
            if whole.startswith(self._root):
                name = whole.removeprefix(self._root)
                first, *others = name.split(os.sep)
                self.names.add(f"runs/{others[0]}" if first == "runs" and others else name)


@pytest.fixture(scope="session")
def archive_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real archive of KEYPOINTS_ARCHIVE, prepared once for all processes of a run."""
    import fcntl

    from keypoints.data.sources import load_records

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "archive_data"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        load_records("youtube_faces_keypoints", "validation", data_dir=folder)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first: two processes that share the files end together."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (places.get(item.path, len(places)), item.path not in slow))


def contents(root: Path) -> set[str]:
    """Paths of a source tree's files. Of runs/, where a training may go on, only the first level.

    Names of folders that tests have no part in are left out.
    """
    found = {f"runs/{path.name}" for path in root.glob("runs/*")}
    for folder, folders, files in os.walk(root):
        inside = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if name not in NOT_OF_TESTS | {"runs"}]
        found |= {str(inside / name) for name in files}
    return found


def left_in(home: Path) -> set[str]:
    """Paths of a home folder's files that are not `KEPT_IN_HOME`."""
    files = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    return {name for name in files if not name.startswith(KEPT_IN_HOME)}
