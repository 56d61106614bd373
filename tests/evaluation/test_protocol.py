import csv
import dataclasses
import json

import numpy as np
import pytest

from keypoints import geometry, metrics
from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.evaluation import protocol, reports
from keypoints.inference.predictor import Predictor
from keypoints.markup import IBUG68
from keypoints.network import Network
from tests.faces import dotted_faces, estimated


@pytest.fixture(scope="module")
def records():
    return dotted_faces(7, name="dots/validation")


def oracle(records, boxes, *, margin=1.4, wrong=0.0):
    """A predict function that knows the points, and counts what it is shown."""
    matrices = Crop(margin).matrices(boxes)
    targets = geometry.apply(matrices, records.points).reshape(len(records), -1) + wrong
    crops = np.stack([geometry.crop(records.image(i), m) for i, m in enumerate(matrices)])
    seen = []

    def predict(batch):
        assert batch.shape == (3, 224, 224, 3) and batch.dtype == np.uint8
        answers = np.zeros((len(batch), 136), np.float32)
        for row, crop in enumerate(batch):
            matches = np.flatnonzero((crops == crop).all(axis=(1, 2, 3)))
            seen.extend(matches)
            answers[row] = targets[matches[0]] if len(matches) else 0
        return estimated(answers)

    return predict, seen


def test_every_record_once_in_order_back_in_its_picture(records):
    boxes = records.boxes
    predict, seen = oracle(records, boxes)
    network = Network(predict, Crop(1.4))
    found = protocol.predict_points(network, records, boxes, batch_size=3)
    assert seen == list(range(7))  # 3 + 3 + 1, the last batch filled up
    np.testing.assert_allclose(found.points, records.points, atol=1e-3)
    # One pixel of a crop of 224, which is 1.4 longer sides wide.
    picture_pixel = 1.4 * boxes[:, 2:].max(axis=1, keepdims=True) / 224
    np.testing.assert_allclose(found.uncertainty, np.tile(picture_pixel, 68), rtol=1e-4)


def test_a_crop_of_the_frame_uses_no_boxes(records):
    def predict(batch):
        return estimated(np.full((len(batch), 136), 111.5))

    network = Network(predict, Crop(9, frame=True))
    points = protocol.predict_points(network, records, records.boxes).points
    middles = (records.shapes[:, ::-1] - 1) / 2  # width, then height
    np.testing.assert_allclose(points[:, 0], middles, atol=1e-3)


def test_flip_averages_with_the_flipped_crop(records):
    """A model that is 4 px too far right in whatever it sees is right on average."""
    boxes = records.boxes
    predict, _ = oracle(records, boxes, wrong=np.tile([4.0, 0.0], 68))
    known = {}

    def both(batch):
        plain = predict(batch)
        for row, crop in enumerate(batch):
            mirror = crop[:, ::-1].tobytes()
            if mirror in known:
                face = known[mirror]
                face = (face * [-1, 1] + [223, 0])[IBUG68.mirror]
                plain.points[row] = face + [8.0, 0.0]  # truth + 4, seen in the mirror
            known[crop.tobytes()] = plain.points[row].copy()
        return plain

    plain, averaged = (Network(each, Crop(1.4)) for each in (predict, both))
    off = protocol.predict_points(plain, records, boxes, batch_size=3).points
    scale = geometry.scale_of(Crop(1.4).matrices(boxes))
    np.testing.assert_allclose((off - records.points)[:, 0, 0], 4 / scale, rtol=1e-3)
    averaged = protocol.flip_averaged(averaged)
    on = protocol.predict_points(averaged, records, boxes, batch_size=3).points
    np.testing.assert_allclose(on, records.points, atol=1e-3)


