import numpy as np
import pytest

from keypoints.data.plausibility import check_leakage, check_records, marked, refuse
from keypoints.data.records import Records, make_records
from keypoints.errors import InputError
from keypoints.markup import IBUG68

WIDTH, HEIGHT, SIDE = 170, 130, 60.0


def faces(count: int = 8) -> np.ndarray:
    """Points `(n, 68, 2)` of faces, turned and tilted a little, off the middle of the picture."""
    rng = np.random.default_rng(0)
    points = []
    for index in range(count):
        turn = rng.uniform(-0.5, 0.5)
        tilt = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        face = IBUG68.mean * [rng.uniform(0.6, 1), 1] + rng.normal(0, 0.01, (68, 2))
        points.append(face @ tilt * SIDE + [75 + index, 62])
    return np.array(points)


def records(points: np.ndarray, *, name: str = "mine/train", first: int = 0) -> Records:
    """Faces with pictures that all differ, from number `first` on."""
    examples = []
    for index, face in enumerate(points, first):
        picture = np.full((HEIGHT, WIDTH, 3), index, np.uint8)
        examples.append((f"{index}.png", "", picture, face))
    return make_records(name, examples)


def findings(points: np.ndarray) -> list[tuple[bool, str, int]]:
    found = check_records(records(points))
    return [(finding.refused, finding.reason, len(finding.files)) for finding in found]


def test_faces_pass():
    assert findings(faces()) == []
    part = faces()
    part[:, :17] = np.nan  # no jaw
    part[2, 40:] = np.nan
    part[3, 20:] = np.nan  # too few to tell
    assert findings(part) == []
    hidden = faces() - [75 - SIDE / 3, 0]  # a sixth of the face is cut off by the picture
    assert (hidden[..., 0] < 0).any() and findings(hidden) == []


def test_profiles_pass():
    """A face from the side, whose far half is hidden behind the near one."""
    profile = faces()
    middle = profile[:, 27:31].mean(axis=1, keepdims=True)
    beyond = profile[..., 0] > middle[..., 0]
    profile[..., 0] = np.where(beyond, middle[..., 0], profile[..., 0])
    assert findings(profile) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p / [WIDTH, HEIGHT], "coordinates are shares of the picture"),
        (lambda p: p.transpose(0, 2, 1).reshape(-1, 68, 2), "all x come before all y"),
        (lambda p: p[..., ::-1], "x and y are swapped"),
        (lambda p: p[:, IBUG68.mirror], "left and right are swapped"),
        (lambda p: [WIDTH - 1, 0] + p * [-1, 1], "left and right are swapped"),
        (lambda p: p + [5000, 0], "points lie far outside of the picture"),
        (lambda p: p - [110, 0], "points lie far outside of the picture"),
        (lambda p: p * 0 + 7, "all points lie at the same place"),
        (lambda p: p[:, ::-1], "the points form no face"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_count_and_names(change, reason):
    points = change(faces())
    (finding,) = check_records(records(points))
    assert finding.refused and finding.reason.startswith(reason)
    assert str(finding).endswith(": 8 of 8 pictures (0.png, 1.png, 2.png, 3.png, 4.png and 3 more)")
    with pytest.raises(InputError, match=f"^mine/train: these .* are invalid:\n  {reason}"):
        refuse([finding], "mine/train")
    some = faces()
    some[[2, 5]] = points[[2, 5]]
    (finding,) = check_records(records(some))
    assert finding.files == ("2.png", "5.png") and finding.reason.startswith(reason)
    assert finding.refused or "form no face" in reason  # odd faces are odd, a set of them is wrong


def test_the_jaw_may_be_missing_where_left_and_right_are_swapped():
    points = faces()
    points[:, :17] = np.nan
    ((refused, reason, count),) = findings(points[:, IBUG68.mirror])
    assert refused and reason.startswith("left and right") and count == 8


@pytest.mark.parametrize("marker", [0, -1, -2])
def test_markers_of_missing_points_are_told_from_points_in_the_corner(marker):
    points = faces()
    points[1, 4] = points[6, 20:50] = marker
    ((refused, reason, count),) = findings(points)
    assert refused and "leave the cells of a point without annotation empty" in reason
    assert count == 2
    corner = faces(1)
    corner -= corner[0, 4] - marker  # the face reaches into the corner, where the point is right
    assert not marked(corner).any()


def test_what_is_odd_is_named_and_not_refused():
    points = faces()
    points[3, 8] += [0, 90]  # a chin that lies below the picture by 1.1 of the face and more
    points[5, 45] = points[5, 36]
    found = findings(points)
    assert [refused for refused, _, _ in found] == [False, False]
    assert "outside of the picture by more than 0.75 of the face" in found[0][1]
    assert "eye corners coincide" in found[1][1] and found[0][2] == found[1][2] == 1


def test_duplicates_are_the_same_face_of_the_same_picture():
    points = faces(4)
    points[1] = points[0]
    points[2] = points[0] + 3
    points[3] = points[0] + [70, 0]  # another face of that picture
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    found = check_records(
        make_records("x/train", [(f"{i}", "", picture, face) for i, face in enumerate(points)])
    )
    assert [(finding.reason[:19], finding.files) for finding in found] == [
        ("duplicates, the sam", ("1",)),
        ("duplicates, a face ", ("2",)),
    ]
    assert findings(points[[0, 0]]) == []  # the same points on other pictures


def test_pictures_of_training_in_validation_are_named():
    training = records(faces(5))
    assert check_leakage(training, records(faces(3), name="mine/validation", first=5)) == []
    (finding,) = check_leakage(training, records(faces(3), name="mine/validation", first=3))
    assert finding.files == ("3.png", "4.png") and not finding.refused
    assert "the same pictures are in mine/train" in finding.reason
