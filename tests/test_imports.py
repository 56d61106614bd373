"""Who may import whom, as the layout has it; read from the source, nothing is run."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("keypoints", "experiments", "tools")
FILES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
TENSORFLOW = {
    "cpu_layers",
    "data",
    "datasets",
    "export",
    "exported",
    "sources",
    "tensorboard",
}
KERAS = {"backbones", "cpu_layers", "cpu_ops", "model", "losses", "training", "runs", "export"}
ALONE = {"landmarks": set(), "geometry": set(), "errors": set(), "config": {"errors"},
         "metrics": {"geometry", "landmarks"}, "files": {"errors"}}  # fmt: skip


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_only else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module(path: Path) -> str:
    """The part of the package that a file belongs to, such as `data` or `datasets`."""
    return path.relative_to(ROOT).with_suffix("").parts[1]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_layout(path):
    names = imports(path)
    packages = {name.split(".")[0] for name in names}
    own = {name.split(".")[1] for name in names if name.startswith("keypoints.")}
    folder = path.relative_to(ROOT).parts[0]
    if packages & {"tensorflow", "tensorflow_datasets"}:
        assert folder == "keypoints" and module(path) in TENSORFLOW
    if packages & {"keras", "jax"}:
        assert folder == "keypoints" and module(path) in KERAS
    if folder == "keypoints":
        assert not packages & {"tools", "experiments", "tests"}
        if module(path) in ALONE:
            assert own <= ALONE[module(path)]
    if folder == "experiments":
        assert own <= {"config"} and packages <= {"keypoints"}
    if folder == "tools":
        top = {name.split(".")[0] for name in imports(path, top_only=True)}
        assert not top & {"numpy", "cv2", "matplotlib", "keras", "tensorflow", "jax"}


def test_no_junk_drawers():
    banned = {"utils", "helpers", "common", "misc", "base"}
    assert not [path for path in FILES if path.stem in banned]
