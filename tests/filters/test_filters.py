import math
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from keypoints import filters
from keypoints.errors import InputError
from keypoints.filters import FOLDER, effects, warp
from keypoints.filters.head import find_head
from keypoints.filters.loose_pupil import Ball
from keypoints.head_shape import MEAN_SHAPE
from keypoints.synthetic.shape import pose_head
from tools.filter_art import __main__ as catalogue

GOLDEN = Path(__file__).parent / "filters_golden.png"
WIDTH, HEIGHT = 320, 220
STICKERS = ["crown", "googly_eyes", "googly_orange", "moustache", "sunglasses"]


def face(x=160, y=120, size=90, *, yaw=0.0, pitch=0.0, roll=0.0, mouth=0.0):
    """Points `(68, 2)` of an average head in a pose; `mouth` drops the lower lip, head units."""
    shape = MEAN_SHAPE.copy()
    shape[[55, 56, 57, 58, 59, 65, 66, 67], 1] += mouth
    return pose_head(shape, yaw, pitch, roll, size, np.array([x, y])).points.astype(np.float32)


def noise(width=WIDTH, height=HEIGHT, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def gray(width=WIDTH, height=HEIGHT, level=128):
    return np.full((height, width, 3), level, np.uint8)


def changed(before, after):
    return (before != after).any(axis=-1)


def write_filter(folder, layer, picture=None):
    """A filter folder with one layer, and `art.png` of a red dot at (20, 10) on 61 x 47."""
    if picture is None:
        picture = np.zeros((47, 61, 4), np.uint8)
        cv2.circle(picture, (20, 10), 4, (0, 0, 255, 255), -1)
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "art.png"), picture)
    text = f'description = "test"\n\n[[layers]]\n{layer}\n'
    (folder / "filter.toml").write_text(text)
    return folder


def sticker(fit, anchors, more=""):
    rows = ", ".join(f"{{ points = [{p}], at = [{x}, {y}] }}" for p, x, y in anchors)
    return f'art = "art.png"\nfit = "{fit}"\nanchors = [{rows}]\n{more}'


# --- the head -----------------------------------------------------------------------------------


