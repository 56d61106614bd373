from dataclasses import replace

import numpy as np
import pytest

from keypoints import geometry
from keypoints.errors import InputError
from keypoints.markup import IBUG68, NAMES, Markup, bundled, parse_markup, read_markup

MINE = b"""
name = "mine"
points = ["right eye", "left eye", "nose", "right corner", "left corner"]
pairs = [["right eye", "left eye"], [3, 4]]
face_box = [0.5, 0.6, 2.0, 3.0]
mean = [[-0.2, -0.3], [0.2, -0.3], [0, 0], [-0.15, 0.2], [0.15, 0.2]]

[parts]
mouth = ["3-4"]

[outlines.closed]
face = ["right eye", "left eye", "3-4"]

[roles]
right_eye = [0]
left_eye = ["left eye"]
"""


def test_a_file_by_hand():
    mine = parse_markup(MINE, "markup.toml")
    assert mine.count == 5 and mine.names[3] == "right corner"
    assert mine.mirror.tolist() == [1, 0, 2, 4, 3]
    assert mine.parts == {"mouth": (3, 4)}
    assert mine.outlines["face"].points == (0, 1, 3, 4) and mine.outlines["face"].closed
    assert mine.normalisers == ("inter_pupil", "box_diagonal", "box")
    assert mine.normaliser == "inter_pupil" and mine.shape is None


@pytest.mark.parametrize("name", NAMES)
def test_bundled_markups_survive_their_own_files(name):
    markup = bundled(name)
    assert markup.name == name
    assert parse_markup(markup.to_toml().encode(), "again") == markup
    assert (markup.mirror[markup.mirror] == np.arange(markup.count)).all()
    for points in [*markup.parts.values(), *(line.points for line in markup.outlines.values())]:
        mirrored = {int(markup.mirror[point]) for point in points}
        twins = [set(p) for p in markup.parts.values()]
        twins += [set(line.points) for line in markup.outlines.values()]
        assert mirrored in twins  # each part and line is its own mirror image, or another one is
    for side, other in (("right_eye", "left_eye"), ("right_eye_corner", "left_eye_corner")):
        if markup.has(side):
            flipped = [int(markup.mirror[point]) for point in markup.roles[side]]
            assert set(flipped) == set(markup.roles[other])


def test_the_68_points_of_ibug():
    assert IBUG68.count == 68 and len(IBUG68.pairs) == 29
    np.testing.assert_allclose(IBUG68.mean * [-1, 1], IBUG68.mean[IBUG68.mirror])
    np.testing.assert_allclose(geometry.landmark_box(IBUG68.mean)[2:].max(), 0.964, atol=1e-6)
    assert IBUG68.shape.shape == (68, 3) and IBUG68.shape[30, 2] == 0.24
    assert IBUG68.mirror[[36, 8, 0]].tolist() == [45, 8, 16]


def test_without_pairs_nothing_is_known_about_flips():
    lone = parse_markup(b'name = "lone"\npoints = 3', "x")
    assert lone.mirror is None and lone.names == ("0", "1", "2") and lone.normaliser == "box"
    middle = parse_markup(b'name = "middle"\npoints = 3\npairs = []', "x")
    assert middle.mirror.tolist() == [0, 1, 2]


def test_any_points_stand_for_the_face_box():
    mine = parse_markup(MINE, "x")
    points = np.array([[10.0, 20], [30, 20], [20, 25], [12, 40], [28, 40]])
    # The tight box is 10, 20, 20, 20: the centre lies at (20, 32), the sides are 40 and 60.
    assert mine.face_boxes(points).tolist() == [0, 2, 40, 60]
    np.testing.assert_array_equal(IBUG68.face_boxes(points), geometry.landmark_box(points))
    upright = mine.face_boxes(bundled("five").mean)
    assert upright.shape == (4,)
    five = bundled("five")
    np.testing.assert_allclose(
        five.face_boxes(five.mean), geometry.landmark_box(IBUG68.mean), atol=2e-3
    )


