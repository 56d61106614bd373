"""The network: normalisation, backbone, head. RGB 0..255 crops in, 136 crop coordinates out.

Beside them it answers how sure it is of each point: the mean absolute error that it expects.

All of it is `keras.ops` and stock layers: it runs on any Keras backend, and weights saved on one
load on another.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from keypoints import landmarks
from keypoints.config import Config
from keypoints.errors import InputError
from keypoints.geometry import CROP

# Channel means of ImageNet, RGB: what keras.applications' ResNet50 was trained to have removed.
IMAGENET_MEAN = (123.68, 116.779, 103.939)
# Maps that a ResNet50 hands on, from fine to coarse: strides 4, 8, 16, 32.
RESNET50_MAPS = ("conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out")
DECODER_WIDTHS = {"resnet50": 128, "tiny": 128, "lite": 64}
# Starting width of the location prior of the `heatmap` head, as a share of the crop.
PRIOR_SIGMA = 0.12
ERROR_OF_SPREAD = 0.4  # expected error over a map's spread, to start from
LEAST_SPREAD = 0.1  # crop pixels: a map of one hot cell has none, and no logarithm
# Keras' default of 0.99 averages over 100 steps and more: too slow where an epoch has 100.
BATCH_NORM_MOMENTUM = 0.95


class SoftArgmax(layers.Layer):
    """Heat maps `(b, h, w, 68)` to `(b, 68, 3)`: expected x and y, and their uncertainty.

    All three are in crop pixels.

    A softmax over all cells of map + prior, then the mean of the cells' centres under it:
    integral regression (Sun et al., "Integral Human Pose Regression", ECCV 2018, eq. 2). The
    prior is a Gaussian per point around the mean face, so that a network that knows nothing yet
    (all maps zero) answers the mean face. It is a function of position, not a grid of weights:
    the same weights serve any map size.

    The uncertainty is what absolute error to expect of a coordinate: a power of the map's spread
    (standard deviation around the position), with a factor and an exponent learned per point.
    """

    def __init__(self, mean_face: np.ndarray, **options):
        # float32 under mixed precision too: bfloat16 would round coordinates to whole pixels.
        super().__init__(dtype="float32", **options)
        self.mean_face = np.asarray(mean_face, np.float32) / CROP

    def build(self, input_shape: tuple) -> None:
        height, width = input_shape[1:3]
        y, x = np.mgrid[:height, :width]
        cells = np.stack([(x + 0.5) / width, (y + 0.5) / height], axis=-1).reshape(-1, 2)
        self.cells = cells.astype(np.float32)  # (h w, 2), centres in crop units
        self.centre = self.add_weight(
            shape=(landmarks.COUNT, 2), initializer=lambda *_, **__: self.mean_face, name="centre"
        )
        self.log_sigma = self.add_weight(
            shape=(landmarks.COUNT,),
            initializer=keras.initializers.Constant(np.log(PRIOR_SIGMA)),
            name="log_sigma",
        )
        self.log_factor, self.exponent = (
            self.add_weight(
                shape=(landmarks.COUNT,), initializer=keras.initializers.Constant(start), name=name
            )
            for name, start in (("log_factor", np.log(ERROR_OF_SPREAD)), ("exponent", 1.0))
        )

    def call(self, maps):
        flat = ops.reshape(maps, (-1, len(self.cells), landmarks.COUNT))
        away = ops.sum(ops.square(ops.subtract(self.cells[:, None], self.centre)), axis=-1)
        prior = -0.5 * away * ops.exp(-2.0 * self.log_sigma)
        weights = ops.softmax(flat + prior, axis=1)
        positions = ops.einsum("bkn,kc->bnc", weights, self.cells)
        squares = ops.einsum("bkn,k->bn", weights, np.square(self.cells).sum(axis=-1))
        variance = ops.maximum(squares - ops.sum(ops.square(positions), axis=-1), 0.0) / 2
        spread = 0.5 * ops.log(variance * CROP**2 + LEAST_SPREAD**2)  # logarithm, per axis
        uncertainty = ops.exp(self.log_factor + self.exponent * spread)
        return ops.concatenate([positions * CROP - 0.5, uncertainty[..., None]], axis=-1)


def build_model(config: Config, mean_face: np.ndarray) -> keras.Model:
    """The functional model of `config`: `(b, 224, 224, 3)` RGB 0..255 to two named outputs.

    `points` `(b, 136)` are x0, y0, .., x67, y67 in crop pixels, `uncertainty` `(b, 68)` is the mean
    absolute error to expect of each point's coordinates, crop pixels too. `mean_face` `(68, 2)`, in
    crop pixels, is what the model answers before it has learnt anything. Weights are random from
    `config.seed`, or in the backbone those of ImageNet or of the .h5 file that `config.weights`
    names. Layers that `config.trainable` leaves out are frozen, their batch statistics too. Raises
    InputError for weights that cannot be had.
    """
    _check_weights(config)
    keras.utils.set_random_seed(config.seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        image = keras.Input((CROP, CROP, 3), name="image")
        pixels = image
        if config.resolution != CROP:
            pixels = layers.AveragePooling2D(CROP // config.resolution, name="shrink")(pixels)
        backbone = BACKBONES[config.backbone](pixels, config.weights)
        found = HEADS[config.head](backbone, mean_face, DECODER_WIDTHS[config.backbone])
    finally:
        keras.config.set_dtype_policy(policy)
    points = layers.Reshape((2 * landmarks.COUNT,), dtype="float32", name="points")(found[..., :2])
    uncertainty = layers.Reshape((landmarks.COUNT,), dtype="float32", name="uncertainty")(
        found[..., 2]
    )
    model = keras.Model(image, {"points": points, "uncertainty": uncertainty}, name="keypoints")
    of_backbone = {layer.name for layer in keras.Model(image, backbone).layers}
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
        if layer.name in of_backbone and config.trainable != "all":
            layer.trainable = config.trainable == "conv5" and layer.name.startswith("conv5")
    return model


def resnet50(pixels, weights: str) -> list:
    """Feature maps of ResNet50 (He et al., 2015) at strides 4, 8, 16 and 32, fine to coarse."""
    pixels = ops.flip(pixels, axis=-1)  # the published weights read BGR
    centred = layers.Rescaling(1.0, [-mean for mean in reversed(IMAGENET_MEAN)])(pixels)
    keras_weights = weights if weights == "imagenet" or Path(weights).is_file() else None
    try:
        network = keras.applications.ResNet50(
            include_top=False, weights=keras_weights, input_tensor=centred
        )
    except Exception as error:  # a failed download raises a bare Exception
        if keras_weights is None:
            raise
        raise InputError(_no_weights(weights, error)) from None
    return [network.get_layer(name).output for name in RESNET50_MAPS]


def tiny(pixels, weights: str) -> list:
    """Maps at strides 4, 8 and 16 of four convolutions: ResNet50's sibling for tests and demo."""
    x = layers.Rescaling(1 / 58.0, [-mean / 58.0 for mean in IMAGENET_MEAN])(pixels)
    maps = []
    for name, width, stride in [("conv2", 32, 4), ("conv4", 64, 2), ("conv5", 96, 2)]:
        x = convolution(x, width, name, size=stride + 1, strides=stride)
        x = layers.add([x, convolution(x, width, f"{name}_residual")], name=f"{name}_out")
        maps.append(x)
    return maps


