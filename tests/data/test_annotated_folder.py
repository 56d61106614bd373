"""Folders as users bring them; what all sources have in common is in test_sources.py."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from keypoints.data.plausibility import check_records
from keypoints.data.sources import load_records
from keypoints.errors import InputError
from keypoints.markup import IBUG68, bundled
from tests.archives import points


def cells(index: int) -> list[str]:
    return [f"{value:.1f}" for value in points(index).ravel() + 0.5]


def table(rows: list[list[str]], *, separator: str = ",", header: bool = True) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerows([["file", *map(str, range(136))]] * header + rows)
    return text.getvalue()


@pytest.fixture
def folder(tmp_path):
    """A folder with three pictures and no annotations yet, beside a picture that is not its own."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for index in range(3):
        picture = Image.new("RGB", (60 + index, 50), (index, 20, 30))
        picture.save(folder / f"person{index}_0.png")
    Image.new("RGB", (60, 50)).save(tmp_path / "secret.png")
    return folder


@pytest.fixture
def rows():
    return [[f"person{index}_0.png", *cells(index)] for index in range(3)]


def load(folder, split="all", **options):
    return load_records(f"folder:{folder}", split, **options)


def assert_all_three(records):
    assert records.files == ("person0_0.png", "person1_0.png", "person2_0.png")
    for index in range(3):
        np.testing.assert_allclose(records.points[index], points(index) + 0.5)
        assert records.image(index).shape == (50, 60 + index, 3)


@pytest.mark.parametrize(
    "write",
    [
        lambda rows: table(rows),
        lambda rows: table(rows, header=False),
        lambda rows: "," + ",".join(map(str, range(136))) + "\n" + table(rows, header=False),
        lambda rows: (
            "a," + ",".join(f"x{i}" for i in range(136)) + "\n" + table(rows, header=False)
        ),
        lambda rows: "\ufeff" + table(rows),
        lambda rows: "\ufeff" + table(rows, header=False),
        lambda rows: table(rows).replace("\n", "\r\n"),
        lambda rows: table(rows).replace("\n", "\r"),
        lambda rows: table(rows) + "\n\n",
        lambda rows: table(rows).replace(",", " , "),
        lambda rows: table(rows, separator=";"),
        lambda rows: table(rows, separator="\t", header=False),
        lambda rows: table(rows, separator=";").replace(".5", ",5"),
        lambda rows: table([["./" + rows[0][0], *rows[0][1:]], *rows[1:]]),
        lambda rows: table([[".\\" + rows[0][0], *rows[0][1:]], *rows[1:]]),
    ],
)
def test_tables_of_every_program_are_read(folder, rows, write):
    (folder / "faces.CSV").write_bytes(write(rows).encode())
    assert_all_three(load(folder))


@pytest.mark.parametrize(
    "name", ["IMG_1.JPG", "IMG_1.jpg", "IMG_1.Jpeg", "IMG.2.PNG", "a.jfif", "a.ppm", "a.JP2"]
)
@pytest.mark.parametrize("suffix", [".pts", ".PTS"])
def test_point_files_beside_pictures_of_any_spelling(tmp_path, name, suffix):
    Image.new("RGB", (40, 50)).save(tmp_path / name)
    text = "\n".join(f"{x + 1}\t{y + 1}" for x, y in points(2))
    text = f"\ufeffversion: 1\nn_points:  68\n{{\n{text}\n}}\n".replace("\n", "\r\n")
    (tmp_path / name).with_suffix(suffix).write_bytes(text.encode())
    records = load(tmp_path)
    assert records.files == (name,)
    np.testing.assert_array_equal(records.points[0], points(2))


def test_hidden_files_are_passed_over(folder, rows):
    (folder / "faces.csv").write_text(table(rows))
    for name in ("._faces.csv", ".hidden/other.csv", "__MACOSX/faces.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\0\5\x16\7\0")
    assert_all_three(load(folder))


def test_several_faces_of_one_picture_are_several_examples(folder, rows):
    """Rows that differ are faces; a row that says the same again is a mistake."""
    (folder / "faces.csv").write_text(table([*rows, [rows[1][0], *cells(9)]]))
    records = load(folder)
    assert records.files[1:3] == ("person1_0.png", "person1_0.png#1") and len(records) == 4
    np.testing.assert_allclose(records.points[2], points(9) + 0.5)
    assert records.image(1) is records.image(2)  # one copy in memory
    (folder / "faces.csv").write_text(table([*rows, rows[1]]))
    message = r"faces\.csv, line 5: person1_0\.png: the same row is in line 3 already"
    with pytest.raises(InputError, match=message):
        load(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "..\\secret.png",
        "a/../../secret.png",
        "./../secret.png",
        "person0_0.png/../../secret.png",
        "x/.. /secret.png",
        "{outside}",
    ],
)
def test_names_that_lead_out_of_the_folder_are_refused(folder, rows, name):
    name = name.format(outside=folder.parent / "secret.png")
    (folder / "faces.csv").write_text(table([*rows, [name, *cells(5)]]))
    with pytest.raises(InputError, match=r"faces\.csv: .* leads out of the folder"):
        load(folder)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("person7_0.png,train", "'person7_0.png' is no annotated picture of the folder"),
        ("../secret.png,train", "is no annotated picture of the folder"),
        ("person2_0.png,trian", "'trian' is not known; did you mean 'train'?"),
        ("person2_0.png,val", "'val' is not known; known: train, validation, test"),
        ("person2_0.png", "picture,split is expected"),
        ("person2_0.png,train,1", "picture,split is expected"),
        ("person0_0.png,test", "person0_0.png has another split already: train"),
    ],
)
def test_every_row_of_the_split_file_must_mean_something(folder, rows, line, reason):
    (folder / "faces.csv").write_text(table(rows))
    start = "picture,split\n./person0_0.png,train\r\nperson1_0.png,mine\n"
    (folder / "splits.csv").write_text("\ufeff" + start)
    for name in ("train", "mine"):
        assert len(load(folder, name, splits=("train", "mine"))) == 1
    with pytest.raises(InputError, match="'mine' is not known"):
        load(folder, "train")
    (folder / "splits.csv").write_text(start + line + "\n")
    with pytest.raises(InputError) as error:
        load(folder, "train", splits=("mine",))
    assert "1 bad entry" in str(error.value) and reason in str(error.value)


