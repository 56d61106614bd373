"""A pruned CenterFace, as a Keras model to train and as an ONNX file to run.

CenterFace (Xu, Yan, Yang and others, 2019) is a MobileNetV2 (Sandler et al., 2018) with ReLU and a
decoder of 24 channels up to stride 4. Only the widths inside its blocks change here: no other block
sees them, so each can be pruned for itself.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

# Stages of the backbone: channels between blocks, stride of the first block, blocks.
STAGES = ((16, 1, 1), (24, 2, 2), (32, 2, 3), (64, 2, 4), (96, 1, 3), (160, 2, 3), (320, 1, 1))
TAPS = (1, 2, 4, 6)  # stages that the decoder sees, at strides 4, 8, 16 and 32
DECODER = 24  # channels
HALF = "_half"  # ends the names of weights that are stored as float16
# Channels of the output: heat, and pairs y, x of size, offset and five points.
PARTS = {"heat": 1, "sizes": 2, "offsets": 2, "points": 10}
# Hidden maps that a pruned network has as well: outputs of stages, and the last before the parts.
HIDDEN = (
    *(f"block{block}_project_added" for block in (2, 5, 9, 12, 15)), "block16_project", "smooth"
)  # fmt: skip
# Inner widths of CenterFace itself, block by block; the first is the network's first convolution.
FULL = (32, 96, 144, 144, 192, 192, 192, 384, 384, 384, 384, 576, 576, 576, 960, 960, 960)


class Layer(NamedTuple):
    """A convolution and its weights, as ONNX has them."""

    name: str
    size: int
    stride: int
    kind: str  # plain, depthwise, or up: transposed, of stride 2
    relu: bool


Weights = dict[str, tuple[np.ndarray, np.ndarray]]  # kernel and bias by layer


def assemble(
    image: Any,
    widths: Sequence[int],
    convolve: Callable[[Any, Layer, int], Any],
    add: Callable[[Any, Any, str], Any],
) -> Any:
    """The network's last hidden map, from operations of Keras or of ONNX.

    `convolve(x, layer, channels)` applies a layer, `add(a, b, name)` adds; `widths`: inner channels
    of each block.
    """
    x, block, taps = image, 0, []
    for channels, stride, repeats in STAGES:
        for repeat in range(repeats):
            source, width, name = x, widths[block], f"block{block}"
            step = stride if repeat == 0 else 1
            first = Layer(f"{name}_expand", 1, 1, "plain", True)
            if block == 0:
                first = first._replace(size=3, stride=2)
            x = convolve(x, first, width)
            x = convolve(x, Layer(f"{name}_depth", 3, step, "depthwise", True), width)
            x = convolve(x, Layer(f"{name}_project", 1, 1, "plain", False), channels)
            x = add(source, x, f"{name}_project_added") if repeat else x
            block += 1
        taps.append(x)
    x = None
    for level, stage in reversed(list(enumerate(TAPS))):
        side = convolve(taps[stage], Layer(f"side{level}", 1, 1, "plain", True), DECODER)
        x = side if x is None else add(x, side, f"side{level}_added")
        if level:
            x = convolve(x, Layer(f"up{level}", 2, 2, "up", True), DECODER)
    return convolve(x, Layer("smooth", 3, 1, "plain", True), DECODER)


def keras_model(widths: Sequence[int], weights: Weights | None = None) -> Any:
    """`(b, h, w, 3)` RGB 0..255 to `(b, h / 4, w / 4, 15)`, the `PARTS`, with heat as a logit, and
    to the maps `HIDDEN`."""
    import keras
    from keras import layers

    made: dict[str, Any] = {}  # the map of each layer

    def convolve(x: Any, layer: Layer, channels: int) -> Any:
        options = {"name": layer.name, "activation": "relu" if layer.relu else None}
        if layer.kind == "up":
            operation = layers.Conv2DTranspose(channels, 2, 2, **options)
        else:
            options["padding"] = "same"
            if layer.stride == 2:  # for which "same" has its zeros on the other sides
                x = layers.ZeroPadding2D(1, name=f"{layer.name}_pad")(x)
                options["padding"] = "valid"
            if layer.kind == "depthwise":
                operation = layers.DepthwiseConv2D(3, layer.stride, **options)
            else:
                operation = layers.Conv2D(channels, layer.size, layer.stride, **options)
        made[layer.name] = operation(x)
        return made[layer.name]

    def add(a: Any, b: Any, name: str) -> Any:
        made[name] = layers.Add(name=name)([a, b])
        return made[name]

    image = keras.Input((None, None, 3), name="image")
    last = assemble(image, widths, convolve, add)
    maps = convolve(last, Layer("maps", 1, 1, "plain", False), 15)
    model = keras.Model(image, [maps, *(made[name] for name in HIDDEN)])
    for name, (kernel, bias) in (weights or {}).items():
        model.get_layer(name).set_weights([_to_keras(name, kernel), bias])
    return model


def _to_keras(name: str, kernel: np.ndarray) -> np.ndarray:
    """ONNX's kernels have rows and columns last, and transposed ones their inputs first."""
    return kernel.transpose((2, 3, 0, 1) if name.endswith("_depth") else (2, 3, 1, 0))


