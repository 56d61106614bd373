import itertools
import json
import math
import shlex
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import inference, timings
from benchmarks.__main__ import benchmark
from keypoints.commands.cli import run_command
from keypoints.config import Config
from keypoints.models import runs
from keypoints.training.loop import train
from tests.faces import dotted_faces, write_folder

SMALL = Config(
    backbone="tiny", head="pooled", resolution=56, batch_size=2, epochs=1, precision="float32"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "small"
    train(SMALL, run, dotted_faces(4), [dotted_faces(2, seed=1)])
    return run


def test_median_quartiles_and_ratio_by_hand():
    rows = timings.compared(
        [timings.timing("a", "ms", [4, 1, 2, 3, 5]), timings.timing("b", "ms", [6])], "b"
    )
    assert (rows[0].low, rows[0].median, rows[0].high, rows[0].samples) == (2, 3, 4, 5)
    assert (rows[0].ratio, rows[1].ratio) == (2, 1)  # half the time: twice as quick
    speeds = [timings.timing(name, "images/s", [n]) for name, n in (("a", 30), ("b", 10))]
    assert timings.compared(speeds, "b")[0].ratio == 3
    assert math.isnan(timings.compared(speeds, "absent")[0].ratio)


def test_subjects_take_turns_and_may_tell_their_own_seconds():
    calls = []
    seconds = timings.interleaved({"a": lambda: calls.append("a"), "b": lambda: 7.0}, 3)
    assert seconds["b"] == [7.0, 7.0, 7.0] and len(seconds["a"]) == 3
    assert len(calls) == 7  # one compiles, and every second one is timed


def test_the_old_loader_makes_normalised_crops(tmp_path):
    (file, *_) = inference.write_pictures(dotted_faces(2), tmp_path)
    crop = inference.old_loader(file, np.random.default_rng(0))
    assert crop.shape == (224, 224, 3) and crop.dtype == np.float32
    assert crop.min() >= -2.2 and crop.max() <= 2.7 and crop.std() > 0.1


def test_the_pipeline_beside_the_old_loader():
    rows = inference.measure_pipeline(lambda: dotted_faces(5), SMALL, epochs=2)
    assert [row.samples for row in rows] == [2, 1, 2, 2, 2, 2, 2] and rows[2].ratio == 1
    assert "MiB over the next 2" in rows[0].note


def test_what_a_step_gets_is_what_it_needs_or_what_comes(monkeypatch):
    """At 100 images/s a batch of 2 lasts 20 ms; one that takes 60 ms to make comes every 80 ms."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = SimpleNamespace(perf_counter=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(inference, "time", clock)

    def slow():
        for _ in range(4):
            sleep(0.06)
            yield None

    assert inference.feed([None] * 10, 2, need=100) == pytest.approx(100)
    # The wait for the first batch is not counted.
    assert inference.feed(slow(), 2, need=100) == pytest.approx(8 / (4 * 0.02 + 3 * 0.06))


def test_a_clip_is_played_to_and_fro_without_an_end():
    clip = [(2.0, "a"), (2.5, "b"), (2.6, "c")]
    played = list(itertools.islice(inference.to_and_fro(clip), 7))
    assert "".join(image for _, image in played) == "abcbabc"
    times = [2, 2.5, 2.6, 2.7, 3.2, 3.7, 3.8]
    assert [time for time, _ in played] == pytest.approx(times)


def test_predictions_and_what_is_not_exported(run):
    live, onnx, int8 = inference.measure_predictions(run, export=run / "export", repeats=2)
    assert live.ratio == 1 and live.samples == 2 and not onnx.samples
    assert int8.note == f"{run}/export has no onnx-int8; run keypoints export {run}"


def test_the_tool_prints_and_writes_json(run, tmp_path, capsys, monkeypatch):
    write_folder(tmp_path / "faces")
    out = tmp_path / "out.json"

    def result(line):
        run_command(benchmark, [*shlex.split(line), f"--json={out}"])
        return capsys.readouterr().out, json.loads(out.read_text())

    shown, written = result(
        f"pipeline --data=folder:{tmp_path / 'faces'} --batch_size=2 --repeats=1"
    )
    assert "old loader, one process" in shown and "images/s" in shown and "1.00x" in shown
    assert written["rows"][0]["samples"] == 1 and written["rows"][2]["ratio"] == 1
    assert written["environment"]["backend"] == runs.environment()["backend"]
    monkeypatch.setattr("keypoints.experiment.FOLDERS", (tmp_path,))  # without experiments
    shown, written = result(f"webcam --model={run} --repeats=1")
    assert "live, new faces" in shown and "95 %: " in written["rows"][0]["note"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pipline", "did you mean 'pipeline'"),
        ("pipeline --repeats=0", "--repeats=0"),
        ("predict", "--model is missing"),
        ("pipeline --batchsize=3", "did you mean '--batch_size'"),
    ],
)
def test_mistakes_end_in_one_line(line, message, capsys):
    with pytest.raises(SystemExit):
        run_command(benchmark, shlex.split(line))
    assert message in capsys.readouterr().err
