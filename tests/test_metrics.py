import numpy as np
import pytest

from keypoints import metrics
from keypoints.markup import IBUG68


@pytest.fixture
def truth():
    """Two faces with eye corners 50 (a 3-4-5 triangle) and 100 apart."""
    points = np.zeros((2, 68, 2), np.float32)
    points[0, 45] = [30, 40]
    points[1, 45] = [0, 100]
    return points


def test_inter_ocular_nme_by_hand(truth):
    predicted = truth.copy()
    predicted[0] += [0, 5]  # each of 68 points 5 off, of 50: 0.1
    predicted[1, 3] += [-34, 0]  # one point 34 off: 0.5 on average, of 100: 0.005
    np.testing.assert_allclose(metrics.inter_ocular_nme(truth, predicted), [0.1, 0.005])


def test_what_all_points_are_off_by_has_a_sign_and_an_axis(truth):
    predicted = np.concatenate([truth, truth[:1]])
    predicted[0] += [5, 0]  # of 50: 0.1
    predicted[1, :34] += [0, -40]  # half the points: -20 on average, of 100: -0.2
    predicted[2] = np.nan  # not found
    offset = metrics.mean_offset(
        np.concatenate([truth, truth[:1]]), predicted, np.array([50.0, 100.0, 50.0])
    )
    np.testing.assert_allclose(offset, [0.05, -0.1])


def test_normalisers_by_hand():
    points = np.zeros((1, 68, 2), np.float32)
    points[0, 36:42] = [10, 20]
    points[0, 42:48] = [70, 100]  # 60 and 80 away: 100
    points[0, 45] = [76, 100]  # the outer corner; moves the pupil by 1
    points[0, 8] = [0, 180]
    assert metrics.inter_ocular(points)[0] == pytest.approx(np.hypot(66, 80))
    assert metrics.inter_pupil(points)[0] == pytest.approx(np.hypot(61, 80))
    sizes = metrics.sizes(points, np.array([[7, 90, 30, 40]]))  # wherever the box lies
    assert sizes["inter_ocular"] == metrics.inter_ocular(points)
    assert sizes["box_diagonal"][0] == 50 and sizes["box"][0] == pytest.approx(np.sqrt(1200))


def test_half_a_coordinate_is_no_annotation(truth):
    truth[0, 7, 1] = np.nan
    assert metrics.annotated(truth).sum(axis=1).tolist() == [67, 68]
    assert not metrics.annotated(truth)[0, 7]


def test_points_that_are_not_annotated_are_left_out(truth):
    predicted = truth + np.float32([3, 4])
    predicted[0, 1:35] = 999
    truth[0, 1:35] = np.nan
    np.testing.assert_allclose(metrics.mean_error(truth, predicted), [5, 5])
    np.testing.assert_allclose(metrics.inter_ocular_nme(truth, predicted), [0.1, 0.05])
    offset = metrics.mean_offset(truth, predicted, np.array([10.0, 10.0]))
    np.testing.assert_allclose(offset, [0.3, 0.4])
    differences = metrics.pixel_differences(truth, predicted, np.full((2, 2), 255))
    np.testing.assert_allclose(metrics.smooth_l1(differences), [3.0, 3.0])  # 2.5 and 3.5
    predicted[0] = np.nan  # not found: unlike not annotated
    assert np.isnan(metrics.mean_error(truth, predicted)[0])


def test_eyes_that_are_not_annotated_are_where_the_mean_face_has_them():
    turn = np.array([[0, 80], [-80, 0]])  # a quarter turn, 80 pixels a side
    face = IBUG68.mean @ turn + [200, 300]
    known = face.copy()
    known[36:48] = np.nan
    np.testing.assert_allclose(IBUG68.complete(known), face, atol=1e-3)
    np.testing.assert_allclose(
        metrics.inter_ocular(known[None]), metrics.inter_ocular(face[None]), rtol=1e-5
    )
    lonely = np.full((68, 2), np.nan)
    lonely[3] = 1
    np.testing.assert_array_equal(IBUG68.complete(lonely), lonely)


def test_auc_and_failures_by_hand():
    nme = np.array([0.02, 0.06, 0.08, 0.5, np.nan])
    # (0.06 + 0.02 + 0 + 0 + 0) / 0.08 / 5; above the limit: 0.5 and the missing one.
    assert metrics.auc(nme) == pytest.approx(0.2)
    assert metrics.failure_rate(nme) == pytest.approx(0.4)
    assert metrics.auc(np.zeros(3)) == 1 and metrics.failure_rate(np.zeros(3)) == 0


def test_auc_is_the_area_under_the_curve():
    nme = np.random.default_rng(0).gamma(4, 0.015, 300)
    grid = np.linspace(0, 0.08, 100_001)
    share = np.searchsorted(np.sort(nme), grid, side="right") / len(nme)
    assert metrics.auc(nme) == pytest.approx(share.mean(), abs=1e-4)


def test_pixels_are_those_of_a_short_side_of_255(truth):
    predicted = truth.copy()
    predicted[:, :, 0] += 2
    differences = metrics.pixel_differences(truth, predicted, np.array([[510, 900], [300, 85]]))
    # 510 to 255 halves, 85 to 255 triples; y is right.
    np.testing.assert_allclose(np.unique(differences[0]), [0, 1])
    np.testing.assert_allclose(np.unique(differences[1]), [0, 6])
    # Half the coordinates are off: 1 gives 0.5, 6 gives 5.5.
    np.testing.assert_allclose(metrics.smooth_l1(differences), [0.25, 2.75])
    assert metrics.smooth_l1(np.array([[0.5, -0.5]]))[0] == pytest.approx(0.125)


def test_bootstrap_draws_people_not_pictures():
    rng = np.random.default_rng(1)
    values = np.repeat(rng.normal(5, 1, 40), 25)  # 40 people, 25 equal pictures each
    low, high = metrics.bootstrap_interval(values, np.repeat(np.arange(40), 25))
    alone = metrics.bootstrap_interval(values)
    assert low < values.mean() < high
    # The error of the mean of 40 independent values, 1.96 / sqrt(40) each way.
    assert high - low == pytest.approx(2 * 1.96 * np.std(values) / np.sqrt(40), rel=0.15)
    assert alone[1] - alone[0] < 0.3 * (high - low)
    assert (low, high) == metrics.bootstrap_interval(values, np.repeat(np.arange(40), 25))