def test_pose_of_a_distant_head_is_recovered_exactly():
    posed = pose_head(MEAN_SHAPE, 0.5, 0.1, 0.3, 120, np.array([200, 90]), distance=1e7)
    head = find_head(posed.points)
    assert head.size == pytest.approx(120, rel=1e-4)
    nose = head.turn @ [0, 0, 1]  # where it looks
    assert nose[0] == pytest.approx(
        math.sin(0.5) * math.cos(0.3) + math.cos(0.5) * math.sin(0.1) * math.sin(0.3), abs=1e-3
    )
    assert np.allclose(head.turn @ head.turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(head.turn) == pytest.approx(1)


@pytest.mark.parametrize("yaw", [-0.7, -0.3, 0.0, 0.4, 0.8])
def test_yaw_of_a_near_head_is_about_right(yaw):
    head = find_head(face(yaw=yaw))
    assert math.asin(head.turn[0, 2]) == pytest.approx(yaw, abs=0.08)


def test_an_offset_turns_and_scales_with_the_head():
    for size in (50, 200):
        upright, leaning = find_head(face(size=size)), find_head(face(size=size, roll=math.pi / 2))
        up = upright.place((27,), np.array([0, -0.5, 0])) - upright.points[27]
        assert up == pytest.approx([0, -0.5 * size], abs=0.03 * size)
        # A quarter turn clockwise: the top of the head points to the viewer's right.
        right = leaning.place((27,), np.array([0, -0.5, 0])) - leaning.points[27]
        assert right == pytest.approx([0.5 * size, 0], abs=0.03 * size)


def test_without_offset_an_anchor_is_the_mean_of_its_landmarks():
    points = face(yaw=0.6, roll=-0.4)
    place = find_head(points).place((36, 45, 8), np.zeros(3))
    assert place == pytest.approx(points[[36, 45, 8]].mean(axis=0), abs=1e-4)


def test_outlines_hold_the_face():
    points = face(yaw=0.5, roll=0.7)
    head = find_head(points)
    outline = head.face_outline().astype(np.float32)
    inside = [cv2.pointPolygonTest(outline, tuple(map(float, p)), True) for p in points]
    assert min(inside) > -0.05 * 90  # a brow's end may stick out where the head turns away
    forehead = head.place((27,), np.array([0, -0.3, 0]))
    assert cv2.pointPolygonTest(outline, tuple(map(float, forehead)), True) > 0
    skull = head.skull_outline().astype(np.float32)
    assert cv2.contourArea(skull) == pytest.approx(math.pi * 0.53 * 0.58 * 90**2, rel=0.1)


# --- where art lands ----------------------------------------------------------------------------

FITS = {
    "similarity": [(36, 20, 10), (45, 50, 14)],
    "affine": [(36, 20, 10), (45, 50, 14), (8, 31, 40)],
    "perspective": [(36, 20, 10), (45, 50, 14), (6, 22, 40), (10, 45, 41)],
    "piecewise": [
        (36, 20, 10),
        (45, 50, 14),
        (8, 33, 45),
        (48, 26, 33),
        (0, 8, 12),
        (16, 59, 9),
        (19, 22, 1),
    ],
}


@pytest.mark.parametrize("roll", [0.0, 0.6, -2.0, math.pi])
@pytest.mark.parametrize("size", [60, 110])
@pytest.mark.parametrize("fit", FITS)
def test_a_dot_at_an_anchor_lands_on_its_landmark(tmp_path, fit, size, roll):
    points = face(150, 105, size, yaw=0.3, roll=roll)
    folder = write_filter(tmp_path / "dot", sticker(fit, FITS[fit]))
    shown = filters.load_filter(folder).apply(gray(), points[None])
    weight = np.abs(shown.astype(float) - 128).sum(axis=-1)
    assert weight.sum() > 0
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    # Piecewise and perspective warps bend the dot; half of it may belong to another triangle.
    slack = 3.0 if fit == "piecewise" else 0.6
    assert (weight * columns).sum() / weight.sum() == pytest.approx(points[36, 0], abs=slack)
    assert (weight * rows).sum() / weight.sum() == pytest.approx(points[36, 1], abs=slack)
    x, y = np.rint(points[36]).astype(int)
    assert shown[y, x, 0] > 200 and shown[y, x, 1] < 60  # red, so RGB came through


def test_a_small_face_keeps_the_dot_in_place(tmp_path):
    """Art is sampled from a halved level then; its pixel centres must not have moved."""
    big = np.zeros((470, 610, 4), np.uint8)
    cv2.circle(big, (200, 100), 60, (255, 255, 255, 255), -1)
    anchors = [(36, 200, 100), (45, 500, 140)]
    folder = write_filter(tmp_path / "dot", sticker("similarity", anchors), big)
    points = face(160.3, 110.7, 60)
    shown = filters.load_filter(folder).apply(gray(level=0), points[None]).astype(float)[..., 0]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    assert (shown * columns).sum() / shown.sum() == pytest.approx(points[36, 0], abs=0.15)
    assert (shown * rows).sum() / shown.sum() == pytest.approx(points[36, 1], abs=0.15)


def test_transparent_art_changes_nothing_and_opacity_mixes(tmp_path):
    clear = np.full((47, 61, 4), 255, np.uint8)
    clear[..., 3] = 0
    folder = write_filter(tmp_path / "clear", sticker("similarity", FITS["similarity"]), clear)
    picture = noise()
    assert (filters.load_filter(folder).apply(picture, face()[None]) == picture).all()

    white = np.full((47, 61, 4), 255, np.uint8)
    layer = sticker("similarity", FITS["similarity"], "opacity = 0.25")
    folder = write_filter(tmp_path / "white", layer, white)
    points = face()
    shown = filters.load_filter(folder).apply(gray(level=100), points[None])
    x, y = np.rint(points[36]).astype(int)
    assert shown[y, x].tolist() == [139, 139, 139]  # 100 + 0.25 (255 - 100) = 138.75


def test_delaunay_of_a_grid_tiles_it():
    grid = np.array([(x, y) for x in (0, 10, 20, 30) for y in (0, 7, 14)], float)
    triangles = grid[warp.triangulate(grid)]
    first, second = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    areas = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
    assert areas.sum() == pytest.approx(30 * 14, rel=1e-6)
    assert (areas > 0).all()


def test_art_that_shows_its_back_is_not_drawn_piecewise(tmp_path):
    folder = write_filter(tmp_path / "dot", sticker("piecewise", FITS["piecewise"]))
    mirrored = face() * [-1, 1] + [WIDTH, 0]
    picture = gray()
    assert (filters.load_filter(folder).apply(picture, mirrored[None]) == picture).all()


# --- every filter -------------------------------------------------------------------------------


@pytest.fixture(params=filters.list_filters())
def name(request):
    return request.param


def test_list():
    others = ["big_eyes", "blur", "landmarks", "pixelate"]
    assert filters.list_filters() == sorted([*STICKERS, *others])


@pytest.mark.parametrize("roll", [0.0, 1.0])
def test_only_the_surroundings_of_the_face_change(name, roll):
    picture, points = noise(), face(size=70, yaw=0.3, roll=roll)
    before = picture.copy()
    shown = filters.load_filter(name).apply(picture, points[None])
    assert (picture == before).all()
    assert shown.dtype == np.uint8 and shown.shape == picture.shape
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    far = np.hypot(columns - 160, rows - 120) > 1.35 * 70
    assert changed(picture, shown)[~far].any()
    assert not changed(picture, shown)[far].any()


def bad_points():
    good = face()
    not_finite, infinite, one_nan = good.copy(), good.copy(), good.copy()
    not_finite[:], infinite[3, 0], one_nan[40, 1] = np.nan, np.inf, np.nan
    line = np.column_stack([np.linspace(50, 200, 68), np.linspace(40, 160, 68)])
    return {
        "NaN": not_finite, "one NaN": one_nan, "infinite": infinite, "line": line,
        "zeros": np.zeros((68, 2)), "spot": np.full((68, 2), 77.0), "tiny": face(size=1.0),
        "far away": good + 1e7, "huge": good * 1e9,
    }  # fmt: skip


@pytest.mark.parametrize("kind", bad_points())
def test_points_that_are_no_face_leave_the_picture(name, kind):
    picture = noise()
    loaded = filters.load_filter(name)
    bad = bad_points()[kind].astype(np.float32)
    assert (loaded.apply(picture, bad[None]) == picture).all()
    # A good face beside it is still drawn, as if it were alone.
    both = loaded.apply(picture, np.stack([bad, face()]))
    assert (both == filters.load_filter(name).apply(picture, face()[None])).all()


def test_no_face(name):
    picture = noise()
    assert (filters.load_filter(name).apply(picture, np.zeros((0, 68, 2))) == picture).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (70, 2), (31, 17)])