def pooled(maps: list, mean_face: np.ndarray, width: int):
    """`(b, 68, 3)`, as `SoftArgmax`, by one dense layer on the average of the coarsest map."""
    start = np.concatenate([mean_face, np.log(np.full((landmarks.COUNT, 1), 10.0))], axis=1)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="head_pool")(maps[-1])
    x = layers.Dense(
        3 * landmarks.COUNT,
        kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
        bias_initializer=lambda *_, **__: ops.convert_to_tensor(np.ravel(start), "float32"),
        dtype="float32",
        name="head_points",
    )(x)
    x = layers.Reshape((landmarks.COUNT, 3), dtype="float32", name="head_pairs")(x)
    return ops.concatenate([x[..., :2], ops.exp(x[..., 2:])], axis=-1)


def heatmap(maps: list, mean_face: np.ndarray, width: int):
    """`(b, 68, 3)` of `SoftArgmax` over maps as fine as the backbone's finest.

    The decoder adds each finer map to what came up from the coarser ones, as in feature pyramid
    networks (Lin et al., CVPR 2017), so that places are kept and context reaches them.
    """
    x = None
    for level, feature in reversed(list(enumerate(maps))):
        side = convolution(feature, width, f"head_side{level}", size=1)
        if x is not None:
            side = layers.add([side, ops.image.resize(x, side.shape[1:3])])
        x = convolution(side, width, f"head_smooth{level}")
    x = layers.Conv2D(landmarks.COUNT, 1, kernel_initializer="zeros", name="head_maps")(x)
    return SoftArgmax(mean_face, name="head_points")(x)


