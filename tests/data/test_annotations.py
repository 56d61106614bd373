import hashlib
import math
import re

import numpy as np
import pytest

from keypoints.data.annotations import (
    Place,
    coordinate,
    from_named,
    put,
    shown,
    split_of,
    to_points,
)
from keypoints.errors import InputError, refuse


@pytest.mark.parametrize(
    ("value", "expected"), [(3, 3.0), (-2.5, -2.5), (" 7.25 ", 7.25), ("1e3", 1000.0)]
)
def test_numbers_and_text_are_coordinates(value, expected):
    assert coordinate(value) == expected


@pytest.mark.parametrize("value", [None, "", " ", "nan", "NaN", math.nan])
def test_what_stands_for_a_missing_point(value):
    assert math.isnan(coordinate(value))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("x", "'x' is not a number"),
        (True, "True is not a number"),
        ([1], r"\[1\] is not a number"),
        ({}, "{} is not a number"),
        ("inf", "'inf' is not finite"),
        (math.inf, "inf is not finite"),
        ("1e300", "'1e300' lies beyond any picture"),
        (1e30, "1e[+]30 lies beyond any picture"),
        (10**400, "10000.* lies beyond any picture"),
    ],
)
def test_other_values_are_named_shortly(value, reason):
    with pytest.raises(ValueError, match=f"^{reason}$") as error:
        coordinate(value)
    assert len(str(error.value)) < 80


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[1, 2], [3, None]], "point 1 has one coordinate without the other"),
        ([[1, 2], [None, None]], "fewer than two points are annotated"),
        ([], "fewer than two points are annotated"),
        ([[1, 2], [3]], "two numbers are expected"),
        ([[1, 2], "34"], "two numbers are expected"),
        ({"0": [1, 2]}, "a list of points is expected"),
        (None, "a list of points is expected"),
    ],
)
def test_rows_that_are_no_points(rows, reason):
    with pytest.raises(ValueError, match=reason):
        to_points(rows)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["1", " 2.5 "], ("3e1", 4)], [[1, 2.5], [30, 4]]),  # all at once
        ([["1", "2.5"], ["", "nan"], [None, math.nan], [3, 4]],
         [[1, 2.5], [np.nan] * 2, [np.nan] * 2, [3, 4]]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    ],
)  # fmt: skip
def test_rows_of_numbers_and_text_are_points(rows, expected):
    found = to_points(rows)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


@pytest.mark.parametrize("value", [True, "inf", 1e30, "1e10", 10**400, "x", [1], "1,5"])
def test_one_wrong_value_among_many_is_named(value):
    """The same as of the value alone, whether or not all rows can be read at once."""
    for rows in ([[1, 2], [3, 4], [5, value]], [[1, 2], ["", ""], [5, 6], [value, 7]]):
        with pytest.raises(ValueError, match=f"^{re.escape(shown(value))} (is not|lies beyond)"):
            to_points(rows)


def test_values_that_have_no_text_are_named_too():
    with pytest.raises(ValueError, match=r"^int lies beyond any picture$"):
        coordinate(10**5000)
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert len(shown(deep)) <= 42


def test_names_that_are_numbers_are_sorted_as_numbers():
    faces = [
        ("a.png", {"10": Place(1, 2), "9": Place(3, 4, True)}),
        ("b.png", {"2": Place(5, 6), "10": Place(7, 8)}),
    ]
    found = from_named("f", faces, [])
    assert found.names == ("2", "9", "10") and found.keyed
    np.testing.assert_array_equal(found.faces[0].points, [[np.nan] * 2, [3, 4], [1, 2]])
    assert found.faces[0].covered.tolist() == [False, True, False]
    named = from_named("f", [("a", {"nose": Place(1, 2), "eye": Place(3, 4)})], [])
    assert named.names == ("nose", "eye")


def test_a_name_is_there_once_however_it_is_written():
    places: dict[str, Place] = {}
    put(places, "0", Place(1, 2))
    put(places, "010", Place(1, 2))
    for name in ("00", " 0", "10"):
        with pytest.raises(ValueError, match=f"two points are called '{name}'"):
            put(places, name, Place(3, 4))
    assert places == {"0": Place(1, 2), "10": Place(1, 2)}


def test_people_fall_into_splits_by_their_hash():
    names = [f"Person_{i}" for i in range(400)]
    splits = [split_of(name) for name in names]
    for name, split in zip(names, splits):
        bucket = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") % 100
        assert split == ("test" if bucket < 10 else "validation" if bucket < 20 else "train")
    assert {"train", "validation", "test"} == set(splits)


def test_problems_are_reported_all_at_once_up_to_twenty():
    refuse([], "folder")
    with pytest.raises(InputError) as error:
        refuse([f"row {i}" for i in range(23)], "folder")
    lines = str(error.value).splitlines()
    assert lines[0] == "folder has 23 bad entries:" and len(lines) == 22
    assert lines[20] == "  row 19" and lines[21] == "  and 3 more"