def test_tiny_pictures(name, size):
    picture = noise(*size)
    for points in (face(), face(0, 0, 40), face(5, 5, 8), face(8, 8, 4000)):
        shown = filters.load_filter(name).apply(picture, points[None])
        assert (shown.shape, shown.dtype) == (picture.shape, np.uint8)
        assert (picture == noise(*size)).all()
    if name in ("blur", "pixelate") and size != (1, 1):  # the last face covers all
        assert (shown != picture).any(axis=2).mean() > 0.95


def test_random_points_never_crash(name):
    rng = np.random.default_rng(3)
    picture, calls = noise(90, 60), []
    for _ in range(60):
        spread = 10 ** rng.uniform(-1, 4)
        points = rng.normal(0, spread, (2, 68, 2)) + rng.uniform(-200, 200, 2)
        calls.append((picture, points.astype(np.float32), [1, 2], rng.uniform(0, 9)))
    shown = [apply_all(filters.load_filter(name), calls) for _ in range(2)]
    for one, again in zip(*shown):
        assert one.shape == picture.shape and one.dtype == np.uint8 and (one == again).all()
    assert (picture == noise(90, 60)).all()


def apply_all(loaded, calls):
    return [loaded.apply(image, points, ids=ids, timestamp=t) for image, points, ids, t in calls]


@pytest.mark.parametrize("place", [(5, 100), (315, 60), (160, -10), (100, 215), (-500, 90)])
@pytest.mark.parametrize("name", [*STICKERS, "big_eyes"])
def test_a_face_at_the_edge_is_cut_not_moved(name, place):
    """On a larger picture the same face is whole; its part in the frame must be the same."""
    pad = 150
    wide = gray(WIDTH + 2 * pad, HEIGHT + 2 * pad)
    if name == "big_eyes":  # it samples the picture, whose edge the frame repeats
        wide = cv2.GaussianBlur(noise(WIDTH + 2 * pad, HEIGHT + 2 * pad), None, 9)
    frame = wide[pad : pad + HEIGHT, pad : pad + WIDTH]
    points = face(*place, 80, yaw=0.2, roll=0.3)
    whole = filters.load_filter(name).apply(wide, points[None] + np.float32(pad))
    cut = filters.load_filter(name).apply(frame, points[None])
    difference = np.abs(whole[pad:-pad, pad:-pad].astype(int) - cut)
    inner = difference[12:-12, 12:-12] if name == "big_eyes" else difference
    assert inner.mean() < 0.05 and np.percentile(inner, 99.9) <= 8


def test_several_faces_each_as_if_alone(name):
    picture = noise(640, 200)
    left, right = face(120, 100, 60), face(480, 110, 75, roll=0.4)
    loaded = filters.load_filter(name)
    both = loaded.apply(picture, np.stack([left, right]))
    assert (both == loaded.apply(picture, np.stack([right, left]))).all()
    assert (both[:, :320] == loaded.apply(picture, left[None])[:, :320]).all()
    assert (both[:, 320:] == loaded.apply(picture, right[None])[:, 320:]).all()


