"""Crafted SavedModels: no operation but arithmetic gets through, wherever it hides."""

import numpy as np
import pytest

from keypoints.errors import InputError
from keypoints.inference.safe_graph import ARITHMETIC, CALLS, safe_graph

pytestmark = [pytest.mark.slow, pytest.mark.long]  # imports TensorFlow


def node(part, name, op, *inputs, **functions):
    """Add a node to a graph or a function; `functions` are attributes that name a function."""
    made = part.add(name=name, op=op, input=inputs)
    for attribute, function in functions.items():
        made.attr[attribute].func.name = function
    return made


def program():
    """`serve`: an input, a call of the function `outer`, which calls `inner`; and a saver."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel()
    meta = saved.meta_graphs.add()
    signature = meta.signature_def["serve"]
    for ends, names in ((signature.inputs, ["image"]), (signature.outputs, ["points"])):
        for name in names:
            ends[name].name = f"{name}:0"
            for size in (-1, 136):
                ends[name].tensor_shape.dim.add(size=size)
    graph = meta.graph_def
    node(graph.node, "image", "Placeholder")
    node(graph.node, "points", "PartitionedCall", "image", f="outer")
    node(graph.node, "save", "StatefulPartitionedCall", "points", f="saver")
    for name, body in (("outer", "PartitionedCall"), ("inner", "Relu"), ("saver", "SaveV2")):
        function = graph.library.function.add()
        function.signature.name = name
        node(function.node_def, "x", body, **({"f": "inner"} if name == "outer" else {}))
    return saved


def function(saved, name):
    library = saved.meta_graphs[0].graph_def.library.function
    return next(part for part in library if part.signature.name == name)


def read(saved, tmp_path):
    path = tmp_path / "saved_model.pb"
    path.write_bytes(saved.SerializeToString())
    return safe_graph(path)


def test_the_saver_is_left_out(tmp_path):
    graph, inputs, outputs = read(program(), tmp_path)
    assert {part.name for part in graph.node} == {"image", "points"}
    assert {part.signature.name for part in graph.library.function} == {"outer", "inner"}
    assert inputs == {"image": ("image:0", [-1, 136])} and outputs["points"][0] == "points:0"


def in_front(saved, op):
    node(saved.meta_graphs[0].graph_def.node, "bad", op)
    saved.meta_graphs[0].graph_def.node[1].input.append("bad:0")


def as_condition(saved, op):
    node(saved.meta_graphs[0].graph_def.node, "bad", op)
    saved.meta_graphs[0].graph_def.node[0].input.append("^bad")


def in_a_function(saved, op):
    node(function(saved, "outer").node_def, "bad", op)


def in_a_called_function(saved, op):
    node(function(saved, "inner").node_def, "bad", op)


def in_a_list_of_functions(saved, op):
    saved.meta_graphs[0].graph_def.node[1].attr["branches"].list.func.add(name="saver")
    function(saved, "saver").node_def[0].op = op


def in_an_attribute_of_a_call(saved, op):
    call = saved.meta_graphs[0].graph_def.node[1].attr["f"].func
    call.attr["then"].func.name = "saver"
    function(saved, "saver").node_def[0].op = op


PLACES = [in_front, as_condition, in_a_function, in_a_called_function, in_a_list_of_functions,
          in_an_attribute_of_a_call]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_no_operation_of_tensorflow_but_arithmetic_gets_through(place, tmp_path):
    import tensorflow as tf

    operations = {name for name in dir(tf.raw_ops) if name[0].isupper()}
    assert {"WriteFile", "ReadFile", "SaveV2", "RestoreV2", "PyFunc", "EagerPyFunc"} <= operations
    passed = set()
    for op in sorted(operations):
        saved = program()
        place(saved, op)
        try:
            read(saved, tmp_path)
        except InputError as error:
            assert op in str(error)
        else:
            passed.add(op)
    assert passed == ARITHMETIC & operations


def test_arithmetic_keeps_no_state():
    from tensorflow.python.framework import op_def_registry

    for name in ARITHMETIC - CALLS:
        operation = op_def_registry.get(name)
        assert operation is not None and not operation.is_stateful, name
        kinds = {part.type for part in [*operation.input_arg, *operation.output_arg]}
        assert not kinds & {20}, name  # DT_RESOURCE


def test_a_function_that_bears_the_name_of_an_operation_is_no_operation(tmp_path):
    saved = program()
    function(saved, "saver").signature.name = "Relu"
    graph, *_ = read(saved, tmp_path)
    assert "Relu" not in {part.signature.name for part in graph.library.function}


def test_missing_parts_are_named(tmp_path):
    saved = program()
    function(saved, "inner").signature.name = "other"
    with pytest.raises(InputError, match="no function 'inner'"):
        read(saved, tmp_path)
    saved = program()
    del saved.meta_graphs[0].signature_def["serve"]
    with pytest.raises(InputError, match="has no endpoint 'serve'"):
        read(saved, tmp_path)


def test_damaged_files_are_refused_or_hold_arithmetic_alone(tmp_path):
    whole = program().SerializeToString()
    rng = np.random.default_rng(0)
    for _ in range(2000):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 6)):
            damaged[place] = rng.integers(256)
        path = tmp_path / "saved_model.pb"
        path.write_bytes(damaged[: rng.integers(1, len(whole) + 1)])
        try:
            graph, *_ = safe_graph(path)
        except InputError:
            continue
        bodies = [part.node_def for part in graph.library.function]
        assert {part.op for nodes in (graph.node, *bodies) for part in nodes} <= ARITHMETIC
