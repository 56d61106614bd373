"""Keras layers with the same results as the built-in ones and faster training on CPUs.

XLA's own kernels for the gradients of convolutions and for batch statistics are slow on CPUs. When
`keypoints benchmark step` shows the built-in layers as fast on JAX, delete this module and
`cpu_ops`; nothing else depends on them but `Config.kernels`.
"""

from typing import Any

import keras
from keras import backend, layers, ops

from keypoints.system.backend import tensorflow

if backend.backend() == "jax":
    from keypoints.models import cpu_ops


def have_cpu_kernels() -> bool:
    """Whether the layers of this module are faster than Keras' own on the device in use."""
    return backend.backend() != "torch" and not has_gpu()


def has_gpu() -> bool:
    """Whether Keras runs on a GPU; False on PyTorch, whose devices it cannot list."""
    if backend.backend() == "torch":
        return False
    return any(name.startswith("gpu") for name in keras.distribution.list_devices())


def use_cpu_kernels(model: keras.Model) -> keras.Model:
    """Let the layers of `model` use the CPU kernels of this module, in place; returns `model`.

    Only the class of a layer changes, neither the graph nor the variables. A copy of the model
    would share its other layers with the original and connect them to two graphs.
    """
    for layer in model.layers:
        if type(layer) in KINDS:
            layer.__class__ = KINDS[type(layer)]
    return model


class Conv2D(layers.Conv2D):
    """Convolution whose gradients are matrix products on JAX."""

    def call(self, inputs: Any) -> Any:
        if not (self._plain and self.use_bias and self.kernel_size == (1, 1)):
            return super().call(inputs)
        bias = ops.convert_to_tensor(self.bias)
        return self.activation(cpu_ops.shift(self.convolution_op(inputs, self.kernel), bias))

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        if not self._plain:
            return super().convolution_op(inputs, kernel)
        kernel = ops.convert_to_tensor(kernel)
        return cpu_ops.convolve(inputs, kernel, self.strides[0], _pads(self, inputs.shape))

    @property
    def _plain(self) -> bool:
        return self.groups == 1 and _is_plain(self)


class DepthwiseConv2D(layers.DepthwiseConv2D):
    """Depthwise convolution as a sum of shifted inputs on JAX."""

    def call(self, inputs: Any) -> Any:
        if self.depth_multiplier > 1 or not _is_plain(self):
            return super().call(inputs)
        kernel, pads = ops.convert_to_tensor(self.kernel)[..., 0], _pads(self, inputs.shape)
        outputs = cpu_ops.convolve_depthwise(inputs, kernel, self.strides[0], pads)
        return self.activation(outputs + self.bias if self.use_bias else outputs)


def _is_plain(layer: layers.Layer) -> bool:
    """Whether `cpu_ops` has the kind of convolution of `layer`, on the backend in use."""
    square = layer.dilation_rate == (1, 1) and len(set(layer.strides)) == 1
    return square and layer.data_format == "channels_last" and backend.backend() == "jax"


def _pads(layer: layers.Layer, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Zeros before and after the rows and columns of inputs of `shape` `(b, h, w, c)`."""
    if layer.padding == "valid":
        return (0, 0), (0, 0)
    rows, columns = (
        max((-(-length // step) - 1) * step + size - length, 0)
        for length, size, step in zip(shape[1:3], layer.kernel_size, layer.strides)
    )
    return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)


class BatchNormalization(layers.BatchNormalization):
    """Normalisation over the last axis of `(b, h, w, c)` in fewer passes than Keras takes."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if backend.backend() == "jax" and training and self.trainable:
            return self._call_jax(inputs)
        if backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        tf = tensorflow()
        fused = tf.compat.v1.nn.fused_batch_norm
        scale, offset = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if not (training and self.trainable):
            return fused(
                inputs,
                scale,
                offset,
                tf.convert_to_tensor(self.moving_mean),
                tf.convert_to_tensor(self.moving_variance),
                epsilon=self.epsilon,
                is_training=False,
            )[0]
        outputs, mean, variance = fused(inputs, scale, offset, epsilon=self.epsilon)
        # Keras keeps the biased variance, TensorFlow returns the unbiased one.
        count = ops.cast(ops.size(inputs) // inputs.shape[-1], "float32")
        for moving, now in (
            (self.moving_mean, mean),
            (self.moving_variance, variance * (count - 1) / count),
        ):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return outputs

    def _call_jax(self, inputs: Any) -> Any:
        inputs = ops.cast(inputs, "float32")
        outputs, *statistics = cpu_ops.normalise(
            inputs, self.gamma.value, self.beta.value, self.epsilon
        )
        for moving, now in zip((self.moving_mean, self.moving_variance), statistics):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)


class ReLU(layers.ReLU):
    """ReLU whose output JAX stores instead of computing it again for the gradient."""

    def call(self, inputs: Any) -> Any:
        plain = (self.negative_slope, self.max_value, self.threshold) == (0, None, 0)
        return _rectify(inputs) if plain else super().call(inputs)


class Activation(layers.Activation):
    """The same for an activation layer with ReLU."""

    def call(self, inputs: Any) -> Any:
        plain = self.activation is keras.activations.relu
        return _rectify(inputs) if plain else super().call(inputs)


def _rectify(inputs: Any) -> Any:
    if backend.backend() != "jax":
        return ops.relu(inputs)
    return cpu_ops.rectify(inputs)


class MaxPooling2D(layers.MaxPooling2D):
    """Max pooling whose gradient on JAX is a selection between values, not a search."""

    def call(self, inputs: Any) -> Any:
        windows = tuple(self.pool_size) == (3, 3) and tuple(self.strides) == (2, 2)
        even = not any(side % 2 for side in inputs.shape[1:3])
        plain = windows and even and (self.padding, self.data_format) == ("valid", "channels_last")
        if not (plain and backend.backend() == "jax"):
            return super().call(inputs)
        return cpu_ops.pool(inputs)


# Built-in layer to its replacement, a subclass that differs only in how it computes.
KINDS = {
    kind.__mro__[1]: kind
    for kind in (Conv2D, DepthwiseConv2D, BatchNormalization, ReLU, Activation, MaxPooling2D)
}