def test_the_larger_face_covers_the_smaller_in_any_order():
    loaded = filters.load_filter("googly_orange")
    small, large = face(130, 100, 50), face(180, 110, 90)
    picture = gray()
    alone = loaded.apply(picture, large[None])
    body = cv2.fillConvexPoly(np.zeros((HEIGHT, WIDTH), np.uint8),
                              find_head(large).face_outline().astype(np.int32), 1) > 0  # fmt: skip
    for order in ([small, large], [large, small]):
        both = loaded.apply(picture, np.stack(order))
        assert (both[body] == alone[body]).all()
        assert changed(both, alone).any()  # the rest of the small one shows


def test_a_nearer_head_hides_a_sticker_of_a_farther_one():
    loaded = filters.load_filter("moustache")
    far = face(120, 100, 60)
    near = face(150, 150, 110)  # its face lies over the far one's mouth
    picture = gray()
    both = loaded.apply(picture, np.stack([far, near]))
    x, y = np.rint(far[[33, 51]].mean(axis=0)).astype(int)
    assert changed(picture, loaded.apply(picture, far[None]))[y, x]
    assert (both[y, x] == picture[y, x]).all()


@pytest.mark.parametrize(
    ("image", "points", "message"),
    [
        (gray().astype(np.float32), face()[None], "image: float32"),
        (gray()[..., 0], face()[None], "image: uint8 (220, 320)"),
        (gray(), face(), "points: (68, 2)"),
        (gray(), face()[None, :5], "points: (1, 5, 2)"),
        (gray(), [face()[:5]], "points: (1, 5, 2)"),
    ],
)
def test_wrong_arrays_are_named(image, points, message):
    with pytest.raises(InputError, match=r"expected") as error:
        filters.load_filter("crown").apply(image, points)
    assert message in str(error.value)


def test_no_faces_are_no_error():
    """As `[face.points for face in faces]` gives where nobody is."""
    for name in filters.list_filters():
        loaded = filters.load_filter(name)
        assert (loaded.apply(gray(), []) == gray()).all()
        assert (loaded.apply(gray(), [], boxes=[], ids=[]) == gray()).all()


def test_ids_must_match_the_faces():
    with pytest.raises(InputError, match="ids: 2 for 1 faces"):
        filters.load_filter("crown").apply(gray(), face()[None], ids=[1, 2])


# --- single filters -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["blur", "pixelate"])
@pytest.mark.parametrize("size", [12, 60, 130])
def test_privacy_filters_leave_nothing_of_the_face(name, size):
    points = face(150, 115, size, yaw=0.2, roll=0.3)
    head = find_head(points)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [np.rint(head.face_outline()).astype(np.int32)], 1)
    hidden = mask > 0
    assert hidden[tuple(np.rint(head.place((27,), np.array([0, -0.3, 0]))[::-1]).astype(int))]
    # Two faces that differ in all the fine detail come out alike.
    one, other = noise(seed=1), noise(seed=2)
    one[~hidden] = other[~hidden] = 128
    loaded = filters.load_filter(name)
    shown = [loaded.apply(picture, points[None]).astype(float)[hidden] for picture in (one, other)]
    before = np.abs(one[hidden].astype(float) - other[hidden]).mean()
    assert before > 80
    share = 60 / size  # a small face has few pixels to average
    assert np.abs(shown[0] - shown[1]).mean() < 0.12 * before * max(share, 1)
    assert shown[0].var() < 0.05 * one[hidden].var() * max(share, 1) ** 2


def laplacians_agree(before, after, where):
    """Correlation of the fine detail of two pictures on a mask."""
    one, other = (cv2.Laplacian(i.astype(np.float32), cv2.CV_32F)[where] for i in (before, after))
    one, other = one - one.mean(), other - other.mean()
    return (one * other).sum() / max(np.sqrt((one**2).sum() * (other**2).sum()), 1e-9)


@pytest.mark.parametrize("name", ["blur", "pixelate"])
@pytest.mark.parametrize("size", [4.0, 4.6, 9, 40])
@pytest.mark.parametrize("known", [True, False])
def test_nothing_stands_of_a_face_of_any_size_with_points_or_without(name, size, known):
    points, picture = face(150, 115, size), noise()
    box = np.array([150 - size / 2, 115 - size / 2, size, size])
    loaded = filters.load_filter(name)
    faces = {"points": [points]} if known else {"points": [], "boxes": [box]}
    shown = loaded.apply(picture, **faces)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    x, y = np.floor(box[:2]).astype(int)
    inside[y : y + math.ceil(size) + 1, x : x + math.ceil(size) + 1] = True
    assert changed(picture, shown)[inside].mean() > 0.98
    assert laplacians_agree(picture, shown, inside) < 0.5
    # Nothing far away is touched.
    assert not changed(picture, shown)[: 115 - int(2 * size + 20)].any()


