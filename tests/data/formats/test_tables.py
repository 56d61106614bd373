import numpy as np
import pytest

from keypoints.data.formats.tables import parse, read_pairs

HEADER = "," + ",".join(map(str, range(136)))


def row(name, values=None):
    return f"{name}," + ",".join(str(v) for v in (range(136) if values is None else values))


def table(*lines):
    return "\n".join([HEADER, *lines]).encode()


def test_rows_become_points():
    found = parse(table(row("b.jpg"), "", row("a.jpg")), "t.csv")
    assert found.problems == [] and [face.picture for face in found.faces] == ["b.jpg", "a.jpg"]
    np.testing.assert_array_equal(found.faces[1].points, np.arange(136).reshape(68, 2))
    assert not found.faces[1].covered.any() and found.names == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.jpg,1,2", "3 columns, 137 are expected"),
        (row("a.jpg", [*range(135), "x"]), "'x' is not a number"),
        (row("a.jpg", [*range(135), "nan"]), "point 67 has one coordinate without the other"),
        (row("a.jpg", ["inf", *range(135)]), "'inf' is not finite"),
        (row("a.jpg", ["", *range(135)]), "point 0 has one coordinate without the other"),
        (row("a.jpg", [1, 2, *[""] * 134]), "fewer than two points are annotated"),
        (row("a.jpg", [*range(135), "1e300"]), "'1e300' lies beyond any picture"),
        (row("ok.jpg"), "ok.jpg: the same row is in line 2 already"),
    ],
)
def test_a_bad_row_is_named_with_its_line(line, reason):
    found = parse(table(row("ok.jpg"), line), "t.csv")
    assert [face.picture for face in found.faces] == ["ok.jpg"]
    (problem,) = found.problems
    assert problem.startswith("t.csv, line 3: ") and reason in problem


def test_covered_points_are_listed_in_one_more_cell():
    lines = ["p,eye_x,eye_y,tip_x,tip_y,covered", "a.png,1,2,3,4,covered 0 1", "b.png,1,2,3,4,"]
    lines += [
        "c.png,1,2,3,4",
        "d.png,1,2,3,4,covered 2",
        "e.png,1,2,3,4,0",
        "f.png,1,2,3,4,covered x",
    ]
    found = parse("\n".join(lines).encode(), "t.csv")
    assert found.names == ("eye", "tip")
    covered = {face.picture: face.covered.tolist() for face in found.faces}
    assert covered == {"a.png": [True, True], "b.png": [False] * 2, "c.png": [False] * 2}
    assert found.problems == [
        "t.csv, line 5: d.png: 'covered 2': numbers of points from 0 to 1 expected",
        "t.csv, line 6: 6 columns, 5 are expected",
        "t.csv, line 7: f.png: 'covered x': numbers of points from 0 to 1 expected",
    ]


@pytest.mark.parametrize("cell", ["", "nan", "inf", "1e10", "x"])
def test_a_first_row_of_bad_cells_is_no_header(cell):
    found = parse("\n".join([row("a.jpg", [cell] * 136), row("b.jpg")]).encode(), "t.csv")
    assert [face.picture for face in found.faces] == ["b.jpg"]
    assert found.problems[0].startswith("t.csv, line 1: a.jpg: ")


@pytest.mark.parametrize("data", ["é".encode("latin-1"), b"a," + b"9" * 140_000])
def test_what_is_no_table_is_named(data):
    found = parse(data, "t.csv")
    assert found.faces == [] and found.problems[0].startswith("t.csv: not a CSV file in UTF-8: ")


def test_points_may_be_missing():
    cells = list(map(str, range(136)))
    cells[6:8], cells[10:12] = ["", " "], ["NaN", "nan"]
    found = parse(table(row("a.jpg", cells)), "t.csv")
    expected = np.arange(136.0).reshape(68, 2)
    expected[[3, 5]] = np.nan
    assert found.problems == []
    np.testing.assert_array_equal(found.faces[0].points, expected)