def lite(pixels, weights: str) -> list:
    """Maps of EfficientNet-Lite0 at strides 4, 8, 16 and 32, fine to coarse.

    EfficientNet-B0 (Tan and Le, 2019, table 1) without squeeze-and-excitation and with ReLU6:
    the variant that its authors publish for phones, since it survives eight bits.
    """
    x = layers.Rescaling(1 / 128.0, -127 / 128.0)(pixels)
    x = _lite_convolution(x, 32, "conv1", size=3, strides=2)
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
    if Path(weights).is_file():
        try:
            keras.Model(pixels, fine_to_coarse).load_weights(weights)
        except (OSError, ValueError) as error:
            raise InputError(
                f"--weights={weights}: not a weights file of this backbone: {error}"
            ) from None
    return fine_to_coarse


# EfficientNet-Lite0's blocks: stage of the name, kernel, stride, width, repeats.
LITE_BLOCKS = (
    ("conv1", 3, 1, 16, 1),
    ("conv2", 3, 2, 24, 2),
    ("conv3", 5, 2, 40, 2),
    ("conv4", 3, 2, 80, 3),
    ("conv4", 5, 1, 112, 3),
    ("conv5", 5, 2, 192, 4),
    ("conv5", 3, 1, 320, 1),
)


def _inverted_residual(x, width: int, name: str, *, size: int, strides: int, expand: int):
    """Expand, convolve each channel by itself, project (Sandler et al., MobileNetV2, 2018)."""
    source, inside = x, x
    if expand > 1:
        inside = _lite_convolution(inside, expand * x.shape[-1], f"{name}_expand")
    inside = layers.DepthwiseConv2D(
        size, strides, padding="same", use_bias=False, name=f"{name}_depth_conv"
    )(inside)
    inside = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_depth_bn")(inside)
    inside = layers.ReLU(6.0, name=f"{name}_depth_relu")(inside)
    x = _lite_convolution(inside, width, f"{name}_project", relu=False)
    return layers.add([source, x], name=f"{name}_out") if source.shape == x.shape else x


def _lite_convolution(x, width: int, name: str, *, size=1, strides=1, relu=True):
    x = layers.Conv2D(width, size, strides, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


BACKBONES = {"resnet50": resnet50, "lite": lite, "tiny": tiny}
HEADS = {"heatmap": heatmap, "pooled": pooled}


def convolution(x, width: int, name: str, *, size: int = 3, strides: int = 1):
    """Convolution, batch normalisation, ReLU."""
    x = layers.Conv2D(width, size, strides, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _check_weights(config: Config) -> None:
    """Refuse a start that cannot be, before anything is built."""
    if config.weights == "none" or Path(config.weights).is_dir():
        return
    if config.backbone == "tiny" or (config.backbone == "lite" and config.weights == "imagenet"):
        raise InputError(
            f"--weights={config.weights}: only resnet50 has such weights; start {config.backbone} "
            "from --weights=none or from a run folder"
        )
    if config.weights != "imagenet" and not Path(config.weights).is_file():
        raise InputError(
            f"--weights={config.weights}: no such file or run folder; known names: imagenet, none"
        )


def _no_weights(weights: str, error: Exception) -> str:
    if weights != "imagenet":
        return f"--weights={weights}: not a no-top ResNet50 weights file of Keras: {error}"
    return (
        "the ImageNet weights could not be had: Keras looks for "
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 in ~/.keras/models (KERAS_HOME moves "
        f"that) and else downloads it ({error}). Put the file there or name it with "
        "--weights=PATH, or start from random weights with --weights=none"
    )