@pytest.mark.parametrize("name", STICKERS)
def test_stickers_are_not_drawn_where_no_points_are_known(name):
    box = np.array([[100.0, 60, 80, 80]])
    assert (filters.load_filter(name).apply(noise(), [], boxes=box) == noise()).all()


@pytest.mark.parametrize("name", ["blur", "pixelate"])
def test_points_spread_over_a_million_pixels_take_no_memory(name):
    points = face(150, 115, 9e5)
    shown = filters.load_filter(name).apply(noise(), points[None])
    assert shown.shape == noise().shape and (shown != noise()).any(axis=2).mean() > 0.99


def test_pixelate_leaves_few_numbers():
    points = face(150, 115, 130)
    shown = filters.load_filter("pixelate").apply(noise(), points[None])
    outline = np.rint(find_head(points).face_outline()).astype(np.int32)
    mask = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [outline], 1) > 0
    assert len(np.unique(shown[mask], axis=0)) < 110


def test_big_eyes_magnify_around_the_pupil():
    points = face(150, 115, 120)
    centre = points[36:42].mean(axis=0)
    picture = gray(level=0)
    cv2.circle(picture, tuple(np.rint(centre * 16).astype(int).tolist()), 6 * 16, (255,) * 3, -1,
               cv2.LINE_AA, 4)  # fmt: skip
    shown = filters.load_filter("big_eyes").apply(picture, points[None])
    grown = shown[..., 0].sum() / picture[..., 0].sum()
    assert 2.2 < grown < 4  # a disc in the very middle would grow by (1 / (1 - 0.5))^2 = 4
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    weight = shown[..., 0].astype(float)
    assert (weight * columns).sum() / weight.sum() == pytest.approx(centre[0], abs=0.3)
    assert (weight * rows).sum() / weight.sum() == pytest.approx(centre[1], abs=0.3)


@pytest.mark.parametrize("size", [70, 130])
def test_landmarks_are_drawn_where_they_are(size):
    points, picture = face(150, 115, size, yaw=0.2, roll=0.3), gray(level=0)
    shown = filters.load_filter("landmarks").apply(picture, points[None])
    x, y = np.rint(points).astype(int).T
    assert (shown[y, x, 1] > 200).all()  # green
    drawn = np.column_stack(np.nonzero(shown[..., 1])[::-1])
    corners = [points.min(axis=0), points.max(axis=0)]
    assert np.allclose([drawn.min(axis=0), drawn.max(axis=0)], corners, atol=0.03 * size + 2)
    cheek = np.rint(points[[3, 41, 48]].mean(axis=0)).astype(int)
    assert not shown[cheek[1], cheek[0]].any()  # lines, not an area


def test_lines_are_the_wider_the_larger_the_face_is():
    """Five times the size is about 25 times the area; lines of one width had five times."""
    drawn = {}
    for size in (100, 500):
        before = gray(1000, 1000)
        after = filters.load_filter("landmarks").apply(before, face(500, 500, size)[None])
        drawn[size] = changed(before, after).sum()
    assert drawn[500] > 12 * drawn[100]


def test_the_oranges_mouth_opens_with_the_users():
    loaded = filters.load_filter("googly_orange")

    def dark_red(mouth):
        shown = loaded.apply(gray(), face(size=100, mouth=mouth)[None]).astype(int)
        lips = shown[110:190, 100:220]
        red, green = lips[..., 0], lips[..., 1]
        return ((red > 40) & (red < 125) & (green < red / 3)).sum()

    shut, ajar, wide = dark_red(-0.03), dark_red(0.05), dark_red(0.15)
    assert shut < ajar / 3 and ajar < wide / 1.5


def test_only_the_near_arm_of_the_sunglasses_shows():
    spec = filters.load_filter("sunglasses").spec
    arms = tuple(layer for layer in spec.layers if layer.normal is not None)
    assert len(arms) == 2 and len(spec.layers) == 3
    points, picture = face(size=100, yaw=0.6), gray(level=200)  # its right side shows
    head = find_head(points)
    inside = effects.outline_mask([head.face_outline()], 0, 0, picture.shape) > 0.99
    right, left = (
        changed(picture, filters.Filter(replace(spec, layers=(arm,))).apply(picture, points[None]))
        for arm in arms
    )
    middle = head.place(tuple(range(36, 42)), np.array([-0.3, -0.06, -0.2]))
    assert right[tuple(np.rint(middle[::-1]).astype(int))]
    assert not (left & inside).any()


