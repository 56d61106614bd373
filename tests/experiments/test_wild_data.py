import csv
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest

from experiments.wild_data import folders
from experiments.wild_data.__main__ import wild_data
from keypoints.data.sources import load_records


def face(*, turned=0.0):
    """68 points on a grid, 100 by 80 pixels, of which those of the jaw are moved by `turned`."""
    grid = np.stack(np.meshgrid(np.linspace(10, 110, 17), np.linspace(20, 100, 4)), axis=-1)
    points = grid.reshape(68, 2)
    points[folders.JAW] += turned
    return points


def test_points_by_hand_come_before_those_of_the_model():
    by_hand, model = face(), face(turned=9.0)
    by_hand[[3, 20, 40]] = np.nan
    model[folders.INNER] += 1.0  # 1.4 pixels apart; 2 % of the box's side of about 90 are 1.9
    seen = folders.visible(by_hand, model, yaw=50.0)
    assert np.isnan(seen[3]).all()  # of the jaw, which the model puts elsewhere
    assert seen[[20, 40]].tolist() == model[[20, 40]].tolist()
    others = np.setdiff1d(np.arange(68), [3, 20, 40])
    assert seen[others].tolist() == by_hand[others].tolist()


def test_points_of_the_model_are_not_taken_where_it_contradicts_those_by_hand():
    by_hand, model = face(), face()
    by_hand[20] = np.nan
    model[folders.INNER] += 2.0
    assert np.isnan(folders.visible(by_hand, model, yaw=0.0)[20]).all()


@pytest.mark.parametrize(("yaw", "jaw"), [(15.0, True), (-15.0, True), (15.1, False), (-16, False)])
def test_without_points_by_hand_the_jaw_of_turned_heads_is_not_annotated(yaw, jaw):
    seen = folders.visible(None, face(), yaw)
    assert np.isfinite(seen[folders.JAW]).all() == jaw
    assert seen[folders.INNER].tolist() == face()[folders.INNER].tolist()


def test_jaw_points_on_the_border_are_cut_off():
    points = face()
    points[0], points[5], points[6], points[9], points[30] = (
        (1, 50),
        (50, 118),
        (50, 117),
        (138, 9),
        (0, 0),
    )
    kept = folders.cut_off(points, width=140, height=120)
    assert np.flatnonzero(np.isnan(kept[:, 0])).tolist() == [0, 5, 9]
    assert kept[30].tolist() == [0, 0]


@pytest.fixture
def archives(tmp_path):
    """Three archives, of 17, 9 and 9, and 10 pictures, and tables of points by hand and of yaw."""
    header = ["file", *(f"{axis}{point}" for point in range(68) for axis in "xy")]

    def table(path, rows):
        path.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n")
        return path

    def archive(name, pictures):
        rows = [[picture, *face().ravel()] for picture in pictures]
        with ZipFile(tmp_path / name, "w") as files:
            files.write(table(tmp_path / "points.csv", rows), "points.csv")
            for place, picture in enumerate(pictures):
                image = np.full((120, 140, 3), place, np.uint8)
                files.writestr(picture, cv2.imencode(".png", image)[1].tobytes())
        return str(tmp_path / name)

    aflw = [f"image{n:05d}.jpg" for n in range(396, 406)]
    by_hand = face() + 1
    by_hand[10] = np.nan
    rows = [[aflw[0], *("" if np.isnan(cell) else cell for cell in by_hand.ravel())]]
    yaw = tmp_path / "yaw.csv"
    yaw.write_text(
        "picture,yaw_degrees\n" + "".join(f"{name},{9 * n}\n" for n, name in enumerate(aflw))
    )
    both = [*(f"helen_{n}.jpg" for n in range(9)), *(f"{n}.jpg" for n in range(9))]
    return {
        "lfpw": archive("lfpw.zip", [f"{n:02d}.jpg" for n in range(17)]),
        "helen_afw": archive("helen_afw.zip", both),
        "aflw": archive("aflw.zip", aflw),
        "aflw_2d": str(table(tmp_path / "by_hand.csv", rows)),
        "aflw_yaw": str(yaw),
        "output": str(tmp_path / "data"),
    }


def test_the_folders_are_read_as_they_are_meant(archives, tmp_path):
    wild_data(**archives)
    data = tmp_path / "data"

    def read(name, split, labels="published"):
        return load_records(f"folder:{data / name}", split, labels=labels)

    assert [len(read(name, "train")) for name in ("lfpw", "helen", "afw")] == [14, 7, 7]
    assert read("lfpw", "validation").files == ("00.jpg", "08.jpg", "16.jpg")
    # image00400.jpg is in left_out.csv, and does not change the split of those after it.
    assert read("aflw", "validation").files == ("image00396.jpg", "image00404.jpg")
    assert len(read("aflw", "train")) == 7
    validation, train = read("aflw", "validation"), read("aflw", "train")
    assert (
        validation.points[0, 20] == pytest.approx(face()[20] + 1, abs=0.01)
        and validation.yaw[1] == 72
    )
    assert np.isnan(validation.points[0, 10]).all()
    assert [np.isnan(points[0, 0]) for points in train.points[:2]] == [False, True]  # 9°, 18°
    # Folders for reports, of pictures that nobody has trained on.
    in_3d, by_hand = (read(f"aflw_{kind}", "validation", "corrected") for kind in ("3d", "by_hand"))
    assert in_3d.files == validation.files and by_hand.files == validation.files[:1]
    assert [np.isnan(points[0, 0]) for points in in_3d.points] == [False, True]  # 0°, 72°
    assert in_3d.points[:, 20] == pytest.approx(face()[[20, 20]], abs=0.01)
    assert np.isnan(by_hand.points[0, 10]).all() and by_hand.yaw.tolist() == [0]
    eyes = np.linalg.norm(face()[45] - face()[36])
    assert by_hand.points[0, 20] == pytest.approx(face()[20] + 1 + [0.0055 * eyes, 0], abs=0.01)
    shift = read("afw", "train").points - read("afw", "train", "corrected").points
    assert shift[..., 0] == pytest.approx(0.0126 * eyes, abs=0.01) and not shift[..., 1].any()


def test_the_list_of_pictures_left_out_names_reasons():
    path = Path(folders.__file__).with_name("left_out.csv")
    rows = list(csv.reader(path.read_text().splitlines()))
    assert {len(row) for row in rows} == {2} and all(map(all, rows))
    assert len(folders.left_out()) == len(rows) - 1
