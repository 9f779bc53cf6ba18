"""The ONNX graph, put together node by node: strings and numbers in; price, lower and upper out.

Assembled by hand because a converter would only re-derive what `Trees` already holds, and because the words'
codes, the interval and the two ensembles have to be joined by hand anyway.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from services.trainer.features import Codes
from services.trainer.trees import Trees
from shared.registry.manifest import canonical

# Older than the newest on purpose: a scorer need not be upgraded to load what a newer trainer writes.
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
    """`price` in log price; `half_width` in the log of the interval's half width in log price; `spellings`
    of each column of `cat`; `numbers` counts the columns of `num`.
    """
    nodes = [
        *_features(codes, spellings),
        *_ensemble(price, "log_price"),
        *_ensemble(half_width, "log_half_width"),
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
    return _serialised(graph, metadata)


def _serialised(graph: onnx.GraphProto, metadata: dict[str, str]) -> bytes:
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


def _features(codes: Codes, spellings: tuple[frozenset[str], ...]) -> list[onnx.NodeProto]:
    nodes = [
        helper.make_node("Gather", ["cat", f"column_{k}"], [f"words_{k}"], axis=1)
        for k in range(len(spellings))
    ]
    for k, (column, mapping) in enumerate(zip(codes.columns, codes.mappings, strict=True)):
        known = _with_spellings(mapping, spellings[column])
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


def _with_spellings(mapping: dict[str, float], spellings: frozenset[str]) -> dict[str, float]:
    """The canonical words, the data's own spelling of each, and the usual ways to capitalise it: the scorer
    asks canonically, and whoever runs the graph without it should not be misled over a capital.
    """
    known = dict(mapping)
    for word, code in mapping.items():
        for written in (word.capitalize(), word.title(), word.upper()):
            known.setdefault(written, code)
    seen = [written for written in sorted(spellings) if canonical(written) in mapping]
    return known | {written: mapping[canonical(written)] for written in seen}


def _ensemble(trees: Trees, output: str) -> list[onnx.NodeProto]:
    """The base is added after the trees: beside it the leaves' small values would lose digits in float32."""
    return [
        helper.make_node(
            "TreeEnsembleRegressor",
            ["features"],
            [f"{output}_sum"],
            domain=_ML,
            n_targets=1,
            **_attributes(trees),
        ),
        helper.make_node("Reshape", [f"{output}_sum", "flat"], [f"{output}_flat"]),
        helper.make_node("Add", [f"{output}_flat", f"{output}_base"], [output]),
    ]


def _attributes(trees: Trees) -> dict[str, Any]:
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
        "nodes_truenodeids": _below(trees.left, offset, leaf),
        "nodes_falsenodeids": _below(trees.right, offset, leaf),
        "nodes_missing_value_tracks_true": trees.default_left.astype(int).tolist(),
        "target_treeids": tree[leaf].tolist(),
        "target_nodeids": within[leaf].tolist(),
        "target_ids": [0] * int(leaf.sum()),
        "target_weights": trees.value[leaf].tolist(),
    }


def _below(child: NDArray[np.int32], offset: NDArray[np.int32], leaf: NDArray[np.bool_]) -> list[int]:
    below: list[int] = np.where(leaf, 0, child - offset).tolist()
    return below


def _constant(name: str, kind: int, values: list[Any]) -> onnx.TensorProto:
    return helper.make_tensor(name, kind, [len(values)], values)