def test_the_far_side_of_the_crown_is_behind_the_head():
    points = face(160, 150, 90)
    head = find_head(points)
    shown = filters.load_filter("crown").apply(gray(level=128), points[None])
    front = head.place((27,), np.array([0, -0.43, 0.0]))
    x, y = np.rint(front).astype(int)
    gold = shown[y - 8 : y + 9, x - 30 : x + 31].reshape(-1, 3).mean(axis=0)
    assert gold[0] > gold[2] + 60
    bare = head.place((27,), np.array([0, -0.2, 0.0]))  # the forehead
    x, y = np.rint(bare).astype(int)
    assert (shown[y, x] == 128).all()


# --- loose pupils -------------------------------------------------------------------------------


def test_a_ball_falls_to_the_bottom_and_rests_there():
    ball = Ball(np.array([1.0, 0.0]))
    for frame in range(120):
        place = ball.step(frame / 30, np.zeros(2), np.eye(2))
        assert np.linalg.norm(place) <= 1 + 1e-9
    assert place == pytest.approx([0, 1], abs=0.05)


def test_down_is_the_pictures_down_however_the_head_leans():
    """The dish is turned by a quarter: the picture's down is the art's right."""
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    ball = Ball(np.array([0.0, 1.0]))
    for frame in range(120):
        place = ball.step(frame / 30, np.zeros(2), turn)
    assert place == pytest.approx([1, 0], abs=0.05)


def test_a_jerk_throws_the_ball_the_other_way():
    ball = Ball(np.array([0.0, 1.0]))
    for frame in range(60):
        ball.step(frame / 30, np.array([0.0, 0.0]), np.eye(2))
    place = ball.step(2.0, np.array([1.0, 0.0]), np.eye(2))
    assert place[0] < -0.2


def test_the_same_time_moves_nothing_and_a_long_gap_starts_anew():
    ball = Ball(np.array([1.0, 0.0]))
    ball.step(0, np.zeros(2), np.eye(2))
    moved = ball.step(0.1, np.zeros(2), np.eye(2))
    assert moved[1] > 0.1
    assert (ball.step(0.1, np.zeros(2), np.eye(2)) == moved).all()
    assert (ball.step(5.0, np.zeros(2), np.eye(2)) == [1, 0]).all()
    ball.step(5.1, np.zeros(2), np.eye(2))
    assert (ball.step(1.0, np.zeros(2), np.eye(2)) == [1, 0]).all()  # a clip that starts over


def test_pupils_move_per_id_and_start_anew_when_the_face_was_gone():
    loaded = filters.load_filter("googly_eyes")
    points, picture = face(size=100)[None], gray()
    first = loaded.apply(picture, points, ids=[7], timestamp=0.0)
    second = loaded.apply(picture, points, ids=[7], timestamp=0.2)
    assert changed(first, second).any()
    loaded.apply(picture, points[:0], ids=[], timestamp=0.25)
    assert (loaded.apply(picture, points, ids=[7], timestamp=0.3) == first).all()
    assert (loaded.apply(picture, points, ids=[8], timestamp=0.4) == first).all()


def test_without_ids_nothing_is_remembered():
    loaded = filters.load_filter("googly_eyes")
    shown = [loaded.apply(gray(), face()[None], timestamp=t) for t in (0.0, 0.2, 0.4)]
    assert (shown[0] == shown[1]).all() and (shown[0] == shown[2]).all()


@pytest.mark.parametrize("name", ["blur", "pixelate"])
def test_a_hidden_face_that_is_lost_stays_hidden_for_a_moment(name):
    loaded, picture, points = filters.load_filter(name), noise(), face()[None]
    nobody = points[:0]
    first = loaded.apply(picture, points, ids=[7], timestamp=3.0)
    assert (loaded.apply(picture, nobody, ids=[], timestamp=3.2) == first).all()
    assert (loaded.apply(picture, points * np.nan, ids=[7], timestamp=3.4) == first).all()
    assert (loaded.apply(picture, nobody, ids=[], timestamp=3.6) == picture).all()
    loaded.apply(picture, points, ids=[7], timestamp=4.0)
    assert (loaded.apply(picture, nobody, ids=[], timestamp=0.0) == picture).all()  # another clip
    loaded.apply(picture, points, ids=[7], timestamp=5.0)
    assert (loaded.apply(picture, nobody, timestamp=5.1) == picture).all()  # a picture by itself


@pytest.mark.parametrize("name", ["blur", "pixelate"])
def test_nothing_is_held_over_a_cut(name):
    loaded, points = filters.load_filter(name), face()[None]
    loaded.apply(noise(), points, ids=[7], timestamp=3.0)
    ramp = np.broadcast_to(np.linspace(0, 255, WIDTH)[:, None], (HEIGHT, WIDTH, 3))
    other = np.ascontiguousarray(ramp).astype(np.uint8)
    assert (loaded.apply(other, [], ids=[], timestamp=3.04) == other).all()


