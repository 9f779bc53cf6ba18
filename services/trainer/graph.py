"""The ONNX graph, assembled node by node: strings and numbers in; price, lower and upper out.

A converter is not used: it would only derive again what `Trees` already holds, and the codes of the words,
the interval and the two ensembles must be joined by hand anyway.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from services.trainer.features import Codes
from services.trainer.trees import Trees
from shared.registry.model_manifest import canonical

# Older than the newest on purpose, so that an older scorer can load what a newer trainer writes.
_OPSET, _ML_OPSET, _IR_VERSION = 18, 3, 9
_ML = "ai.onnx.ml"
OUTPUTS = ("price", "lower", "upper")


def assemble(
    codes: Codes,
    spellings: tuple[frozenset[str], ...],
    price: Trees,
    half_width: Trees,
    metadata: dict[str, str],
    *,
    numbers: int,
) -> bytes:
    """Assemble and serialize the graph.

    `price` predicts the log price, and `half_width` the log of the interval's half width in log price.
    `spellings` has the other spellings of the words for each column of `cat`. `numbers` is the number of
    columns of `num`.
    """
    nodes = [
        *_feature_nodes(codes, spellings),
        *_ensemble_nodes(price, "log_price"),
        *_ensemble_nodes(half_width, "log_half_width"),
        helper.make_node("Exp", ["log_half_width"], ["half_width"]),
        helper.make_node("Sub", ["log_price", "half_width"], ["log_lower"]),
        helper.make_node("Add", ["log_price", "half_width"], ["log_upper"]),
        *[helper.make_node("Exp", [f"log_{name}"], [name]) for name in OUTPUTS],
    ]
    graph = helper.make_graph(
        nodes,
        "price",
        [
            helper.make_tensor_value_info("cat", TensorProto.STRING, ["N", len(spellings)]),
            helper.make_tensor_value_info("num", TensorProto.FLOAT, ["N", numbers]),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in OUTPUTS],
        [
            *[_constant(f"column_{k}", TensorProto.INT64, [k]) for k in range(len(spellings))],
            _constant("flat", TensorProto.INT64, [-1]),
            _constant("log_price_base", TensorProto.FLOAT, [price.base]),
            _constant("log_half_width_base", TensorProto.FLOAT, [half_width.base]),
        ],
    )
    return _serialize(graph, metadata)


def _serialize(graph: onnx.GraphProto, metadata: dict[str, str]) -> bytes:
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_ML, _ML_OPSET)],
        ir_version=_IR_VERSION,
        producer_name="fleetprice",
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    body: bytes = model.SerializeToString(deterministic=True)
    return body


def _feature_nodes(codes: Codes, spellings: tuple[frozenset[str], ...]) -> list[onnx.NodeProto]:
    nodes = [
        helper.make_node("Gather", ["cat", f"column_{k}"], [f"words_{k}"], axis=1)
        for k in range(len(spellings))
    ]
    for k, (column, mapping) in enumerate(zip(codes.columns, codes.mappings, strict=True)):
        known = _add_spellings(mapping, spellings[column])
        nodes.append(
            helper.make_node(
                "LabelEncoder",
                [f"words_{column}"],
                [f"code_{k}"],
                domain=_ML,
                keys_strings=list(known),
                values_floats=list(known.values()),
                default_float=float("nan"),
            )
        )
    inputs = [f"code_{k}" for k in range(len(codes.mappings))]
    return [*nodes, helper.make_node("Concat", [*inputs, "num"], ["features"], axis=1)]


def _add_spellings(mapping: dict[str, float], spellings: frozenset[str]) -> dict[str, float]:
    """Return `mapping` with codes for more spellings: those in the data, and the usual capitalisations.

    The scorer sends canonical words, but other users of the graph may send other spellings.
    """
    codes = dict(mapping)
    for word, code in mapping.items():
        for spelling in (word.capitalize(), word.title(), word.upper()):
            codes.setdefault(spelling, code)
    seen = [spelling for spelling in sorted(spellings) if canonical(spelling) in mapping]
    return codes | {spelling: mapping[canonical(spelling)] for spelling in seen}


def _ensemble_nodes(trees: Trees, output: str) -> list[onnx.NodeProto]:
    """Build the nodes of an ensemble.

    The base is added after all leaves: in a sum with the base, small leaves would lose digits.
    """
    return [
        helper.make_node(
            "TreeEnsembleRegressor",
            ["features"],
            [f"{output}_sum"],
            domain=_ML,
            n_targets=1,
            **_tree_attributes(trees),
        ),
        helper.make_node("Reshape", [f"{output}_sum", "flat"], [f"{output}_flat"]),
        helper.make_node("Add", [f"{output}_flat", f"{output}_base"], [output]),
    ]


def _tree_attributes(trees: Trees) -> dict[str, Any]:
    sizes = np.diff(trees.starts)
    tree = np.repeat(np.arange(len(trees)), sizes)
    offset = np.repeat(trees.starts[:-1], sizes)
    leaf = trees.is_leaf
    within = np.arange(len(tree)) - offset
    return {
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": within.tolist(),
        "nodes_featureids": np.where(leaf, 0, trees.feature).tolist(),
        "nodes_values": trees.threshold.tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_truenodeids": _child_ids(trees.left, offset, leaf),
        "nodes_falsenodeids": _child_ids(trees.right, offset, leaf),
        "nodes_missing_value_tracks_true": trees.default_left.astype(int).tolist(),
        "target_treeids": tree[leaf].tolist(),
        "target_nodeids": within[leaf].tolist(),
        "target_ids": [0] * int(leaf.sum()),
        "target_weights": trees.value[leaf].tolist(),
    }


def _child_ids(child: NDArray[np.int32], offset: NDArray[np.int32], leaf: NDArray[np.bool_]) -> list[int]:
    ids: list[int] = np.where(leaf, 0, child - offset).tolist()
    return ids


def _constant(name: str, kind: int, values: list[Any]) -> onnx.TensorProto:
    return helper.make_tensor(name, kind, [len(values)], values)
