import jax
import keras
import numpy as np
import pytest
from jax import lax

from keypoints.config import Config
from keypoints.markup import IBUG68
from keypoints.models import cpu_ops
from keypoints.models.cpu_layers import BatchNormalization, Conv2D, use_cpu_kernels
from keypoints.models.network import build_model

FACE = IBUG68.mean * [150, 130] + [100, 118]
CONFIG = Config(backbone="tiny", resolution=56)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (5, 224, 224, 3), dtype=np.uint8)
    return crops, rng.uniform(0, 224, (5, 136)).astype(np.float32)


def trained(model, batch, steps=3):
    model = keras.Model(model.inputs, model.output["points"])
    model.compile(keras.optimizers.SGD(1e-3), "mae")
    losses = [float(model.train_on_batch(*batch)) for _ in range(steps)]
    return losses, model.get_weights(), model.predict_on_batch(batch[0])


@pytest.mark.parametrize(
    ("size", "stride", "pads", "shape", "filters"),
    [
        (1, 1, ((0, 0), (0, 0)), (5, 6, 3), 7),
        (1, 2, ((0, 0), (0, 0)), (5, 6, 3), 7),
        (3, 1, ((1, 1), (1, 1)), (6, 9, 16), 17),  # the input is copied, it has fewer channels
        (3, 1, ((1, 1), (1, 1)), (6, 9, 17), 16),  # the gradient is
        (3, 1, ((0, 2), (2, 0)), (6, 9, 16), 16),
        (3, 1, ((0, 2), (1, 0)), (6, 9, 15), 4),  # whole windows are
        (3, 2, ((0, 1), (1, 1)), (8, 9, 6), 5),
        (5, 4, ((0, 1), (1, 1)), (17, 22, 3), 5),
        (7, 2, ((0, 0), (0, 0)), (16, 19, 3), 5),
    ],
)
def test_convolution_and_gradients_are_those_of_xla(size, stride, pads, shape, filters):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2, *shape)).astype(np.float32)
    kernel = rng.normal(size=(size, size, shape[-1], filters)).astype(np.float32)

    def own(inputs, kernel):
        return lax.conv_general_dilated(
            inputs, kernel, (stride, stride), pads, dimension_numbers=cpu_ops.LAYOUT
        )

    expected, expected_gradients = jax.vjp(own, inputs, kernel)
    outputs, gradients = jax.vjp(
        lambda inputs, kernel: cpu_ops.convolve(inputs, kernel, stride, pads), inputs, kernel
    )
    weight = rng.normal(size=expected.shape).astype(np.float32)
    np.testing.assert_allclose(outputs, expected, atol=1e-4)
    for got, wanted in zip(gradients(weight), expected_gradients(weight)):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "stride", "pads", "shape", "batch"),
    [
        (3, 1, ((1, 1), (1, 1)), (5, 7, 3), 4),
        (3, 2, ((0, 1), (1, 1)), (8, 9, 2), 5),  # an odd batch; even sides leave a row over
        (5, 1, ((2, 2), (0, 3)), (6, 9, 2), 3),
        (5, 2, ((1, 2), (2, 2)), (9, 12, 4), 1),
        (2, 3, ((0, 0), (1, 0)), (8, 10, 3), 7),
    ],
)
def test_depthwise_convolution_and_gradients_are_those_of_xla(size, stride, pads, shape, batch):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(batch, *shape)).astype(np.float32)
    kernel = rng.normal(size=(size, size, shape[-1])).astype(np.float32)

    def own(inputs, kernel):
        return lax.conv_general_dilated(
            inputs, kernel[:, :, None], (stride, stride), pads,
            dimension_numbers=cpu_ops.LAYOUT, feature_group_count=shape[-1],
        )  # fmt: skip

    def ours(inputs, kernel):
        return cpu_ops.convolve_depthwise(inputs, kernel, stride, pads)

    expected, expected_gradients = jax.vjp(own, inputs, kernel)
    outputs, gradients = jax.vjp(ours, inputs, kernel)
    weight = rng.normal(size=expected.shape).astype(np.float32)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    for got, wanted in zip(gradients(weight), expected_gradients(weight)):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-4)


def test_a_shift_and_its_gradients_are_those_of_a_sum():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 5, 6, 7)).astype(np.float32)
    bias, weight = rng.normal(size=7).astype(np.float32), rng.normal(size=maps.shape)
    outputs, gradients = jax.vjp(cpu_ops.shift, maps, bias)
    np.testing.assert_array_equal(outputs, maps + bias)
    of_maps, of_bias = gradients(weight.astype(np.float32))
    np.testing.assert_allclose(of_maps, weight, rtol=1e-6)
    np.testing.assert_allclose(of_bias, weight.sum(axis=(0, 1, 2)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3])
