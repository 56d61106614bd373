import numpy as np

from keypoints.data.formats.wflw import parse


def line(start, *middle, name="37--Soccer/37_1.jpg"):
    return " ".join([*(f"{start + i / 4:.6f}" for i in range(196)), *middle, name])


def test_a_line_is_a_face_and_a_picture_may_have_several():
    box_and_flags = ["1", "2", "30", "40", *"010010"]
    found = parse(
        "\n".join([line(5, *box_and_flags), "", line(9, *box_and_flags)]).encode(), "l.txt"
    )
    assert found.problems == [] and found.markup == "wflw98" and len(found.faces) == 2
    expected = 5 + np.arange(196).reshape(98, 2) / 4
    np.testing.assert_allclose(found.faces[0].points, expected)
    assert found.faces[1].picture == "37--Soccer/37_1.jpg"


def test_lists_of_subsets_have_no_box():
    found = parse(line(5).encode(), "l.txt")
    assert found.problems == [] and found.faces[0].points.shape == (98, 2)


def test_other_texts_are_passed_over_and_bad_lines_named():
    for text in (b"", b"read me\n", b"1 2 3", b"\xff\xfe\0"):
        assert parse(text, "README.txt") is None
    found = parse(
        "\n".join([line(5), line(5)[:-30], line(5).replace("5.25", "x")]).encode(), "l.txt"
    )
    assert found.problems == [
        "l.txt, line 2: 195 fields, 207 or 197 are expected",
        "l.txt, line 3: 37--Soccer/37_1.jpg: 'x0000' is not a number",
    ]
