"""Who may import whom, by folder; read from the source, nothing is run."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DETECTOR = ROOT / "experiments" / "detector"
FILES = [
    p
    for folder in ("keypoints", "experiments", "tools", "benchmarks")
    for p in (ROOT / folder).rglob("*.py")
]
# What each subpackage may import of the others. The modules at the top of the package (markup,
# geometry, errors, ..) are open to all of them and import no subpackage.
SUBPACKAGES = {
    "synthetic": set(),
    "media": set(),
    "pretrained": set(),
    "models": {"pretrained"},
    "data": {"media", "synthetic"},
    # Of `models` only the run folder, which imports Keras when a run is loaded.
    "inference": {"models", "pretrained"},
    "evaluation": {"data", "inference", "media"},
    "training": {"data", "evaluation", "inference", "models", "pretrained", "synthetic"},
    "exports": {"data", "inference", "models", "synthetic"},
    "filters": {"inference", "media", "synthetic"},
    "bulk": {"filters", "inference", "media"},
    "web": {"filters", "inference", "media"},
    "label": {"data", "evaluation", "inference", "media", "web"},
    "live": {"filters", "media", "synthetic"},
}  # fmt: skip
SUBPACKAGES["commands"] = set(SUBPACKAGES)
# Plumbing (files, processes, devices), open to all as the modules at the top are.
SUBPACKAGES["system"] = set()
TOP = {path.stem for path in (ROOT / "keypoints").glob("[a-z]*.py")} | {"system"}
TENSORFLOW = {"data", "exports", "inference/exported.py", "inference/safe_graph.py",
              "models/cpu_layers.py", "training/tensorboard.py"}  # fmt: skip
KERAS = {"models", "training", "exports"}


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    names = set()
    for node in tree.body if top_only else ast.walk(tree):
        names |= imported(node)
    return names


def imported(node: ast.AST) -> set[str]:
    """The names that an import statement imports; none of other nodes."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {f"{node.module}.{alias.name}" for alias in node.names}
    return set()


def needed(node: ast.AST) -> set[str]:
    """The names that run code imports below `node`, inside functions too; not those for types."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return set()
    return imported(node).union(*map(needed, ast.iter_child_nodes(node)))


def module_graph() -> dict[str, set[str]]:
    """Each module of the package, and the modules of the package that it imports at any time."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / "keypoints").rglob("*.py")
    }
    return {
        name: {
            target if target in paths else target.rpartition(".")[0]
            for target in needed(ast.parse(path.read_text()))
            if target.startswith("keypoints.")
        }
        for name, path in paths.items()
    }


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Every import that leads back to where it starts, as the modules along one way."""
    found = []

    def follow(name: str, way: list[str]) -> None:
        if name in way:
            found.append([*way[way.index(name) :], name])
        elif name not in done:
            for target in sorted(graph.get(name, ())):
                follow(target, [*way, name])
            done.add(name)

    done: set[str] = set()
    for name in graph:
        follow(name, [])
    return found


def places(path: Path) -> set[str]:
    """The subpackage of a file and its path in the package, such as `data`, `data/augment.py`."""
    parts = path.relative_to(ROOT / "keypoints").parts
    return {parts[0], "/".join(parts)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_layout(path):
    names = imports(path)
    packages = {name.split(".")[0] for name in names}
    own = {name.split(".")[1] for name in names if name.startswith("keypoints.")}
    folder = path.relative_to(ROOT).parts[0]
    if folder == "keypoints":
        assert not packages & {"tools", "experiments", "tests", "benchmarks", "torch"}
        subpackage = path.relative_to(ROOT).parts[1] if path.parent.name != "keypoints" else None
        if subpackage is None:
            assert own <= TOP or path.name == "__init__.py"
        else:
            assert subpackage in SUBPACKAGES
            assert own <= SUBPACKAGES[subpackage] | {subpackage} | TOP
        if (
            "tensorflow" in packages
        ):  # `keypoints.system.backend.tensorflow` imports it for all others
            assert path.name in ("backend.py", "converters.py", "safe_graph.py")
        if "onnxruntime" in packages:  # likewise; `onnxruntime.quantization` after it
            assert path.name in ("backend.py", "int8.py")
        if packages & {"tensorflow_datasets"} or "keypoints.system.backend.tensorflow" in names:
            assert places(path) & TENSORFLOW
        if packages & {"keras", "jax"}:
            assert places(path) & KERAS
    elif path.parent != DETECTOR:  # which trains a network of another kind
        assert not packages & {"tensorflow", "tensorflow_datasets", "keras", "jax"}
    if path.parent.name == "experiments":  # configs; folders in it are programs of their own
        assert own <= {"config"} and packages <= {"keypoints"}


@pytest.mark.parametrize("subpackage", ["commands", "inference"])
def test_heavy_packages_are_imported_where_they_are_needed(subpackage):
    heavy = {"keras", "tensorflow", "jax", "onnxruntime", "matplotlib"}
    if subpackage == "commands":
        heavy |= {"numpy", "cv2"}
    for path in (ROOT / "keypoints" / subpackage).rglob("*.py"):
        top = imports(path, top_only=True)
        assert not {name.split(".")[0] for name in top} & heavy, path
        own = {name for name in top if name.startswith("keypoints.models.")}
        assert all(name.startswith("keypoints.models.runs") for name in own), path


def test_no_import_leads_back_to_where_it_starts():
    """Imports inside functions count: a late import hides a circle, it does not break it."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c", "b"]]
    assert not circles(module_graph())


def test_no_junk_drawers():
    banned = {"utils", "helpers", "common", "misc", "base"}
    assert not [path for path in FILES if path.stem in banned]
