"""Errors by conditions and groups, of points whose errors are known."""

from dataclasses import replace

import numpy as np
import pytest

from keypoints.crop import Crop
from keypoints.data.records import make_records
from keypoints.errors import InputError
from keypoints.estimate import Estimate, score_faces
from keypoints.evaluation import groups
from keypoints.markup import IBUG68
from keypoints.network import Network
from tests.faces import dotted_faces

NETWORK = Network(None, Crop(1.4), half_score=0.035)


@pytest.fixture
def records():
    """Twelve faces, of which 3, 7 and 11 are turned by 45 degrees."""
    faces = dotted_faces(12)
    return replace(faces, yaw=np.where(np.arange(12) % 4 == 3, 45, 5).astype(np.float32))


@pytest.fixture
def moved(records, monkeypatch):
    """Call it with how far off each face is, in shares of the root of its box's area."""

    def move(shares, uncertainty=0.01):
        size = np.sqrt(records.boxes[:, 2] * records.boxes[:, 3])
        points = records.points.copy()
        points[..., 0] += (np.asarray(shares) * size)[:, None]
        spread = (np.broadcast_to(uncertainty, 12) * size)[:, None].repeat(68, 1)
        estimate = Estimate(points, spread.astype(np.float32))
        scores = score_faces(estimate, records.boxes, records.shapes)
        estimate = replace(estimate, scores=scores)
        monkeypatch.setattr(groups, "predict_points", lambda *_: estimate)

    return move


def test_all_groups_get_the_same_shares_of_all_classes():
    # Class one has two faces of a and one of b, class two one of a, which has no partner,
    # class three one of a, two of b, and one of no group.
    known = np.array(["a", "a", "b", "a", "a", "b", "b", ""])
    classes = [("one", np.arange(8) < 3), ("two", np.arange(8) == 3), ("three", np.arange(8) > 3)]
    weights = groups.equal_weights(known, [classes])
    assert weights.tolist() == [1.5, 1.5, 3, 0, 3, 1.5, 1.5, 0]
    halves = [("even", np.arange(8) % 2 == 0), ("odd", np.arange(8) % 2 == 1)]
    # Of the combinations, the even ones of one (a, b) and of three (a, b) have faces of both.
    assert groups.equal_weights(known, [classes, halves]).tolist() == [2, 0, 2, 0, 2, 0, 2, 0]
    with pytest.raises(InputError, match="no class of size and yaw has faces of each group"):
        groups.equal_weights(known, [[("a", known == "a"), ("b", known == "b")]])


def test_a_group_with_more_turned_faces_is_compared_at_equal_yaw(records, moved, tmp_path):
    turned, other = np.arange(12) % 4 == 3, np.isin(np.arange(12), [1, 3, 7, 10])
    moved(0.01 * np.where(turned, 3, 1) * np.where(other, 2, 1))
    rows = [f"{file},{'theirs' if b else 'ours'}" for file, b in zip(records.files, other)]
    (tmp_path / "groups.csv").write_text("\n".join(["file,group", *rows]))
    report = groups.measure(NETWORK, records, groups=str(tmp_path / "groups.csv"))
    # As they are: seven faces of 1 % and one of 3 %; two of 2 % and two of 6 %.
    ours, theirs = report["by_group"]["ours"], report["by_group"]["theirs"]
    assert (ours["as_they_are"]["faces"], theirs["as_they_are"]["faces"]) == (8, 4)
    assert ours["as_they_are"]["nme"] == pytest.approx(10 / 8, rel=1e-4)
    assert theirs["as_they_are"]["nme"] == pytest.approx(16 / 4, rel=1e-4)
    # At equal yaw theirs are twice as far off, whatever the sizes of the faces are.
    assert theirs["equal"]["nme"] == pytest.approx(2 * ours["equal"]["nme"], rel=1e-4)
    low, high = theirs["equal"]["nme_interval"]
    assert low <= theirs["equal"]["nme"] <= high
    assert report["compared"] == ours["equal"]["faces"] + theirs["equal"]["faces"]
    shown = groups.table(report)
    assert "at equal size and yaw" in shown and "theirs" in shown


def test_conditions_have_the_errors_and_scores_of_their_faces(records, moved):
    turned = np.arange(12) % 4 == 3
    moved(np.where(turned, 0.04, 0.02), np.where(turned, 0.07, 0.014))
    report = groups.measure(NETWORK, records, groups="conditions")
    yaw = {row["class"]: row for row in report["conditions"]["yaw"]}
    assert list(yaw) == ["0 to 30", "30 to 60"] and "by_group" not in report
    assert (yaw["0 to 30"]["faces"], yaw["30 to 60"]["faces"]) == (9, 3)
    assert yaw["0 to 30"]["nme"] == pytest.approx(2, rel=1e-4)
    assert yaw["30 to 60"]["nme"] == pytest.approx(4, rel=1e-4)
    # Scores are 1 - uncertainty / 0.07.
    assert yaw["0 to 30"]["score"] == pytest.approx(0.8, rel=1e-3)
    assert [yaw[each]["dropped"] for each in yaw] == pytest.approx([0, 100])
    assert [row["faces"] for row in report["conditions"]["size"]] == [4, 4, 4]


def test_bright_and_sharp_faces_are_told_from_others():
    rng, points = np.random.default_rng(0), IBUG68.mean * [60, 66] + [75, 50]
    fine = rng.integers(0, 100, (110, 150, 3), np.uint8)
    images = {"dark": fine // 4, "flat": np.full_like(fine, 90), "bright": 150 + fine}
    examples = [(f"{name}.png", name, image, points) for name, image in images.items()]
    classes = groups.conditions(make_records("made/all", examples))
    assert [faces.tolist() for _, faces in classes["brightness"]] == np.eye(3, dtype=bool).tolist()
    order = [np.flatnonzero(faces).tolist() for _, faces in classes["sharpness"]]
    assert order == [[1], [0], [2]]  # no edges at all, those of a quarter, and whole ones
    none, quarter, all_of = (int(label.split()[0]) for label, _ in classes["sharpness"])
    assert none == 0 and quarter > 20 and all_of == pytest.approx(16 * quarter, rel=0.1)


def test_blank_lines_repeated_rows_and_backslashes_are_as_in_other_tables(records, tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("file,group\n\n0\\0000.png,a\n0/0001.png,b\n0/0000.png,a\n")
    read = dict(zip(records.files, groups.read_groups(path, records), strict=True))
    assert {file: group for file, group in read.items() if group} == {
        "0/0000.png": "a",
        "0/0001.png": "b",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,group\n0/0000.png,a\nmissing.png,b\n", r"line 3: 'missing\.png' is no picture of"),
        ("0/0000.png,a,b\n0/0001.png,b\n", "line 1: '0/0000.png,a,b': picture,group is expected"),
        ("missing.png,b\n0/0000.png,a\n", r"line 1: 'missing\.png' is no picture of"),
        ("0/0000.png,a\n0/0000.png,b\n", "line 2: 0/0000.png has another group already: a"),
        ("0/0000.png,a\n0/0001.png,a\n", "two groups or more are expected"),
        (b"\xff\xfe\x00", "not a CSV file"),
    ],
)
def test_a_wrong_file_is_named(records, text, message, tmp_path):
    path = tmp_path / "groups.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        groups.read_groups(path, records)
    with pytest.raises(InputError, match="no such file; conditions or a CSV file is expected"):
        groups.group_facts(str(tmp_path / "none.csv"))
