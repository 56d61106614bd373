"""Static int8 of an ONNX network that stays close to its float original.

What makes the difference, in the order of its effect: weights of eight bits, where neighbours are
kept from overflowing (`_scales`), and their rounding as a whole (`_rounded`); ranges that no
calibration crop leaves; and what stays in float: few convolutions (`_in_float`), and the skip
connections of the first and the last stage (`_keep_skips`).
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keypoints.errors import InputError
from keypoints.system.backend import onnxruntime

# Products in one sum, below which int8 gains no time. Convolutions at the start of the network with
# fewer stay in float, for their rounding errors would run through all that follows.
THIN = 64
# Products in one sum, up to which weights are rounded together. The cost grows with the cube, and
# in wider sums the errors of single weights cancel out.
WIDE = 1152
# Of the range of outputs without a rectifier. They are bell-shaped: finer steps for all are worth
# more than the rare value that is cut off.
LINEAR_RANGE = 0.85
LEVELS = 127  # of a weight, to each side of zero
BATCH = 8  # crops at a time
SAMPLES = 1500  # places of a map in a batch, to measure what the weights are multiplied with


def quantise(source: Path, path: Path, crops: np.ndarray | None) -> None:
    """Write the int8 version of the ONNX file `source` to `path`.

    `crops` `(n, 224, 224, 3)` uint8 are like those in use: ranges are measured on them. Raises
    InputError if there are none.
    """
    if crops is None or not len(crops):
        raise InputError("onnx-int8 needs crops to measure ranges on")
    runtime = onnxruntime()
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import load_model_with_shape_infer
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        # Folds batch normalisation into the convolutions.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        graph = Graph(load_model_with_shape_infer(prepared))
    kept = _in_float(graph)
    convolutions = [node for node in graph.nodes("Conv") if node.name not in kept]
    ranges, moments = _measure(graph, convolutions, crops, runtime)
    overrides = {}
    for node in convolutions:
        weights = graph.weights(node)
        scales = _scales(weights)
        rounded = _rounded(weights, moments.get(node.name), scales)
        graph.set_weights(node, rounded)
        overrides[node.input[1]] = [
            {"scale": np.array(scale, np.float32), "zero_point": np.array(0, np.int8), "axis": 0}
            for scale in scales
        ]
    quantiser = QDQQuantizer(
        graph.model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, ranges),
        nodes_to_quantize=[],
        nodes_to_exclude=sorted(kept),
        # A rectifier is quantised with the convolution before it: the range is then that of its
        # output, and values are rounded once.
        op_types_to_quantize=["Conv", "Relu", "Clip"],
        extra_options={"TensorQuantOverrides": overrides},
    )
    quantiser.quantize_model()
    _keep_skips(quantiser.model.model)
    quantiser.model.save_model_to_file(str(path))


class Graph:
    """An ONNX graph with its constants and consumers by name."""

    def __init__(self, model: Any):
        self.model = model
        self.constants = {constant.name: constant for constant in model.graph.initializer}
        self.consumers: dict[str, list[Any]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)

    def nodes(self, *kinds: str) -> list[Any]:
        return [node for node in self.model.graph.node if node.op_type in kinds]

    def rectifiers(self, node: Any) -> list[Any]:
        after = self.consumers.get(node.output[0], [])
        return [follower for follower in after if follower.op_type in ("Relu", "Clip")]

    def weights(self, node: Any) -> np.ndarray:
        from onnx import numpy_helper

        return numpy_helper.to_array(self.constants[node.input[1]])

    def set_weights(self, node: Any, weights: np.ndarray) -> None:
        from onnx import numpy_helper

        name = node.input[1]
        self.constants[name].CopyFrom(numpy_helper.from_array(weights.astype(np.float32), name))

    def run(self, names: list[str], crops: np.ndarray, runtime: Any) -> Iterator[list[np.ndarray]]:
        """The tensors `names` for the crops, `BATCH` at a time."""
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        session = runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for first in range(0, len(crops), BATCH):
            yield session.run(names, {"image": crops[first : first + BATCH].astype(np.float32)})


def _in_float(graph: Graph) -> set[str]:
    """Names of the nodes that stay in float: thin convolutions at the start, and the last one.

    The last one makes the heat maps, whose values are the logarithms of probabilities: a rounding
    step of theirs moves a point that is undecided between two places by pixels.
    """
    convolutions = graph.nodes("Conv")
    kept = []
    for node in convolutions:
        if np.prod(graph.weights(node).shape[1:]) >= THIN:
            break
        kept += [node, *graph.rectifiers(node)]
    return {node.name for node in [*kept, convolutions[-1]]}


def _keep_skips(model: Any) -> None:
    """Give the sums of a residual network the other one's rectified sum as it was, in float.

    The quantiser rounds a rectified sum for the convolution after it, and would add the rounded one
    to that convolution's outputs. So its error runs through all blocks. In the stages of the fewest
    and of the most channels, where this helps most for its time, the sum takes the value itself.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    sizes = {constant.name: constant.dims for constant in model.graph.initializer}
    skips = []  # (channels, sum, index of its input, the value before it is rounded)
    for node in model.graph.node:
        chains = [_before_rounding(name, makers) for name in node.input if node.op_type == "Add"]
        for index, (source, kind) in enumerate(chains):
            if kind == "Relu" and chains[1 - index][1] == "Conv":
                convolution = makers[chains[1 - index][0]]
                channels = sizes[makers[convolution.input[1]].input[0]][0]
                skips.append((channels, node, index, source))
    ends = {choose(skip[0] for skip in skips) for choose in (min, max)} if skips else set()
    for channels, node, index, source in skips:
        if channels in ends:
            node.input[index] = source


