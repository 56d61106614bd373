"""What the package promises as a library: its names, its metadata, its wheel."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

import keypoints
from keypoints.system import extras
from keypoints.system.extras import BASE as BASE_DISTRIBUTIONS
from keypoints.system.extras import DISTRIBUTIONS, EXTRAS, missing_extra

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("name", keypoints.__all__)
def test_every_public_name_is_there(name):
    assert getattr(keypoints, name) is not None
    assert name in dir(keypoints)


def test_a_name_that_is_not_public():
    with pytest.raises(AttributeError, match="no attribute 'Predicter'"):
        keypoints.Predicter  # noqa: B018


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, keypoints; keypoints.__version__\n"
        "heavy = {'numpy', 'cv2', 'keras', 'jax', 'tensorflow', 'onnxruntime', 'fire'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def requirements(name: str) -> set[str]:
    lines = (ROOT / name).read_text().splitlines()
    return {plain(line) for line in lines if line.strip() and not line.startswith("#")}


def plain(requirement: str) -> str:
    return re.sub(r"\s", "", requirement).replace("'", '"')


def extra(*names: str) -> set[str]:
    """The requirements of extras, without those that name the package's own extras."""
    lines = [line for name in names for line in PROJECT["optional-dependencies"][name]]
    return {plain(line) for line in lines if not line.startswith("keypoints[")}


BASE = {plain(line) for line in PROJECT["dependencies"]}


def test_requirements_files_are_the_extras():
    cpu, cuda = requirements("requirements-cpu.txt"), requirements("requirements.txt")
    assert cpu == BASE | extra("train", "export", "scale")
    jax = {line for line in cpu if re.match(r"jax\b", line)}
    assert cuda == (BASE | extra("train", "export", "cuda", "scale")) - jax
    assert len(jax) == 1 and {line.replace("jax", "jax[cuda12]") for line in jax} == extra("cuda")
    assert requirements("requirements-dev.txt") == extra("docs", "dev")


def test_the_tables_of_distributions_are_the_extras():
    def names(lines: set[str]) -> set[str]:
        return {re.split(r"[<>=;\[]", line)[0] for line in lines}

    assert set(BASE_DISTRIBUTIONS) == names(BASE)
    assert set(DISTRIBUTIONS) == set(PROJECT["optional-dependencies"]) - {"docs", "dev"}
    for name, distributions in DISTRIBUTIONS.items():
        if name == "cuda":  # the plugin that jax[cuda12] installs
            assert distributions == ("jax-cuda12-plugin",) and names(extra(name)) == {"jax"}
        else:  # TensorFlow's two builds are one for the reader
            assert set(distributions) == names(extra(name)) - {"tensorflow"}


def test_the_workflow_names_what_is_there():
    """Its other systems are not at hand: a test file that moved would be seen there first."""
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    named = re.findall(r"tests/[\w/]+(?:\.py)?", workflow)
    assert len(named) > 15 and [name for name in named if not (ROOT / name).exists()] == []
    (extras_tried,) = re.findall(r"for extra in (.+); do", workflow)
    assert set(extras_tried.split()) == set(PROJECT["optional-dependencies"])


def test_versions_of_installed_distributions(monkeypatch):
    installed = {"numpy": "2.1.0", "tensorflow": "2.21.0"}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    wanted = ("numpy", "tensorflow-cpu", "jax")
    assert [extras.installed_version(name) for name in wanted] == ["2.1.0", "2.21.0", ""]


def test_every_package_of_the_extras_table_is_in_that_extra():
    for package, name in EXTRAS.items():
        wanted = PROJECT["optional-dependencies"][name]
        named = any(line.replace("-", "_").startswith(package) for line in wanted)
        # They come with keras and with jax[cuda12].
        assert named or package in ("h5py", "jax_cuda12_plugin"), package


