import numpy as np
import pytest

from keypoints.data.formats import tables
from keypoints.label.table import LabelledFace, Table


def table(text: str) -> Table:
    return Table(text.encode(), lambda name: name.replace("\\", "/"))


def face(*points, covered=()):
    return LabelledFace(np.array(points), np.isin(np.arange(len(points)), covered))


def test_only_the_rows_of_the_picture_change():
    text = "\ufeffpicture,x0,y0,x1,y1\r\nb.png,1,2,3.50,4e0\r\n\r\na.png,5,6,7,8\r\nb.png,9,9,,\r\n"
    points = face([1.25, 2], [np.nan, np.nan])
    changed = table(text).replaced("b.png", [1, points])
    expected = (
        "\ufeffpicture,x0,y0,x1,y1\r\nb.png,9,9,,\r\nb.png,1.250,2.000,,\r\n\r\na.png,5,6,7,8\r\n"
    )
    assert changed.decode() == expected
    assert table(text).replaced("b.png", [0, 1]).count(b"4e0") == 1


def test_a_new_picture_comes_last_and_a_file_without_an_end_of_line_gets_one():
    points = face([1, 2], [3, 4.0005])
    assert table("a.png,1,2,3,4").replaced("dir/c, d.png", [points]).decode() == (
        'a.png,1,2,3,4\n"dir/c, d.png",1.000,2.000,3.000,4.000\n'
    )
    assert table("").replaced("a.png", [points]) == b"a.png,1.000,2.000,3.000,4.000\n"


def test_separators_and_names_of_the_file_stay():
    text = "dir\\a.png;1,5;2;3;4\nb.png;1;2;3;4\n"
    changed = table(text).replaced("dir/a.png", [face([1, 2], [3, 4])])
    assert changed.decode() == "dir\\a.png;1.000;2.000;3.000;4.000\nb.png;1;2;3;4\n"


def test_no_faces_leave_no_row():
    assert table("a.png,1,2,3,4\nb.png,1,2,3,4\n").replaced("a.png", []) == b"b.png,1,2,3,4\n"


def test_the_version_is_of_one_picture_alone():
    one, two = table("a.png,1,2,3,4\n"), table("b.png,0,0,1,1\na.png,1,2,3,4\n")
    assert one.version_of("a.png") == two.version_of("a.png") != two.version_of("b.png")


def test_a_row_of_several_lines_is_refused():
    with pytest.raises(ValueError, match="line 1: a quoted cell of several lines"):
        table('"a\nb.png",1,2,3,4\n')


@pytest.mark.parametrize(
    ("text", "own", "other"),
    [
        ("b.png,1,2,3,4\n", "a.png,1.000,2.000,3.000,4.000,covered 1\n", ""),
        ("b.png;1,5;2;3;4\n", "a.png;1.000;2.000;3.000;4.000;covered 1\n", ""),
        ("f,l_x,l_y,r_x,r_y,covered\nb.png,1,2,3,4,\n",
         "a.png,1.000,2.000,3.000,4.000,covered 1\n", ","),
    ],
)  # fmt: skip
def test_covered_points_are_in_one_more_cell_which_the_reader_knows(text, own, other):
    written = table(text).replaced("a.png", [face([1, 2], [3, 4], covered=[1])])
    assert written.decode() == text + own
    found = tables.parse(written, "points.csv")
    assert not found.problems and found.columns == 5
    assert [each.covered.tolist() for each in found.faces] == [[False, False], [False, True]]
    # Without a covered point the cell is there only where all rows have it.
    again = table(written.decode()).replaced("a.png", [face([1, 2], [3, 4])]).decode()
    separator = own[5]
    assert again == text + own.rpartition(separator)[0] + other + "\n"
