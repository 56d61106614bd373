import keras
import numpy as np
import pytest

from keypoints.config import Config
from keypoints.markup import IBUG68
from keypoints.models.network import SoftArgmax, build_model
from keypoints.models.runs import flattened

FACE = IBUG68.mean * [150, 130] + [100, 118]  # asymmetric on purpose
TINY = Config(backbone="tiny", resolution=112)


@pytest.fixture
def crops():
    return np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)


@pytest.mark.parametrize("head", ["heatmap", "pooled"])
@pytest.mark.parametrize("resolution", [56, 224])
def test_starts_at_the_mean_face(crops, head, resolution):
    config = Config(backbone="tiny", head=head, resolution=resolution)
    points = build_model(config, FACE).predict_on_batch(crops)["points"].reshape(3, 68, 2)
    # The heat map's prior is cut off at the crop's edge, which draws the jaw in a little.
    inner, jaw = np.abs(points - FACE)[:, 17:].max(), np.abs(points - FACE)[:, :17].max()
    assert inner < 3.0 and jaw < 8.0


def test_takes_bytes_and_floats_alike(crops):
    model = build_model(TINY, FACE)
    as_bytes = model.predict_on_batch(crops)
    as_floats = model.predict_on_batch(crops.astype(np.float32))
    assert as_bytes["points"].shape == (3, 136) and as_bytes["uncertainty"].shape == (3, 68)
    for name, values in as_bytes.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, as_floats[name])


def test_same_seed_same_weights():
    first, again, other = (
        build_model(Config(backbone="tiny", seed=seed), FACE).get_weights() for seed in (1, 1, 2)
    )
    assert all((a == b).all() for a, b in zip(first, again))
    assert any((a != b).any() for a, b in zip(first, other))


def test_soft_argmax_finds_a_peak_where_it_is():
    """One hot cell per point on a map of 7 rows and 5 columns; x and y must not be swapped."""
    layer = SoftArgmax(FACE)
    maps = np.zeros((1, 7, 5, 68), np.float32)
    maps[0, 6, 1] = 1e4
    found = keras.ops.convert_to_numpy(layer(maps))
    # Column 1 of 5 is centred at 1.5 / 5 of the crop, row 6 of 7 at 6.5 / 7.
    expected = [224 * 1.5 / 5 - 0.5, 224 * 6.5 / 7 - 0.5]
    np.testing.assert_allclose(found[0, :, :2], np.tile(expected, (68, 1)), atol=1e-2)
    # No spread at all: the least of 0.1, of which an untrained layer expects 0.4 as error.
    np.testing.assert_allclose(found[0, :, 2], 0.04, atol=4e-3)
    layer.log_sigma.assign(np.full(68, 9.0))  # a prior that prefers no place
    maps[0, 6, 3] = 1e4  # as hot, two columns on: half a distance of 2 / 5 of the crop either way
    found = keras.ops.convert_to_numpy(layer(maps))
    np.testing.assert_allclose(found[0, 0, 0], 224 * 2.5 / 5 - 0.5, atol=1e-2)
    np.testing.assert_allclose(found[0, 0, 2], 0.4 * 224 / 5 / np.sqrt(2), atol=1e-2)  # x alone


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the precision is JAX's")
def test_soft_argmax_and_its_gradient_are_computed_in_full_float32():
    """GPUs round the factors of a product to TF32, unless the program says otherwise."""
    import jax

    layer = SoftArgmax(FACE)
    maps = np.zeros((2, 7, 5, 68), np.float32)
    layer(maps)  # builds it
    program = jax.jit(jax.grad(lambda x: layer(x).sum())).lower(maps).as_text()
    products = [line for line in program.splitlines() if "dot_general" in line]
    assert len(products) == 2 and all("[HIGHEST, HIGHEST]" in line for line in products)


def test_frozen_layers_are_those_named():
    names = {}
    for trainable in ("all", "conv5", "head"):
        model = build_model(Config(backbone="tiny", trainable=trainable), FACE)
        names[trainable] = {v.path.split("/")[0] for v in model.trainable_variables}
    assert all(name.startswith("head") for name in names["head"])
    assert {name for name in names["conv5"] if not name.startswith("head")} == {
        "conv5_conv", "conv5_bn", "conv5_residual_conv", "conv5_residual_bn",
    }  # fmt: skip
    assert names["conv5"] < names["all"]


def test_frozen_layers_keep_their_weights_and_statistics(crops):
    model = build_model(Config(backbone="tiny", trainable="head"), FACE)
    model = flattened(model)
    model.compile("adam", "mae")
    backbone = [v for v in model.variables if not v.path.startswith("head")]
    before = [v.numpy() for v in backbone]
    model.train_on_batch(crops, np.zeros((3, 204), np.float32))
    assert all((v.numpy() == b).all() for v, b in zip(backbone, before))


def test_every_trainable_weight_gets_a_gradient(crops):
    model = flattened(build_model(TINY, FACE))
    model.compile("adam", "mae")  # moves every weight whose gradient is not exactly zero
    model.train_on_batch(crops, np.zeros((3, 204), np.float32))  # wakes the zero-started maps
    before = [v.numpy() for v in model.trainable_variables]
    model.train_on_batch(crops, np.zeros((3, 204), np.float32))
    still = [v.path for v, b in zip(model.trainable_variables, before) if (v.numpy() == b).all()]
    assert still == []


def test_bfloat16_answers_nearly_the_same(crops):
    exact, rough = (
        build_model(Config(backbone="tiny", precision=precision), FACE)
        for precision in ("float32", "mixed_bfloat16")
    )
    kernels = rough.get_layer("conv4_conv").get_weights()[0]
    assert rough.get_layer("conv4_conv").compute_dtype == "bfloat16"
    assert kernels.dtype == np.float32 and keras.config.dtype_policy().name == "float32"
    for model in (exact, rough):
        maps = model.get_layer("head_maps").kernel
        maps.assign(np.random.default_rng(0).normal(0, 0.05, maps.shape))
    apart = exact.predict_on_batch(crops)["points"] - rough.predict_on_batch(crops)["points"]
    assert 0 < np.abs(apart).max() < 2.0