def test_the_command_for_an_extra_needs_no_index(tmp_path, monkeypatch):
    """In a checkout it names its folder; pip knows the package where it is installed."""
    monkeypatch.chdir(tmp_path)
    assert extras.install_command("scale") == f'pip install "{ROOT}[scale]"'
    monkeypatch.chdir(ROOT)
    assert extras.install_command("scale") == 'pip install ".[scale]"'
    installed = tmp_path / "site-packages" / "keypoints" / "system" / "extras.py"
    monkeypatch.setattr(extras, "__file__", str(installed))
    assert extras.install_command("scale") == 'pip install "keypoints[scale]"'


def test_a_missing_package_names_its_extra():
    error = ModuleNotFoundError("No module named 'tf2onnx'", name="tf2onnx.convert")
    assert missing_extra(error) == extras.install_command("export")
    assert missing_extra(ModuleNotFoundError("No module named 'x'", name="x")) is None


@pytest.mark.parametrize("tool", sorted((ROOT / "tools").glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_a_tool_is_one_call(tool):
    assert tool.read_text() == (
        "from keypoints.commands.cli import run_tool\n\n"
        f'if __name__ == "__main__":\n    run_tool("{tool.stem}")\n'
    )


def test_every_command_is_a_tool():
    from keypoints.commands.cli import COMMANDS, load_command

    assert set(COMMANDS) == {path.stem for path in (ROOT / "tools").glob("[a-z]*.py")}
    assert all(load_command(name).__name__ == name for name in COMMANDS)


def test_a_command_of_the_checkout_says_so_where_it_is_installed(tmp_path, monkeypatch, capsys):
    from keypoints.commands import cli

    monkeypatch.setattr(cli, "__file__", str(tmp_path / "keypoints" / "commands" / "cli.py"))
    monkeypatch.setattr(sys, "argv", ["keypoints", "label-noise"])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 2
    reason = "error: label_noise is a command of a checkout of the source repository\n"
    assert capsys.readouterr().err == reason


def test_a_command_without_its_extra_says_so_in_one_line(tmp_path):
    """As in an environment with the base install: Keras cannot be imported."""
    code = (
        "import sys\nsys.modules['tensorflow'] = sys.modules['tensorflow_datasets'] = None\n"
        "from keypoints.commands.cli import main\n"
        "sys.argv = ['keypoints', 'train', 'smoke']\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: keypoints train needs tensorflow")
    assert done.stderr.strip().endswith(f'pip install "{ROOT}[train]"')
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_the_console_command_lists_its_commands(arguments):
    code = "import sys; from keypoints.commands.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "train" in done.stdout and "webcam" in done.stdout


def test_an_unknown_command_exits_2():
    code = "import sys; from keypoints.commands.cli import main; main()"
    command = [sys.executable, "-c", code, "trian"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr == "error: unknown command 'trian'; did you mean 'train'?\n"


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> Callable[[Path], tuple[Path, Path]]:
    """A function that builds wheel and source distribution of a source tree."""
    tools = tmp_path_factory.mktemp("tools")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tools), "hatchling"]
    subprocess.run(pip, check=True, capture_output=True)

    def build(tree: Path) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp("dist")
        command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
        path = {**os.environ, "PYTHONPATH": str(tools)}
        subprocess.run(command, check=True, capture_output=True, cwd=tree, env=path)
        (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
        return wheel, source

    return build


@pytest.fixture(scope="module")
def built(build) -> tuple[Path, Path]:
    """The wheel and the source distribution of this tree."""
    return build(ROOT)


@pytest.mark.slow
def test_the_wheel(built):
    """It holds filters with art, models to run, to fine-tune and to export, and experiments."""
    wheel, _ = built
    assert wheel.stat().st_size < 80e6  # the package index takes 100 MB
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "keypoints/py.typed",
        "keypoints/filters/bundled/crown/filter.toml",
        "keypoints/filters/bundled/crown/inside.png",
        "keypoints/pretrained/resnet50/model-int8.onnx",
        "keypoints/pretrained/small/manifest.json",
        *(f"keypoints/experiments/{path.name}" for path in ROOT.glob("experiments/[a-z]*.py")),
    } <= names
    weights = {name for name in names if name.endswith(".h5")}
    models = ("resnet50", "small")  # both can be exported and fine-tuned without a checkout
    assert weights == {f"keypoints/pretrained/{name}/weights/best.weights.h5" for name in models}
    assert not [name for name in names if "page/models" in name]
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"keypoints", f"keypoints-{keypoints.__version__}.dist-info"}


