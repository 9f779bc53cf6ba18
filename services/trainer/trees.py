"""An ensemble as plain arrays. The graph is assembled from these; explanations read them from `trees.npz`."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

LEAF = -1


@dataclass(frozen=True, slots=True)
class Trees:
    """The nodes of all trees, one tree after the other.

    Tree t has the nodes `starts[t]:starts[t + 1]`, its root first. A row goes to `left` if its `feature` is
    <= `threshold`, or if its `feature` is NaN and `default_left` is set; otherwise it goes to `right`. `left`
    and `right` are indices into the same arrays. A leaf has feature LEAF and a `value`; the ensemble's output
    is `base` plus the value of one leaf of each tree. `count` is the number of training rows at the node.
    """

    base: float
    starts: NDArray[np.int32]
    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    default_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    count: NDArray[np.int32]

    @classmethod
    def from_lightgbm(cls, dump: dict[str, Any], base: float) -> Self:
        """Flatten the trees of `Booster.dump_model()`."""
        nodes: list[_Node] = []
        starts = [0]
        for tree in dump["tree_info"]:
            _flatten(tree["tree_structure"], nodes)
            starts.append(len(nodes))
        columns = list(zip(*nodes, strict=True))
        return cls(
            base=base,
            starts=np.array(starts, dtype=np.int32),
            feature=np.array(columns[0], dtype=np.int16),
            threshold=np.array(columns[1], dtype=np.float32),
            left=np.array(columns[2], dtype=np.int32),
            right=np.array(columns[3], dtype=np.int32),
            default_left=np.array(columns[4], dtype=np.bool_),
            value=np.array(columns[5], dtype=np.float64),
            count=np.array(columns[6], dtype=np.int32),
        )

    @classmethod
    def constant(cls, value: float) -> Self:
        """Make an ensemble of a single leaf, which has the same output for every row."""
        leaf = {"leaf_value": 0.0}
        return cls.from_lightgbm({"tree_info": [{"tree_structure": leaf}]}, value)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        leaf: NDArray[np.bool_] = self.feature == LEAF
        return leaf

    def leaves(self, features: NDArray[np.float32]) -> Iterator[NDArray[np.int32]]:
        """Yield, for each tree, an array with the leaf that each row reaches."""
        rows = np.arange(len(features))
        for root in self.starts[:-1]:
            at = np.full(len(features), root, dtype=np.int32)
            while len(walking := rows[~self.is_leaf[at]]):
                node = at[walking]
                x = features[walking, self.feature[node]]
                goes_left = (x <= self.threshold[node]) | (np.isnan(x) & self.default_left[node])
                at[walking] = np.where(goes_left, self.left[node], self.right[node])
            yield at

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        total = np.full(len(features), self.base)
        for leaf in self.leaves(features):
            total += self.value[leaf]
        return total

    def bounds(self) -> tuple[float, float]:
        """Return a lower and an upper bound of the output for all inputs, even infinite and missing ones."""
        trees = [slice(a, b) for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]
        values = [self.value[tree][self.is_leaf[tree]] for tree in trees]
        return self.base + sum(v.min() for v in values), self.base + sum(v.max() for v in values)


# feature, threshold, left, right, default_left, value, count
_Node = tuple[int, float, int, int, bool, float, int]


def _flatten(node: dict[str, Any], nodes: list[_Node]) -> int:
    """Append `node` and its descendants, and return the index of `node`.

    The recursion is bounded by the recipe's `max_depth`.
    """
    index = len(nodes)
    if "split_feature" not in node:
        nodes.append((LEAF, 0.0, index, index, False, node["leaf_value"], node.get("leaf_count", 0)))
        return index
    if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
        raise ValueError(
            f"a split by {node['decision_type']} with missing {node['missing_type']} is not numeric"
        )
    threshold = float32_at_most(node["threshold"])
    # If no training row lacked the feature, LightGBM reads NaN as 0.
    default_left = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0
    nodes.append((LEAF, 0.0, index, index, False, 0.0, 0))
    left = _flatten(node["left_child"], nodes)
    right = _flatten(node["right_child"], nodes)
    nodes[index] = (
        node["split_feature"], threshold, left, right, bool(default_left), 0.0, node["internal_count"]
    )  # fmt: skip
    return index


def float32_at_most(threshold: float) -> float:
    """Return the largest float32 that is not above `threshold`.

    A float32 is <= the result exactly if it is <= `threshold`.
    """
    with np.errstate(over="ignore"):  # LightGBM writes "all but the missing" as the largest double
        nearest = np.float32(threshold)
    return float(nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32(-np.inf)))


def encode_trees(trees: Trees, feature_inputs: tuple[str, ...], codes: tuple[dict[str, float], ...]) -> bytes:
    """Encode `trees.npz`. The same model gives the same bytes, and the file can be loaded without pickle.

    The file has the arrays of `Trees`, `feature_inputs` (the name of the input of each feature), and
    `words_k` and `codes_k` if the k-th feature is a code.
    """
    arrays: dict[str, NDArray[Any]] = {name: np.asarray(getattr(trees, name)) for name in Trees.__slots__} | {
        "feature_inputs": np.array(feature_inputs)
    }
    for k, mapping in enumerate(codes):
        arrays[f"words_{k}"] = np.array(list(mapping), dtype=np.str_)
        arrays[f"codes_{k}"] = np.array(list(mapping.values()), dtype=np.float32)
    body = io.BytesIO()
    np.savez_compressed(body, allow_pickle=False, **arrays)
    return body.getvalue()
