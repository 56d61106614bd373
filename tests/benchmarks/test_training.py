import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu, step, timings
from benchmarks.__main__ import benchmark
from keypoints.commands.cli import run_command
from keypoints.config import Config
from keypoints.errors import InputError

SMALL = Config(
    backbone="tiny", head="pooled", resolution=56, batch_size=2, epochs=1, precision="float32"
)
# Answers as PyTorch's program does, and shows what it was given.
STAND_IN = """#!{python}
import json, sys
assert json.loads(sys.argv[2]) == dict(
    batch_size=2, resolution=56, trainable="all", precision="float32"
)
for line in sys.stdin:
    print(0.5, flush=True)
"""


def test_steps_beside_a_program_that_stands_for_pytorch(tmp_path):
    python = tmp_path / "python"
    python.write_text(STAND_IN.format(python=sys.executable))
    python.chmod(0o755)
    rows = step.measure_steps(SMALL, repeats=1)
    assert rows[-1].note == "only resnet50 with the pooled head" and rows[1].ratio == 1
    with step.ExitStack() as stack:
        ask = step.torch_process(SMALL, str(python), stack)
        assert ask("step") == ask("infer") == 0.5
    with (
        step.ExitStack() as stack,
        pytest.raises(InputError, match="is PyTorch installed"),
    ):
        step.torch_process(SMALL, "/bin/true", stack)("step")
    with step.ExitStack() as stack, pytest.raises(InputError, match="No such file"):
        step.torch_process(SMALL, str(tmp_path / "none"), stack)


@pytest.mark.long
@pytest.mark.slow
def test_backends_are_measured_in_processes_of_their_own(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(STAND_IN.format(python=sys.executable))
    python.chmod(0o755)
    monkeypatch.setattr(step, "PRECISIONS", ("float32",))
    rows = step.measure_backends(SMALL, repeats=2, torch_python=str(python))
    names = ["JAX, float32", "TensorFlow, float32", "PyTorch, float32"]
    assert [row.name for row in rows] == names and rows[0].ratio == 1
    assert rows[2].median == 2 / 0.5  # the stand-in's half second for two images
    assert all(row.samples == 2 and row.median > 0 for row in rows)
    with step.ExitStack() as stack, pytest.raises(InputError, match=r"cupy: .*is it installed"):
        step.keras_process(SMALL, "cupy", stack)("step")


@pytest.mark.long
@pytest.mark.slow
def test_the_table_of_a_gpu_on_a_small_network(monkeypatch):
    monkeypatch.setattr(gpu, "SIDES", (56,))
    monkeypatch.setattr(gpu, "CALLS", 2)
    rows = gpu.measure_gpu(SMALL, repeats=2)
    assert len(rows) == 8 and rows[0].name.startswith("56, float32, training, Keras, ")
    assert rows[6].name.startswith("56, mixed_bfloat16, inference, Keras, ")
    assert all(row.samples == 2 and "first call" in row.note for row in rows[::2])
    assert {row.note for row in rows[1::2]} == {"torch_python=PATH is not given"}


@pytest.mark.long
@pytest.mark.slow
def test_scaling_over_devices(monkeypatch):
    monkeypatch.setattr(step, "DEVICES", (2,))
    monkeypatch.setattr(step, "BATCHES", ())
    monkeypatch.setattr(step, "SIDES", ())
    (row,) = step.measure_scaling(SMALL, repeats=1)
    assert row.name == "devices 2" and row.median > 0 and row.ratio == 1


def test_the_table_of_scaling_by_hand(monkeypatch):
    """A step whose images/s fall with the pixels and rise with devices and batch size."""
    asked = []

    def measured(config, repeats, devices):
        asked.append((config.batch_size, config.resolution, devices))
        speed = 1e4 * devices * config.batch_size / config.resolution**2
        return timings.timing("", "images/s", [speed] * repeats)

    monkeypatch.setattr(step, "_in_child", measured)
    rows = step.measure_scaling(SMALL, repeats=3)
    assert asked == [
        *[(2, 56, devices) for devices in (1, 2, 4)],
        *[(size, 56, 1) for size in (4, 8, 16)],
        *[(2, side, 1) for side in (56, 112, 224)],
    ]
    assert [row.name for row in rows[2:7:2]] == ["devices 4", "batch size 8", "resolution 56"]
    assert [row.ratio for row in rows] == pytest.approx([1, 2, 4, 1, 2, 4, 1, 1, 1])
    assert rows[1].median == pytest.approx(1e4 * 2 * 2 / 56**2) and rows[1].samples == 3


def test_the_product_does_not_know_pytorch():
    root = Path(__file__).parents[2]
    found = subprocess.run(
        ["grep", "-rlE", "^ *(import|from) torch", "--include=*.py", "keypoints", "tools"],
        cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 1 and found.stdout == ""


def test_the_tool_prints_and_writes_json(tmp_path, capsys):
    out = tmp_path / "out.json"
    line = f"step --backbone=tiny --resolution=56 --batch_size=2 --repeats=1 --json={out}"
    run_command(benchmark, shlex.split(line))
    shown, written = capsys.readouterr().out, json.loads(out.read_text())
    assert "skipped: only resnet50" in shown and written["rows"][2]["median"] is None
    assert "step: backbone tiny, head pooled, resolution 56, batch_size 2" in shown
    assert written["config"]["resolution"] == 56


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("stp", "did you mean 'step'"),
        ("step --repeats=0", "--repeats=0"),
        ("step --batchsize=3", "did you mean '--batch_size'"),
    ],
)
def test_mistakes_end_in_one_line(line, message, capsys):
    with pytest.raises(SystemExit):
        run_command(benchmark, shlex.split(line))
    assert message in capsys.readouterr().err
