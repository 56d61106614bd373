import math

import numpy as np
import pytest
from keras import ops

from keypoints.models import losses


def loss_of(name, *errors):
    """The loss of one row with these coordinate errors."""
    truth = np.arange(len(errors), dtype=np.float32)[None]
    predicted = truth + np.array([errors], np.float32)
    return float(ops.convert_to_numpy(losses.POINT_LOSSES[name](truth, predicted))[0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Errors 0.5, -2, 20, 0.
        ("l1", (0.5 + 2 + 20) / 4),
        ("mse", (0.25 + 4 + 400) / 4),
        ("smooth_l1", (0.125 + 1.5 + 19.5) / 4),
        # 10 ln(1 + e/2) below 10; linear above, joined there: 20 - (10 - 10 ln 6).
        (
            "wing",
            (10 * math.log(1.25) + 10 * math.log(2) + 20 - 10 + 10 * math.log(6)) / 4,
        ),
    ],
)
def test_losses_by_hand(name, expected):
    assert loss_of(name, 0.5, -2, 20, 0) == pytest.approx(expected, rel=1e-5)


def test_laplace_by_hand():
    truth = np.zeros((1, 136), np.float32)
    predicted = truth.copy()
    predicted[0, 2:4] = 3, -5  # one point 4 off on average, expected 2
    uncertainty = np.ones((1, 68), np.float32)
    uncertainty[0, 1] = 2
    found = losses.laplace(truth, predicted, uncertainty)
    assert float(ops.convert_to_numpy(found)[0]) == pytest.approx((4 / 2 + math.log(2)) / 68)


def test_smooth_l1_turns_linear_at_one_pixel():
    found = losses.POINT_LOSSES["smooth_l1"](
        np.zeros((1, 2), np.float32), np.float32([[0.9, -1.5]])
    )
    assert ops.convert_to_numpy(found)[0] == pytest.approx((0.405 + 1.0) / 2)


def test_a_box_without_a_width_counts_as_one_pixel_wide():
    truth = np.zeros((1, 68, 2), np.float32)
    truth[0, :, 1] = np.linspace(0, 100, 68)  # of area 100
    found = losses.nme(truth.reshape(1, -1), (truth + np.float32([1, 0])).reshape(1, -1))
    assert ops.convert_to_numpy(found)[0] == pytest.approx(10)


def test_nme_by_hand():
    truth = np.zeros((3, 68, 2), np.float32)
    truth[:, 45] = [50, 200]  # a box of area 10,000
    predicted = truth.copy()
    predicted[0] += [3, 4]  # every point 5 off: 5 %
    predicted[1, 0] += [0, 34]  # one point 34 off: 0.5 on average
    predicted[2, 0] += [0, 17]  # 17 off, of 34 that are annotated
    truth[2, 1:35] = np.nan
    found = losses.nme(truth.reshape(3, -1), predicted.reshape(3, -1))
    np.testing.assert_allclose(ops.convert_to_numpy(found), [5, 0.5, 0.5], rtol=1e-5)


@pytest.mark.parametrize("name", losses.POINT_LOSSES)
def test_missing_points_have_no_say(name):
    """Loss and gradient are those of answers that agree with whatever was not annotated."""
    truth = np.zeros((1, 136), np.float32)
    truth[0, 4:6] = np.nan
    answer = np.full((1, 204), 3, np.float32)
    point_loss = losses.POINT_LOSSES[name]
    found = ops.convert_to_numpy(losses.training_loss(point_loss)(truth, answer))[0]
    filled = np.where(np.isnan(truth), 3, truth)
    alone = ops.convert_to_numpy(point_loss(filled, answer[:, :136]))[0]
    # 67 points are 3 off where 3 is expected: 1 and the logarithm of 3 each.
    assert found == pytest.approx(alone + 67 / 68 * (1 + math.log(3)), rel=1e-5)


def test_missing_points_have_no_gradient():
    import keras

    def loss(answer):
        return losses.training_loss(losses.POINT_LOSSES["l1"])(truth, answer)[0]

    truth = np.zeros((1, 136), np.float32)
    truth[0, 4:6] = np.nan
    answer = ops.convert_to_tensor(np.full((1, 204), 3, np.float32))
    if keras.backend.backend() == "jax":
        import jax

        gradient = np.asarray(jax.grad(loss)(answer))[0]
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(answer)
            value = loss(answer)
        gradient = tape.gradient(value, answer).numpy()[0]
    assert np.isfinite(gradient).all()
    none = [4, 5, 136 + 2]  # x, y and uncertainty of point 2
    assert (gradient[none] == 0).all() and (np.delete(gradient[:136], none[:2]) > 0).all()


def test_a_teacher_has_half_of_the_point_loss_and_no_say_in_the_likelihood():
    truth = np.zeros((1, 136), np.float32)
    answer = np.concatenate([truth + 3, np.full((1, 68), 2, np.float32)], axis=1)
    loss = losses.training_loss(losses.POINT_LOSSES["l1"])
    likelihood = 3 / 2 + math.log(2)
    alone = float(ops.convert_to_numpy(loss(truth, answer))[0])
    assert alone == pytest.approx(3 + likelihood)
    taught = np.concatenate([truth, truth + 8], axis=1)  # 5 away from the answer
    assert float(ops.convert_to_numpy(loss(taught, answer))[0]) == pytest.approx(4 + likelihood)
    truth[0, 90:92] = 100, 100  # a box of 100 by 100
    taught = np.concatenate([truth, truth + 50], axis=1)
    answer[0, 90:92] += 100
    found = ops.convert_to_numpy(losses.nme_of_outputs(taught, answer))
    np.testing.assert_allclose(found, [3 * math.sqrt(2)], rtol=1e-5)
