import csv
from types import SimpleNamespace

import numpy as np
import pytest

from keypoints.errors import InputError
from keypoints.media import landmark_csv
from keypoints.media.landmark_csv import Row
from keypoints.pose import Pose


def make_face(number):
    points = np.arange(136, dtype=np.float32).reshape(68, 2) + 0.126
    return SimpleNamespace(
        id=number, box=np.array([1, 2, 30.5, 40]), score=0.98765, points=points,
        uncertainty=np.linspace(0, 67, 68) / 4, pose=Pose(12.34, -5.0, float("nan")),
        origin="found",
    )  # fmt: skip


def test_a_row_per_face_and_frame(tmp_path):
    path = tmp_path / "points.csv"
    with landmark_csv.writing(path) as write:
        write(Row(0, 0.0, [make_face(3), make_face(5)]))
        write(Row(1, 0.05, []))
        write(Row(2, 0.1, [make_face(5)]))
    rows = list(csv.DictReader(path.open()))
    assert [(row["frame"], row["id"]) for row in rows] == [("0", "3"), ("0", "5"), ("2", "5")]
    assert rows[2]["timestamp"] == "0.1000" and rows[0]["score"] == "0.9877"
    assert [rows[0][k] for k in ("left", "top", "width", "height")] == [
        "1.00", "2.00", "30.50", "40.00",
    ]  # fmt: skip
    assert (rows[0]["x0"], rows[0]["y0"], rows[0]["x67"], rows[0]["y67"]) == (
        "0.13", "1.13", "134.13", "135.13",
    )  # fmt: skip
    assert [rows[0][k] for k in ("yaw", "pitch", "roll")] == ["12.3", "-5.0", "nan"]
    # On this line of points, opposite ones of the inner lips are 6, 4 and 2 steps apart, corners 4.
    assert rows[0]["mouth_opening"] == "1.000"
    # Of an eye's six, 4 and 2 steps, and its corners 3.
    assert rows[0]["eye_opening"] == "1.000"
    assert {row["origin"] for row in rows} == {"found"}
    assert (rows[0]["uncertainty1"], rows[0]["uncertainty67"]) == ("0.25", "16.75")


def test_the_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "points.csv"
    with pytest.raises(RuntimeError), landmark_csv.writing(path) as write:
        write(Row(0, 0.0, [make_face(3)]))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    gone = tmp_path / "gone" / "points.csv"
    with pytest.raises(InputError, match="cannot write"), landmark_csv.writing(gone):
        pass