def weights_of(model: Any) -> Weights:
    """The weights of a Keras model, as ONNX has them."""
    found = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        kernel, bias = (np.asarray(value) for value in layer.get_weights())
        order = (2, 3, 0, 1) if layer.name.endswith("_depth") else (3, 2, 0, 1)
        found[layer.name] = (kernel.transpose(order), bias)
    return found


def read_published(model: Any) -> Weights:
    """The weights in CenterFace's published ONNX model, under the names of this module."""
    from onnx import numpy_helper

    constants = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
    kernels = []
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            values = [constants[name] for name in node.input[1:]]
            kernels.append((values[0], values[1] if len(values) > 1 else np.zeros(24, np.float32)))
        elif node.op_type == "BatchNormalization":
            scale, shift, mean, variance = (constants[name] for name in node.input[1:])
            epsilon = next(a.f for a in node.attribute if a.name == "epsilon")
            scale = scale / np.sqrt(variance + epsilon)
            kernel, bias = kernels[-1]
            # A transposed kernel has its outputs second.
            kernels[-1] = (kernel * scale[None, :, None, None], (bias - mean) * scale + shift)
    names = _names()
    found = dict(zip(names, kernels))
    heads = kernels[len(names) :]
    found["maps"] = tuple(np.concatenate(part) for part in zip(*heads))
    return {name: (k.astype(np.float32), b.astype(np.float32)) for name, (k, b) in found.items()}


def read(data: bytes) -> tuple[list[int], Weights]:
    """Inner widths and weights of a file of `onnx_model`."""
    import onnx
    from onnx import numpy_helper

    constants = onnx.load_from_string(data).graph.initializer
    stored = {c.name.removesuffix(HALF): numpy_helper.to_array(c) for c in constants}

    def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
        kernel, bias = stored[f"{name}_kernel"], stored[f"{name}_bias"]
        return kernel.astype(np.float32), bias.astype(np.float32)

    found = {name: pair(name) for name in _names()}
    kernels, biases = zip(*map(pair, PARTS))
    found["maps"] = np.concatenate(kernels), np.concatenate(biases)
    return [len(found[f"block{block}_depth"][0]) for block in range(len(FULL))], found


def _names() -> list[str]:
    """The names of all layers but the last."""
    names: list[str] = []

    def convolve(x: Any, layer: Layer, channels: int) -> None:
        names.append(layer.name)

    assemble(None, FULL, convolve, lambda a, b, name: None)
    return names


def onnx_model(
    widths: Sequence[int], weights: Weights, *, half: bool = False, inner: bool = False
) -> Any:
    """An ONNX model for pictures `image` `(b, 3, h, w)`, sides multiples of 32, to the `PARTS`.

    With `half` its weights are stored as float16, and computed with as float32. With `inner`, the
    outputs of all layers are outputs as well.
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], []

    def store(name: str, value: np.ndarray) -> str:
        value = np.ascontiguousarray(value, np.float16 if half else np.float32)
        stored = f"{name}{HALF}" if half else name
        constants.append(numpy_helper.from_array(value, stored))
        if half:
            nodes.append(
                helper.make_node("Cast", [stored], [name], f"{name}_cast", to=TensorProto.FLOAT)
            )
        return name

    def convolve(x: str, layer: Layer, channels: int) -> str:
        kernel, bias = weights[layer.name]
        parts = store(f"{layer.name}_kernel", kernel), store(f"{layer.name}_bias", bias)
        pad = 1 if layer.size == 3 else 0
        nodes.append(
            helper.make_node(
                "ConvTranspose" if layer.kind == "up" else "Conv",
                [x, *parts],
                [f"{layer.name}_sum" if layer.relu else layer.name],
                layer.name,
                kernel_shape=[layer.size] * 2,
                strides=[layer.stride] * 2,
                pads=[pad] * 4,
                group=channels if layer.kind == "depthwise" else 1,
            )
        )
        if layer.relu:
            nodes.append(
                helper.make_node("Relu", [f"{layer.name}_sum"], [layer.name], f"{layer.name}_relu")
            )
        return layer.name

    def add(a: str, b: str, name: str) -> str:
        nodes.append(helper.make_node("Add", [a, b], [name], name.removesuffix("ed")))
        return name

    last = assemble("image", widths, convolve, add)
    kernel, bias = weights["maps"]
    first = 0
    for part, channels in PARTS.items():
        chosen = slice(first, first + channels)
        first += channels
        parts = store(f"{part}_kernel", kernel[chosen]), store(f"{part}_bias", bias[chosen])
        output = "heat_logit" if part == "heat" else part
        nodes.append(helper.make_node("Conv", [last, *parts], [output], part, kernel_shape=[1, 1]))
    nodes.append(helper.make_node("Sigmoid", ["heat_logit"], ["heat"], "heat_sigmoid"))
    names = list(PARTS)
    if inner:
        names += [name for node in nodes for name in node.output if name not in names]

    def described(name: str, channels: int | None, rows: str, columns: str) -> Any:
        shape = ["batch", channels, rows, columns]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    outputs = [described(name, PARTS.get(name), "rows", "columns") for name in names]
    image = described("image", 3, "height", "width")
    graph = helper.make_graph(nodes, "detector", [image], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
