"""The command before Ray is started; with it in test_kills.py and tests/bulk/test_cluster.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from keypoints.bulk import plan, tables
from keypoints.bulk.inputs import Unit
from keypoints.bulk.store import Store
from keypoints.commands import annotate, cli
from tests.bulk.stand_ins import write_pictures

ROOT = Path(__file__).parents[2]
MODEL = "--model=pretrained-small"


@pytest.fixture
def run(capsys):
    """The command on some arguments: its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            cli.run_command(annotate.annotate, list(arguments), name="annotate")
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


def test_a_dry_run_writes_nothing(tmp_path, run):
    sources = write_pictures(tmp_path / "in", 3)
    (tmp_path / "clip.mp4").touch()
    output = tmp_path / "out"
    command = (str(tmp_path / "in"), str(tmp_path / "clip.mp4"), f"--output={output}", MODEL)
    assert run(*command, "--dry-run")[:2] == (0, "1 container and 3 pictures\n")
    assert not output.exists()
    store = Store(str(output))
    plan.write_facts(store, annotate.what_makes("pretrained-small", None)[0])
    (unit,) = plan.plan_units(store, sources[:1], workers=1)
    tables.write_parts(store, unit.name, [], 1)
    assert run(*command, "--dry-run")[1] == "1 container and 3 pictures, of which 1 is done\n"
    assert run(*command, "--limit=1", "--dry-run")[1] == "1 container\n"
    assert run(sources[0], f"--output={output}", MODEL) == (
        0,
        "1 picture, of which 1 is done\n",
        "",
    )


def test_another_model_or_filter_is_refused(tmp_path, run):
    sources = write_pictures(tmp_path / "in", 1)
    store = Store(str(tmp_path / "out"))
    facts = annotate.what_makes("pretrained-small", None)[0]
    plan.write_facts(store, facts | {"model_sha256": "of another file"})
    command = (sources[0], f"--output={tmp_path}/out", MODEL)
    code, printed, error = run(*command)
    assert (code, printed) == (2, "")
    assert (
        f"out was made with model_sha256=of another file, now it is {facts['model_sha256']}"
        in error
    )
    store.write(plan.FACTS, json.dumps(facts).encode())
    assert "filter=None, now it is crown; name another folder" in run(*command, "--filter=crown")[2]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "INPUT is missing"),
        (("a.png",), "--output is missing"),
        (("a.png", "--output=out", "--workers=0"), "--workers=0: a whole number of at least 1"),
        (("a.png", "--output=out", "--limit=x"), "--limit=x: a whole number"),
        (("a.png", "--output=out", "--modle=x"), "unknown flag --modle; did you mean '--model'?"),
        (("gone.png", "--output=out"), "gone.png: no picture, video, .tar or .parquet file"),
        (("a.png", "--output=out", "--model=gone"), "gone is neither a run folder nor"),
        (("a.png", "--output=out", "--filter=gone"), "gone"),
    ],
)
def test_bad_arguments_are_named(tmp_path, monkeypatch, run, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    code, printed, error = run(*arguments)
    assert (code, printed) == (2, "") and message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_is_done_is_told(capsys):
    units = [Unit(("a.png", "b.png")), Unit(("c.tar",))]
    reasons = [f"{number}.png: no" for number in range(8)]
    counts = [tables.Counts(2, 3, 0, []), tables.Counts(20, 5, 8, reasons[:5])]
    counts.append(tables.Counts(20, 5, 9, reasons))
    assert annotate.follow(iter(counts), units) == 17
    printed = capsys.readouterr()
    assert printed.out.startswith("42 pictures, 13 faces, ")
    assert printed.out.endswith(" pictures a second; 17 could not be read\n")
    lines = printed.err.splitlines()
    assert len(lines) == 11 and lines[0] == "left out: 0.png: no"
    assert lines[-1] == "left out: 7 more; the table of pictures has all"


@pytest.mark.parametrize("package", ["ray", "fsspec", "pyarrow"])
def test_without_the_extra_it_is_named(tmp_path, package):
    (tmp_path / "a.png").touch()
    code = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        "from keypoints.commands.cli import main\n"
        f"sys.argv = ['keypoints', 'annotate', 'a.png', '--output=out', {MODEL!r}]\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: keypoints annotate needs {package}")
    assert done.stderr.endswith("pip install 'keypoints[scale]'\n")
    assert not (tmp_path / "out").exists()


def test_a_filter_of_ones_own_is_named_so_that_every_machine_finds_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert annotate.everywhere("./mine") == str(tmp_path / "mine")
    assert annotate.everywhere("blur") == "blur" and annotate.everywhere(None) is None
