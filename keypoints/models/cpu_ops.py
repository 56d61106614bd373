"""JAX operations with custom gradients that suit the CPU kernels of XLA.

The gradient of a convolution with respect to its kernel is a convolution with a window as large as
the feature map. XLA's CPU backend computes it many times slower than the same sum as matrix
products. Here a 1 x 1 convolution is a matrix product forward and backward, the kernel gradient is
a set of matrix products over shifted inputs, and the input gradient is a plain convolution.

A depthwise convolution, which XLA's CPU backend computes channel by channel, is a sum of shifted
inputs, each times the row of the kernel that it meets; so are its gradients.
"""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

LAYOUT = ("NHWC", "HWIO", "NHWC")
Pads = tuple[tuple[int, int], tuple[int, int]]  # zeros around, per axis
FEW = 16  # channels; with fewer, copies of whole windows cost less than a convolution


def convolve(inputs: jax.Array, kernel: jax.Array, stride: int, pads: Pads) -> jax.Array:
    """Convolution of `(b, h, w, c)` with `(k, l, c, o)`; `pads`: zeros around, per axis."""
    if kernel.shape[:2] == (1, 1) and not any(map(any, pads)):
        return _multiply(inputs[:, ::stride, ::stride], kernel)
    if stride > 1:
        inputs, kernel, pads = _without_stride(inputs, kernel, stride, pads)
    if kernel.shape[2] < FEW:
        # All inputs under the kernel at each position, `(b, h, w, k l c)`.
        windows = jnp.concatenate([*_shifted(inputs, kernel.shape, 1, pads)], axis=-1)
        return _multiply(windows, kernel.reshape(1, 1, -1, kernel.shape[3]))
    return _convolve(inputs, kernel, pads)


