import re

import numpy as np
import pytest

from keypoints.data.annotations import AnnotatedPicture, Annotation
from keypoints.data.formats.xml_files import parse, write_imglab


def imglab(*boxes, options=""):
    start = f"<box top='1' left='2' width='3' height='4' {options}>"
    faces = "".join(f"{start}{box}</box>" for box in boxes)
    return f"<dataset><images><image file='b/a.jpg'>{faces}</image></images></dataset>".encode()


def part(name, x, y):
    return f"<part name='{name:02}' x='{x}' y='{y}'/>"


def test_imglab_has_several_faces_in_a_picture():
    whole = "".join(part(i, i, 3 * i) for i in reversed(range(68)))
    few = part(36, 5, 6) + part(45, 50, 7)
    found = parse(imglab(whole, few), "l.xml")
    first, second = found.faces
    assert found.problems == [] and first.picture == second.picture == "b/a.jpg"
    assert found.names == tuple(map(str, range(68))) and found.keyed
    np.testing.assert_array_equal(first.points, [[i, 3 * i] for i in range(68)])
    known = np.flatnonzero(np.isfinite(second.points).all(axis=1))
    assert known.tolist() == [36, 45] and second.points[45].tolist() == [50, 7]


@pytest.mark.parametrize("count, second, last", [(12, "01", "11"), (101, "001", "100")])
def test_numbers_of_points_sort_as_text_as_imglab_sorts_them(tmp_path, count, second, last):
    face = Annotation(
        "a.jpg", np.float32([[i, 2 * i] for i in range(count)]), np.zeros(count, bool)
    )
    names = [f"point {i}" for i in range(count)]
    write_imglab(tmp_path, [AnnotatedPicture("a.jpg", 300, 300, [face])], names)
    written = re.findall(r'<part name="(\d+)"', (tmp_path / "faces.xml").read_text())
    assert written == sorted(written) and (written[1], written[-1]) == (second, last)


def test_imglab_labels_are_no_points_and_ignored_boxes_no_faces():
    two = part(0, 1, 2) + part(1, 3, 4)
    found = parse(imglab("<label>ann</label>" + two), "l.xml")
    assert found.problems == [] and found.faces[0].points.tolist() == [[1, 2], [3, 4]]
    for box in ("", two):
        found = parse(imglab(box, options="ignore='1'"), "l.xml")
        assert found.problems == found.faces == []
    found = parse(imglab(two, options="ignore='0'"), "l.xml")
    assert len(found.faces) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<dataset><images>", "l.xml: not an XML file"),
        (imglab(part(0, 1, 2) + part(1, "x", 2)), "b/a.jpg: 'x' is not a number"),
        (imglab(part(0, 1, 2)), "b/a.jpg: fewer than two points"),
        (imglab(""), "b/a.jpg: fewer than two points"),
        (imglab("<part x='1' y='2'/><part x='3' y='4'/>"), "b/a.jpg: two points are called ''"),
        (
            imglab("<part name='0' x='1' y='2'/><part name='00' x='3' y='4'/>"),
            "b/a.jpg: two points are called '00'",
        ),
    ],
)
def test_bad_imglab_files_are_named(data, reason):
    found = parse(data, "l.xml")
    assert found.faces == [] and len(found.problems) == 1 and reason in found.problems[0]


def cvat(content):
    image = f"<image id='0' name='a.jpg' width='9' height='8'>{content}</image>"
    return f"<annotations>{image}</annotations>"


def point(label, points, **flags):
    options = "".join(f" {name}='{value}'" for name, value in flags.items())
    return f"<points label='{label}' points='{points}'{options}/>"


