"""The thresholds at which a graph's prices can change: the numbers with which its trees compare. Pure.

All numbers between two neighbouring thresholds take the same path through every tree, so their price is the
same to the last bit. That holds only for graphs that use their numbers in nothing but trees with `<=`
comparisons. For any other graph this module finds no thresholds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf import (  # type: ignore[import-untyped]  # what onnxruntime itself needs
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

Thresholds = tuple[NDArray[np.float32], ...]

_TREES, _ENCODER, _GATHER, _CONCAT = "TreeEnsembleRegressor", "LabelEncoder", "Gather", "Concat"
_MODES = {b"BRANCH_LEQ", b"LEAF"}

_OPTIONAL, _REPEATED = 1, 3
_FLOAT, _INT, _TEXT, _MESSAGE, _BYTES = 2, 3, 9, 11, 12
# The part of onnx.proto (ONNX IR version 9) that is read: message → field, its number, label and type.
_MESSAGES: dict[str, Sequence[tuple[str, int, int, int | str]]] = {
    "Tensor": [("dims", 1, _REPEATED, _INT), ("name", 8, _OPTIONAL, _TEXT)],
    "Attribute": [
        ("name", 1, _OPTIONAL, _TEXT),
        ("i", 3, _OPTIONAL, _INT),
        ("floats", 7, _REPEATED, _FLOAT),
        ("ints", 8, _REPEATED, _INT),
        ("strings", 9, _REPEATED, _BYTES),
    ],
    "Node": [
        ("input", 1, _REPEATED, _TEXT),
        ("output", 2, _REPEATED, _TEXT),
        ("op_type", 4, _OPTIONAL, _TEXT),
        ("attribute", 5, _REPEATED, "Attribute"),
    ],
    "Graph": [("node", 1, _REPEATED, "Node"), ("initializer", 5, _REPEATED, "Tensor")],
    "Model": [("graph", 7, _OPTIONAL, "Graph")],
}


def _model_type() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="graph_thresholds.proto", package="graph_thresholds")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, label, kind in fields:
            made = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                made.type, made.type_name = _MESSAGE, f".graph_thresholds.{kind}"
            else:
                made.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("graph_thresholds.Model"))


_Model = _model_type()


def find_thresholds(graph: bytes, numbers: int) -> Thresholds | None:
    """Return the thresholds, ascending, for each of the `numbers` columns of the input `num`.

    Return None if the graph cannot be read or uses its numbers in another way than in trees with `<=`
    comparisons.
    """
    try:
        nodes = _Model.FromString(graph).graph
    except DecodeError:
        return None
    users = [node for node in nodes.node if "num" in node.input]
    if len(users) != 1 or (first := _first_number(nodes, users[0])) is None:
        return None
    (features,) = users[0].output
    compared: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
    for node in (node for node in nodes.node if features in node.input):
        values = {one.name: one for one in node.attribute}
        if node.op_type != _TREES or not set(values["nodes_modes"].strings) <= _MODES:
            return None
        features_compared = np.array(values["nodes_featureids"].ints, dtype=np.int64)
        compared.append((features_compared, np.array(values["nodes_values"].floats, dtype=np.float32)))
    if not compared:
        return None
    # The leaves' values are among them, which no tree compares with: a threshold too many does no harm.
    columns, thresholds = map(np.concatenate, zip(*compared, strict=True))
    return tuple(np.unique(thresholds[columns == first + number]) for number in range(numbers))


def _first_number(graph: Any, concat: Any) -> int | None:
    """Return the index of the first number among the trees' features.

    Return None unless `concat` is a Concat that puts the numbers behind one column for each encoded word.
    """
    sizes = {one.name: tuple(one.dims) for one in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    *words, last = concat.input
    if concat.op_type != _CONCAT or last != "num" or [one.i for one in concat.attribute] != [1]:
        return None
    for word in words:
        encoder = made_by.get(word)
        gather = made_by.get(encoder.input[0]) if encoder is not None else None
        if encoder is None or gather is None or encoder.op_type != _ENCODER or gather.op_type != _GATHER:
            return None
        if gather.input[0] != "cat" or sizes.get(gather.input[1]) != (1,):
            return None
    return len(words)