# --- folders ------------------------------------------------------------------------------------

GOOD = sticker("similarity", FITS["similarity"])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (GOOD + "\nopacty = 0.5", "layer 1: unknown field 'opacty'; did you mean 'opacity'?"),
        (GOOD + "\nopacity = 1.5", "opacity=1.5: a number from 0 to 1 is expected"),
        (GOOD + "\nopacity = true", "opacity=True: a number"),
        (GOOD + "\nz = nan", "z=nan: a number"),
        (GOOD.replace("similarity", "affin"), "fit='affin' is not known; did you mean 'affine'?"),
        (GOOD.replace("similarity", "affine"), "2 anchors; fit = 'affine' needs at least 3"),
        (GOOD.replace("[36]", "[68]"), "anchor 1: points=[68]: a list of numbers from 0 to 67"),
        (GOOD.replace("[36]", "[]"), "anchor 1: points=[]"),
        (GOOD.replace("at = [20, 10]", "at = [20]"), "anchor 1: at=[20]: 2 numbers"),
        (GOOD.replace("at = [50, 14]", "at = [20, 10]"), "all lie on one spot"),
        (GOOD.replace("art.png", "gone.png"), "gone.png: cannot read the art"),
        (GOOD.replace('art = "art.png"', ""), "art is missing"),
        (GOOD + "\nloose = 3", "loose: a table is expected, not 3"),
        (GOOD + "\nloose = { radius = 3, strt = 1 }", "loose: unknown field 'strt'"),
        (sticker("piecewise", FITS["piecewise"], "loose = { radius = 3 }"), "cannot be loose"),
        ('kind = "bulg"', "kind='bulg' is not known; did you mean 'bulge'?"),
        ('kind = "bulge"\nradius = 0.2\nstrength = 1\npoints = [36]', "strength=1: a number"),
        ('kind = "pixelate"\nblocks = 900', "blocks=900: a number from 1 to 16"),
        (GOOD + "\nz = 1" + "0" * 400, "z=1000"),
        (GOOD + "\nz = " + "[" * 5000, "invalid TOML"),
        ("kind = ", "invalid TOML"),
        (GOOD + f"\nz = {10**400}", "layer 1: z=1000"),
        (GOOD + f"\nz = {'9' * 5000}", "invalid TOML: "),
        (GOOD + "\nz = 1e7", "z=10000000.0: a number from -1e+06 to 1e+06 is expected"),
        (f"kind = 'outlines'\ncolour = [1, 2, {10**400}]", "colour=[1, 2, 1000"),
        ("z = " + 900 * "[" + 900 * "]", "invalid TOML: "),
        (GOOD.replace("art.png", "a\\u0000b"), "art='a\\x00b': a file in the filter's folder"),
        (GOOD.replace("art.png", "../mine/art.png"), "art='../mine/art.png': a file in the"),
        (GOOD.replace("art.png", "/usr/art.png"), "art='/usr/art.png': a file in the filter's"),
        (GOOD.replace("art.png", "link.png"), "art='link.png': a file in the filter's folder"),
        (GOOD.replace("art.png", "large.png"), "large.png: more than 16 million pixels"),
        (GOOD.replace("art.png", "vast.png"), "vast.png: more than 16 million pixels"),
        (sticker("piecewise", 65 * [(36, 1, 2)]), "65 anchors; at most 64 are expected"),
        (GOOD + 100 * ("\n[[layers]]\n" + GOOD), "101 layers; at most 100 are expected"),
        (GOOD + "\n#" + 1_000_000 * "x", "filter.toml: more than 1000 kB"),
    ],
    ids=lambda value: value[:60],
)
def test_a_wrong_spec_is_named(tmp_path, layer, message):
    folder = write_filter(tmp_path / "mine", layer)
    (folder / "link.png").symlink_to(FOLDER / "crown" / "inside.png")
    for name, side in (("large", 4001), ("vast", 20_000)):  # their headers alone
        header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
        start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header
        data = start + struct.pack(">I", zlib.crc32(header)) + bytes(4) + b"IDAT" + bytes(4)
        (folder / f"{name}.png").write_bytes(data)
    with pytest.raises(InputError) as error:
        filters.load_filter(folder)
    assert message in str(error.value)
    assert str(folder) in str(error.value)


def test_art_without_alpha_is_refused(tmp_path):
    opaque = np.zeros((20, 20, 3), np.uint8)
    folder = write_filter(tmp_path / "mine", GOOD, opaque)
    with pytest.raises(InputError, match=r"art\.png: the art must be a PNG with .* alpha"):
        filters.load_filter(folder)


