"""The arithmetic of rounding weights, by hand and against rounding one by one."""

import numpy as np
import pytest

from keypoints.exports import int8
from keypoints.system.backend import onnxruntime


def test_steps_use_eight_bits_unless_neighbours_would_overflow_together():
    weights = np.array([[1.27, 0, 0, -1.0], [1.0, 1.0, 0, 0], [1.0, -1.0, 0, 0], [0, 0, 0, 0]])
    scales = int8._scales(weights.reshape(4, 4, 1, 1))
    assert scales == pytest.approx([0.01, 2 / 127, 1 / 127, 1 / 127])


def test_no_two_neighbours_exceed_what_16_bits_hold():
    rng = np.random.default_rng(3)
    weights = rng.laplace(size=(32, 24, 3, 3))
    scales = int8._scales(weights)
    levels = int8._rounded(weights, None, scales) / scales[:, None, None, None]
    for order in (levels, levels.transpose(0, 2, 3, 1)):
        flat = order.reshape(len(levels), -1)
        assert np.abs(255 * (flat[:, :-1] + flat[:, 1:])).max() <= 2**15
    assert np.abs(levels).max(axis=(1, 2, 3)).mean() > 90  # more than seven bits, where they fit


def test_depthwise_filters_use_all_eight_bits():
    weights = np.ones((2, 1, 3, 3))
    assert int8._scales(weights) == pytest.approx([1 / 127, 1 / 127])


def test_weights_are_rounded_to_what_changes_outputs_least():
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 24))  # 24 inputs, which hang together
    weights = rng.normal(size=(10, 24))
    scales = np.abs(weights).max(axis=1) / 7  # coarse, to see it
    alone = int8._rounded(weights, None, scales)
    together = int8._rounded(weights, inputs.T @ inputs, scales)
    for rounded in (alone, together):
        levels = rounded / scales[:, None]
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-9)
    errors = [np.square(inputs @ (rounded - weights).T).mean() for rounded in (alone, together)]
    assert errors[1] < 0.3 * errors[0]


def test_independent_inputs_leave_nothing_to_make_up_for():
    weights = np.array([[0.24, -0.76, 0.51]])
    scales = np.array([0.1])
    together = int8._rounded(weights, np.diag([1.0, 4.0, 2.0]), scales)
    assert together == pytest.approx(np.array([[0.2, -0.8, 0.5]]))


def residual_network(path, channels=(16, 24, 32)):
    """An ONNX file with stages of two blocks; the names of the sums to which a sum is added."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(11)
    nodes, constants = [helper.make_node("Transpose", ["image"], ["x"], perm=[0, 3, 1, 2])], []

    def layer(source, target, outputs, inputs):
        weights = rng.normal(size=(outputs, inputs, 3, 3)) / np.sqrt(9 * inputs)
        constants.append(numpy_helper.from_array(weights.astype("f4"), f"{target}_weights"))
        names = [source, f"{target}_weights"]
        nodes.append(helper.make_node("Conv", names, [target], name=target, pads=[1, 1, 1, 1]))

    def rectify(source):
        nodes.append(helper.make_node("Relu", [source], [f"{source}_relu"], name=f"{source}_relu"))
        return f"{source}_relu"

    shown, before, sums = "x", 3, []
    for stage, count in enumerate(channels):
        layer(shown, f"in{stage}", count, before)
        shown, before = rectify(f"in{stage}"), count
        for block in range(2):
            name = f"{stage}{block}"
            layer(shown, f"first{name}", count, count)
            layer(rectify(f"first{name}"), f"second{name}", count, count)
            nodes.append(
                helper.make_node("Add", [f"second{name}", shown], [f"sum{name}"], name=f"sum{name}")
            )
            shown = rectify(f"sum{name}")
        sums.append(f"sum{name}")
    layer(shown, "points", 1, before)
    graph = helper.make_graph(
        nodes,
        "residual",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 12, 12, 3])],
        [helper.make_tensor_value_info("points", TensorProto.FLOAT, ["n", 1, 12, 12])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return sums


def test_skip_connections_of_the_first_and_the_last_stage_are_not_rounded(tmp_path, monkeypatch):
    import onnx

    crops = np.random.default_rng(1).integers(0, 256, (24, 12, 12, 3), np.uint8)
    first, middle, last = residual_network(tmp_path / "float.onnx")
    kept, rounded = tmp_path / "kept.onnx", tmp_path / "rounded.onnx"
    int8.quantise(tmp_path / "float.onnx", kept, crops)
    graph = onnx.load(kept).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    kinds = {n.name: {makers[i] for i in n.input} for n in graph.node if n.op_type == "Add"}
    assert kinds[first] == kinds[last] == {"DequantizeLinear", "Relu"}
    assert kinds[middle] == {"DequantizeLinear"}

    monkeypatch.setattr(int8, "_keep_skips", lambda model: None)
    int8.quantise(tmp_path / "float.onnx", rounded, crops)
    exact, near, far = (
        onnxruntime()
        .InferenceSession(str(path), providers=["CPUExecutionProvider"])
        .run(None, {"image": crops.astype("f4")})[0]
        for path in (tmp_path / "float.onnx", kept, rounded)
    )
    assert np.square(near - exact).mean() < np.square(far - exact).mean()
    assert np.square(near - exact).mean() < 1e-3 * np.square(exact).mean()
