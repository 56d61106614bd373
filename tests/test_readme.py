"""Every command of the README is run, on small data and with a small network."""

import csv
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from keypoints import config as configs
from keypoints.commands import benchmark, evaluate, export, filter, label_noise, train, webcam
from keypoints.commands.cli import run_command
from keypoints.evaluation import stability
from keypoints.inference.predictor import Predictor
from keypoints.media.pictures import decode_picture, encode_png
from tests.archives import write_archive
from tests.faces import dotted_faces

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.S)
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.S)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
TOOLS = {
    "tools.train": train.train,
    "tools.evaluate": evaluate.evaluate,
    "tools.webcam": webcam.webcam,
    "tools.filter": filter.filter,
    "tools.export": export.export,
    "tools.benchmark": benchmark.benchmark,
    "tools.label_noise": label_noise.label_noise,
}
SMALL = {"backbone": "tiny", "resolution": 56, "batch_size": 2, "epochs": 1, "stages": ()}


def test_the_commands_are_those_this_file_knows_how_to_run():
    heads = {" ".join(shlex.split(line)[:3]) for line in COMMANDS}
    assert heads == {
        "make demo", "make test", ". .venv/bin/activate",
        "python -m tools.train", "python -m tools.evaluate", "python -m tools.webcam",
        "python -m tools.filter", "python -m tools.export", "python -m tools.benchmark",
        "python -m tools.label_noise",
    }  # fmt: skip


@pytest.mark.parametrize(
    "target", [line.split()[1] for line in COMMANDS if line.startswith("make")]
)
def test_make_knows_its_targets(target):
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "python" in done.stdout


@pytest.mark.slow
def test_commands_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("KEYPOINTS_ARCHIVE", str(write_archive(tmp_path / "archive.zip")))
    whole = train.load_experiment
    monkeypatch.setattr(stability, "CLIPS", 1)
    for tool in (train, benchmark):
        monkeypatch.setattr(
            tool, "load_experiment", lambda name: configs.replace(whole(name), SMALL)
        )
    write_folder(tmp_path / "my_faces")
    astronaut = decode_picture((ROOT / "docs" / "astronaut.jpg").read_bytes(), "astronaut.jpg")
    (tmp_path / "selfie.png").write_bytes(encode_png(astronaut))
    for line in COMMANDS:
        words = shlex.split(line)
        if words[:2] != ["python", "-m"]:
            continue
        if words[2] == "tools.webcam":  # nobody sits before a camera here
            words += ["--source=synthetic", "--headless=True", "--max_frames=3"]
        if words[2] == "tools.benchmark":
            words += ["--repeats=1", "--batch_size=2"]
            words += ["--backbone=tiny", "--resolution=56"] if "step" in words else []
        if words[2] == "tools.label_noise":  # the small archive has no two frames of a video
            words += ["--data=folder:my_faces"]
        tool = TOOLS[words[2]]
        if "--predictions=predictions.csv" in words:
            write_predictions(tmp_path / "runs" / "youtube_faces", tmp_path / "predictions.csv")
        run_command(tool, words[3:])
        print(line)
    shown = capsys.readouterr().out
    assert "NMF static" in shown
    assert shown.count("NME inter-ocular") == 3 and "runs/youtube_faces/preview.png" in shown
    assert (tmp_path / "runs" / "mine" / "best.weights.h5").exists()
    for name in ("selfie-sunglasses.png", "selfie-landmarks.png", "filters.png"):
        assert (tmp_path / name).exists()
    assert "correlation" in shown
    assert "3 frames; " in shown
    predictor = Predictor.load(tmp_path / "runs" / "youtube_faces")
    for snippet in SNIPPETS:
        assert len(snippet.splitlines()) < 15
        names = {}
        exec(snippet, names)
        box = [names[name] for name in ("left", "top", "width", "height")]
        expected = predictor.predict(names["image"], [box])[0]
        np.testing.assert_allclose(names["points"], expected, atol=0.05)


def write_folder(folder: Path) -> None:
    folder.mkdir()
    records = dotted_faces(8)
    with (
        open(folder / "faces.csv", "w", newline="") as table,
        open(folder / "splits.csv", "w", newline="") as splits,
    ):
        rows, parts = csv.writer(table), csv.writer(splits)
        rows.writerow(["file", *range(136)])
        for i, points in enumerate(records.points):
            (folder / f"{i}.png").write_bytes(encode_png(records.image(i)))
            rows.writerow([f"{i}.png", *points.ravel()])
            parts.writerow([f"{i}.png", "train" if i < 5 else "validation"])


def write_predictions(run: Path, path: Path) -> None:
    """Somebody's predictions: those of the run, in the layout that the README names."""
    report = run / "evaluation" / "validation-truth" / "per_image.csv"
    rows = list(csv.reader(report.read_text().splitlines()))
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([row[0], *row[7:]] for row in rows)
