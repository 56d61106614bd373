"""The network: normalisation, backbone and head.

Input: crops, RGB 0..255. Outputs: two coordinates a point in crop pixels and an uncertainty a
point, the expected absolute error. The mean face tells how many points `k` there are. The network
consists of `keras.ops` and built-in layers, so it runs on any Keras backend, and weights saved with
one backend load with another.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from keypoints.config import Config, resolved
from keypoints.geometry import CROP
from keypoints.models.backbones import BACKBONES, check_weights, convolution

DECODER_WIDTHS = {"resnet50": 128, "tiny": 128, "lite": 64}
# Initial standard deviation of the location prior of the `heatmap` head, fraction of the crop.
PRIOR_SIGMA = 0.12
ERROR_OF_SPREAD = 0.4  # initial ratio of expected error to the spread of a heat map
LEAST_SPREAD = 0.1  # crop pixels; keeps the logarithm finite if all mass is in one cell
# Keras' default of 0.99 averages over 100 steps or more: too slow for epochs of 100 steps.
BATCH_NORM_MOMENTUM = 0.95


class SoftArgmax(layers.Layer):
    """Heat maps `(b, h, w, k)` to `(b, k, 3)`: x, y and uncertainty in crop pixels.

    The position is the mean of the cell centres under a softmax of map + prior: integral
    regression (Sun et al., "Integral Human Pose Regression", ECCV 2018, eq. 2). The prior is a
    Gaussian per point around the mean face, so that an untrained network (all maps zero) returns
    the mean face. It is a function of position, not a grid of weights: the same weights work for
    any map size.

    The uncertainty is the expected absolute error of a coordinate: a power of the spread of the
    map (standard deviation around the position), with a factor and an exponent learned per point.
    """

    def __init__(self, mean_face: np.ndarray, **options: Any) -> None:
        # float32 under mixed precision too: bfloat16 would round coordinates to whole pixels.
        super().__init__(dtype="float32", **options)
        self.mean_face = np.asarray(mean_face, np.float32) / CROP  # (k, 2)

    def build(self, input_shape: tuple) -> None:
        height, width = input_shape[1:3]
        y, x = np.mgrid[:height, :width]
        cells = np.stack([(x + 0.5) / width, (y + 0.5) / height], axis=-1).reshape(-1, 2)
        self.cells = cells.astype(np.float32)  # (h w, 2), centres in crop units
        squares = np.square(self.cells).sum(axis=-1, keepdims=True)
        self.moments = np.concatenate([self.cells, squares], axis=-1)  # (h w, 3)
        self.centre = self.add_weight(
            shape=self.mean_face.shape, initializer=lambda *_, **__: self.mean_face, name="centre"
        )
        self.log_sigma = self.add_weight(
            shape=self.mean_face.shape[:1],
            initializer=keras.initializers.Constant(np.log(PRIOR_SIGMA)),
            name="log_sigma",
        )
        self.log_factor, self.exponent = (
            self.add_weight(
                shape=self.mean_face.shape[:1],
                initializer=keras.initializers.Constant(start),
                name=name,
            )
            for name, start in (("log_factor", np.log(ERROR_OF_SPREAD)), ("exponent", 1.0))
        )

    def call(self, maps: Any) -> Any:
        # Cells last: softmax and mean then run over contiguous memory, and exported graphs, whose
        # maps have channels first, need no transpose.
        flat = ops.transpose(maps, (0, 3, 1, 2))
        flat = ops.reshape(flat, (-1, len(self.mean_face), len(self.cells)))
        away = ops.sum(ops.square(ops.subtract(self.centre[:, None], self.cells)), axis=-1)
        prior = -0.5 * away * ops.exp(-2.0 * self.log_sigma)[:, None]
        means = _exact_product(ops.softmax(flat + prior), self.moments)
        positions, squares = means[..., :2], means[..., 2]
        variance = ops.maximum(squares - ops.sum(ops.square(positions), axis=-1), 0.0) / 2
        spread = 0.5 * ops.log(variance * CROP**2 + LEAST_SPREAD**2)  # logarithm, per axis
        uncertainty = ops.exp(self.log_factor + self.exponent * spread)
        return ops.concatenate([positions * CROP - 0.5, uncertainty[..., None]], axis=-1)


def _exact_product(first: Any, second: Any) -> Any:
    """The matrix product in full float32.

    JAX's default on recent GPUs rounds the factors to TF32: positions would move by up to a tenth
    of a pixel, and the variance, a difference of two large means, by more than itself.
    """
    if keras.backend.backend() != "jax":
        return ops.matmul(first, second)
    import jax

    with jax.default_matmul_precision("highest"):
        return ops.matmul(first, second)


def build_model(config: Config, mean_face: np.ndarray) -> keras.Model:
    """The functional model of `config`: `(b, 224, 224, 3)` RGB 0..255 to two named outputs.

    `points` `(b, 2 k)` are x0, y0, x1, y1, .. in crop pixels; `uncertainty` `(b, k)` is the
    expected absolute error of the coordinates of each point, in crop pixels. `mean_face` `(k, 2)`,
    in crop pixels, is the output of the untrained model. Weights are random with `config.seed`;
    `config.weights` can name ImageNet weights or a .h5 file for the backbone (`initial_weights`
    takes those of runs). Layers that
    `config.trainable` excludes are frozen, including their batch statistics. Raises InputError for
    weights that are not available.
    """
    config = resolved(config)
    check_weights(config)
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
    points = layers.Reshape((2 * len(mean_face),), dtype="float32", name="points")(found[..., :2])
    uncertainty = layers.Reshape((len(mean_face),), dtype="float32", name="uncertainty")(
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


def pooled(maps: list[keras.KerasTensor], mean_face: np.ndarray, width: int) -> keras.KerasTensor:
    """One dense layer on the averaged coarsest map; output `(b, k, 3)` as in `SoftArgmax`."""
    start = np.concatenate([mean_face, np.log(np.full((len(mean_face), 1), 10.0))], axis=1)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="head_pool")(maps[-1])
    x = layers.Dense(
        3 * len(mean_face),
        kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
        bias_initializer=lambda *_, **__: ops.convert_to_tensor(np.ravel(start), "float32"),
        dtype="float32",
        name="head_points",
    )(x)
    x = layers.Reshape((len(mean_face), 3), dtype="float32", name="head_pairs")(x)
    return ops.concatenate([x[..., :2], ops.exp(x[..., 2:])], axis=-1)


def heatmap(maps: list[keras.KerasTensor], mean_face: np.ndarray, width: int) -> keras.KerasTensor:
    """`SoftArgmax` over heat maps at the resolution of the finest feature map: `(b, k, 3)`.

    The decoder adds each finer map to the upsampled coarser ones, as in feature pyramid networks
    (Lin et al., CVPR 2017), which combines precise positions with context.
    """
    x = None
    for level, feature in reversed(list(enumerate(maps))):
        side = convolution(feature, width, f"head_side{level}", size=1)
        if x is not None:
            side = layers.add([side, ops.image.resize(x, side.shape[1:3])])
        x = convolution(side, width, f"head_smooth{level}")
    x = layers.Conv2D(len(mean_face), 1, kernel_initializer="zeros", name="head_maps")(x)
    return SoftArgmax(mean_face, name="head_points")(x)


HEADS = {"heatmap": heatmap, "pooled": pooled}
