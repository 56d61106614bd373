"""tools.evaluate with a stand-in network; test_train.py runs it as typed, on a real one."""

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest

from keypoints import config as configs
from keypoints import geometry
from keypoints.commands.evaluate import evaluate
from keypoints.config import Config
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.evaluation import reports
from keypoints.markup import IBUG68
from keypoints.models import runs
from keypoints.network import Network
from keypoints.pretrained import NAMES
from tests.faces import dotted_faces, estimated, write_folder

COUNT = 35  # one batch of 32 and a last one of 3


@pytest.fixture
def records(monkeypatch):
    records = dotted_faces(COUNT, name="dots/validation")
    monkeypatch.setattr("keypoints.data.sources.load_records", lambda *_, **__: records)
    return records


@pytest.fixture
def make_run(tmp_path, monkeypatch, records):
    """A function that makes a run folder whose network answers in crop pixels as told."""

    def make(answers: np.ndarray, **fields):
        config = Config(**fields)
        (tmp_path / runs.CONFIG).write_text(configs.to_json(config))
        (tmp_path / runs.BEST).write_bytes(b"weights")
        batches = iter(np.array_split(answers, range(32, len(answers), 32)))

        def predict(crops):
            batch = next(batches).reshape(-1, 136)
            return estimated(np.pad(batch, [(0, len(crops) - len(batch)), (0, 0)]))

        network = Network(predict, Crop.of(config), tmp_path / runs.BEST, config.data)
        monkeypatch.setattr("keypoints.models.runs.load_network", lambda path: network)
        return tmp_path

    return make


def loaded(run, predict):
    return Network(predict, Crop(), run / runs.BEST, Config().data)


def rows_of(folder):
    return list(csv.DictReader((folder / "per_image.csv").read_text().splitlines()))


def test_every_image_once_with_hashes_of_weights_and_split(make_run, records, capsys):
    matrices = Crop(1.4).matrices(geometry.landmark_box(records.points))
    run = make_run(geometry.apply(matrices, records.points))
    evaluate(str(run))
    folder = run / "evaluation" / "validation-truth"
    report = json.loads((folder / "report.json").read_text())
    assert report["nme"]["inter_ocular"] == pytest.approx(0, abs=1e-3)
    assert report["images"] == report["found"] == COUNT
    assert report["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert report["split_sha256"] == records.digest()
    assert report["boxes"] == "truth" and report["flip"] is False
    assert [row["file"] for row in rows_of(folder)] == list(records.files)
    assert str(folder) in capsys.readouterr().out


def test_swapped_axes_score_badly(make_run, records):
    matrices = Crop(1.4).matrices(geometry.landmark_box(records.points))
    run = make_run(geometry.apply(matrices, records.points)[..., ::-1])
    evaluate(str(run), output=str(run / "out"))
    assert json.loads((run / "out" / "report.json").read_text())["nme"]["inter_ocular"] > 20


def test_a_run_on_frames_says_that_it_used_no_boxes(make_run, records):
    matrices = Crop(frame=True).matrices(records.boxes, shapes=records.shapes)
    run = make_run(geometry.apply(matrices, records.points), crop="frame")
    evaluate(str(run))
    report = json.loads((run / "evaluation" / "validation-none" / "report.json").read_text())
    assert report["boxes"] == "none" and report["nme"]["inter_ocular"] < 1e-3
    with pytest.raises(InputError, match=r"^boxes=detector: this model sees the whole frame"):
        evaluate(str(run), boxes="detector")


def test_flip_reaches_the_prediction_and_the_report(make_run, records, monkeypatch):
    run = make_run(np.empty((0, 68, 2)))

    def corner(crops):
        return estimated(np.tile(np.float32([10, 111.5]), (len(crops), 68)))

    monkeypatch.setattr("keypoints.models.runs.load_network", lambda path: loaded(run, corner))
    evaluate(str(run), flip=True)
    folder = run / "evaluation" / "validation-truth-flip"
    assert json.loads((folder / "report.json").read_text())["flip"] is True
    box = geometry.landmark_box(records.points)
    middle = box[:, :2] + box[:, 2:] / 2  # 10 and its mirror image, 213, average to 111.5
    seen = np.array([[row["x5"], row["y5"]] for row in rows_of(folder)], float)
    np.testing.assert_allclose(seen, middle, atol=2e-3)


def test_stability_is_a_report_of_its_own(make_run, records, monkeypatch, capsys):
    run = make_run(np.empty((0, 68, 2)))

    def middle(crops):
        return estimated(np.tile(IBUG68.mean * 160 + 111.5, (len(crops), 1)))

    monkeypatch.setattr("keypoints.models.runs.load_network", lambda path: loaded(run, middle))
    monkeypatch.setattr("keypoints.evaluation.stability.CLIPS", 1)
    monkeypatch.setattr("keypoints.evaluation.stability.FRAMES", 12)
    evaluate(str(run), stability=True)
    folder = run / "evaluation" / "validation-stability"
    report = json.loads((folder / "stability.json").read_text())
    assert set(report["smoothers"]) == {"raw", "EMA", "One-Euro", "two-sided"}
    assert set(report["smoothers"]["raw"]) == {
        "nmf_static", "nmf_fast", "nme_static", "nme_fast", "lag_ms",
    }  # fmt: skip
    assert report["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert report["split_sha256"] == records.digest() and report["clips"] == 1
    shown = capsys.readouterr().out
    assert "NMF static" in shown and str(folder) in shown


def test_masks_are_a_report_of_their_own(make_run, records, monkeypatch, capsys):
    """A network that looks at no pixel does no worse with a mask."""
    run = make_run(np.empty((0, 68, 2)))

    def middle(crops):
        return estimated(np.tile(IBUG68.mean * 160 + 111.5, (len(crops), 1)))

    monkeypatch.setattr("keypoints.models.runs.load_network", lambda path: loaded(run, middle))
    evaluate(str(run), masks=True)
    report = json.loads((run / "evaluation" / "validation-masks" / "masks.json").read_text())
    assert report["ratio"] == dict.fromkeys(["eyes and brows", "covered", "all"], 1.0)
    assert report["with"] == report["without"] and "eyes and brows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": True, "stability": True}, "--stability and --masks: one at a time"),
        ({"stability": True, "flip": True}, "--stability is for a model"),
        ({"stability": True, "boxes": "jittered"}, "--stability is for a model"),
        ({"groups": "conditions", "boxes": "jittered"}, "--groups is for a model"),
        ({"detector": "yunet"}, "is of use with --boxes=detector"),
        ({"reliability": True, "normaliser": "box"}, "--normaliser=box: --reliability has a norm"),
        ({"masks": True, "normaliser": "box"}, "--normaliser=box: --masks has a normaliser"),
        ({"labels": "mine"}, "--labels=mine: one of corrected, published is expected"),
    ],
)
def test_options_that_do_not_go_together(options, message, tmp_path):
    with pytest.raises(InputError, match=message):
        evaluate(str(tmp_path), **options)