def _without_stride(
    inputs: jax.Array, kernel: jax.Array, stride: int, pads: Pads
) -> tuple[jax.Array, jax.Array, Pads]:
    """An equal convolution of stride 1: blocks of stride x stride pixels become channels."""
    height, width, channels, filters = kernel.shape
    kernel = jnp.pad(kernel, ((0, -height % stride), (0, -width % stride), (0, 0), (0, 0)))
    rows, columns = (-(-size // stride) for size in (height, width))
    counts = [
        (length + sum(pad) - size) // stride + 1
        for length, pad, size in zip(inputs.shape[1:3], pads, (height, width))
    ]
    # The part of the input that the windows cover, with zeros where they exceed it.
    reach = [
        (low, (count - 1 + size) * stride - length - low, 0)
        for count, size, length, (low, _) in zip(counts, (rows, columns), inputs.shape[1:3], pads)
    ]
    inputs = lax.pad(inputs, jnp.zeros((), inputs.dtype), [(0, 0, 0), *reach, (0, 0, 0)])
    batch, tall, wide = inputs.shape[0], inputs.shape[1] // stride, inputs.shape[2] // stride
    inputs = inputs.reshape(batch, tall, stride, wide, stride, channels)
    inputs = inputs.swapaxes(2, 3).reshape(batch, tall, wide, -1)
    kernel = kernel.reshape(rows, stride, columns, stride, channels, filters)
    kernel = kernel.swapaxes(1, 2).reshape(rows, columns, -1, filters)
    return inputs, kernel, ((0, 0), (0, 0))


@partial(jax.jit, static_argnums=(2, 3))
def convolve_depthwise(inputs: jax.Array, kernel: jax.Array, stride: int, pads: Pads) -> jax.Array:
    """Convolution of each channel of `(b, h, w, c)` with its own kernel, `(k, l, c)` in all.

    Compiled as a whole: outside of a compiled step each of its sums would be stored.
    """
    return _convolve_depthwise(inputs, kernel, stride, pads)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve_depthwise(inputs: jax.Array, kernel: jax.Array, stride: int, pads: Pads) -> jax.Array:
    shifted = _shifted(inputs, kernel.shape, stride, pads)
    return sum(part * row for part, row in zip(shifted, kernel.reshape(-1, kernel.shape[2])))


def _shifted(
    inputs: jax.Array, shape: tuple[int, ...], stride: int, pads: Pads
) -> Iterator[jax.Array]:
    """What each element of a kernel of `shape` meets, in order: `(b, rows, columns, c)`."""
    padded = jnp.pad(inputs, ((0, 0), *pads, (0, 0)))
    height, width = shape[:2]
    down, right = padded.shape[1] - height + 1, padded.shape[2] - width + 1
    for y in range(height):
        for x in range(width):
            yield padded[:, y : y + down : stride, x : x + right : stride]


def _depthwise_backward(
    stride: int, pads: Pads, saved: tuple, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    inputs, kernel = saved
    # The input gradient is a convolution with the turned kernel, of the gradient with the steps
    # between its positions filled with zeros.
    reach = [
        (size - 1 - low, length + low - (count - 1) * stride - 1, stride - 1)
        for size, length, count, (low, _) in zip(
            kernel.shape, inputs.shape[1:3], gradient.shape[1:3], pads
        )
    ]
    spread = lax.pad(gradient, jnp.zeros((), gradient.dtype), [(0, 0, 0), *reach, (0, 0, 0)])
    change = _convolve_depthwise(spread, kernel[::-1, ::-1], 1, ((0, 0), (0, 0)))
    sums = [_total(part * gradient) for part in _shifted(inputs, kernel.shape, stride, pads)]
    return change, jnp.stack(sums).reshape(kernel.shape)


_convolve_depthwise.defvjp(
    lambda inputs, kernel, stride, pads: (
        _convolve_depthwise(inputs, kernel, stride, pads),
        (inputs, kernel),
    ),
    _depthwise_backward,
)


def _total(maps: jax.Array) -> jax.Array:
    """The sum of `(b, h, w, c)` over all but the last axis.

    First over the batch, as sums of halves: XLA computes them together with the product that they
    are of. A sum over all axes at once of such a product is ten times slower.
    """
    while maps.shape[0] > 1:
        half = maps.shape[0] // 2
        rest = maps[2 * half :]
        maps = maps[:half] + maps[half : 2 * half]
        maps = jnp.concatenate([maps[:1] + rest, maps[1:]]) if len(rest) else maps
    # Without the barrier XLA would make one sum of both.
    return jnp.sum(lax.optimization_barrier(maps[0]), axis=(0, 1))


@jax.custom_vjp
def _multiply(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolution with a `(1, 1, c, o)` kernel."""
    return _product(inputs, kernel[0, 0])


def _multiply_backward(saved: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    inputs, kernel = saved
    return _product(gradient, kernel[0, 0].T), _outer(inputs, gradient)[None, None]


_multiply.defvjp(lambda inputs, kernel: (_multiply(inputs, kernel), (inputs, kernel)),
                 _multiply_backward)  # fmt: skip


@jax.custom_vjp
def shift(maps: jax.Array, bias: jax.Array) -> jax.Array:
    """Add a bias `(c,)` to the output `(b, h, w, c)` of a 1 x 1 convolution.

    The bias gradient is a product of the flattened maps, like the gradients of inputs and kernel.
    A plain sum reads the maps in their original shape, for which XLA would compute them again.
    """
    return maps + bias


def _shift_backward(_: None, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    ones = jnp.ones((gradient.size // gradient.shape[-1], 1), gradient.dtype)
    return gradient, _outer(ones, gradient)[0]


shift.defvjp(lambda maps, bias: (maps + bias, None), _shift_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(inputs: jax.Array, kernel: jax.Array, pads: Pads) -> jax.Array:
    return lax.conv_general_dilated(inputs, kernel, (1, 1), pads, dimension_numbers=LAYOUT)


def _convolve_backward(
    pads: Pads, saved: tuple, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    inputs, kernel = saved
    height, width, channels, filters = kernel.shape
    outer = [(size - 1 - low, size - 1 - high) for size, (low, high) in zip((height, width), pads)]
    turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    change = lax.conv_general_dilated(gradient, turned, (1, 1), outer, dimension_numbers=LAYOUT)
    # One product per kernel row, over inputs shifted by rows. All columns are computed at once
    # from shifted copies of whichever operand has fewer channels.
    rows, columns = gradient.shape[1:3]
    padded = jnp.pad(inputs, ((0, 0), *pads, (0, 0)))
    if channels < filters:
        copies = [padded[:, :, x : x + columns] for x in range(width)]
        beside = jnp.concatenate(copies, axis=-1)
        sums = [_outer(beside[:, y : y + rows], gradient) for y in range(height)]
        return change, jnp.stack(sums).reshape(kernel.shape)
    length = padded.shape[2]
    copies = [
        jnp.pad(gradient, ((0, 0), (0, 0), (x, length - columns - x), (0, 0))) for x in range(width)
    ]
    beside = jnp.concatenate(copies, axis=-1)
    sums = [_outer(padded[:, y : y + rows], beside) for y in range(height)]
    return change, jnp.stack(sums).reshape(height, channels, width, filters).swapaxes(1, 2)


_convolve.defvjp(lambda inputs, kernel, pads: (_convolve(inputs, kernel, pads), (inputs, kernel)),
                 _convolve_backward)  # fmt: skip


def _product(maps: jax.Array, matrix: jax.Array) -> jax.Array:
    """`(b, h, w, c)` times `(c, o)`."""
    flat = maps.reshape(-1, maps.shape[-1])
    return (flat @ matrix).reshape(*maps.shape[:-1], matrix.shape[-1])


def _outer(maps: jax.Array, others: jax.Array) -> jax.Array:
    """Outer products of `(b, h, w, c)` and `(b, h, w, o)`, summed over positions: `(c, o)`."""
    maps, others = (x.reshape(-1, x.shape[-1]) for x in (maps, others))
    return lax.dot_general(maps, others, (((0,), (0,)), ((), ())))


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def normalise(inputs: jax.Array, gamma: jax.Array, beta: jax.Array, epsilon: float) -> tuple:
    """Batch normalisation over the last axis; returns outputs, batch mean and batch variance."""
    return _normalise_forward(inputs, gamma, beta, epsilon)[0]


def _normalise_forward(
    inputs: jax.Array, gamma: jax.Array, beta: jax.Array, epsilon: float
) -> tuple[tuple, tuple]:
    count = inputs.size // inputs.shape[-1]
    mean = jnp.sum(inputs, (0, 1, 2)) / count
    variance = jnp.sum(jnp.square(inputs - mean), (0, 1, 2)) / count
    inverse = lax.rsqrt(variance + epsilon)
    scale = inverse * gamma
    outputs = inputs * scale + (beta - mean * scale)
    return (outputs, mean, variance), (inputs, gamma, mean, inverse)


def _normalise_backward(
    epsilon: float, saved: tuple, gradients: tuple
) -> tuple[jax.Array, jax.Array, jax.Array]:
    inputs, gamma, mean, inverse = saved
    gradient = gradients[0]  # mean and variance are only used for moving averages
    count = inputs.size // inputs.shape[-1]
    total = jnp.sum(gradient, (0, 1, 2))
    along = jnp.sum(gradient * inputs, (0, 1, 2)) - mean * total
    slope = along * jnp.square(inverse) / count
    scale = gamma * inverse
    change = scale * gradient - (scale * slope) * inputs + scale * (mean * slope - total / count)
    return change, along * inverse, total


normalise.defvjp(_normalise_forward, _normalise_backward)


@jax.custom_vjp
def rectify(inputs: jax.Array) -> jax.Array:
    """ReLU as a selection between two values.

    XLA's CPU backend computes a maximum again wherever it is read, together with the chain of
    residual sums before it. The result of a selection is stored once.
    """
    return jnp.where(inputs < 0, 0, inputs)


def _rectify_forward(inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    outputs = rectify(inputs)
    return outputs, outputs


rectify.defvjp(_rectify_forward, lambda outputs, gradient: (jnp.where(outputs > 0, gradient, 0),))


@jax.custom_vjp
def pool(inputs: jax.Array) -> jax.Array:
    """Max pooling of `(b, 2 h + 2, 2 w + 2, c)` with 3 x 3 windows and stride 2: `(b, h, w, c)`.

    First along rows, then along columns. Of equal values the first in row order gets the gradient,
    as in XLA.
    """
    return _halve(_halve(inputs, 2), 1)


def _pool_forward(inputs: jax.Array) -> tuple[jax.Array, tuple]:
    across = _halve(inputs, 2)
    outputs = _halve(across, 1)
    return outputs, (inputs, across, outputs)


def _pool_backward(saved: tuple, gradient: jax.Array) -> tuple[jax.Array]:
    inputs, across, outputs = saved
    gradient = _halve_gradient(across, outputs, gradient, 1)
    return (_halve_gradient(inputs, across, gradient, 2),)


pool.defvjp(_pool_forward, _pool_backward)


def _thirds(maps: jax.Array, axis: int) -> list[jax.Array]:
    """First, middle and last elements of the windows of three along `axis`, stride 2."""
    length = maps.shape[axis]  # 2 n + 2; the last element is in no window
    return [lax.slice_in_dim(maps, at, length - 3 + at, 2, axis) for at in range(3)]


def _halve(maps: jax.Array, axis: int) -> jax.Array:
    first, middle, last = _thirds(maps, axis)
    return jnp.maximum(jnp.maximum(first, middle), last)


def _halve_gradient(
    inputs: jax.Array, outputs: jax.Array, gradient: jax.Array, axis: int
) -> jax.Array:
    first, middle, _ = _thirds(inputs, axis)
    to_first = first == outputs
    to_middle = ~to_first & (middle == outputs)
    gradients = [
        jnp.where(to_first, gradient, 0),
        jnp.where(to_middle, gradient, 0),
        jnp.where(to_first | to_middle, 0, gradient),
    ]
    before, after = [(0, 0)] * 4, [(0, 0)] * 4
    before[axis], after[axis] = (0, 1), (1, 0)
    # The last element of a window is the first of the next one.
    even = jnp.pad(gradients[0], before) + jnp.pad(gradients[2], after)
    odd = jnp.pad(gradients[1], before)
    return jnp.stack([even, odd], axis + 1).reshape(inputs.shape)
