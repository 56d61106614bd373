"""The tools as a user types them, on a folder of made-up faces and the one-block network."""

import contextlib
import csv
import io
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from keypoints.commands import train
from keypoints.commands.cli import run_tool
from keypoints.config import Config
from keypoints.media.pictures import encode_png
from keypoints.models import runs
from keypoints.training.checkpoints import read_progress
from tests.faces import dotted_faces, drawn_faces

ROOT = Path(__file__).parents[2]
SMALL = "--backbone=tiny --resolution=56 --batch_size=4 --warmup=0"


def here(line: str) -> subprocess.CompletedProcess:
    """What `python -m tools...`, as the README writes it, does in this process, which has loaded
    Keras and TensorFlow once for all tests."""
    words = shlex.split(line)
    output, error, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(error),
        contextlib.chdir(ROOT),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", words[2:])
        try:
            run_tool(words[2].removeprefix("tools."))
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(words, code, output.getvalue(), error.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data folder with a CSV file and a split file."""
    folder = tmp_path_factory.mktemp("data")
    records, splits = drawn_faces(14), []
    with open(folder / "faces.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", *range(136)])
        for i, points in enumerate(records.points):
            split = "train" if i < 9 else "validation"
            name = f"{split}_{i}.png"
            (folder / name).write_bytes(encode_png(records.image(i)))
            table.writerow([name, *points.ravel()])
            splits.append((name, split))
    with open(folder / "splits.csv", "w", newline="") as file:
        csv.writer(file).writerows(splits)
    return folder


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """A run folder, and what a terminal showed of the training besides its output."""
    run = tmp_path_factory.mktemp("runs") / "small"
    command = [
        sys.executable,
        "-m",
        "tools.train",
        "smoke",
        f"--run={run}",
        "--epochs=2",
    ]
    command += [f"--data=folder:{folder}", "--tensorboard", *SMALL.split()]
    master, slave = pty.openpty()
    process = subprocess.Popen(command, cwd=ROOT, stderr=slave, stdout=subprocess.PIPE, text=True)
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal ends
        while block := os.read(master, 4096):
            shown += block
    printed, _ = process.communicate()
    os.close(master)
    assert process.returncode == 0, shown.decode()
    assert "9 pictures to train on, 5 to validate on" in printed
    assert printed.count("validation NME") == 2
    assert f"{run}: weights, config.json, metrics.csv and curves.png" in printed
    return run, shown.decode()


@pytest.fixture
def run(trained):
    return trained[0]


@pytest.fixture(scope="module")
def evaluated(trained):
    """What was printed of the run's evaluation on truth boxes."""
    done = here(f"python -m tools.evaluate --model={trained[0]}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_training_leaves_all_that_the_other_tools_need(run):
    assert {path.name for path in run.iterdir()} >= {
        runs.CONFIG, runs.ENVIRONMENT, runs.METRICS, runs.CURVES, runs.BEST, runs.LAST,
    }  # fmt: skip
    import tensorflow as tf

    (events,) = (run / "tensorboard").iterdir()
    messages = [
        tf.compat.v1.Event.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(events))
    ]
    assert messages[0].file_version == "brain.Event:2"
    assert [message.step for message in messages[1:]] == [1, 2]
    values = {value.tag: value.simple_value for value in messages[2].summary.value}
    last = read_progress(run).rows[-1]
    assert values["validation_nme"] == pytest.approx(last["validation_nme"], rel=1e-5)


@pytest.mark.parametrize("boxes", ["truth", "jittered", "detector"])
def test_evaluation_prints_a_table_and_leaves_a_report(run, evaluated, boxes):
    printed = evaluated
    if boxes != "truth":
        done = here(f"python -m tools.evaluate --model={run} --boxes={boxes}")
        assert done.returncode == 0, done.stderr
        printed = done.stdout
    for word in ("NME inter-ocular", "AUC@0.08", "5 images", "mean face", "jaw", boxes):
        assert word in printed
    report = run / "evaluation" / f"validation-{boxes}"
    assert {path.name for path in report.iterdir()} == {
        "report.json", "per_image.csv", "ced.png", "worst.jpg", "faces.jpg",
    }  # fmt: skip


def test_evaluation_agrees_with_the_last_validation_of_training(run, evaluated):
    best = min(row["validation_nme"] for row in read_progress(run).rows)
    assert f"NME sqrt(box area)   {best:.2f} %" in evaluated


def test_a_reports_own_rows_score_the_same_as_predictions(run, evaluated, folder, tmp_path):
    report = run / "evaluation" / "validation-truth"
    rows = list(csv.reader((report / "per_image.csv").read_text().splitlines()))
    table = tmp_path / "predictions.csv"
    with open(table, "w", newline="") as file:
        csv.writer(file).writerows([row[0], *row[-136:]] for row in rows)
    again = here(
        f"python -m tools.evaluate --predictions={table} --data=folder:{folder} "
        f"--output={tmp_path / 'second'}"
    )
    assert again.returncode == 0, again.stderr
    line = next(line for line in evaluated.splitlines() if "inter-ocular" in line)
    assert line in again.stdout


def test_preview_draws_and_does_not_train(folder, tmp_path):
    done = here(
        f"python -m tools.train smoke --run={tmp_path / 'run'} --data=folder:{folder} "
        f"--batch_size=0 --preview=6"
    )
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"preview.png", "preview-pictures.png"}
    assert cv2.imread(str(tmp_path / "run" / "preview.png")).shape == (224, 6 * 224, 3)