def test_predictions_are_known_by_their_hash(records, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ["file", *(",".join([f, *map(str, p.ravel())]) for f, p in
                       zip(records.files, records.points))]  # fmt: skip
    (tmp_path / "theirs.csv").write_text("\n".join(lines))
    evaluate(predictions="theirs.csv")
    folder = tmp_path / "runs" / "evaluation" / "theirs-validation"
    report = json.loads((folder / "report.json").read_text())
    digest = hashlib.sha256((tmp_path / "theirs.csv").read_bytes()).hexdigest()
    assert report["predictions_sha256"] == digest and report["nme"]["inter_ocular"] == 0


def test_reports_of_different_things_have_different_folders(make_run, records):
    """And the folder's name says what is not as usual."""
    run = make_run(np.empty((0, 68, 2)))
    for options in ({}, {"labels": "published"}, {"normaliser": "box"}, {"data": "folder:mine"},
                    {"labels": "published", "normaliser": "box", "boxes": "jittered"}):  # fmt: skip
        make_run(np.tile(IBUG68.mean * 160 + 111.5, (COUNT, 1, 1)))
        evaluate(str(run), **options)
    found = {path.parent.name for path in run.glob("evaluation/*/report.json")}
    assert found == {
        "validation-truth", "validation-truth-published", "validation-truth-box",
        "validation-truth-mine", "validation-jittered-published-box",
    }  # fmt: skip
    report = json.loads(
        (run / "evaluation" / "validation-jittered-published-box" / "report.json").read_text()
    )
    assert (report["labels"], report["normaliser"], report["boxes"]) == (
        "published", "box", "jittered",
    )  # fmt: skip
    assert report["data"] == Config().data and report["model"] == str(run)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"labels": "published"}, "labels=corrected, this one would be of published"),
        ({"normaliser": "box"}, "normaliser=inter_ocular, this one would be of box"),
        ({"boxes": "jittered"}, "boxes=truth, this one would be of jittered"),
        ({"flip": True}, "flip=False, this one would be of True"),
    ],
)
def test_a_report_of_something_else_is_not_replaced(make_run, records, options, named):
    answers = np.tile(IBUG68.mean * 160 + 111.5, (COUNT, 1, 1))
    run = make_run(answers)
    evaluate(str(run), output=str(run / "out"))
    before = (run / "out" / "report.json").read_bytes()
    with pytest.raises(InputError, match=rf"out/report.json is the report of {named}; name anoth"):
        evaluate(str(run), output=str(run / "out"), **options)
    assert (run / "out" / "report.json").read_bytes() == before
    make_run(answers)
    evaluate(str(run), output=str(run / "out"))  # the same again
    assert (run / "out" / "report.json").read_bytes() == before


