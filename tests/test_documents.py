"""Every command and every Python block of README and docs/ is run, on small data and networks."""

import ast
import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import keypoints
from benchmarks import __main__ as benchmark
from benchmarks import annotation, gpu, start
from keypoints import config as configs
from keypoints.commands import cli, train
from keypoints.data.sources import load_records
from keypoints.evaluation import stability
from keypoints.experiment import Experiment
from keypoints.inference.predictor import Predictor
from keypoints.label import rounds
from keypoints.media.pictures import encode_png
from keypoints.models.runs import load_model
from keypoints.synthetic.clip import FACE
from keypoints.synthetic.drawing import draw_face
from keypoints.system.digests import file_digest
from tests.archives import write_archive
from tests.faces import write_folder

ROOT = Path(__file__).parent.parent
INCLUDE = re.compile(r'^--8<-- "(.+)"$', re.M)


def read(path: Path) -> str:
    """The text of a page with the files that it includes."""
    return INCLUDE.sub(lambda match: (ROOT / match[1]).read_text(), path.read_text())


PAGES = {
    str(path.relative_to(ROOT)): read(path)
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
# Lines of shell blocks, and the commands that a table has in its first column.
LINES = [
    line
    for text in PAGES.values()
    for block, cell in re.findall(r"```sh\n(.*?)```|^\| `(keypoints .+?)` \|", text, re.S | re.M)
    for line in (block or cell).splitlines()
]
SNIPPETS = {
    f"{page}:{number}": code
    for page, text in PAGES.items()
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", text, re.S), 1)
}
SMALL = {
    "backbone": "tiny",
    "head": "pooled",
    "weights": "none",
    "resolution": 56,
    "batch_size": 2,
    "epochs": 1,
    "stages": (),
}
# Appended to a command so that it ends soon, needs no camera and fits the small data.
ADDED = {
    "webcam": ["--source=synthetic", "--headless=True", "--max_frames=3"],
    "benchmark": ["--repeats=1", "--batch_size=2"],
    "benchmark step": ["--backbone=tiny", "--resolution=56"],
    "benchmark backends": ["--backbone=tiny", "--resolution=56"],
    "benchmark gpu": ["--backbone=tiny", "--resolution=56"],
    "label_noise": ["--data=folder:frames"],  # the small archive has one frame per video
}
# Benchmarks that start programs of their own, for which there is a test of its own.
APART = ("benchmark backends", "benchmark gpu")
# Sizes of what has no flags for them.
FEW = (
    (annotation, "WORKERS", (1,)),
    (annotation, "PICTURES", 4),
    (annotation, "UNIT", 2),
    (start, "COUNTS", (2, 20)),
    (gpu, "SIDES", (56,)),
    (gpu, "PRECISIONS", ("float32",)),
    (gpu, "CALLS", 1),
)
# The same of the tutorial, which trains on 384 faces and validates on 80.
FEWER = {
    '"train", 0, 384': '"train", 0, 64',
    "1_000_000, 80": "1_000_000, 16",
    "epochs=4": "epochs=2",
}


def words_of(line: str) -> list[str]:
    """The words of a command without its variables, as `keypoints NAME ARGUMENTS` if it is one."""
    words = shlex.split(line)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words.pop(0)
    if words[:2] == ["python", "-m"]:
        words = words[2:]
        if words[0].startswith("tools."):
            words = ["keypoints", words[0].removeprefix("tools."), *words[1:]]
    return words


COMMANDS = [words_of(line) for line in LINES]


def test_all_lines_are_of_a_kind_that_is_checked_here():
    assert {words[0] for words in COMMANDS} <= {"keypoints", "make", "pip", "."}
    unknown = {words[1] for words in COMMANDS if words[0] == "keypoints"} - set(cli.COMMANDS)
    assert not unknown - {"--help", "--version"}


@pytest.mark.parametrize("target", sorted({w[1] for w in COMMANDS if w[0] == "make"}))
def test_make_has_the_target(target):
    done = subprocess.run(["make", "-n", "-B", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and ".venv" in done.stdout


@pytest.mark.parametrize("words", [w for w in COMMANDS if w[0] == "pip"], ids=" ".join)
def test_pip_names_this_package_and_its_extras(words):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert words[1] == "install"
    for target in words[2:]:
        name, listed = re.fullmatch(r"(-e|\.|keypoints)(?:\[([\w,]+)\])?", target).groups()
        assert name and set(listed.split(",") if listed else ()) <= set(extras)


def make_small(patch: pytest.MonkeyPatch) -> None:
    """Let experiments be `SMALL`, and what has no flags be `FEW`."""
    whole = train.load_experiment
    patch.setattr(stability, "CLIPS", 1)
    for module, name, value in FEW:
        patch.setattr(module, name, value)
    for module in (train, benchmark):
        patch.setattr(
            module,
            "load_experiment",
            lambda name: Experiment(configs.replace(whole(name).config, SMALL)),
        )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Iterator[Path]:
    """A folder in which all commands have been run once, in the order of the pages."""
    folder = tmp_path_factory.mktemp("documents")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TFDS_DATA_DIR", str(folder / "tfds"))
        patch.setenv("KEYPOINTS_ARCHIVE", str(write_archive(folder / "archive.zip")))
        make_small(patch)
        write_folder(folder / "my_faces")
        write_folder(folder / "portraits")
        for name in ("my_faces", "portraits"):
            rounds.add(folder / name, [rounds.Accepted("small", "12", "1.png", 3.4, 38.0)])
        lines = [f"{number}.png,{'even' if number % 2 == 0 else 'odd'}\n" for number in range(8)]
        (folder / "groups.csv").write_text("".join(lines))
        write_frames(folder / "frames")
        (folder / "selfie.png").write_bytes(encode_png(draw_face(FACE)[0]))
        (folder / "my_pictures").mkdir()
        shutil.copy(folder / "selfie.png", folder / "my_pictures")
        done = set()
        for program, *words in COMMANDS:
            if program != "keypoints" or words[0].startswith("-") or tuple(words) in done:
                continue
            if words[0] in ("web", "label") and "--summary" not in words:
                continue  # they serve until interrupted: tests of their own
            if " ".join(words[:2]) in APART:
                continue
            done.add(tuple(words))
            if "--predictions=predictions.csv" in words:
                write_predictions(folder / "runs" / "youtube_faces", folder / "predictions.csv")
            name, *arguments = words
            if name == "filter":  # the run has hardly learned, and would find no face
                arguments = [
                    re.sub("^--model=runs/.+", "--model=pretrained-small", a) for a in arguments
                ]
            arguments += ADDED.get(" ".join([name, *arguments[:1]]), []) + ADDED.get(name, [])
            cli.run_command(cli.load_command(name), arguments, name=" ".join(words))
        yield folder


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", APART)
def test_benchmarks_that_start_programs_print_their_tables(name, monkeypatch, capsys):
    words = next(words[1:] for words in COMMANDS if " ".join(words[1:3]) == name)
    make_small(monkeypatch)
    added = [*ADDED[name], *ADDED["benchmark"]]
    cli.run_command(cli.load_command("benchmark"), [*words[1:], *added], name=name)
    assert "images/s" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.long
def test_commands_leave_their_files(workplace):
    runs = workplace / "runs"
    for path in (
        runs / "mine" / "best.weights.h5",
        runs / "forty" / "best.weights.h5",
        runs / "packed" / "best.weights.h5",
        runs / "youtube_faces" / "preview.png",
        runs / "youtube_faces" / "evaluation" / "validation-detector-flip" / "report.json",
        runs / "youtube_faces" / "export" / "manifest.json",
        workplace / "selfie-sunglasses.png",
        workplace / "selfie-landmarks.png",
        workplace / "filters.png",
        workplace / "corrected" / "faces.csv",
        workplace / "for_studio" / "tasks.json",
    ):
        assert path.exists(), path
    for name in ("mine", "forty", "packed"):
        load_model(runs / name)
    evaluated = runs / "youtube_faces" / "evaluation" / "validation-detector-flip" / "report.json"
    report = json.loads(evaluated.read_text())
    assert (report["boxes"], report["flip"]) == ("detector", True)
    export = runs / "youtube_faces" / "export"
    for name, digest in json.loads((export / "manifest.json").read_text())["sha256"].items():
        assert file_digest(export / name) == digest
    selfie, worn = (cv2.imread(str(workplace / n)) for n in ("selfie.png", "selfie-sunglasses.png"))
    changed = (selfie != worn).any(axis=2).mean()
    assert selfie.shape == worn.shape and 0.001 < changed < 0.2
    assert len(load_records(f"folder:{workplace / 'corrected'}", "all")) == len(
        json.loads((workplace / "for_studio" / "tasks.json").read_text())
    )


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("place", SNIPPETS)
def test_python_blocks_run(workplace, place, monkeypatch):
    code = SNIPPETS[place]
    assert len(code.splitlines()) <= 20
    if "import keras, torch" in code:
        check_conversion(code, workplace, monkeypatch)
        return
    names: dict = {}
    exec(code, names)
    if "crop_scale *" in code:  # a crop by hand: the same points as those of the predictor
        box = [names[name] for name in ("left", "top", "width", "height")]
        predictor = Predictor.load(workplace / "runs" / "youtube_faces")
        expected = predictor.predict(names["image"], [box])[0]
        np.testing.assert_allclose(names["points"], expected, atol=0.05)


def check_conversion(code: str, folder: Path, monkeypatch) -> None:
    """Run the conversion of the model card on a file in PyTorch's layout with known weights."""
    import keras

    from keypoints.models.backbones import lite

    image = keras.Input((112, 112, 3))
    network = keras.Model(image, lite(image, "none"))
    state: dict = {"_fc.weight": FakeTensor(np.zeros(3))}
    for layer in network.layers:
        weights = layer.get_weights()
        if len(weights) == 1:  # (h, w, in, out), or (h, w, channels, 1) of a depthwise one
            order = (2, 3, 0, 1) if "depth" in layer.name else (3, 2, 0, 1)
            weights = [weights[0].transpose(order)]
        state |= {f"{layer.name}.{i}": FakeTensor(array) for i, array in enumerate(weights)}
    torch = types.ModuleType("torch")
    torch.load = lambda file, weights_only: state
    monkeypatch.setitem(sys.modules, "torch", torch)
    exec(code, {"FILE": "weights.pth"})
    other = keras.Model(image, lite(image, str(folder / "lite0.weights.h5")))
    for mine, read_back in zip(network.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(mine, read_back)


class FakeTensor:
    """An array with the two members of a tensor that the model card uses."""

    def __init__(self, array: np.ndarray):
        self.array, self.ndim = array, array.ndim

    def numpy(self) -> np.ndarray:
        return self.array


def test_readme_is_short_and_its_links_work():
    text = PAGES["README.md"]
    assert len(text.splitlines()) <= 150
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or (ROOT / target).exists(), target


def test_faq_quotes_messages_of_the_code():
    texts = [text for path in (ROOT / "keypoints").rglob("*.py") for text in literals(path)]
    quoted = re.findall(r"^### `(.+)`$", PAGES["docs/faq.md"], re.M)
    assert len(quoted) > 10
    assert not [fragment for fragment in quoted if not any(fragment in text for text in texts)]


def literals(path: Path) -> list[str]:
    """The texts in a module, parts of formatted ones too, that are no docstrings."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone
    ]


def test_changelog_has_the_version():
    assert f"## {keypoints.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.long
@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "load_filter" in (tmp_path / "reference" / "filters.html").read_text()
    for page in tmp_path.rglob("*.html"):
        for target in re.findall(r'<a [^>]*?href="([\w./-]+)["#]', page.read_text()):
            if page.name != "404.html":  # whose links are relative to the root of a server
                assert (page.parent / target).exists(), f"{page.name} leads to {target}"


@pytest.mark.slow
@pytest.mark.long
def test_the_tutorial_runs_on_fewer_faces_and_shows_as_many_pictures(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    printed = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    assert sum(map(pictures, printed.cells)) > 5
    run = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    for size, fewer in FEWER.items():
        (cell,) = (cell for cell in run.cells if size in cell.source)
        cell.source = cell.source.replace(size, fewer)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    folder = {"metadata": {"path": str(ROOT)}}
    NotebookClient(run, timeout=300, kernel_name="python3", resources=folder).execute()
    for before, after in zip(printed.cells, run.cells):
        assert pictures(before) == pictures(after)


def pictures(cell) -> int:
    """How many pictures a cell of a notebook shows."""
    return sum("data" in output for output in cell.get("outputs", []))


def write_frames(folder: Path) -> None:
    """Two frames of one video, with the same drawn face."""
    folder.mkdir()
    image, points = draw_face(FACE)
    cells = ",".join(map(str, points.ravel()))
    names = ["ada_11.png", "ada_12.png"]
    for name in names:
        (folder / name).write_bytes(encode_png(image))
    (folder / "faces.csv").write_text("".join(f"{name},{cells}\n" for name in names))
    (folder / "splits.csv").write_text("".join(f"{name},train\n" for name in names))


def write_predictions(run: Path, path: Path) -> None:
    """Predictions of another program: those of the run, in the layout that the docs describe."""
    report = run / "evaluation" / "validation-truth" / "per_image.csv"
    rows = list(csv.reader(report.read_text().splitlines()))
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([row[0], *row[-136:]] for row in rows)
