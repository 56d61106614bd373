import csv
import io
import math
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from keypoints import pose
from keypoints.head_shape import MEAN_SHAPE
from keypoints.markup import IBUG68
from keypoints.synthetic.shape import pose_head


def rotated(yaw, pitch, roll):
    """R = Rx(pitch) Ry(yaw) Rz(roll), each written out; y points down and z to the viewer."""
    (cy, cp, cr), (sy, sp, sr) = (fn(np.radians([yaw, pitch, roll])) for fn in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def seen(yaw, pitch, roll, size=90.0):
    """Points `(68, 2)` of the average head from far away."""
    return (MEAN_SHAPE @ rotated(yaw, pitch, roll).T)[:, :2] * size + [300, 140]


@pytest.mark.parametrize("degrees", [(0, 0, 0), (25, -10, 15), (-60, 20, -35), (85, 5, 160)])
def test_angles_of_a_distant_head_are_exact(degrees):
    found = pose.estimate_pose(seen(*degrees))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx(degrees, abs=1e-3)
    rotation, size = pose.fit_rotation(seen(*degrees))
    np.testing.assert_allclose(rotation, rotated(*degrees), atol=1e-5)
    assert size == pytest.approx(90, rel=1e-5)


def test_signs_in_the_picture():
    still = seen(0, 0, 0)
    nose = [seen(*degrees)[30] - seen(*degrees)[27] for degrees in ((20, 0, 0), (0, 20, 0))]
    assert nose[0][0] > 4  # its tip moves to the viewer's right
    assert nose[1][1] < (still[30] - still[27])[1] - 4  # and up
    leaning = seen(0, 0, 20)
    assert leaning[45, 1] > leaning[36, 1] + 5  # clockwise: the eye on the right is lower


def test_mirrored_points_have_mirrored_angles():
    points = seen(30, 12, -20) + np.random.default_rng(0).normal(0, 0.5, (68, 2))
    mirrored = (points * [-1, 1])[IBUG68.mirror]
    here, there = pose.estimate_pose(points), pose.estimate_pose(mirrored)
    assert (there.yaw, there.pitch, there.roll) == pytest.approx(
        (-here.yaw, here.pitch, -here.roll), abs=1e-3
    )


@pytest.mark.parametrize("degrees", [(15, -10, 25), (-50, 20, 0), (70, 5, -120)])
def test_no_rotation_or_size_nearby_fits_better(degrees):
    """Points of a face with a shape of its own, for which the affine fit alone is not the best."""
    own = MEAN_SHAPE * [1.1, 0.9, 1.3] + np.random.default_rng(0).normal(0, 0.05, MEAN_SHAPE.shape)
    points = (own @ rotated(*degrees).T)[:, :2] * 90 + [300, 140]
    rigid, shape = IBUG68.rigid
    aim, shape = points[rigid] - points[rigid].mean(axis=0), shape - shape.mean(axis=0)

    def cost(rotation, size):
        return ((aim - size * shape @ rotation[:2].T) ** 2).sum()

    rotation, size = pose.fit_rotation(points)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    best = cost(rotation, size)
    for axis in range(3):
        for turn in (-0.2, 0.2):  # degrees about x, y and z of the camera
            about = [0.0, 0.0, 0.0]
            about[axis] = turn
            assert cost(rotated(*np.array(about)[[1, 0, 2]]) @ rotation, size) > best
    assert cost(rotation, 1.002 * size) > best < cost(rotation, 0.998 * size)


@pytest.mark.parametrize("length", [0.0, 0.3, 2.0])
def test_turns_by_hand(length):
    """About x: a rotation by its length in radians."""
    expected = rotated(0, np.degrees(length), 0)
    np.testing.assert_allclose(pose._turns(np.array([[length, 0, 0]]))[0], expected, atol=1e-12)


def test_many_faces_are_those_one_by_one():
    faces = np.stack([[seen(10, 0, 0), seen(-50, 10, 5)], [seen(0, 30, 0), seen(70, 0, -90)]])
    rotation, size = pose.fit_rotation(faces)
    assert rotation.shape == (2, 2, 3, 3) and size.shape == (2, 2)
    np.testing.assert_allclose(pose.angles(rotation)[1, 1], [70, 0, -90], atol=1e-3)


def test_the_fit_is_the_least_squares_one():
    """No small turn, and no other size, lies nearer to points that no head has exactly."""
    noise = np.random.default_rng(0).normal(0, 5, (68, 2)) * [1, 3]
    points = seen(40, 10, 5) + noise
    rotation, size = pose.fit_rotation(points)
    rigid, shape = IBUG68.rigid
    target = points[rigid] - points[rigid].mean(axis=0)

    def cost(rotation, size):
        placed = size * (shape - shape.mean(axis=0)) @ rotation[:2].T
        return np.square(placed - target).sum()

    best = cost(rotation, size)
    for turn in np.eye(3) * 0.3:
        for sign in (-1, 1):
            assert cost(rotated(*(sign * turn)) @ rotation, size) > best
    assert cost(rotation, 1.003 * size) > best and cost(rotation, 0.997 * size) > best


@pytest.mark.parametrize("yaw", [-45, -20, 0, 15, 35])
def test_a_near_camera_costs_few_degrees(yaw):
    head = pose_head(MEAN_SHAPE, math.radians(yaw), 0, 0, 80, np.array([150.0, 90.0]))
    assert pose.estimate_pose(head.points).yaw == pytest.approx(yaw, abs=3)


def test_speech_does_not_move_the_head():
    points = seen(20, 5, 0)
    talking = points.copy()
    talking[[*range(4, 13), 55, 56, 57, 58, 59, 65, 66, 67], 1] += 12
    assert pose.estimate_pose(talking) == pose.estimate_pose(points)


@pytest.mark.parametrize(
    "points",
    [
        np.full((68, 2), np.nan),
        np.full((68, 2), 7.0),
        np.stack([np.arange(68.0), 2 * np.arange(68.0)], axis=1),
        seen(0, 0, 0) * 1e9,
        seen(0, 0, 0, size=1.0),
    ],
)
def test_what_is_no_face_has_no_pose_and_spoils_no_other(points):
    rotation, size = pose.fit_rotation(np.stack([points, seen(10, 0, 0)]))
    assert np.isnan(rotation[0]).all() and np.isnan(size[0])
    assert pose.angles(rotation)[1] == pytest.approx([10, 0, 0], abs=1e-3)
    assert math.isnan(pose.estimate_pose(points).yaw)


AFLW = os.environ.get("KEYPOINTS_AFLW2000")
YAW_EDGES = ((0, 15), (15, 30), (30, 60), (0, 60), (60, 91))


@pytest.fixture(scope="module")
def aflw():
    """Pictures' bytes, points `(n, 68, 2)` and yaw `(n,)` in our sign, without impossible yaws."""
    if AFLW is None:
        pytest.skip("KEYPOINTS_AFLW2000 names no zip of pictures and points.csv")
    archive = zipfile.ZipFile(AFLW)
    text = io.TextIOWrapper(archive.open("points.csv"))
    rows = {row[0]: np.array(row[1:], float).reshape(68, 2) for row in list(csv.reader(text))[1:]}
    beside = Path(AFLW).with_name(Path(AFLW).stem + "_yaw.csv")
    told = {row["picture"]: -float(row["yaw_degrees"]) for row in csv.DictReader(beside.open())}
    names = [name for name in rows if abs(told[name]) <= 91]
    pictures = [archive.read(name) for name in names]
    return pictures, np.stack([rows[n] for n in names]), np.array([told[n] for n in names])


def mean_errors(points, yaw):
    """Mean absolute error by bin of the annotated |yaw|, degrees; printed with -s."""
    apart = np.abs(pose.angles(pose.fit_rotation(points)[0])[:, 0] - yaw)
    turned = np.abs(yaw)
    errors = {(a, b): apart[(a <= turned) & (turned <= b)].mean() for a, b in YAW_EDGES}
    print(", ".join(f"{a} to {b}: {error:.2f}" for (a, b), error in errors.items()))
    return errors


def test_yaw_of_annotated_points_of_aflw2000(aflw):
    _, points, yaw = aflw
    assert mean_errors(points, yaw)[0, 60] < 3.5


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("model", ["pretrained", "pretrained-small"])
def test_yaw_of_predicted_points_of_aflw2000(aflw, model):
    from keypoints import geometry
    from keypoints.inference.predictor import Predictor
    from keypoints.media.pictures import decode_picture

    pictures, points, yaw = aflw
    predictor = Predictor.load(model)
    found = [
        predictor.predict(decode_picture(data, "picture"), geometry.landmark_box(face)[None])[0]
        for data, face in zip(pictures, points)
    ]
    assert mean_errors(np.stack(found), yaw)[0, 60] < 5
