import os
import subprocess
import sys
from pathlib import Path

from keypoints.system import backend

ROOT = Path(__file__).parents[2]
SCRIPT = """
from keypoints.system import backend
backend.configure()
import jax
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))
print(float(jax.jit(lambda x: (x @ x).sum())(jax.numpy.ones((64, 64)))))
print(hits.count("/jax/compilation_cache/cache_hits"))
"""


def run(**environment: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if "COMPILATION_CACHE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env={**kept, **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "compilation cache" not in done.stderr
    return done.stdout.split()


def test_compiled_programs_are_kept_in_the_users_cache_folder(tmp_path):
    answer, hits = run(XDG_CACHE_HOME=str(tmp_path))
    (folder,) = (tmp_path / "keypoints").iterdir()
    assert (float(answer), int(hits)) == (64**3, 0)
    assert folder.name.startswith("jax-") and any(folder.iterdir())
    again, hits = run(XDG_CACHE_HOME=str(tmp_path))
    assert again == answer and int(hits) > 0


def test_a_folder_that_the_user_chose_stands(tmp_path):
    own = tmp_path / "own"
    instant = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    run(XDG_CACHE_HOME=str(tmp_path / "cache"), JAX_COMPILATION_CACHE_DIR=str(own), **instant)
    assert any(own.iterdir()) and not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path):
    (tmp_path / "file").write_text("")
    assert run(XDG_CACHE_HOME=str(tmp_path / "file"))[0] == str(float(64**3))


def test_programs_that_are_not_used_are_deleted_first(tmp_path):
    for name, written, used in (("old", 1000, 1000), ("used", 1000, 4000), ("new", 3000, 3000)):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (used, written))
    backend.prune(tmp_path, 300)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old", "used"]
    backend.prune(tmp_path, 299)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "used"]
    backend.prune(tmp_path, 100)
    assert [path.name for path in tmp_path.iterdir()] == ["used"]
