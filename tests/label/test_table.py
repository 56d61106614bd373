import numpy as np
import pytest

from keypoints.label.table import Table


def table(text: str) -> Table:
    return Table(text.encode(), lambda name: name.replace("\\", "/"))


def test_only_the_rows_of_the_picture_change():
    text = "\ufeffpicture,x0,y0,x1,y1\r\nb.png,1,2,3.50,4e0\r\n\r\na.png,5,6,7,8\r\nb.png,9,9,,\r\n"
    points = np.array([[1.25, 2], [np.nan, np.nan]])
    changed = table(text).replaced("b.png", [1, points])
    expected = (
        "\ufeffpicture,x0,y0,x1,y1\r\nb.png,9,9,,\r\nb.png,1.250,2.000,,\r\n\r\na.png,5,6,7,8\r\n"
    )
    assert changed.decode() == expected
    assert table(text).replaced("b.png", [0, 1]).count(b"4e0") == 1


def test_a_new_picture_comes_last_and_a_file_without_an_end_of_line_gets_one():
    points = np.array([[1, 2], [3, 4.0005]])
    assert table("a.png,1,2,3,4").replaced("dir/c, d.png", [points]).decode() == (
        'a.png,1,2,3,4\n"dir/c, d.png",1.000,2.000,3.000,4.000\n'
    )
    assert table("").replaced("a.png", [points]) == b"a.png,1.000,2.000,3.000,4.000\n"


def test_separators_and_names_of_the_file_stay():
    text = "dir\\a.png;1,5;2;3;4\nb.png;1;2;3;4\n"
    changed = table(text).replaced("dir/a.png", [np.array([[1, 2], [3, 4]])])
    assert changed.decode() == "dir\\a.png;1.000;2.000;3.000;4.000\nb.png;1;2;3;4\n"


def test_no_faces_leave_no_row():
    assert table("a.png,1,2,3,4\nb.png,1,2,3,4\n").replaced("a.png", []) == b"b.png,1,2,3,4\n"


def test_the_version_is_of_one_picture_alone():
    one, two = table("a.png,1,2,3,4\n"), table("b.png,0,0,1,1\na.png,1,2,3,4\n")
    assert one.version_of("a.png") == two.version_of("a.png") != two.version_of("b.png")


def test_a_row_of_several_lines_is_refused():
    with pytest.raises(ValueError, match="line 1: a quoted cell of several lines"):
        table('"a\nb.png",1,2,3,4\n')
