"""Backbones: networks from pixels to feature maps.

Each takes pixels `(b, h, w, 3)` RGB 0..255 and the value of `config.weights`, normalises the pixels
itself, and returns feature maps from fine to coarse; each map has half the size of the one before.
"""

import os

import keras
from keras import layers, ops

from keypoints import pretrained
from keypoints.config import Config
from keypoints.errors import InputError

# Channel means of ImageNet, RGB. The weights of keras.applications expect centred pixels.
IMAGENET_MEAN = (123.68, 116.779, 103.939)
# Output layers of ResNet50 from fine to coarse: strides 4, 8, 16, 32.
RESNET50_MAPS = ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out")
# Blocks of EfficientNet-Lite0: stage name, kernel size, stride, width, repeats.
LITE_BLOCKS = (
    ("conv1", 3, 1, 16, 1),
    ("conv2", 3, 2, 24, 2),
    ("conv3", 5, 2, 40, 2),
    ("conv4", 3, 2, 80, 3),
    ("conv4", 5, 1, 112, 3),
    ("conv5", 5, 2, 192, 4),
    ("conv5", 3, 1, 320, 1),
)


def resnet50(pixels: keras.KerasTensor, weights: str) -> list[keras.KerasTensor]:
    """Feature maps of ResNet50 (He et al., 2015) at strides 4, 8, 16 and 32, fine to coarse."""
    pixels = ops.flip(pixels, axis=-1)  # the published weights read BGR
    centred = layers.Rescaling(1.0, [-mean for mean in reversed(IMAGENET_MEAN)])(pixels)
    keras_weights = weights if weights == "imagenet" or os.path.isfile(weights) else None
    try:
        network = keras.applications.ResNet50(
            include_top=False, weights=keras_weights, input_tensor=centred
        )
    except Exception as error:  # a failed download raises a bare Exception
        if keras_weights is None:
            raise
        raise InputError(_no_weights(weights, error)) from None
    return [network.get_layer(name).output for name in RESNET50_MAPS]


def tiny(pixels: keras.KerasTensor, weights: str) -> list[keras.KerasTensor]:
    """Feature maps at strides 4, 8 and 16 of a few convolutions, for tests and the demo."""
    x = layers.Rescaling(1 / 58.0, [-mean / 58.0 for mean in IMAGENET_MEAN])(pixels)
    maps = []
    for name, width, stride in [("conv2", 32, 4), ("conv4", 64, 2), ("conv5", 96, 2)]:
        x = convolution(x, width, name, size=stride + 1, strides=stride)
        x = layers.add([x, convolution(x, width, f"{name}_residual")], name=f"{name}_out")
        maps.append(x)
    return maps


def lite(pixels: keras.KerasTensor, weights: str) -> list[keras.KerasTensor]:
    """Feature maps of EfficientNet-Lite0 at strides 4, 8, 16 and 32, fine to coarse.

    EfficientNet-B0 (Tan and Le, 2019, table 1) without squeeze-and-excitation and with ReLU6: the
    variant that its authors publish for mobile devices, because it keeps its accuracy in int8.
    """
    x = layers.Rescaling(1 / 128.0, -127 / 128.0)(pixels)
    x = convolution(x, 32, "conv1", strides=2, ceiling=6.0)
    maps = {}
    for number, (stage, size, strides, width, repeats) in enumerate(LITE_BLOCKS):
        for repeat in range(repeats):
            name = f"{stage}_block{number}{'abcd'[repeat]}"
            x = _inverted_residual(
                x, width, name, size=size, strides=strides if repeat == 0 else 1,
                expand=6 if number else 1,
            )  # fmt: skip
        maps[stage] = x
    fine_to_coarse = [maps[stage] for stage in ("conv2", "conv3", "conv4", "conv5")]
    if os.path.isfile(weights):
        try:
            keras.Model(pixels, fine_to_coarse).load_weights(weights)
        except (OSError, ValueError) as error:
            raise InputError(
                f"weights={weights}: not a weights file of this backbone: {error}"
            ) from None
    return fine_to_coarse


def _inverted_residual(
    x: keras.KerasTensor, width: int, name: str, *, size: int, strides: int, expand: int
) -> keras.KerasTensor:
    """Expansion, depthwise convolution, projection (Sandler et al., MobileNetV2, 2018)."""
    source, inside = x, x
    if expand > 1:
        inside = convolution(inside, expand * x.shape[-1], f"{name}_expand", size=1, ceiling=6.0)
    inside = layers.DepthwiseConv2D(
        size, strides, padding="same", use_bias=False, name=f"{name}_depth_conv"
    )(inside)
    inside = layers.BatchNormalization(name=f"{name}_depth_bn")(inside)
    inside = layers.ReLU(6.0, name=f"{name}_depth_relu")(inside)
    x = convolution(inside, width, f"{name}_project", size=1, relu=False)
    return layers.add([source, x], name=f"{name}_out") if source.shape == x.shape else x


BACKBONES = {"resnet50": resnet50, "lite": lite, "tiny": tiny}


def convolution(
    x: keras.KerasTensor,
    width: int,
    name: str,
    *,
    size: int = 3,
    strides: int = 1,
    relu: bool = True,
    ceiling: float | None = None,
) -> keras.KerasTensor:
    """Convolution, batch normalisation and, if `relu`, a ReLU limited to `ceiling`."""
    x = layers.Conv2D(width, size, strides, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(ceiling, name=f"{name}_relu")(x) if relu else x


def check_weights(config: Config) -> None:
    """Raise InputError if `config.weights` is invalid for the backbone; builds nothing."""
    if config.weights in ("none", *pretrained.NAMES) or os.path.isdir(config.weights):
        return
    if config.backbone == "tiny" or (config.backbone == "lite" and config.weights == "imagenet"):
        raise InputError(
            f"weights={config.weights}: only resnet50 has such weights; start {config.backbone} "
            "from weights=none, a bundled model or a run folder"
        )
    if config.weights != "imagenet" and not os.path.isfile(config.weights):
        raise InputError(
            f"weights={config.weights}: no such file or run folder; known names: "
            f"imagenet, none, {', '.join(pretrained.NAMES)}"
        )


def _no_weights(weights: str, error: Exception) -> str:
    if weights != "imagenet":
        return f"weights={weights}: not a no-top ResNet50 weights file of Keras: {error}"
    return (
        "the ImageNet weights are not available: Keras looks in ~/.keras/models, or in KERAS_HOME, "
        "for resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5, or downloads it "
        f"({error}). Put the file there, name it with weights=PATH, or use random weights with "
        "weights=none"
    )