def test_bias_and_activation_are_those_of_keras(size):
    image = keras.Input((9, 12, 20))
    plain = keras.Model(image, keras.layers.Conv2D(6, size, activation="relu")(image))
    plain.layers[1].bias.assign(np.linspace(-1, 1, 6))
    maps = np.random.default_rng(0).normal(size=(3, 9, 12, 20)).astype(np.float32)
    expected = plain(maps)
    assert type(use_cpu_kernels(plain).layers[1]) is Conv2D
    np.testing.assert_allclose(plain(maps), expected, atol=1e-4)


def test_of_equal_maxima_the_first_gets_the_gradient():
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 3, (2, 10, 14, 5)).astype(np.float32)
    expected, expected_gradient = jax.vjp(
        lambda x: lax.reduce_window(x, -np.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID"),
        inputs,
    )
    outputs, gradient = jax.vjp(cpu_ops.pool, inputs)
    weight = rng.normal(size=expected.shape).astype(np.float32)
    np.testing.assert_array_equal(outputs, expected)
    np.testing.assert_allclose(gradient(weight)[0], expected_gradient(weight)[0], atol=1e-6)


def test_a_mean_far_from_zero_does_not_cost_the_variance():
    inputs = np.random.default_rng(0).normal(1e4, 0.1, (4, 6, 5, 3)).astype(np.float32)
    _, mean, variance = cpu_ops.normalise(inputs, np.ones(3), np.zeros(3), 1e-5)
    exact = inputs.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, exact.var((0, 1, 2)), rtol=1e-2)


def test_a_not_a_number_is_not_hidden():
    assert np.isnan(cpu_ops.rectify(np.array([np.nan, 1.0]))[0])


def test_trains_as_keras_layers_do(batch):
    losses, weights, answers = trained(build_model(CONFIG, FACE), batch)
    quick = use_cpu_kernels(build_model(CONFIG, FACE))
    assert isinstance(quick.get_layer("conv4_bn"), BatchNormalization)
    assert isinstance(quick.get_layer("conv4_conv"), Conv2D)
    quick_losses, quick_weights, quick_answers = trained(quick, batch)
    np.testing.assert_allclose(quick_losses, losses, rtol=1e-5)
    for quick_weight, weight in zip(quick_weights, weights, strict=True):
        np.testing.assert_allclose(quick_weight, weight, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(quick_answers, answers, atol=0.01)


def test_variables_and_frozen_layers_are_the_same(batch):
    model = build_model(Config(backbone="tiny", resolution=56, trainable="head"), FACE)
    before = model.get_layer("conv4_bn").moving_mean.numpy().copy()
    paths = [variable.path for variable in model.trainable_variables]
    quick = use_cpu_kernels(model)
    assert [variable.path for variable in quick.trainable_variables] == paths
    keras.Model(quick.input, quick.get_layer("conv2_conv").output)  # one graph, of its own input
    trained(quick, batch)
    np.testing.assert_array_equal(quick.get_layer("conv4_bn").moving_mean.numpy(), before)


def operations(program, names):
    """How often operations of these names stand in a JAX program and the programs in it."""
    count = 0
    for equation in program.eqns:
        inner = [x for value in equation.params.values() for x in jax.tree.leaves(value)]
        inner = [getattr(x, "jaxpr", x) for x in inner]
        inner = [x for x in inner if hasattr(x, "eqns")]
        count += sum(operations(x, names) for x in inner) + (equation.primitive.name in names)
    return count


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="reads JAX programs")
@pytest.mark.parametrize("kind", ["keras", "quick"])
def test_frozen_stages_have_no_backward_pass_and_keep_their_statistics(kind, batch):
    def backward_and_moved(trainable):
        config = Config(backbone="tiny", resolution=56, trainable=trainable, head="pooled")
        model = build_model(config, FACE)
        model = use_cpu_kernels(model) if kind == "quick" else model
        state = [variable.value for variable in model.non_trainable_variables]
        weights = [variable.value for variable in model.trainable_variables]
        names = [variable.path.split("/")[0] for variable in model.non_trainable_variables]

        def loss(weights):
            outputs, now = model.stateless_call(weights, state, batch[0], training=True)
            return outputs["points"].sum(), now

        counts = [
            operations(jax.make_jaxpr(f)(weights).jaxpr, {"conv_general_dilated"})
            for f in (loss, jax.grad(loss, has_aux=True))
        ]
        now = loss(weights)[1]
        moved = {n for n, a, b in zip(names, state, now, strict=True) if not np.array_equal(a, b)}
        return counts[1] - counts[0], moved

    per_layer = 2 if kind == "keras" else 1  # of quick layers only one gradient is a convolution
    norms = {f"{stage}{part}_bn" for stage in ("conv2", "conv4", "conv5")
             for part in ("", "_residual")}  # fmt: skip
    count, moved = backward_and_moved("all")
    assert moved == norms and count >= 6 * per_layer - 1  # no gradient to the picture
    count, moved = backward_and_moved("conv5")
    assert moved == {"conv5_bn", "conv5_residual_bn"} and count <= 2 * per_layer
    count, moved = backward_and_moved("head")
    assert moved == set() and count == 0
