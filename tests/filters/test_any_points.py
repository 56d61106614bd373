"""Filters on faces whose points are not the 68 of iBUG."""

import dataclasses

import numpy as np
import pytest

from keypoints.crop import Crop
from keypoints.errors import InputError
from keypoints.filters import list_filters, load_filter
from keypoints.filters.pipeline import BOX, Pipeline, boxed_face
from keypoints.inference.face import Face
from keypoints.inference.predictor import Predictor
from keypoints.markup import IBUG68, bundled
from keypoints.network import Network
from keypoints.synthetic.drawing import draw_face

FIVE, WFLW = bundled("five"), bundled("wflw98")
ANY = ["blur", "landmarks", "pixelate"]


@pytest.fixture(scope="module")
def drawn():
    return draw_face(11)


def five_of(points):
    eyes = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    return np.stack([*eyes, points[30], points[48], points[54]]).astype(np.float32)


def test_filters_that_need_other_points_say_so_and_are_not_offered():
    assert list_filters(FIVE) == ANY and set(ANY) < set(list_filters())
    assert list_filters(WFLW) == list_filters()  # its map has all of the 68
    with pytest.raises(InputError, match="filter crown is drawn on the points of ibug68, which"):
        load_filter("crown", FIVE)


@pytest.mark.parametrize("name", ["blur", "pixelate"])
def test_a_privacy_filter_hides_the_whole_face_of_five_points(drawn, name):
    image, points = drawn
    shown = load_filter(name, FIVE).apply(image, five_of(points)[None])
    changed = (shown != image).any(axis=-1)
    inside = np.rint(points).astype(int)  # all of the 68: jaw and brows too
    near = [changed[y - 2 : y + 3, x - 2 : x + 3].any() for x, y in inside]
    assert np.mean(near) > 0.95
    own = load_filter(name).apply(image, points[None])
    assert ((own != image).any(axis=-1) & ~changed).mean() < 0.02  # hardly less than with the 68


def test_stickers_on_wflw_are_those_on_the_68_points_that_it_has(drawn):
    image, points = drawn
    wflw = IBUG68.converted(points, WFLW)
    wflw[np.isnan(wflw)] = 50.0  # points that iBUG does not have do not count
    shown = load_filter("sunglasses", WFLW).apply(image, wflw[None])
    np.testing.assert_array_equal(shown, load_filter("sunglasses").apply(image, points[None]))
    with pytest.raises(InputError, match=r"\(n, 98, 2\) is expected"):
        load_filter("sunglasses", WFLW).apply(image, points[None])


def test_outlines_are_those_of_the_markup(drawn):
    image, points = drawn
    five = five_of(points)
    shown = load_filter("landmarks", FIVE).apply(image, five[None])
    changed = (shown != image).any(axis=-1)
    for x, y in np.rint(five).astype(int):
        assert changed[y, x]
    middle = np.rint((five[3] + five[4]) / 2).astype(int)  # on the line of the mouth
    assert changed[middle[1], middle[0]] and changed.mean() < 0.05


def test_a_face_without_a_pose_is_drawn_by_its_points(drawn):
    image, points = drawn
    pipeline = Pipeline(
        Predictor(Network(None, Crop(), markup=FIVE)), load_filter("blur", FIVE), moving=False
    )
    none = np.full((3, 3), np.nan)
    five = five_of(points)
    box = FIVE.face_boxes(five)
    face = Face(0, box, five, np.zeros(5, "f4"), 0.9, none, markup=FIVE)
    by_points = pipeline.draw(image, [face], 0.0, moving=False)
    by_box = pipeline.draw(image, [boxed_face(box, BOX, markup=FIVE)], 0.0, moving=False)
    np.testing.assert_array_equal(by_points, by_box)
    assert (by_points != image).any()
    pipeline.count([face], 0.0)
    lost = dataclasses.replace(face, points=np.full((5, 2), np.nan, "f4"))
    np.testing.assert_array_equal(pipeline.draw(image, [lost], 0.0, moving=False), by_box)