def test_cvat_skeletons_are_read_by_label():
    """The children of the second come in another order; 2 is covered there, 10 is not there."""
    first = point(2, "1.5,2") + point(10, "3,4", outside=0, occluded=0)
    second = point(10, "0.00,0.00", outside=1) + point(2, "5,6", occluded=1) + point(3, "7,8")
    xml = "".join(f"<skeleton label='face'>{points}</skeleton>" for points in (first, second))
    found = parse(cvat(xml).encode(), "c.xml")
    assert found.problems == [] and found.names == ("2", "3", "10") and found.keyed
    nothing = [np.nan, np.nan]
    np.testing.assert_array_equal(found.faces[0].points, [[1.5, 2], nothing, [3, 4]])
    np.testing.assert_array_equal(found.faces[1].points, [[5, 6], [7, 8], nothing])
    assert found.faces[1].covered.tolist() == [True, False, False]


def test_cvat_points_are_lists_or_labelled_one_by_one():
    found = parse(cvat(point("face", "1,2;3,4;5,6.5", occluded=1)).encode(), "c.xml")
    assert found.names == () and found.faces[0].points.tolist() == [[1, 2], [3, 4], [5, 6.5]]
    assert found.faces[0].covered.all()
    one = point("eye", "1,2", group_id=1) + point("tip", "3,4", group_id=1)
    two = point("tip", "5,6", group_id=2) + point("eye", "7,8", group_id=2, occluded=1)
    found = parse(cvat(one + two).encode(), "c.xml")
    assert found.names == ("eye", "tip")
    assert [face.points.tolist() for face in found.faces] == [[[1, 2], [3, 4]], [[7, 8], [5, 6]]]
    assert found.faces[1].covered.tolist() == [True, False]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (point("eye", "1,2") + point("eye", "3,4"), "a.jpg: two points are called 'eye'"),
        (point("eye", "1") + point("tip", "3,4"), "a.jpg: point 'eye': x,y is expected, not '1'"),
        (point("eye", "1,2,3") + point("tip", "3,4"), "a.jpg: '2,3' is not a number"),
        (point("face", "1,2;3"), "a.jpg: ['3']: two numbers are expected"),
    ],
)
def test_bad_cvat_files_are_named(content, reason):
    found = parse(cvat(content).encode(), "c.xml")
    assert found.faces == [] and any(reason in problem for problem in found.problems)


def test_skeletons_of_two_kinds_do_not_mix():
    """A skeleton that only lacks points is of the same kind where its label is."""
    face = point("eye", "1,2") + point("tip", "3,4")
    hand = point("thumb", "5,6") + point("palm", "7,8")
    both = f"<skeleton label='face'>{face}</skeleton><skeleton label='hand'>{hand}</skeleton>"
    found = parse(cvat(both).encode(), "c.xml")
    assert found.problems == ["c.xml: skeletons with other points: face, hand; export one"]
    partly = f"<skeleton label='face'>{point('tip', '1,2') + point('chin', '1,2')}</skeleton>"
    assert parse(cvat(both.replace("hand", "face") + partly).encode(), "c.xml").problems == []


def test_a_list_of_other_length_is_named_and_other_shapes_are_passed_over():
    """Attributes of points, boxes and outlines are no points; the third list lacks one."""
    shapes = (
        "<box label='face' xtl='1' ytl='2' xbr='3' ybr='4'/><polyline label='a' points='1,2;3,4'/>"
    )
    points = [point("face", "1,2;3,4"), point("face", "5,6;7,8"), point("face", "5,6;7,8;9,9")]
    points[0] = points[0].replace("/>", "><attribute name='sex'>f</attribute></points>")
    found = parse(cvat(shapes + "".join(points)).encode(), "c.xml")
    assert [face.points.tolist() for face in found.faces] == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert found.problems == ["c.xml: a.jpg: 3 points; the faces before it have 2"]


def test_tracks_of_cvat_and_other_xml():
    found = parse(b"<annotations><track id='0'/></annotations>", "c.xml")
    assert "export it as `CVAT for images 1.1`" in found.problems[0]
    assert parse(b"<View/>", "labels.xml") is None