def test_the_uncertainties_and_the_face_score_are_fitted_after_the_training(run, folder):
    """And again by a command, which then finds what is there."""
    before = runs.load_half_score(run)
    assert (run / runs.CALIBRATION).is_file()
    done = here(f"python -m tools.recalibrate {run} --data=folder:{folder} --split=validation")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("uncertainty: 1 times its power 1; face score of 0.5 at")
    assert runs.load_half_score(run) == pytest.approx(before, rel=1e-3)


def test_a_terminal_shows_progress(trained):
    for word in ("epoch 1/2 [", "epoch 2/2 [", "loss", "NME", "images/s", "left"):
        assert word in trained[1]


def test_webcam_without_a_window_writes_what_was_asked_for(run, tmp_path):
    done = here(
        f"python -m tools.webcam --model={run} --source=synthetic --headless=True --max_frames=4 "
        f"--filter=crown --output={tmp_path / 'clip.avi'} --points={tmp_path / 'points.csv'}"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4 frames; ")
    clip = cv2.VideoCapture(str(tmp_path / "clip.avi"))
    assert clip.get(cv2.CAP_PROP_FRAME_COUNT) == 4 and clip.read()[1].shape == (480, 640, 3)
    assert (tmp_path / "points.csv").read_text().startswith("frame,timestamp,id,left,top")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "tools.webcam --model=tests --max_faces=0",
            "--max_faces=0: a whole number of at least 1",
        ),
        ("tools.webcam --model=tests", "add --headless=True"),
        (
            "tools.webcam --model=tests --headless=True",
            "neither a run folder nor an export",
        ),
        ("tools.train smok", "did you mean 'smoke'"),
        ("tools.train smoke --epochs=0", "epochs=0: a whole number of at least 1 is expected"),
        ("tools.train smoke --preview=some", "--preview=some"),
        ("tools.train smoke --data=folder:/no/such", "no such folder"),
        (
            "tools.train youtube_faces --data=folder:{folder} --weights=no.h5 --run={run}",
            "no.h5",
        ),
        (
            "tools.evaluate --model=a --predictions=b",
            "one of --model=RUN and --predictions=FILE",
        ),
        ("tools.evaluate --model=/no/such", "/no/such: no such file or folder"),
        (
            "tools.evaluate --model=tests",
            "tests is neither a run folder nor an export",
        ),
        (
            "tools.evaluate --model=README.md",
            "README.md: a run of `keypoints train`, or an export",
        ),
        ("tools.evaluate --model=tests --boxes=guess", "--boxes=guess"),
        ("tools.train smoke --data=folder:{folder} --run={folder}/run", "lies in the data set"),
        (
            "tools.evaluate --data=folder:{folder} --output={folder}",
            "lies in the data set",
        ),
        (
            "tools.train smoke --data=folder:{folder} --run={run} "
            "--weights=keypoints/pretrained/small/weights",
            "pretrained/small/weights: its backbone is lite, but backbone=tiny is given",
        ),
        (
            "tools.webcam --model=pretrained-small --headless=True --source=99",
            "source=99: no frame comes",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(line, message, tmp_path, folder, monkeypatch):
    line = line.format(folder=folder, run=tmp_path / "run")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    done = here(f"python -m {line}")
    assert done.returncode == 2 and message in done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("error: ") == 1
    assert list(tmp_path.iterdir()) == []  # a start that fails leaves nothing, not even a folder


def test_an_average_over_more_steps_than_a_training_has_is_warned_of(capsys):
    """18 pictures in batches of 4 are 4 steps in one epoch; a momentum of 0.9 averages over 10."""
    faces = dotted_faces(18)
    for ema, steps, warned in ((0.9, 0, True), (0.9, 10, False), (0.75, 0, False), (0.0, 0, False)):
        config = Config(batch_size=4, ema=ema, epoch_steps=steps, epochs=1)
        train.show_start(Path("run"), config, faces, [dotted_faces(3)])
        shown = capsys.readouterr()
        assert (
            "there are 4 steps, and ema=0.9 averages the weights over 10" in shown.err
        ) == warned
        assert "run: 18 pictures to train on, 3 to validate on" in shown.out


def test_the_end_says_what_became_of_the_start(capsys):
    rows = [
        {"epoch": epoch, "validation_nme": nme} for epoch, nme in ((0, 3.5), (1, 4.0), (2, 3.0))
    ]
    train.show_end(Path("run"), rows[:2])
    assert "no epoch is better than the start, whose weights are kept" in capsys.readouterr().err
    train.show_end(Path("run"), rows)
    assert "NME of the start 3.50 %, of epoch 2 3.00 %" in capsys.readouterr().out


def test_another_config_for_the_same_folder_is_refused(run, folder):
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    done = here(f"python -m tools.train smoke --run={run} --data=folder:{folder} --epochs=9")
    assert done.returncode == 2 and "epochs 2, now 9" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_points_that_faces_lack_are_told(capsys):
    """Five missing points of the second of three faces, and one of the third."""
    faces = dotted_faces(3)
    faces.points[1, :5], faces.points[2, 60] = np.nan, np.nan
    train.show_start(Path("run"), Config(batch_size=2), faces, [])
    assert "2 of 3 faces lack points, 6 in all: nothing is learned" in capsys.readouterr().out
