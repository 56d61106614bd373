import numpy as np

from keypoints import answers, geometry

RNG = np.random.default_rng(0)


def test_split_and_join_are_each_others_way_back():
    answer = RNG.random((3, 204)).astype(np.float32)
    points, uncertainty = answers.split(answer)
    assert points[1, 5].tolist() == answer[1, 10:12].tolist()
    assert uncertainty[1, 5] == answer[1, 136 + 5]
    np.testing.assert_array_equal(answers.join(points, uncertainty), answer)


def test_the_mirror_swaps_sides_of_points_and_uncertainties():
    points = np.zeros((1, 68, 2), np.float32)
    points[0, 36] = 50, 80  # the right eye's outer corner
    uncertainty = np.arange(68, dtype=np.float32)[None]
    points, uncertainty = answers.split(answers.mirrored(answers.join(points, uncertainty)))
    assert points[0, 45].tolist() == [173, 80] and uncertainty[0, 45] == 36  # 223 - 50


def test_uncertainty_scales_with_the_picture():
    matrices = geometry.crop_matrix(np.array([[30, 40, 100, 80.0]]), margin=1.4)
    answer = answers.join(np.full((1, 68, 2), 111.5), np.full((1, 68), 8.0))
    points, uncertainty = answers.in_picture(answer, matrices)
    np.testing.assert_allclose(points[0, 9], [80, 80], atol=1e-4)  # the box's centre
    np.testing.assert_allclose(uncertainty, 8 * 140 / 224, rtol=1e-5)
    assert points.dtype == uncertainty.dtype == np.float32


def test_doubt_by_hand():
    points = np.zeros((2, 68, 2))
    points[:, 45] = [[30, 40], [0, 0]]  # eyes 50 apart; eyes that coincide
    uncertainty = np.full((2, 68), 2.0)
    found = answers.doubt(points, uncertainty)
    assert found[0] == 2 / 50 and np.isfinite(found[1]) and found[1] > 100