@pytest.mark.parametrize("order", ["C", "F"])
def test_missing_points_are_those_of_the_mean_put_over_the_others(order):
    turn = geometry.rotation(30.0)
    faces = np.stack([80 * IBUG68.mean @ turn.T + [100, 60], 40 * IBUG68.mean + [9, 7]])
    faces = np.asarray(np.broadcast_to(faces, (3, 2, 68, 2)), order=order).copy(order)
    holes = faces.copy(order)
    holes[1, 0, 5:20] = np.nan
    holes[0, 1, 40, 0] = np.nan  # one number missing is a point missing
    np.testing.assert_allclose(IBUG68.complete(holes), faces, atol=1e-4)
    holes[2, 0, 1:] = np.nan
    assert np.isnan(IBUG68.complete(holes)[2, 0, 1:]).all()  # one point does not place a face


@pytest.mark.parametrize(("name", "count"), [("wflw98", 68), ("cofw29", 19), ("five", 3)])
def test_bundled_maps_keep_sides_and_parts(name, count):
    """A point's twin is the partner's twin, and both are in parts of one name."""
    markup = bundled(name)
    order = np.array(markup.map_to(IBUG68))
    both = np.flatnonzero(order >= 0)
    assert len(both) == count and len(set(order[both])) == count
    assert (markup.mirror[order[both]] == order[IBUG68.mirror[both]]).all()
    for role in ("nose_tip", "right_eye_corner", "left_eye_corner", "mouth_corners"):
        there = [order[point] for point in IBUG68.roles[role]]
        if role in markup.roles and min(there) >= 0:
            assert there == list(markup.roles[role])


def test_maps_between_markups():
    wflw = bundled("wflw98")
    points = np.stack([np.arange(98.0), 2 * np.arange(98.0)], -1)
    found = wflw.converted(points, IBUG68)
    assert found[[0, 8, 16], 0].tolist() == [0, 16, 32]  # every second of the jaw
    assert found[[36, 37, 38, 39], 0].tolist() == [60, 61, 63, 64]
    assert found[48:, 1].tolist() == (2 * np.arange(76, 96)).tolist()
    back = IBUG68.converted(IBUG68.mean, wflw)
    assert np.isnan(back[[1, 62, 96]]).all() and back[60].tolist() == IBUG68.mean[36].tolist()
    np.testing.assert_array_equal(wflw.mirror[list(wflw.map_to(IBUG68))],
                                  np.array(wflw.map_to(IBUG68))[IBUG68.mirror])  # fmt: skip
    mine = parse_markup(MINE, "x")
    assert mine.map_to(bundled("five")) == (0, 1, -1, -1, -1)  # by names
    with pytest.raises(InputError, match="mine and ibug68 share no names of points"):
        mine.map_to(IBUG68)


def test_two_markups_are_told_apart():
    mine = parse_markup(MINE, "x")
    assert mine.difference(mine) == ""
    assert parse_markup(MINE.replace(b"2.0, 3.0", b"1.0, 1.0"), "x").difference(mine) == ""
    assert mine.difference(IBUG68) == "mine has 5 points, ibug68 has 68"
    swapped = parse_markup(MINE.replace(b"[3, 4]", b"[2, 4]"), "x")
    assert "other mirror pairs" in mine.difference(swapped)
    renamed = parse_markup(MINE.replace(b"nose", b"tip"), "x")
    assert mine.difference(renamed) == "a point is 'nose' in mine and 'tip' in mine"
    yours = parse_markup(MINE.replace(b'"mine"', b'"yours"'), "x")
    assert mine.difference(yours) == ""  # names of points tell that they are the same, numbers not
    numbered = [parse_markup(f'name = "{name}"\npoints = 5'.encode(), "x") for name in "ab"]
    assert numbered[0].difference(numbered[1]) == "one is a, one b"


