"""The graph of a SavedModel, with nothing in it but arithmetic.

A SavedModel is a program: its operations can read and write files, open connections and run Python.
TensorFlow's own loader runs some of them as soon as it loads a model. So it is not used: only the
nodes that lead from the input to the outputs are taken, functions that they call included, and each
operation has to be one of `ARITHMETIC`.
"""

from pathlib import Path
from typing import Any

from keypoints.errors import InputError

ENDPOINT = "serve"
CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
# What the networks of this package consist of. None of these reads or writes anything but its
# inputs and outputs, or keeps a state.
ARITHMETIC = {
    "AddV2", "AvgPool", "BiasAdd", "ConcatV2", "Const", "Conv2D", "DepthwiseConv2dNative", "Exp",
    "FusedBatchNormV3", "GatherV2", "Identity", "Log", "MatMul", "MaxPool", "Maximum", "Mean",
    "Mul", "NoOp", "Pack", "Pad", "Placeholder", "Prod", "RealDiv", "Relu", "Relu6", "Reshape",
    "ResizeBilinear", "ReverseV2", "Rsqrt", "Shape", "Softmax", "Square", "Squeeze",
    "StridedSlice", "Sub", "Sum", "Transpose",
} | CALLS  # fmt: skip
Ends = dict[str, tuple[str, list[int]]]  # names of tensors and their shapes, -1 for any size


def safe_graph(path: Path) -> tuple[Any, Ends, Ends]:
    """`(graph, inputs, outputs)` of the endpoint `serve` in a saved_model.pb.

    `graph` is a GraphDef of the nodes and functions that the outputs need. Raises InputError for
    a damaged file, one without that endpoint, and for any other operation than arithmetic.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.framework.graph_pb2 import GraphDef
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    try:
        program = SavedModel.FromString(path.read_bytes())
    except (DecodeError, RecursionError) as error:
        raise InputError(f"{path}: TensorFlow cannot read it: {error}") from None
    metas = [meta for meta in program.meta_graphs if ENDPOINT in meta.signature_def]
    if len(metas) != 1:
        raise InputError(f"{path} has no endpoint {ENDPOINT!r}; export the run again")
    signature = metas[0].signature_def[ENDPOINT]
    inputs, outputs = _ends(signature.inputs), _ends(signature.outputs)
    source = metas[0].graph_def
    functions = {function.signature.name: function for function in source.library.function}
    graph = GraphDef(versions=source.versions)
    graph.node.extend(_leading_to(source.node, [name for name, _ in outputs.values()]))
    left = list(graph.node)
    taken: set[str] = set()
    while left:
        node = left.pop()
        if node.op not in ARITHMETIC:
            raise InputError(
                f"{path} holds {node.op}, which no export of this version does; export the run "
                "again, if it is yours"
            )
        for name in _called(node.attr) - taken:
            taken.add(name)
            if name not in functions:
                raise InputError(f"{path} is damaged: it has no function {name!r}")
            graph.library.function.append(functions[name])
            left += functions[name].node_def
    return graph, inputs, outputs


def _ends(tensors: Any) -> Ends:
    return {
        name: (tensor.name, [dimension.size for dimension in tensor.tensor_shape.dim])
        for name, tensor in tensors.items()
    }


def _leading_to(nodes: Any, tensors: list[str]) -> list[Any]:
    """The nodes that the `tensors` depend on."""
    by_name = {node.name: node for node in nodes}
    left, found = [_node(name) for name in tensors], {}
    while left:
        name = left.pop()
        if name in by_name and name not in found:
            found[name] = by_name[name]
            left += [_node(source) for source in by_name[name].input]
    return list(found.values())


def _node(tensor: str) -> str:
    return tensor.lstrip("^").partition(":")[0]


def _called(attributes: Any) -> set[str]:
    """Names of the functions in the attributes of a node, those of calls' own attributes too."""
    names = set()
    for value in attributes.values():
        calls = [*([value.func] if value.HasField("func") else []), *value.list.func]
        for call in calls:
            names |= {call.name} | _called(call.attr)
    return names
