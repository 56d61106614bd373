import numpy as np

from keypoints import pose
from keypoints.markup import IBUG68
from keypoints.media.overlay import AXES, draw_axes
from keypoints.synthetic.shape import MEAN_SHAPE, pose_head


def test_axes_point_along_the_head():
    image = np.zeros((240, 320, 3), np.uint8)
    points = pose_head(MEAN_SHAPE, 0.6, 0, 0, 120, np.array([130.0, 120.0])).points
    rotation = pose.fit_rotation(points)[0]
    shown = draw_axes(image, points, rotation)
    half = np.ptp(points, axis=0).max() / 2
    assert not image.any() and shown.any()
    start = points[IBUG68.rigid[0]].mean(axis=0)
    ends = []
    for colour in AXES:
        rows, columns = np.nonzero(np.abs(shown.astype(int) - colour).max(axis=2) < 8)
        ends.append(np.array([columns.max(), rows.max()]) - start)
    # x by cos 0.6, y whole, z by sin 0.6; lines are 2 wide, and z covers x.
    assert np.abs(ends[0] - [half * np.cos(0.6), 0]).max() < 4
    assert np.abs(ends[1] - [0, half]).max() < 4
    assert np.abs(ends[2] - [half * np.sin(0.6), 0]).max() < 4


def test_what_has_no_pose_has_no_axes():
    image = np.full((40, 50, 3), 7, np.uint8)
    assert (draw_axes(image, np.zeros((68, 2)), np.full((3, 3), np.nan)) == image).all()
