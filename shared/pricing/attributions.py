"""Exact tree SHAP: the contribution of each feature to an ensemble's output, in numpy only. Pure.

The weight of a leaf for a vehicle is a product with one factor for each feature on the leaf's path. A known
feature has the factor o: 1 if the vehicle passes all splits of the feature on the path, else 0. An unknown
feature has the factor z: the share of training rows that pass these splits. If each feature is known with
probability t, the expected weight is the product Π (z + t·(o - z)).

The Shapley value of a feature is computed by Owen's multilinear extension. Leave the factor of the feature
out of the product, integrate the rest over t from 0 to 1, and multiply the integral by the feature's o - z
and by the leaf's value. With k features on the path, the integrand is a polynomial of degree k - 1, which
Gauss-Legendre quadrature with ⌈k/2⌉ points integrates exactly. The sums over all leaves equal LightGBM's
`pred_contrib`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Leaves computed together: their numbers fit into the processor's cache.
_BLOCK_LEAVES = 8_192


@dataclass(frozen=True, slots=True)
class Leaves:
    """A group of n leaves that all have the same number k of features on their paths.

    `value` is [n]; the other arrays are [k, n]. A number passes the splits of its feature if it is above
    `low` and at most `high`, where NaN means that there is no such split. A missing number passes if
    `takes_nan`.
    """

    feature: NDArray[np.intp]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    takes_nan: NDArray[np.bool_]
    share: Floats
    value: Floats

    def contributions(self, features: NDArray[np.float32], count: int) -> Floats:
        """Return the amounts that these leaves add to the contributions of the `count` features."""
        x = features[self.feature]
        passes = ~((x <= self.low) | (x > self.high))
        np.copyto(passes, self.takes_nan, where=np.isnan(x))
        difference = passes - self.share
        weight = np.zeros_like(difference)
        for point, share in _quadrature((len(x) + 1) // 2):
            terms = difference * point
            terms += self.share
            product = terms[0] * share
            for term in terms[1:]:
                product *= term
            np.divide(product, terms, out=terms)
            weight += terms
        weight *= difference
        weight *= self.value
        total: Floats = np.bincount(self.feature.ravel(), weight.ravel(), count).astype(np.float64)
        return total


class Attributions:
    """The contributions of features in one ensemble, given as the arrays of `trees.npz` (docs/model.md)."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Read the arrays. Raises KeyError, ValueError or IndexError if they do not form an ensemble."""
        self._count = len(arrays["feature_inputs"])
        root = arrays["starts"][:-1]
        leaf = np.flatnonzero(arrays["feature"] < 0)
        roots = root[np.searchsorted(root, leaf, side="right") - 1]
        value = arrays["value"][leaf].astype(np.float64)
        # A tree of one leaf counts no rows: every row reaches it.
        reach = np.where(leaf == roots, 1.0, arrays["count"][leaf] / np.maximum(arrays["count"][roots], 1))
        self.expected = float(arrays["base"]) + float(value @ reach)
        self._leaves = list(_blocks(_Paths(arrays, self._count), leaf, value))

    def contributions(self, features: NDArray[np.float32]) -> Floats:
        """Return the contribution of each feature.

        The sum of the contributions plus `expected` is the ensemble's output.
        """
        total = np.zeros(self._count)
        for leaves in self._leaves:
            total += leaves.contributions(features, self._count)
        return total


class _Paths:
    """The combined splits of each feature on the path to each node, as arrays [node, feature]."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], count: int) -> None:
        shape = (len(arrays["feature"]), count)
        self.low = np.full(shape, np.nan, dtype=np.float32)
        self.high = self.low.copy()
        self.takes_nan = np.ones(shape, dtype=np.bool_)
        self.share = np.ones(shape)
        node = arrays["starts"][:-1]
        while len(node := node[arrays["feature"][node] >= 0]):
            left, right = arrays["left"][node], arrays["right"][node]
            self._descend(arrays, node, left, goes_left=True)
            self._descend(arrays, node, right, goes_left=False)
            node = np.concatenate([left, right])

    def _descend(self, arrays: Mapping[str, NDArray[Any]], node: Any, child: Any, *, goes_left: bool) -> None:
        for column in (self.low, self.high, self.takes_nan, self.share):
            column[child] = column[node]
        at = (child, arrays["feature"][node])
        if goes_left:
            self.high[at] = np.fmin(self.high[at], arrays["threshold"][node])
        else:
            self.low[at] = np.fmax(self.low[at], arrays["threshold"][node])
        self.takes_nan[at] &= arrays["default_left"][node] == goes_left
        self.share[at] *= arrays["count"][child] / arrays["count"][node]


def _blocks(paths: _Paths, leaf: NDArray[np.intp], value: Floats) -> Iterator[Leaves]:
    """Yield the leaves in blocks; all leaves of a block have the same number of features on their paths."""
    has_split = ~(np.isnan(paths.low[leaf]) & np.isnan(paths.high[leaf]))
    splits = has_split.sum(axis=1)
    for k in np.unique(splits[splits > 0]).tolist():
        alike = np.flatnonzero(splits == k)
        for start in range(0, len(alike), _BLOCK_LEAVES):
            part = alike[start : start + _BLOCK_LEAVES]
            feature = np.nonzero(has_split[part])[1].reshape(-1, k).T
            at = (leaf[part], np.ascontiguousarray(feature))
            yield Leaves(
                at[1], paths.low[at], paths.high[at], paths.takes_nan[at], paths.share[at], value[part]
            )


def _quadrature(points: int) -> Iterator[tuple[float, float]]:
    """Return the points and weights of Gauss-Legendre quadrature on [0, 1], as pairs."""
    at, weight = np.polynomial.legendre.leggauss(points)
    return zip(((at + 1) / 2).tolist(), (weight / 2).tolist(), strict=True)