def test_a_folder_of_ones_own_needs_no_code(tmp_path):
    folder = write_filter(tmp_path / "mine", GOOD)
    loaded = filters.load_filter(str(folder))
    assert loaded.spec.name == "mine"
    assert changed(gray(), loaded.apply(gray(), face()[None])).any()


def test_the_example_of_the_readme_works(tmp_path):
    text = (catalogue.FOLDER.parent / "README.md").read_text()
    nose = np.zeros((129, 129, 4), np.uint8)
    cv2.circle(nose, (64, 64), 54, (40, 30, 220, 255), -1)
    cv2.imwrite(str(tmp_path / "nose.png"), nose)
    (tmp_path / "filter.toml").write_text(text.split("```toml")[1].split("```")[0])
    points = face(yaw=0.3, roll=0.5)
    shown = filters.load_filter(tmp_path).apply(gray(), points[None])
    x, y = np.rint(points[30]).astype(int)
    assert shown[y, x].tolist() == [220, 30, 40]
    rows, columns = np.nonzero(changed(gray(), shown))
    # A circle of 0.09 units of 90 pixels, seen from the side and 4 % larger, being near; its soft
    # edge adds a pixel.
    assert np.hypot(rows - y, columns - x).max() == pytest.approx(0.09 * 90, abs=2.0)


def test_layers_are_drawn_by_z(tmp_path):
    """Two squares on one place: the blue one is written first and has the higher z."""
    folder = tmp_path / "two"
    folder.mkdir()
    anchors = FITS["similarity"]
    text = 'description = "two"\n'
    for name, z, colour in (("blue", 1, (255, 0, 0, 255)), ("red", 0, (0, 0, 255, 255))):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((47, 61, 4), colour, np.uint8))
        layer = sticker("similarity", anchors, f"z = {z}").replace("art.png", f"{name}.png")
        text += f"\n[[layers]]\n{layer}\n"
    (folder / "filter.toml").write_text(text)
    points = face()
    shown = filters.load_filter(folder).apply(gray(), points[None])
    x, y = np.rint(points[36]).astype(int)
    assert shown[y, x].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("name", "message"),
    [("sunglases", "did you mean 'sunglasses'?"), ("xyz", "known: big_eyes, blur"), ("..", "gone")],
)
def test_unknown_filters_are_named(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        filters.load_filter(name)
    assert message.replace("gone", "not a filter folder: filter.toml is missing") in str(
        error.value
    )


# --- pictures -----------------------------------------------------------------------------------


def test_the_art_is_what_the_script_draws():
    drawn = catalogue.draw_all()
    files = {str(path.relative_to(catalogue.FOLDER)) for path in catalogue.FOLDER.glob("*/*.png")}
    assert files == set(drawn)
    for name, expected in drawn.items():
        stored = cv2.imread(str(catalogue.FOLDER / name), cv2.IMREAD_UNCHANGED)
        stored = cv2.cvtColor(stored, cv2.COLOR_BGRA2RGBA).astype(int)
        assert stored.shape == expected.shape, name
        # Other builds of OpenCV may round a few pixels of a soft edge otherwise.
        seen = np.abs(stored - expected) * (expected[..., 3:] > 8)
        assert seen.mean() < 0.05 and np.percentile(seen, 99.9) <= 3, name


def golden_sheet():
    """All filters on one leaning, turned face, 64 x 64 each, in a row."""
    rows, columns = np.mgrid[:256, :256]
    ramp = np.stack([columns, rows, 255 - columns], axis=-1).astype(np.uint8)
    stripes = ((columns + rows) // 12 % 2 * 40).astype(np.uint8)
    picture = np.clip(ramp.astype(int) // 2 + stripes[..., None] + 40, 0, 255).astype(np.uint8)
    points = face(128, 145, 110, yaw=0.35, roll=0.2, mouth=0.08)[None]
    tiles = [filters.load_filter(name).apply(picture, points) for name in filters.list_filters()]
    return np.hstack([cv2.resize(t, (64, 64), interpolation=cv2.INTER_AREA) for t in tiles])


def test_the_filters_look_as_they_did():
    """After a wanted change: `python -m tests.test_filters` writes the picture; look at it."""
    golden = cv2.imread(str(GOLDEN))[..., ::-1].astype(int)
    difference = np.abs(golden_sheet() - golden)
    for number, name in enumerate(filters.list_filters()):
        tile = difference[:, 64 * number : 64 * (number + 1)]
        assert tile.mean() < 0.5 and tile.max() < 30, name


if __name__ == "__main__":
    cv2.imwrite(str(GOLDEN), golden_sheet()[..., ::-1])
