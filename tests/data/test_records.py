"""What a training depends on is in the description that its run keeps."""

from dataclasses import replace

import numpy as np
import pytest

from keypoints.data.records import make_records
from tests.faces import dotted_faces

FACES = dotted_faces(4)
# As a file or a shard may give them, whatever the points are.
WITH_FACTS = replace(FACES, boxes=FACES.boxes + 1, yaw=np.full(4, 5, np.float32))


def test_equal_faces_have_equal_descriptions():
    again = replace(WITH_FACTS, boxes=WITH_FACTS.boxes.copy(), yaw=WITH_FACTS.yaw.copy())
    assert again.describe() == WITH_FACTS.describe()
    assert FACES.describe()["pictures"] == 4 and FACES.describe()["name"] == FACES.name


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": WITH_FACTS.boxes + np.float32([0, 0, 50, 0])},
        {"yaw": WITH_FACTS.yaw + 10},
        {"yaw": np.float32([5, 5, 5, np.nan])},
        {"repeats": WITH_FACTS.repeats * 0.5},
        {"points": WITH_FACTS.points + 0.25},
        {"files": WITH_FACTS.files[::-1]},
        {"pictures": WITH_FACTS.pictures[::-1]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_what_a_training_sees_changes_the_description(change):
    """Crops depend on the boxes; the points alone would leave a resumed run with other ones."""
    changed = replace(WITH_FACTS, **change)
    assert changed.describe()["sha256"] != WITH_FACTS.describe()["sha256"]
    assert {**changed.describe(), "sha256": ""} == {**WITH_FACTS.describe(), "sha256": ""}


def test_a_box_that_an_example_gives_stays():
    example = ("a.png", "", np.zeros((60, 80, 3), np.uint8), FACES.points[0], [10, 5, 30, 40], 12.0)
    records = make_records("mine/all", [example])
    np.testing.assert_array_equal(records.boxes, [[10, 5, 30, 40]])
    assert records.yaw.tolist() == [12]