def test_a_report_of_other_weights_data_or_detector_is_not_replaced(
    make_run, records, monkeypatch, tmp_path
):
    answers = np.tile(IBUG68.mean * 160 + 111.5, (COUNT, 1, 1))
    run = make_run(answers)
    evaluate(str(run))
    (run / runs.BEST).write_bytes(b"other weights")
    with pytest.raises(InputError, match=r"validation-truth/report\.json is the report of weights"):
        evaluate(str(run))
    (run / runs.BEST).write_bytes(b"weights")
    other = dotted_faces(COUNT, seed=5, name="dots/validation")
    monkeypatch.setattr("keypoints.data.sources.load_records", lambda *_, **__: other)
    with pytest.raises(InputError, match="is the report of split_sha256="):
        evaluate(str(run))
    path = tmp_path / "report.json"
    facts = {"boxes": "detector", "detector": "compact"}
    path.write_text(json.dumps(facts))
    reports.refuse_other(path, facts)
    with pytest.raises(InputError, match="detector=compact, this one would be of haar; name"):
        reports.refuse_other(path, facts | {"detector": "haar"})
    path.write_text("[")
    with pytest.raises(InputError, match=r"report\.json"):
        reports.refuse_other(path, facts)


def test_two_files_of_one_export_have_a_report_each(records, tmp_path, monkeypatch):
    export = shutil.copytree(NAMES["pretrained-small"], tmp_path / "export")
    evaluate(str(export))
    evaluate(str(export / "model-int8.onnx"))
    found = {path.parent.name for path in export.glob("evaluation/*/report.json")}
    assert found == {"validation-truth", "validation-truth-model-int8"}


@pytest.mark.parametrize("kind", ["masks", "reliability", "stability", "groups"])
def test_the_reports_of_kinds_say_their_labels_and_data(make_run, records, kind, monkeypatch):
    run = make_run(np.empty((0, 68, 2)))

    def middle(crops):
        return estimated(np.tile(IBUG68.mean * 160 + 111.5, (len(crops), 1)))

    monkeypatch.setattr("keypoints.evaluation.stability.CLIPS", 1)
    monkeypatch.setattr("keypoints.evaluation.stability.FRAMES", 12)
    monkeypatch.setattr("keypoints.models.runs.load_network", lambda path: loaded(run, middle))
    option = {kind: "conditions" if kind == "groups" else True}
    evaluate(str(run), labels="published", **option)
    path = run / "evaluation" / f"validation-{kind}-published" / f"{kind}.json"
    report = json.loads(path.read_text())
    assert report["labels"] == "published" and report["data"] == Config().data
    with pytest.raises(InputError, match=f"{kind}.json is the report of labels=published, this"):
        evaluate(str(run), output=str(path.parent), **option)


@pytest.mark.parametrize("option", [{"boxes": "jittered"}, {"flip": True}])
def test_options_that_predictions_cannot_follow_are_refused(option, tmp_path):
    (tmp_path / "p.csv").write_text("file")
    with pytest.raises(InputError, match="predictions are scored as they are"):
        evaluate(predictions=str(tmp_path / "p.csv"), **option)


def test_a_report_cannot_be_a_file(tmp_path):
    (tmp_path / "p.csv").write_text("file")
    with pytest.raises(InputError, match="is a file; a folder is expected"):
        evaluate(predictions=str(tmp_path / "p.csv"), output=str(tmp_path / "p.csv"))


def test_a_report_does_not_go_into_the_data(tmp_path, monkeypatch):
    write_folder(tmp_path / "faces")
    monkeypatch.chdir(tmp_path / "faces")
    with pytest.raises(InputError, match="evaluation/pretrained-validation-truth-faces lies in"):
        evaluate(data="folder:.")
    assert not (tmp_path / "faces" / "runs").exists()
