import keras
import numpy as np
import pytest

from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.markup import IBUG68
from keypoints.models.backbones import lite
from keypoints.models.network import build_model

FACE = IBUG68.mean * 150 + 112


@pytest.mark.slow
def test_resnet50_has_136_outputs_and_reads_a_no_top_file(tmp_path):
    config = Config(resolution=56, head="pooled")
    model = build_model(config, FACE)
    shapes = {name: output.shape for name, output in model.output.items()}
    assert shapes == {"points": (None, 136), "uncertainty": (None, 68)}
    # ResNet50 without top has 23,587,712 weights, of He et al. as Keras counts them.
    dense = 2048 * 204 + 204
    assert model.count_params() == 23_587_712 + dense
    source = keras.applications.ResNet50(include_top=False, weights=None)
    path = tmp_path / "notop.weights.h5"
    source.save_weights(path)
    loaded = build_model(Config(resolution=56, head="pooled", weights=str(path), seed=9), FACE)
    kernel = "conv3_block2_2_conv"
    np.testing.assert_array_equal(
        loaded.get_layer(kernel).get_weights()[0], source.get_layer(kernel).get_weights()[0]
    )


def test_weights_that_cannot_be_had_say_how_to_go_on(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "ResNet50", refuse)
    with pytest.raises(InputError, match=r"notop\.h5.*weights=none"):
        build_model(Config(weights="imagenet"), FACE)
    file = tmp_path / "other.weights.h5"
    file.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"other\.weights\.h5: not a no-top ResNet50"):
        build_model(Config(weights=str(file)), FACE)
    with pytest.raises(InputError, match=r"missing\.h5: no such file or run folder"):
        build_model(Config(weights=str(tmp_path / "missing.h5")), FACE)
    with pytest.raises(InputError, match="only resnet50"):
        build_model(Config(backbone="tiny", weights="imagenet"), FACE)


def test_lite_is_efficientnet_lite0_and_reads_a_file_of_its_backbone(tmp_path):
    image = keras.Input((56, 56, 3))
    source = keras.Model(image, lite(image, "none"))
    # EfficientNet-Lite0 has 4,694,024 numbers, statistics included; without the 1x1 convolution
    # to 1,280 channels, its normalisation and the dense layer of 1,000 classes these are left.
    assert source.count_params() == 4_694_024 - 320 * 1280 - 4 * 1280 - 1281 * 1000
    assert [tuple(map.shape[1:]) for map in source.outputs] == [
        (14, 14, 24), (7, 7, 40), (4, 4, 112), (2, 2, 320),
    ]  # fmt: skip
    path = tmp_path / "lite.weights.h5"
    source.save_weights(path)
    config = Config(backbone="lite", resolution=56, weights=str(path), seed=9)
    kernel = "conv4_block4b_depth_conv"
    np.testing.assert_array_equal(
        build_model(config, FACE).get_layer(kernel).get_weights()[0],
        source.get_layer(kernel).get_weights()[0],
    )
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match="not a weights file of this backbone"):
        build_model(config, FACE)
    with pytest.raises(InputError, match="only resnet50 has such weights"):
        build_model(Config(backbone="lite", weights="imagenet"), FACE)