def test_jittered_boxes_are_seeded_and_as_wide_as_they_say():
    many = dotted_faces(1)
    many = dataclasses.replace(
        many, boxes=np.repeat(many.boxes, 4000, 0), files=tuple(map(str, range(4000)))
    )
    boxes = protocol.jittered_boxes(many, seed=3)
    again = protocol.jittered_boxes(many, seed=3)
    truth = many.boxes
    assert (boxes == again).all()
    shift = (boxes[:, :2] + boxes[:, 2:] / 2) - (truth[:, :2] + truth[:, 2:] / 2)
    assert (shift / truth[:, 2:].max(1, keepdims=True)).std() == pytest.approx(0.05, rel=0.05)
    assert np.log(boxes[:, 2] / truth[:, 2]).std() == pytest.approx(0.08, rel=0.05)


def test_a_missing_box_has_no_points_and_a_roll_turns_the_crop(records):
    boxes, rolls = records.boxes.copy(), np.zeros(7, np.float32)
    boxes[1], rolls[2] = np.nan, 90
    right = np.full((3, 68, 2), (150.0, 111.5))  # right of each crop's middle

    def predict(batch):
        return estimated(right[: len(batch)])

    network = Network(predict, Crop(1.4))
    found = protocol.predict_points(network, records, boxes, rolls=rolls, batch_size=3)
    assert np.isnan(found.points[1]).all() and np.isnan(found.uncertainty[1]).all()
    away = found.points[:, 0] - (boxes[:, :2] + boxes[:, 2:] / 2)
    step = (150 - 111.5) * 1.4 * boxes[:, 2:].max(axis=1) / 224
    np.testing.assert_allclose(away[0], [step[0], 0], atol=1e-3)
    # A head turned clockwise by 90 degrees has its own right below its middle.
    np.testing.assert_allclose(away[2], [0, step[2]], atol=1e-3)


def test_faces_off_their_boxes_are_estimated_again_as_in_pictures(records):
    """A network that takes the face for smaller than its crop; the third one was not found."""

    def smaller(batch):
        points = np.tile(IBUG68.mean * [125, 130] + [116, 109], (len(batch), 1, 1))
        return estimated(points, uncertainty=1.5)

    network = Network(smaller, Crop(1.4))
    boxes, rolls = records.boxes.copy(), np.linspace(-30, 40, 7)
    boxes[2] = np.nan
    found = protocol.settled_points(network, records, boxes, rolls=rolls)
    predictor, kept = Predictor(network), [0, 1, 3, 4, 5, 6]
    assert np.isnan(found.points[2]).all() and np.isnan(found.scores[2])
    for i in kept:
        image, box, roll = records.image(i), boxes[i : i + 1], rolls[i : i + 1]
        first = predictor.estimate(image, box, roll)
        once = protocol.predict_points(network, records, boxes, rolls=rolls)
        np.testing.assert_allclose(once.points[i], first.points[0], atol=1e-3)
        assert once.scores[i] == pytest.approx(first.scores[0], abs=1e-5)
        settled = predictor.settled(image, box, first)
        np.testing.assert_allclose(found.points[i], settled.points[0], atol=1e-3)
        assert found.scores[i] == pytest.approx(settled.scores[0], abs=1e-5)
        assert np.abs(found.points[i] - first.points[0]).max() > 2


