"""Own points from raw files to a table of predictions."""

import csv
import json

import numpy as np
import pytest

from keypoints.config import Config
from keypoints.data.sources import load_records
from keypoints.evaluation.models import evaluate_model
from keypoints.inference.predictor import Predictor
from keypoints.inference.tracking import Tracker
from keypoints.markup import IBUG68
from keypoints.media.landmark_csv import Row, writing
from keypoints.media.pictures import encode_png
from keypoints.models import runs
from keypoints.synthetic.drawing import draw_face
from keypoints.training.loop import train
from tests.faces import FOUND

MARKUP = """
name = "mine"
points = ["right eye", "left eye", "nose", "right mouth corner", "left mouth corner"]
pairs = [[0, 1], [3, 4]]
[parts]
eyes = [0, 1]
[roles]
right_eye = [0]
left_eye = [1]
"""


@pytest.fixture
def folder(tmp_path):
    """Drawn faces with five points, as a user has them: pictures, points.csv and markup.toml."""
    folder = tmp_path / "faces"
    folder.mkdir()
    (folder / "markup.toml").write_text(MARKUP)
    with open(folder / "points.csv", "w", newline="") as file:
        rows = csv.writer(file)
        for seed in FOUND:
            image, points = draw_face(seed)
            eyes = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
            five = np.stack([*eyes, points[30], points[48], points[54]])
            (folder / f"{seed}.png").write_bytes(encode_png(image))
            rows.writerow([f"{seed}.png", *five.ravel().round(2)])
    return folder


def test_five_own_points_from_raw_files_to_the_table_of_a_video(folder, tmp_path):
    records = load_records(f"folder:{folder}", "all")
    assert records.points.shape == (14, 5, 2) and records.markup.name == "mine"
    config = Config(backbone="tiny", resolution=56, batch_size=4, epochs=1, ema=0.0,
                    learning_rate=1e-3, data=f"folder:{folder}")  # fmt: skip
    train(config, tmp_path / "run", records, records)
    markup = runs.load_markup(tmp_path / "run")
    # The detector's box of the face: wider than the eyes and lower than the mouth.
    assert markup.face_box[2] > 1.5 and markup.face_box[3] > 1.3
    predictor = Predictor.load(tmp_path / "run")
    assert predictor.markup == markup and not markup.difference(records.markup)
    image = records.image(0)
    assert predictor.predict(image).shape[1:] == (5, 2)
    found = evaluate_model(predictor.network, records)
    assert list(found.report["nme"]) == ["inter_pupil", "box_diagonal", "box"]
    # An untrained network sees the mean face in every crop: near, since crops are around faces.
    assert found.report["nme"]["box"] < 15
    assert json.dumps(found.report)
    tracker = Tracker(predictor)
    with writing(tmp_path / "points.csv", tracker.markup) as write:
        for frame in range(3):
            write(Row(frame, frame / 30, tracker.update(image, frame / 30)))
    rows = list(csv.DictReader((tmp_path / "points.csv").read_text().splitlines()))
    names = list(rows[0]) if rows else (tmp_path / "points.csv").read_text().strip().split(",")
    assert "x4" in names and "x5" not in names and "yaw" not in names
    assert "eye_opening" not in names and names[-1] == "origin"


def test_other_points_do_not_go_on_in_the_run(folder, tmp_path):
    records = load_records(f"folder:{folder}", "all")
    (folder / "markup.toml").write_text(MARKUP.replace("[[0, 1], [3, 4]]", "[[0, 1]]"))
    assert load_records(f"folder:{folder}", "all").markup.difference(records.markup)
    (folder / "markup.toml").unlink()
    with pytest.raises(Exception, match="ibug68 has 68"):
        load_records(f"folder:{folder}", "all")
    assert IBUG68.count == 68