@pytest.mark.long
@pytest.mark.slow
def test_the_source_distribution_makes_the_same_wheel(build, built, tmp_path):
    wheel, source = built
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    again, _ = build(tree)
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())
    assert {"pyproject.toml", "README.md", "LICENSE"} <= {path.name for path in tree.iterdir()}


@pytest.mark.slow
def test_the_wheel_works_in_an_environment_of_its_own(built, tmp_path):
    """Outside of the checkout, in an empty home; other packages are those of this environment."""
    venv.create(tmp_path / "env", with_pip=False)
    (packages,) = (tmp_path / "env").glob("lib/*/site-packages")
    with zipfile.ZipFile(built[0]) as archive:  # as pip unpacks it
        archive.extractall(packages)
    others = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "others.pth").write_text("\n".join(others))
    (tmp_path / "home").mkdir()
    python = str(tmp_path / "env" / "bin" / "python")

    def run(*arguments: str) -> str:
        code = "from keypoints.commands.cli import main; main()"  # what the script of pip calls
        done = subprocess.run(
            [python, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path,
            env={"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("--version").strip() == keypoints.__version__
    assert f"{keypoints.__version__} in {packages / 'keypoints'}" in run("doctor")
    picture = str(ROOT / "docs" / "astronaut.jpg")
    assert "1 face" in run("filter", picture, "--filter=crown", "--output=out.png")
    assert (tmp_path / "out.png").stat().st_size > 10_000


def test_every_public_module_is_on_a_reference_page():
    """Modules at the top have an entry of their own; a subpackage's page shows all of its."""
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    entries = {
        line.removeprefix("::: ").strip()
        for page in pages
        for line in page.read_text().splitlines()
        if line.startswith("::: ")
    }
    package = ROOT / "keypoints"
    modules = {f"keypoints.{path.stem}" for path in package.glob("[a-z]*.py")}
    rooms = {f"keypoints.{path.parent.name}" for path in package.glob("*/__init__.py")}
    # Each command explains itself by --help.
    assert entries == modules | rooms - {"keypoints.commands"}
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert all(f"- reference/{page.name}" in navigation for page in pages)


def test_every_public_name_is_in_the_reference():
    text = (ROOT / "docs" / "reference" / "index.md").read_text()
    missing = [name for name in keypoints.__all__ if f"[`{name}`]" not in text]
    assert missing == ["__version__"]


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "a\0b", "\udcff"],
    ids=["long", "deep", "NUL", "no text"])  # fmt: skip
def test_names_that_no_file_can_have_are_refused_as_any_other(name):
    from keypoints.evaluation.protocol import read_predictions
    from keypoints.live.sources import Source
    from tests.faces import dotted_faces

    calls: list[Callable[[], object]] = [
        lambda: keypoints.Predictor.load(name),
        lambda: keypoints.load_network(name),
        lambda: keypoints.load_filter(name),
        lambda: keypoints.load_detector(name),
        lambda: keypoints.load_records(f"folder:{name}", "all"),
        lambda: keypoints.load_records(f"shards:{name}", "all"),
        lambda: keypoints.read_markup(name),
        lambda: keypoints.Config(weights=name) and keypoints.train(
            keypoints.Config(weights=name), name, dotted_faces(2), [dotted_faces(2)]
        ),
        lambda: read_predictions(name, dotted_faces(2)),
        lambda: Source.parse(name),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(keypoints.InputError):
            call()