def test_what_needs_a_role_asks_for_it():
    mine = parse_markup(MINE, "x")
    assert mine.points_of("left_eye", "a crop that turns") == [1]
    with pytest.raises(InputError, match="the head pose needs the role rigid, which the markup m"):
        mine.require("the head pose", "right_eye", "rigid")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('name = "a"', "points is missing"),
        ('name = "a/b"\npoints = 3', "name='a/b'"),
        ('name = "a"\npoints = 0', "points=0"),
        ('name = "a"\npoints = 1001', "from 1 to 1000"),
        ('name = "a"\npoints = ["x", "x"]', "'x' stands there twice"),
        ('name = "a"\npoints = ["x\\ny"]', "is no name of a point: 1 to 64 characters"),
        ('name = "a"\npoints = [" x"]', "' x' is no name of a point"),
        (f'name = "a"\npoints = ["{65 * "x"}"]', "is no name of a point"),
        ('name = "a"\npoints = 3\npairs = [[0, 0]]', "two points are expected"),
        ('name = "a"\npoints = 3\npairs = [[0, 1], [1, 2]]', r"point 1 is in \[0, 1\] and in"),
        ('name = "a"\npoints = 3\npairs = [[0, 3]]', "3 is no point: a number from 0 to 2"),
        ('name = "a"\npoints = ["eye", "nose"]\npairs = [["eye", "nos"]]', "did you mean 'nose'"),
        ('name = "a"\npoints = 3\n[parts]\nx = ["0-3"]', "'0-3' is no point"),
        ('name = "a"\npoints = 3\n[roles]\nmoth = [1]', "did you mean 'mouth'"),
        ('name = "a"\npoints = 3\n[roles]\nnose_tip = [1, 2]', "nose_tip has 2 points"),
        ('name = "a"\npoints = 3\n[roles]\nmouth_opening = [0, 1, 2]', "two ends, then pairs"),
        ('name = "a"\npoints = 3\nnormaliser = "inter_pupil"', "needs the roles right_eye and"),
        ('name = "a"\npoints = 2\nmean = [[0, 0]]', "2 numbers for each of the 2 points"),
        ('name = "a"\npoints = 2\nmean = [[0, 0], [0, nan]]', "mean=nan"),
        ('name = "a"\npoints = 2\ndepth = [0]', r"depth=\[0\]: a number for each of the 2"),
        ('name = "a"\npoints = 2\nmean = [[0, 0], [0, inf]]', "mean=inf"),
        ('name = "a"\npoints = 2\nface_box = [0, 0, 0, 1]', "face_box"),
        ('name = "a"\npoints = 2\n[maps]\nb = [0, 2]', "from -1 to 1"),
        ('name = "a"\npoints = 2\n[maps]\nibug68 = [0, 1]', "2 points; ibug68 has 68"),
        ('name = "a"\npoints = 2\n[maps.b]\nc = 1', "maps: b: a list of points is expected"),
        ('name = "a"\npoints = 2\n[parts]\nb = [0, 1, 0]', "parts: b: point 0 stands there twice"),
        ('name = "a"\npoints = 2\n[parts.b]\nc = [0]', "is no point"),
        (
            'name = "a"\npoints = 3\n[outlines]\nopen.b = [0, 1]\nclosed.b = [1, 2]',
            "b is open and closed",
        ),
        ('name = "a"\npoints = 2\npair = []', "unknown field 'pair'; did you mean 'pairs'"),
        ("name = ", "invalid TOML"),
    ],
)
def test_mistakes_are_named(content, message):
    with pytest.raises(InputError, match=rf"^my\.toml.*{message}"):
        parse_markup(content.encode(), "my.toml")


def test_a_file_as_windows_writes_it():
    """A byte order mark, and carriage returns before line feeds."""
    assert parse_markup(b"\xef\xbb\xbf" + MINE.replace(b"\n", b"\r\n"), "x") == parse_markup(
        MINE, "x"
    )


def test_names_of_points_may_have_any_signs_and_survive_the_file():
    names = ("tip & <end>", 'l\'œil "gauche", coin', "0-1", "a\\b")
    markup = Markup("mine", names)
    assert parse_markup(markup.to_toml().encode(), "x") == markup


def test_a_map_of_another_length_is_refused_where_it_is_used():
    mine = parse_markup(b'name = "a"\npoints = 2\n[maps]\nmine = [0, 1]', "x")
    for one, other in ((mine, parse_markup(MINE, "x")), (parse_markup(MINE, "x"), mine)):
        with pytest.raises(InputError, match="a: maps: mine has 5 points, its map 2"):
            one.map_to(other)