def test_report_by_hand(records):
    predicted = records.points.copy()
    eyes = np.linalg.norm(predicted[:, 45] - predicted[:, 36], axis=1)
    predicted += (0.05 * eyes)[:, None, None] * [0.6, 0.8]  # everybody 5 % off
    predicted[2] = np.nan  # one not found
    report = protocol.evaluate(records, predicted, model="m", boxes="truth")
    assert report["images"] == 7 and report["found"] == 6
    assert report["recall"] == pytest.approx(600 / 7)
    assert report["nme"]["inter_ocular"] == pytest.approx(5.0, rel=1e-4)
    assert report["parts"] == pytest.approx(dict.fromkeys(IBUG68.parts, 5.0), rel=1e-4)
    assert report["offset"] == pytest.approx([3.0, 4.0], rel=1e-4)
    assert report["nme_without_offset"] == pytest.approx(0, abs=1e-3)
    assert report["auc_at_0.08"] == pytest.approx((0.08 - 0.05) / 0.08 * 6 / 7, rel=1e-4)
    assert report["failures_at_0.08"] == pytest.approx(100 / 7)
    assert report["percentiles"]["P99"] == pytest.approx(5.0, rel=1e-4)
    assert sum(entry["images"] for entry in report["yaw"].values()) == 7
    assert report["mean_face"]["nme"] > 0 and report["split_sha256"] == records.digest()
    text = reports.table(report)
    assert "offset of all, x y   +3.00  +4.00  %  (NME without it: 0.00 %)" in text
    assert "NME inter-ocular     5.00 %" in text and "7 images, 6 faces found" in text
    with pytest.raises(InputError, match="6 predictions for 7 images"):
        protocol.evaluate(records, predicted[:6])


def test_report_by_yaw_under_the_box_with_missing_points(records):
    points = records.points.copy()
    points[5:, :17] = np.nan
    yaw = np.float32([0, -20, 30, -59, 60, -90, np.nan])  # the last face is frontal
    given = dataclasses.replace(records, points=points, yaw=yaw)
    side = np.sqrt(records.boxes[:, 2:].prod(axis=1))
    errors = np.float32([1, 1, 2, 2, 4, 4, 1])
    predicted = records.points + (errors * side / 100)[:, None, None] * np.float32([0.6, 0.8])
    predicted[5, :17] += 50  # where nothing is annotated
    report = protocol.evaluate(given, predicted, normaliser="box")
    assert report["normaliser"] == "box"
    bins = report["yaw"]
    assert [bin["images"] for bin in bins.values()] == [3, 2, 2]
    assert [bin["nme"] for bin in bins.values()] == pytest.approx([1, 2, 4], rel=1e-4)
    assert bins["over 60"]["inner"] == pytest.approx(4, rel=1e-4)
    assert report["nme"]["box"] == pytest.approx(15 / 7, rel=1e-4)
    assert report["parts"]["jaw"] == pytest.approx(10 / 5, rel=1e-4)  # of five faces
    text = reports.table(report)
    assert "yaw over 60°       4.00 %  (2 images; inner 4.00 %; failures 0.0 %)" in text
    given.points[:, :17] = np.nan
    report = protocol.evaluate(given, predicted)
    assert report["parts"]["jaw"] is None and "jaw" not in reports.table(report)
    with pytest.raises(InputError, match="normaliser=boxes is not known; did you mean 'box'"):
        protocol.evaluate(given, predicted, normaliser="boxes")


def test_interval_is_over_people_where_they_are_known(records):
    errors = np.float32([1, 1, 1, 1, 3, 3, 3])  # one person's are all alike
    predicted = records.points + errors[:, None, None]
    people = dataclasses.replace(records, identities=("a",) * 4 + ("b",) * 3)
    unknown = dataclasses.replace(records, identities=("",) * 7)
    nme = metrics.inter_ocular_nme(records.points, predicted)
    report = protocol.evaluate(people, predicted)
    # Of two people drawn twice, a quarter of the draws is all "a" and a quarter all "b".
    expected = [100 * nme[:4].mean(), 100 * nme[4:].mean()]
    np.testing.assert_allclose(report["nme_interval"], expected, rtol=1e-6)
    low, high = protocol.evaluate(unknown, predicted)["nme_interval"]
    assert expected[0] < low < high < expected[1]


