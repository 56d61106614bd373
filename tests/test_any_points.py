"""Own points from raw files to a table of predictions."""

import csv
import json
import shutil

import numpy as np
import pytest

from keypoints.commands.evaluate import evaluate
from keypoints.config import Config
from keypoints.data.sources import load_records
from keypoints.errors import InputError
from keypoints.evaluation.models import evaluate_model
from keypoints.exports import writer
from keypoints.filters import list_filters, load_filter
from keypoints.filters.pipeline import Pipeline
from keypoints.inference.predictor import Predictor
from keypoints.inference.tracking import Tracker
from keypoints.media.landmark_csv import Row, columns, writing
from keypoints.media.pictures import encode_png
from keypoints.models import runs
from keypoints.synthetic.drawing import draw_face
from keypoints.training.loop import train
from keypoints.web.models import models
from tests.faces import FOUND, dotted_faces

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


def write_folder(folder):
    """Drawn faces with five points, as a user has them: pictures, points.csv and markup.toml."""
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


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = write_folder(tmp_path_factory.mktemp("own") / "faces")
    return load_records(f"folder:{folder}", "all")


@pytest.fixture(scope="module")
def run(records, tmp_path_factory):
    """A run of one epoch. Every face passes its score, since nothing is learned in so few steps."""
    run = tmp_path_factory.mktemp("runs") / "run"
    config = Config(backbone="tiny", resolution=56, batch_size=4, epochs=1, ema=0.0,
                    learning_rate=1e-3, data="folder:faces")  # fmt: skip
    train(config, run, records, records)
    runs.write_half_score(run, 10.0)
    return run


@pytest.fixture(scope="module")
def alone(run, tmp_path_factory):
    """The exported ONNX file, away from its manifest."""
    writer.export(run, run / "export", ["onnx"])
    path = tmp_path_factory.mktemp("elsewhere") / "five.onnx"
    shutil.copy(run / "export" / "model.onnx", path)
    return path


def test_five_own_points_are_read_trained_and_measured(records, run):
    assert records.points.shape == (14, 5, 2) and records.markup.name == "mine"
    markup = runs.load_markup(run)
    # The detector's box of the face: wider than the eyes and lower than the mouth.
    assert markup.face_box[2] > 1.5 and markup.face_box[3] > 1.3
    predictor = Predictor.load(run)
    assert predictor.markup == markup and not markup.difference(records.markup)
    found = evaluate_model(predictor.network, records)
    assert list(found.report["nme"]) == ["inter_pupil", "box_diagonal", "box"]
    assert list(found.report["parts"]) == ["eyes"] and found.report["yaw"] == {}
    # An untrained network sees the mean face in every crop: near, since crops are around faces.
    assert found.report["nme"]["box"] < 15
    assert json.dumps(found.report)


@pytest.mark.slow
def test_the_exported_file_alone_leads_to_the_table_of_the_command_and_of_the_page(
    records, run, alone, tmp_path
):
    predictor, image = Predictor.load(alone), records.image(0)
    assert predictor.markup == runs.load_markup(run)
    points = predictor.predict(image)
    assert points.shape == (1, 5, 2)
    np.testing.assert_allclose(points, Predictor.load(run).predict(image), atol=0.05)
    tracker, faces = Tracker(predictor), []
    with writing(tmp_path / "points.csv", tracker.markup) as write:
        for frame in range(3):
            faces += tracker.update(image, frame / 30)
            write(Row(frame, frame / 30, faces[-1:]))
    rows = list(csv.DictReader((tmp_path / "points.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == ["0"] * 3 and rows[0]["origin"] == "found"
    for row, face in zip(rows, faces, strict=True):
        x, y = face.points[4]
        assert (row["x4"], row["y4"]) == (f"{x:.2f}", f"{y:.2f}")
    names = list(rows[0])
    assert "x5" not in names and "yaw" not in names and "eye_opening" not in names
    files = models(str(alone))  # of the page, whose table is compared with this one in web/tests
    page = json.loads(files["models/model.json"])
    assert files["models/landmarks.onnx"] == alone.read_bytes()
    assert page["columns"] == names == columns(predictor.markup)
    assert page["count"] == 5 and page["rigid"] == [] and not page["whole"]
    assert page["filters"] == ["blur", "landmarks", "pixelate"]
    assert page["face_box"] == list(predictor.markup.face_box)


@pytest.mark.slow
def test_a_file_of_five_points_is_not_measured_on_68(alone, tmp_path, monkeypatch):
    many = dotted_faces(3, name="dots/validation")
    monkeypatch.setattr("keypoints.data.sources.load_records", lambda *_, **__: many)
    with pytest.raises(InputError, match="other points than the network: ibug68 has 68 points, mi"):
        evaluate(str(alone), data="folder:dots", output=str(tmp_path / "report"))
    assert not (tmp_path / "report").exists()


def test_filters_hide_any_face_and_say_what_stickers_lack(records, run):
    markup = runs.load_markup(run)
    image, points = records.image(0), records.points[0]
    assert list_filters(markup) == ["blur", "landmarks", "pixelate"]
    x, y = np.rint(points[2]).astype(int)
    for name in list_filters(markup):
        shown = load_filter(name, markup).apply(image, points[None])
        assert (shown[y - 3 : y + 4, x - 3 : x + 4] != image[y - 3 : y + 4, x - 3 : x + 4]).any()
    with pytest.raises(InputError, match="crown is drawn on the points of ibug68, which the marku"):
        load_filter("crown", markup)


def test_head_axes_say_what_they_lack(run):
    pipeline = Pipeline(Predictor.load(run))
    with pytest.raises(InputError, match=r"head axes need a head pose: .* markup mine does not"):
        pipeline.axes = True
    assert not pipeline.axes


def test_other_points_do_not_go_on_in_the_run(records, tmp_path):
    folder = write_folder(tmp_path / "faces")
    (folder / "markup.toml").write_text(MARKUP.replace("[[0, 1], [3, 4]]", "[[0, 1]]"))
    other = load_records(f"folder:{folder}", "all")
    assert other.markup.difference(records.markup) == "mine and mine have other mirror pairs"
    runs.start_run(tmp_path / "run", Config(), {}, markup=records.markup)
    (tmp_path / "run" / runs.BEST).touch()
    with pytest.raises(InputError, match="holds a run of other points: mine and mine have other"):
        runs.start_run(tmp_path / "run", Config(), {}, markup=other.markup)
    (folder / "markup.toml").unlink()
    (folder / "splits.csv").write_text(f"{records.files[0]},train\n")
    with pytest.raises(InputError, match="11 columns: 5 points a row; ibug68 has 68") as refused:
        load_records(f"folder:{folder}", "all")
    assert "splits.csv" not in str(refused.value)  # one bad cause is one line