def test_files_and_names_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="did you mean 'wflw98'"):
        bundled("wflw")
    with pytest.raises(InputError, match=r"markup\.toml: No such file"):
        read_markup(tmp_path)
    (tmp_path / "markup.toml").write_bytes(MINE)
    assert read_markup(tmp_path) == parse_markup(MINE, "x") != Markup("mine", ("0",))
    (tmp_path / "markup.toml").write_bytes(b"#" * 2**21)
    with pytest.raises(InputError, match="bytes"):
        read_markup(tmp_path)


def test_parts_and_outlines_of_ibug_cover_every_point_once():
    parts = [i for name, part in IBUG68.parts.items() if name != "inner" for i in part]
    assert parts == list(range(68)) and IBUG68.parts["eyes"] == tuple(range(36, 48))
    drawn = [i for outline in IBUG68.outlines.values() for i in outline.points]
    assert sorted(drawn) == list(range(68))
    closed = {name for name, outline in IBUG68.outlines.items() if outline.closed}
    assert closed == {"right_eye", "left_eye", "outer_lips", "inner_lips"}


def test_mirror_of_ibug_swaps_sides_and_undoes_itself():
    order = IBUG68.mirror
    assert order[order].tolist() == list(range(68))
    assert order[36] == 45 and order[40] == 47 and order[48] == 54 and order[0] == 16
    middle = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    assert [i for i in range(68) if order[i] == i] == middle


def test_mean_face_of_ibug_is_upright_symmetric_and_fills_its_unit():
    face = IBUG68.mean
    mirrored = (face * [-1, 1])[IBUG68.mirror]
    np.testing.assert_allclose(mirrored, face, atol=2e-3)
    assert face[36, 0] < 0 < face[45, 0]  # its right eye is on the viewer's left
    assert face[27, 1] < face[33, 1] < face[51, 1] < face[8, 1]
    assert 0.9 < np.ptp(face, axis=0).max() <= 1.0


def test_missing_points_are_guessed_in_arrays_of_any_order():
    faces = np.tile(IBUG68.mean.astype(np.float64) * 80 + [70, 90], (2, 3, 1, 1))
    faces += np.arange(6).reshape(2, 3, 1, 1)
    gaps = faces.copy()
    gaps[:, 1, 20:25] = np.nan
    turned = np.moveaxis(np.ascontiguousarray(np.moveaxis(gaps, 0, 2)), 2, 0)
    for given in (gaps, np.asfortranarray(gaps), turned, gaps[:, :, :, ::-1][:, :, :, ::-1]):
        np.testing.assert_allclose(IBUG68.complete(given), faces, atol=1e-9)
    assert np.isnan(gaps).any()


def test_points_of_no_known_name_are_the_nearest_of_the_mean_faces():
    own = Markup("own", ("tip", "ear"), mean=np.array([[0.01, -0.04], [0.9, 0.0]], np.float32))
    assert IBUG68.stand_ins(own).tolist() == [30, -1]
    assert IBUG68.stand_ins(replace(own, mean=None)).tolist() == [-1, -1]
    three = Markup("three", ("right eye", "left eye", "chin"))
    named = Markup("own", ("chin", "left eye"))
    assert three.stand_ins(named).tolist() == [2, 1]


def test_a_mean_face_of_other_proportions_is_fitted_first():
    """A wide face whose mouth is high: by distance alone its mouth would be another's lip."""
    numbers = [36, 39, 42, 45, 30, 48, 54, 51, 57]
    mean = IBUG68.mean[numbers] * np.float32([1.15, 0.86]) + np.float32([0.01, -0.03])
    own = Markup("own", tuple("abcdefghi"), mean=mean)
    assert IBUG68.stand_ins(own).tolist() == numbers
    far = Markup("own", ("a", "b", "c", "d"), mean=np.float32([[3, 0], [0, 3], [-3, 0], [0, -3]]))
    assert IBUG68.stand_ins(far).tolist() == [-1] * 4
