"""The network: normalisation, backbone, head. RGB 0..255 crops in, 136 crop coordinates out.

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
DECODER_WIDTH = 128
# Starting width of the location prior of the `heatmap` head, as a share of the crop.
PRIOR_SIGMA = 0.12
# Keras' default of 0.99 averages over 100 steps and more: too slow where an epoch has 100.
BATCH_NORM_MOMENTUM = 0.95


class SoftArgmax(layers.Layer):
    """Heat maps `(b, h, w, 68)` to expected positions `(b, 68, 2)` in crop pixels.

    A softmax over all cells of map + prior, then the mean of the cells' centres under it:
    integral regression (Sun et al., "Integral Human Pose Regression", ECCV 2018, eq. 2). The
    prior is a Gaussian per point around the mean face, so that a network that knows nothing yet
    (all maps zero) answers the mean face. It is a function of position, not a grid of weights:
    the same weights serve any map size.
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

    def call(self, maps):
        flat = ops.reshape(maps, (-1, len(self.cells), landmarks.COUNT))
        away = ops.sum(ops.square(ops.subtract(self.cells[:, None], self.centre)), axis=-1)
        prior = -0.5 * away * ops.exp(-2.0 * self.log_sigma)
        weights = ops.softmax(flat + prior, axis=1)
        positions = ops.einsum("bkn,kc->bnc", weights, self.cells)
        return positions * CROP - 0.5


def build_model(config: Config, mean_face: np.ndarray) -> keras.Model:
    """The functional model of `config`: `(b, 224, 224, 3)` RGB 0..255 to `(b, 136)` crop pixels.

    Outputs are x0, y0, .., x67, y67. `mean_face` `(68, 2)`, in crop pixels, is what the model
    answers before it has learnt anything. Weights are random from `config.seed`, or in the
    backbone those of ImageNet or of the .h5 file that `config.weights` names. Layers that
    `config.trainable` leaves out are frozen, their batch statistics too. Raises InputError for
    weights that cannot be had.
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
        points = HEADS[config.head](backbone, mean_face)
    finally:
        keras.config.set_dtype_policy(policy)
    output = layers.Reshape((2 * landmarks.COUNT,), dtype="float32", name="points")(points)
    model = keras.Model(image, output, name="keypoints")
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


def pooled(maps: list, mean_face: np.ndarray):
    """Points `(b, 68, 2)` by one dense layer on the average of the coarsest map."""
    x = layers.GlobalAveragePooling2D(dtype="float32", name="head_pool")(maps[-1])
    x = layers.Dense(
        2 * landmarks.COUNT,
        kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
        bias_initializer=lambda *_, **__: ops.convert_to_tensor(np.ravel(mean_face), "float32"),
        dtype="float32",
        name="head_points",
    )(x)
    return layers.Reshape((landmarks.COUNT, 2), dtype="float32", name="head_pairs")(x)


def heatmap(maps: list, mean_face: np.ndarray):
    """Points `(b, 68, 2)` by soft-argmax over maps as fine as the backbone's finest.

    The decoder adds each finer map to what came up from the coarser ones, as in feature pyramid
    networks (Lin et al., CVPR 2017), so that places are kept and context reaches them.
    """
    x = None
    for level, feature in reversed(list(enumerate(maps))):
        side = convolution(feature, DECODER_WIDTH, f"head_side{level}", size=1)
        if x is not None:
            side = layers.add([side, ops.image.resize(x, side.shape[1:3])])
        x = convolution(side, DECODER_WIDTH, f"head_smooth{level}")
    x = layers.Conv2D(landmarks.COUNT, 1, kernel_initializer="zeros", name="head_maps")(x)
    return SoftArgmax(mean_face, name="head_points")(x)


BACKBONES = {"resnet50": resnet50, "tiny": tiny}
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
    if config.backbone != "resnet50":
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