def test_any_number_of_points_and_their_names():
    data = b"picture;left_eye_x;left_eye_y;tip.x;tip.y\na.png;1,5;2,5;3;4\nb.png;;;5;6\n"
    found = parse(data + b"c.png;7;8;9;1\n", "t.csv")
    assert found.names == ("left_eye", "tip") and not found.keyed
    np.testing.assert_array_equal(found.faces[0].points, [[1.5, 2.5], [3, 4]])
    # One point is no face; that row alone is refused.
    assert found.problems == ["t.csv, line 3: b.png: fewer than two points are annotated"]
    np.testing.assert_array_equal(found.faces[1].points, [[7, 8], [9, 1]])


@pytest.mark.parametrize("header", ["p,eye_x,lip_y,tip_x,tip_y", "p,eye_x,eye_y,eye_x,eye_y"])
def test_columns_that_do_not_belong_together_name_nothing(header):
    found = parse(f"{header}\na.png,1,2,3,4\n".encode(), "t.csv")
    assert found.names == () and found.problems == [] and len(found.faces) == 1


@pytest.mark.parametrize("paths", ["labeled-data/clip/img1.png", "labeled-data,clip,img1.png"])
@pytest.mark.parametrize("people", [False, True])
def test_deeplabcut_has_its_path_in_one_or_three_columns(paths, people):
    """Three header rows, or four with individuals; the second picture has no face."""
    lead = "," * paths.count(",")
    count = 2 if people else 1
    lines = [f"scorer{lead}" + ",Me,Me,Me,Me" * count]
    if people:
        lines.append(f"individuals{lead},ann,ann,ann,ann,bo,bo,bo,bo")
    lines.append(f"bodyparts{lead}" + ",eye,eye,tip,tip" * count)
    lines.append(f"coords{lead}" + ",x,y,x,y" * count)
    lines.append(f"{paths},1.5,2,3,4" + (",5,6,7,8" if people else ""))
    lines.append(paths.replace("img1", "img2") + ",,,," * count)
    found = parse("\n".join(lines).encode(), "t.csv")
    assert found.problems == [] and found.names == ("eye", "tip") and found.keyed
    assert [face.picture for face in found.faces] == ["labeled-data/clip/img1.png"] * count
    np.testing.assert_array_equal(found.faces[0].points, [[1.5, 2], [3, 4]])
    if people:
        np.testing.assert_array_equal(found.faces[1].points, [[5, 6], [7, 8]])


def test_points_of_no_individual_are_of_no_face():
    """`single` has the corners of a box, one of which is marked: no face, and no mistake."""
    lines = ["scorer" + ",Me" * 8, "individuals,ann,ann,ann,ann,single,single,single,single",
             "bodyparts,eye,eye,tip,tip,low,low,high,high", "coords" + ",x,y" * 4,
             "a.png,1.5,2,3,4,9,9,,"]  # fmt: skip
    found = parse("\n".join(lines).encode(), "t.csv")
    assert found.problems == [] and found.names == ("eye", "tip")
    assert [face.points.tolist() for face in found.faces] == [[[1.5, 2], [3, 4]]]


def test_a_table_of_deeplabcut_without_its_headers_is_named():
    found = parse(b"scorer,Me,Me\nbodyparts,eye,eye\na.png,1,2\n", "t.csv")
    assert "header rows scorer, bodyparts and coords" in found.problems[0]
    data = b"scorer,Me,Me\nbodyparts,eye,eye\ncoords,x,y\na.png,1,2,3\n"
    assert parse(data, "t.csv").problems == ["t.csv, line 4: 4 columns, 3 are expected"]


def test_pairs_skip_a_header_and_nothing_else(tmp_path):
    path = tmp_path / "splits.csv"
    path.write_text("picture,split\na.jpg,train\n\nb,train\nc.jpg,test\n")
    rows, problems = read_pairs(path, {"a.jpg"}, "split", "picture of ours")
    assert rows == {"a.jpg": "train"}
    assert problems == [
        "splits.csv, line 4: 'b' is no picture of ours",
        "splits.csv, line 5: 'c.jpg' is no picture of ours",
    ]


def test_pairs_may_be_of_any_pictures(tmp_path):
    path = tmp_path / "yaw.csv"
    path.write_text("a.jpg,10\nb.jpg,20\nb.jpg,30\n")
    assert read_pairs(path, None, "degrees", "picture") == (
        {"a.jpg": "10", "b.jpg": "20"},
        ["yaw.csv, line 3: b.jpg has another degrees already: 20"],
    )