def _before_rounding(name: str, makers: dict[str, Any]) -> tuple[str, str]:
    """The value of which the rounded one is `name`, and the kind of node that makes it."""
    for kind in ("DequantizeLinear", "QuantizeLinear"):
        if name not in makers or makers[name].op_type != kind:
            return name, ""
        name = makers[name].input[0]
    return name, makers[name].op_type if name in makers else ""


def _measure(
    graph: Graph, convolutions: list[Any], crops: np.ndarray, runtime: Any
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], dict[str, np.ndarray]]:
    """Ranges of tensors, and second moments of what the weights are multiplied with.

    Moments are `(k, k)` for the k products of a sum, of depthwise ones `(channels, k, k)`; those of
    sums wider than `WIDE` are left out.
    """
    outputs = [node.output[0] for node in graph.nodes("Conv", "Relu", "Clip")]
    names = list(dict.fromkeys([*(node.input[0] for node in convolutions), *outputs]))
    narrow = [node for node in convolutions if graph.weights(node)[0].size <= WIDE]
    moments: dict[str, np.ndarray] = {}
    low, high = dict.fromkeys(names, np.inf), dict.fromkeys(names, -np.inf)
    rng = np.random.default_rng(0)
    for tensors in graph.run(names, crops, runtime):
        found = dict(zip(names, tensors))
        for name, values in found.items():
            low[name] = min(low[name], values.min())
            high[name] = max(high[name], values.max())
        for node in narrow:
            moment = _moment(node, graph.weights(node), found[node.input[0]], rng)
            moments[node.name] = moments.get(node.name, 0) + moment
    linear = {node.output[0] for node in convolutions if not graph.rectifiers(node)}
    linear |= {node.output[0] for node in graph.nodes("Add") if linear & set(node.input)}
    shares = {name: LINEAR_RANGE if name in linear else 1.0 for name in names}
    ranges = {
        name: (np.array(share * low[name], "f4"), np.array(share * high[name], "f4"))
        for name, share in shares.items()
    }
    return ranges, moments


def _moment(
    node: Any, weights: np.ndarray, values: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Sum of the outer products of what the filters see, at `SAMPLES` places of `values`."""
    import onnx

    facts = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    top, left, bottom, right = facts.get("pads", (0, 0, 0, 0))
    down, across = facts.get("strides", (1, 1))
    padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    views = np.lib.stride_tricks.sliding_window_view(padded, weights.shape[2:], axis=(2, 3))
    views = views[:, :, ::down, ::across]  # (b, channels, h, w, *filter)
    count, _, height, width = views.shape[:4]
    places = rng.integers((count, height, width), size=(SAMPLES, 3)).T
    seen = views[places[0], :, places[1], places[2]]  # (SAMPLES, channels, *filter)
    if facts.get("group", 1) == 1:
        flat = seen.reshape(SAMPLES, -1)
        return (flat.T @ flat).astype(np.float64)
    channels = seen.reshape(SAMPLES, seen.shape[1], -1).transpose(1, 2, 0)
    return (channels @ channels.transpose(0, 2, 1)).astype(np.float64)


def _scales(weights: np.ndarray) -> np.ndarray:
    """The step of each output channel `(n,)`, by which its weights fit into eight bits.

    On processors without VNNI, ONNX Runtime adds the products of two neighbours in 16 bits, which
    overflow at 255 * (127 + 127). So the step is as large as makes no two neighbours, of either
    memory layout, exceed 127 together. All weights in seven bits would do too, at twice the error.
    """
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    if weights.shape[1] > 1:  # depthwise convolutions add in 32 bits
        for order in (weights, weights.transpose(0, 2, 3, 1)):
            flat = order.reshape(len(weights), -1)
            pairs = np.abs(flat[:, :-1] + flat[:, 1:]).max(axis=1)
            largest = np.maximum(largest, pairs)
    return np.where(largest > 0, largest, 1.0) / LEVELS


def _rounded(weights: np.ndarray, moment: np.ndarray | None, scales: np.ndarray) -> np.ndarray:
    """Weights as multiples of `scales`, such that the outputs change least.

    Each weight is rounded in turn and the error is made up for by those that are not yet rounded,
    as the second `moment` of the inputs tells: GPTQ (Frantar et al., "GPTQ: Accurate Post-Training
    Quantization", ICLR 2023). Without a moment each is rounded by itself.
    """
    flat = weights.reshape(len(weights), -1)
    if moment is None:
        levels = np.clip(np.round(flat / scales[:, None]), -LEVELS, LEVELS)
        return (levels * scales[:, None]).reshape(weights.shape)
    if moment.ndim == 3:  # depthwise: each filter sees a channel of its own
        filters = zip(flat, moment, scales)
        rows = [_rounded_together(row[None], seen, scale[None]) for row, seen, scale in filters]
        return np.concatenate(rows).reshape(weights.shape)
    return _rounded_together(flat, moment, scales).reshape(weights.shape)


def _rounded_together(flat: np.ndarray, moment: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """`_rounded` of weights `(n, k)` that are multiplied with the same inputs."""
    order = np.argsort(-np.diag(moment))  # the inputs that matter most first
    left = flat[:, order].astype(np.float64)
    damped = moment[np.ix_(order, order)]
    # 1 % of the mean power: without it the inverse of inputs that hardly vary has no bounds.
    damped = damped + np.eye(len(order)) * (0.01 * np.mean(np.diag(moment)) + 1e-12)
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T  # upper triangle
    rounded = np.empty_like(left)
    for i in range(len(order)):
        levels = np.clip(np.round(left[:, i] / scales), -LEVELS, LEVELS)
        rounded[:, i] = levels * scales
        error = (left[:, i] - rounded[:, i]) / factor[i, i]
        left[:, i:] -= error[:, None] * factor[i, i:]
    return rounded[:, np.argsort(order)]