def test_galleries_show_the_worst_first_and_the_best_to_the_worst(records, tmp_path, monkeypatch):
    predicted = records.points + np.float32([4, 1, 6, 0, 3, 2, 5])[:, None, None] * 9
    predicted[0] = np.nan
    shown = {}

    def gallery(records, chosen, predicted, captions, path):
        shown[path.name.split(".")[-2]] = [caption.split()[-1] for caption in captions]
        path.write_bytes(b"drawn")

    monkeypatch.setattr("keypoints.evaluation.plots.gallery", gallery)
    monkeypatch.setattr(reports, "WORST", 3)
    report = protocol.evaluate(records, predicted)
    reports.write_report(tmp_path, report, records, predicted)
    assert shown["worst"] == ["0000", "0002", "0006"]  # not found, then 6 and 5 off
    assert shown["faces"] == ["0003", "0001", "0005", "0004", "0006", "0002", "0000"]


def test_what_cannot_be_measured_is_refused(records):
    with pytest.raises(InputError, match="no face was found in any of the 7 images"):
        protocol.evaluate(records, np.full_like(records.points, np.nan))
    points = records.points.copy()
    points[4, 45] = points[4, 36]
    squinting = dataclasses.replace(records, points=points)
    with pytest.raises(InputError, match=f"{records.files[4]}: its inter_ocular is 0"):
        protocol.evaluate(squinting, records.points)


def test_failures_are_of_all_faces_and_recall_is_by_yaw(records):
    yaw = np.float32([0, 10, -20, 40, -50, 70, -80])
    given = dataclasses.replace(records, yaw=yaw)
    side = np.sqrt(records.boxes[:, 2:].prod(axis=1))
    errors = np.float32([1, 2, 10, 3, 5, 9, 9])  # percent of the box's side
    predicted = records.points + (errors * side / 100)[:, None, None] * np.float32([0.6, 0.8])
    predicted[[1, 5, 6]] = np.nan
    report = protocol.evaluate(given, predicted, normaliser="box", false_faces=2 / 7)
    assert report["found"] == 4 and report["recall"] == pytest.approx(400 / 7)
    assert report["nme"]["box"] == pytest.approx((1 + 10 + 3 + 5) / 4, rel=1e-4)
    assert report["failures_at_0.08"] == pytest.approx(400 / 7)  # three missed, one 10 % off
    near, turned, side_on = report["yaw"].values()
    assert near["recall"] == pytest.approx(200 / 3) and turned["recall"] == 100
    assert near["nme"] == pytest.approx((1 + 10) / 2, rel=1e-4)
    assert near["failures_at_0.08"] == pytest.approx(200 / 3)
    assert turned["failures_at_0.08"] == 0 and side_on["failures_at_0.08"] == 100
    assert side_on["recall"] == 0 and side_on["nme"] is None and side_on["inner"] is None
    text = reports.table(report)
    assert "recall               57.1 %  (IoU 0.35; 0.286 false faces per picture)" in text
    assert "yaw over 60°       no face found  (2 images; recall 0.0 %; failures 100.0 %)" in text
    assert "AUC and failures are over all faces, the rest over the faces found" in text
    found = protocol.evaluate(given, records.points)
    assert "recall" not in reports.table(found)


def test_mean_face_fills_its_box():
    boxes = np.array([[10.0, 20, 100, 80]])
    face = protocol.mean_face(boxes, IBUG68.mean)[0]
    centre = (face.max(0) + face.min(0)) / 2
    np.testing.assert_allclose(centre, [60, 60], atol=4)
    assert np.ptp(face, axis=0).max() == pytest.approx(100, rel=0.06)