def test_a_first_row_with_a_fault_is_no_header(folder, rows):
    rows[0][5] = "12,3.4"
    (folder / "faces.csv").write_text(table(rows, header=False))
    with pytest.raises(InputError, match=r"faces\.csv, line 1: person0_0\.png: '12,3\.4' is not"):
        load(folder)


def test_pictures_of_another_split_are_not_even_opened(folder, rows):
    (folder / "faces.csv").write_text(table(rows))
    (folder / "splits.csv").write_text("person0_0.png,train\nperson1_0.png,test\n")
    (folder / "person1_0.png").write_bytes(b"damaged")
    assert len(load(folder, "train")) == 1
    with pytest.raises(InputError, match=r"person1_0\.png: not a whole picture"):
        load(folder, "test")


def test_five_points_of_a_folder_with_a_markup(tmp_path):
    """The box is the face's, not the tight one of the points; a flip is known from the pairs."""
    folder = tmp_path / "mine"
    folder.mkdir()
    five = bundled("five")
    (folder / "markup.toml").write_text(five.to_toml())
    face = five.mean * 100 + [200, 150]
    Image.new("RGB", (400, 300)).save(folder / "a.png")
    names = ",".join(f"{name}_{axis}" for name in reversed(five.names) for axis in "xy")
    row = ",".join(f"{value:.3f}" for value in face[::-1].ravel())
    (folder / "faces.csv").write_text(f"picture,{names}\na.png,{row}\n")
    records = load(folder)
    assert records.markup == five
    np.testing.assert_allclose(records.points[0], face, atol=1e-3)
    np.testing.assert_allclose(records.boxes[0], five.face_boxes(face), atol=0.01)
    assert not check_records(records)
    (folder / "labels.json").write_text('{"x_offset": 0.1}')
    with pytest.raises(InputError, match="needs the role right_eye_corner"):
        load(folder)
    (folder / "labels.json").write_text('{"jaw_up_to_yaw": 30}')
    with pytest.raises(InputError, match=r"labels\.json: jaw_up_to_yaw needs the role jaw"):
        load(folder)


def test_lists_of_wflw_train_with_the_points_that_ibug_shares(tmp_path, rows, folder):
    """98 points joined to 68: those that WFLW has too, by its map, the pupils nowhere."""
    wflw = tmp_path / "wflw"
    wflw.mkdir()
    Image.new("RGB", (99, 99)).save(wflw / "b.png")
    points98 = np.stack([np.arange(98) % 10 * 7.0, np.arange(98) // 10 * 6.0], -1)
    numbers = " ".join(f"{value}" for value in points98.ravel())
    (wflw / "list.txt").write_text(f"{numbers} b.png\n")
    assert load(wflw).markup == bundled("wflw98")
    (folder / "faces.csv").write_text(table(rows))
    both = load_records(f"folder:{folder}+folder:{wflw}", "all")
    assert both.markup == IBUG68 and len(both) == 4
    jaw, brows = list(range(0, 33, 2)), [*range(33, 38), *range(42, 47)]
    eyes = [60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75]
    expected = points98[[*jaw, *brows, *range(51, 60), *eyes, *range(76, 96)]]
    np.testing.assert_array_equal(both.points[3], expected)
    other = load_records(f"folder:{wflw}+folder:{folder}", "all")
    assert other.markup.count == 98 and np.isnan(other.points[1, [1, 96, 97]]).all()
    np.testing.assert_allclose(other.points[1, 60], points(0)[36] + 0.5)


@pytest.mark.parametrize("value", ["1" + "0" * 400, "Infinity", "NaN", "true", '"0.1"', "[0.1]"])
def test_labels_json_holds_finite_numbers(folder, rows, value):
    (folder / "faces.csv").write_text(table(rows))
    (folder / "labels.json").write_text(f'{{"x_offset": {value}}}')
    with pytest.raises(InputError, match=r"labels\.json: x_offset=.*: a number is expected"):
        load(folder)
