"""Wrong changes to the code (mutants), one at a time: does a test fail with each?

    python -m tests.mutants [WORD ...]

The changes are in mutants.txt; with words, only those in files whose paths contain one of them. All
happens in a copy of the tree. Prints the mutants that no test notices, and the score. Exit code 1
where it is under `ENOUGH`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).with_suffix(".txt")
ENOUGH = 0.95  # of the mutants must be noticed
TIMEOUT = 300  # seconds; a mutant that runs longer is noticed
ARROW = "  ->  "
# Loaded once, before the processes of the mutants part: they take most of the time of a test.
HEAVY = ("numpy", "cv2", "PIL.Image", "hypothesis", "onnxruntime", "av", "jax", "keras")


@dataclass(frozen=True)
class Mutant:
    """One wrong change."""

    file: str
    tests: tuple[str, ...]
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.file}: {self.old}{ARROW}{self.new}"


def read(text: str) -> Iterator[Mutant]:
    """The mutants in the text of `LIST`."""
    file, tests = "", ()
    for line in text.splitlines():
        if line.startswith("== "):
            file, _, names = line.removeprefix("== ").partition(":")
            tests = tuple(names.split())
        elif line and not line.startswith("#"):
            old, arrow, new = line.partition(ARROW.rstrip())
            assert arrow, f"no arrow in {line!r}"
            yield Mutant(file, tests, old.rstrip(), new.strip())


def changed(source: str, mutant: Mutant) -> str:
    """The source with the change. Raises ValueError where the old text is not there once."""
    if source.count(mutant.old) != 1:
        raise ValueError(f"{source.count(mutant.old)} times in the file: {mutant}")
    return source.replace(mutant.old, mutant.new)


def copy_tree(target: Path) -> None:
    """All files that git knows, or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def passes(tree: Path, tests: tuple[str, ...]) -> bool:
    """Whether the tests pass in `tree`, in a process that parts from this one."""
    child = os.fork()
    if child == 0:
        os.setsid()
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(silence, stream)
        import pytest

        options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", "--no-header"]
        os._exit(int(pytest.main([*options, *tests])))
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.05)
    os.killpg(child, 9)
    os.waitpid(child, 0)
    return False


def main(words: list[str]) -> int:
    mutants = [m for m in read(LIST.read_text()) if not words or any(w in m.file for w in words)]
    os.nice(10)
    with tempfile.TemporaryDirectory(prefix="keypoints-mutants-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        os.chdir(tree)
        sys.path[:] = [str(tree), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
        sys.dont_write_bytecode = True  # a change of the same length in the same second is missed
        prepare()
        for mutant in mutants:
            changed((tree / mutant.file).read_text(), mutant)  # none is outdated
        for tests in dict.fromkeys(mutant.tests for mutant in mutants):
            assert passes(tree, tests), f"these fail without a change: {tests}"
        survivors = [mutant for mutant in mutants if survives(tree, mutant)]
    print(*(f"NOT NOTICED {mutant}" for mutant in survivors), sep="\n")
    score = 1 - len(survivors) / len(mutants)
    print(f"{len(mutants)} mutants, {len(survivors)} not noticed: {score:.1%} noticed")
    return int(score < ENOUGH)


def prepare() -> None:
    """Load what is heavy, set up as the tests set it up, and nothing of the package."""
    import importlib

    from keypoints.system import backend

    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
    backend.configure()
    for name in HEAVY:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("keypoints", "tests")]:
        del sys.modules[name]


def survives(tree: Path, mutant: Mutant) -> bool:
    """Whether all tests pass with the change, which is taken back."""
    path = tree / mutant.file
    source = path.read_text()
    path.write_text(changed(source, mutant))
    try:
        found = passes(tree, mutant.tests)
    finally:
        path.write_text(source)
    print("SURVIVES" if found else "noticed", mutant, flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