def test_written_report_reads_back(records, tmp_path):
    predicted = records.points + np.float32([1.5, 0])
    predicted[3] = np.nan
    report = protocol.evaluate(records, predicted, model="m", boxes="truth")
    reports.write_report(tmp_path / "r", report, records, predicted)
    assert json.loads((tmp_path / "r" / "report.json").read_text()) == report
    rows = list(csv.DictReader((tmp_path / "r" / "per_image.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == list(records.files)
    assert float(rows[0]["x36"]) == pytest.approx(records.points[0, 36, 0] + 1.5, abs=1e-3)
    assert rows[3]["nme"] == "" and rows[3]["x0"] == ""
    mean = np.mean([float(row["nme"]) for row in rows if row["nme"]])
    assert mean == pytest.approx(report["nme"]["inter_ocular"], abs=1e-3)
    for name in ("ced.png", "worst.jpg", "faces.jpg"):
        assert (tmp_path / "r" / name).stat().st_size > 1000


def predictions(path, records, changes=None):
    rows = {file: [file, *p.ravel()] for file, p in zip(records.files, records.points)}
    rows |= changes or {}
    lines = [",".join(map(str, row)) for row in rows.values() if row is not None]
    path.write_text("\n".join(["file" + ",0" * 136, *lines, "other/file.png,1,2"]))
    return path


def test_predictions_are_read_by_file_name(records, tmp_path):
    first = records.files[0]
    path = predictions(tmp_path / "p.csv", records, {first: [first, *[""] * 136]})
    found = protocol.read_predictions(path, records)
    assert list(found) == list(records.files) and found[first].shape == (0, 68, 2)
    for file, points in zip(records.files[1:], records.points[1:]):
        np.testing.assert_allclose(found[file], points[None], rtol=1e-6)


def test_several_rows_of_a_picture_are_several_faces(records, tmp_path):
    a, b = records.files[:2]
    names = (a, f"{a}#1", *records.files[2:])
    two = dataclasses.replace(records, files=names)
    row = [a, *records.points[4].ravel()]
    path = predictions(tmp_path / "p.csv", records, {b: row})
    found = protocol.read_predictions(path, two)
    np.testing.assert_allclose(found[a], records.points[[0, 4]], rtol=1e-6)
    assert f"{a}#1" not in found


def test_a_file_without_a_header_keeps_its_first_face(records, tmp_path):
    first = records.files[0]
    path = predictions(tmp_path / "p.csv", records)
    rows = path.read_text().splitlines()[1:]
    path.write_text("\n".join([f"{first}" + ",7" * 136, *rows]))
    found = protocol.read_predictions(path, records)
    assert found[first].shape == (2, 68, 2) and (found[first][0] == 7).all()


@pytest.mark.parametrize("cells", [[], [""] * 136])
def test_a_name_alone_is_a_picture_without_a_found_face(records, tmp_path, cells):
    first, second = records.files[:2]
    path = predictions(tmp_path / "p.csv", records, {first: [first, *cells]})
    found = protocol.read_predictions(path, records)
    assert found[first].shape == (0, 68, 2) and found[second].shape == (1, 68, 2)


@pytest.mark.parametrize("cell", ["nan", "-inf", "1e99", ""])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_half_a_face_is_refused(records, tmp_path, cell):
    first = records.files[0]
    path = predictions(tmp_path / "p.csv", records, {first: [first, *[1] * 135, cell]})
    with pytest.raises(InputError, match=f"line 2: {first}"):
        protocol.read_predictions(path, records)


def test_a_file_that_is_no_table_is_refused(records, tmp_path):
    path = tmp_path / "best.weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n\xff\x00" * 99)
    with pytest.raises(InputError, match=r"best\.weights\.h5 is not a CSV file"):
        protocol.read_predictions(path, records)


def test_bad_predictions_are_named(records, tmp_path):
    a, b, c = records.files[:3]
    changes = {a: None, b: [b, 1, 2], c: [c, *["x"] * 136]}
    path = predictions(tmp_path / "p.csv", records, changes)
    with pytest.raises(InputError) as error:
        protocol.read_predictions(path, records)
    message = str(error.value)
    for reason in (
        f"{a} has no row; its name alone says that no face was found",
        "3 columns, 137",
        "could not convert",
    ):
        assert reason in message
    with pytest.raises(InputError, match="No such file"):
        protocol.read_predictions(tmp_path / "missing.csv", records)
