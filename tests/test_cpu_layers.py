import keras
import numpy as np
import pytest

from keypoints import landmarks
from keypoints.config import Config
from keypoints.cpu_layers import BatchNormalization, quicken
from keypoints.model import build_model

FACE = landmarks.MEAN_FACE * [150, 130] + [100, 118]
CONFIG = Config(backbone="tiny", resolution=56)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (5, 224, 224, 3), dtype=np.uint8)
    return crops, rng.uniform(0, 224, (5, 136)).astype(np.float32)


def trained(model, batch, steps=3):
    model.compile(keras.optimizers.SGD(1e-3), "mae")
    losses = [float(model.train_on_batch(*batch)) for _ in range(steps)]
    return losses, model.get_weights(), model.predict_on_batch(batch[0])


def test_trains_as_keras_layers_do(batch):
    losses, weights, answers = trained(build_model(CONFIG, FACE), batch)
    quick = quicken(build_model(CONFIG, FACE))
    assert isinstance(quick.get_layer("conv4_bn"), BatchNormalization)
    quick_losses, quick_weights, quick_answers = trained(quick, batch)
    np.testing.assert_allclose(quick_losses, losses, rtol=1e-5)
    for quick_weight, weight in zip(quick_weights, weights, strict=True):
        np.testing.assert_allclose(quick_weight, weight, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(quick_answers, answers, atol=0.01)


def test_variables_and_frozen_layers_are_the_same(batch):
    model = build_model(Config(backbone="tiny", resolution=56, trainable="head"), FACE)
    before = model.get_layer("conv4_bn").moving_mean.numpy().copy()
    paths = [variable.path for variable in model.trainable_variables]
    quick = quicken(model)
    assert [variable.path for variable in quick.trainable_variables] == paths
    keras.Model(quick.input, quick.get_layer("conv2_conv").output)  # one graph, of its own input
    trained(quick, batch)
    np.testing.assert_array_equal(quick.get_layer("conv4_bn").moving_mean.numpy(), before)
