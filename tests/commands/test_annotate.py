"""The command before Ray is started; with it in test_kills.py and tests/bulk/test_cluster.py."""

import json
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from PIL import Image

from keypoints.bulk import cluster, plan, tables, work
from keypoints.bulk.inputs import Unit
from keypoints.bulk.store import Store
from keypoints.commands import annotate, cli
from keypoints.errors import InputError
from keypoints.filters import filter_digest, filter_folder
from keypoints.markup import IBUG68
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


def test_a_changed_filter_of_the_same_name_is_refused(tmp_path, run):
    sources = write_pictures(tmp_path / "in", 1)
    mine, command = tmp_path / "mine", (sources[0], f"--output={tmp_path}/out", MODEL)
    shutil.copytree(filter_folder("blur"), mine)
    facts = annotate.what_makes("pretrained-small", str(mine))[0]
    assert facts["filter_sha256"] == filter_digest("blur")
    plan.write_facts(Store(str(tmp_path / "out")), facts)
    for name in (mine, f"{tmp_path}/./mine/", "blur"):
        assert run(*command, f"--filter={name}", "--dry-run")[0] == 0
    (mine / "filter.toml").write_text((filter_folder("landmarks") / "filter.toml").read_text())
    code, _, error = run(*command, f"--filter={mine}", "--dry-run")
    assert code == 2 and f"filter_sha256={facts['filter_sha256']}, now it is" in error


def test_the_digest_of_a_filter_is_of_its_definition_and_its_art(tmp_path):
    mine = tmp_path / "mine"
    shutil.copytree(filter_folder("crown"), mine)
    before = filter_digest(mine)
    (mine / "notes.txt").touch()
    assert filter_digest(mine) == before == filter_digest("crown")
    art = min(mine.glob("*.png"))
    shutil.copy(art, mine / "copy.png")
    assert filter_digest(mine) == before
    Image.open(art).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(art)
    assert filter_digest(mine) != before


def test_a_worker_with_another_filter_says_so(tmp_path):
    with pytest.raises(InputError, match="filter=blur: on this machine it is another one"):
        work._load_filter("blur", filter_digest("crown"), IBUG68)
    assert work._load_filter("blur", filter_digest("blur"), IBUG68).protects
    assert work._load_filter(None, None, IBUG68) is None


def test_an_output_in_the_folder_of_the_inputs_is_not_read(tmp_path, run):
    """As often as the command is run again."""
    sources = write_pictures(tmp_path / "in", 2)
    output = tmp_path / "in" / "out"
    store = Store(str(output))
    plan.write_facts(store, annotate.what_makes("pretrained-small", None)[0])
    for unit in plan.plan_units(store, sources, workers=1):
        tables.write_parts(store, unit.name, [], 1)
    store.write("filtered/unit/000000.jpg", b"a picture")
    for _ in range(2):
        assert run(str(tmp_path / "in"), f"--output={output}", MODEL) == (
            0,
            "2 pictures, of which 2 are done\n",
            "",
        )


def test_half_notes_of_killed_processes_go(tmp_path, run, monkeypatch):
    """Before the first picture is read, and those of this run after the last one."""
    write_pictures(tmp_path / "in", 1)
    facts = annotate.what_makes("pretrained-small", None)[0]
    plan.write_facts(Store(str(tmp_path / "out")), facts)
    notes = tmp_path / "out" / work.ATTEMPTS
    notes.mkdir()
    (notes / ".70d011c23fd4.ea81ebcd.json").write_text('{"at": nu')
    found = []

    def annotate_unit(job, unit):
        found.append(notes.exists())
        notes.mkdir()
        (notes / ".70d011c23fd4.another.json").write_text('{"at": ')
        return tables.Counts(pictures=1, faces=0, unreadable=0)

    monkeypatch.setattr(work, "annotate_unit", annotate_unit)
    monkeypatch.setattr(cluster, "annotate", lambda units, each, count: map(each, units))
    monkeypatch.setattr(cluster, "connected", lambda *_: nullcontext(1))
    assert run(str(tmp_path / "in"), f"--output={tmp_path / 'out'}", MODEL)[0] == 0
    assert found == [False] and not notes.exists()


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
    assert done.stderr.endswith(f'pip install "{ROOT}[scale]"\n')
    assert not (tmp_path / "out").exists()


def test_a_filter_of_ones_own_is_named_so_that_every_machine_finds_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert annotate.everywhere("./mine") == str(tmp_path / "mine")
    assert annotate.everywhere("blur") == "blur" and annotate.everywhere(None) is None


def test_other_processes_and_machines_find_filter_model_and_output(tmp_path, run, monkeypatch):
    """They may have another working folder."""
    shutil.copytree(filter_folder("blur"), tmp_path / "mine")
    sources = write_pictures(tmp_path / "in", 2)
    monkeypatch.chdir(tmp_path)
    jobs = []
    monkeypatch.setattr(cluster, "connected", lambda ray, workers: nullcontext(1))
    monkeypatch.setattr(cluster, "annotate", lambda units, work, count: jobs.append(work) or [])
    assert run(*sources, "--output=out", MODEL, "--filter=./mine")[0] == 0
    (job,) = jobs[0].args
    assert (job.filter, job.output) == (str(tmp_path / "mine"), str(tmp_path / "out"))
    assert job.model == "pretrained-small"
