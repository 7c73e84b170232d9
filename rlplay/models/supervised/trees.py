"""Trees as flat arrays: predicting with one or many, and joining them.

The nodes of all trees lie one after the other, and a node names its children by their numbers. So a set of trees is a
few arrays, which compiled code reads and a file holds. `rlplay.models.supervised.tree_growth` grows them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place

LEAF = -1
_TOGETHER = 8  # points that go down a tree together
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Grown = tuple[NDArray[np.int64], Floats, NDArray[np.int64], NDArray[np.int64], Floats, Flags]
_NOWHERE = np.zeros(0, np.bool_)


class Trees(NamedTuple):
    """T trees of M nodes in all; a node's children are numbered after it.

    Attributes:
        roots: first node of each tree, int64 [T].
        feature: the feature that divides, `LEAF` in a leaf, int64 [M].
        threshold: values up to it go left, infinity where only missing values (NaN) go right, float64 [M].
        left: left child, int64 [M].
        right: right child, int64 [M].
        value: mean target of the node's points, or share of each class, float64 [M, K].
        missing_left: whether a missing value goes left, bool [M]; empty for never.

    Example:
        >>> from rlplay.models.supervised import DecisionTreeRegressor
        >>> trees = DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0]).trees_
        >>> trees.feature.tolist(), trees.threshold.tolist(), trees.value.ravel().tolist()
        ([0, -1, -1], [0.5, 0.0, 0.0], [4.0, 3.0, 5.0])
    """

    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats
    missing_left: Flags = _NOWHERE


@compiled
def leaf_of(trees: Trees, tree: int, x: Floats) -> int:
    """The leaf of a point, as the number of its node.

    Example:
        >>> from rlplay.models.supervised import DecisionTreeRegressor
        >>> trees = DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0]).trees_
        >>> leaf_of(trees, 0, np.array([0.2])), leaf_of(trees, 0, np.array([0.8]))
        (1, 2)
    """
    node = trees.roots[tree]
    while trees.feature[node] != LEAF:
        value, threshold = x[trees.feature[node]], trees.threshold[node]
        if value <= threshold:
            node = trees.left[node]
        elif value > threshold or trees.missing_left.shape[0] == 0 or not trees.missing_left[node]:
            node = trees.right[node]
        else:
            node = trees.left[node]
    return node


@compiled
def predict_row(trees: Trees, x: Floats) -> float:
    """The mean over the trees for one point [D]: the sample function of a fitted regressor.

    Example:
        >>> from rlplay.models.supervised import DecisionTreeRegressor
        >>> trees = DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0]).trees_
        >>> predict_row(trees, np.array([0.8]))
        5.0
    """
    total = 0.0
    for tree in range(trees.roots.shape[0]):
        total += trees.value[leaf_of(trees, tree, x), 0]
    return total / trees.roots.shape[0]


@compiled
def predict_row_of(codes: Any, x: Floats) -> float:
    """`predict_row` as a sample function takes its arrays.

    Example:
        >>> from rlplay.models.supervised import DecisionTreeRegressor
        >>> trees = DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0]).trees_
        >>> predict_row_of(tuple(trees), np.array([0.8]))
        5.0
    """
    roots, feature, threshold, left, right, value, missing_left = codes
    return predict_row(Trees(roots, feature, threshold, left, right, value, missing_left), x)


@compiled
def leaf_row_of(codes: Any, x: Floats) -> int:
    """The leaf of the first tree as a sample function takes its arrays.

    Example:
        >>> from rlplay.models.supervised import DecisionTreeRegressor
        >>> trees = DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0]).trees_
        >>> leaf_row_of(tuple(trees), np.array([0.8]))
        2
    """
    roots, feature, threshold, left, right, value, missing_left = codes
    return leaf_of(Trees(roots, feature, threshold, left, right, value, missing_left), 0, x)


@in_place
def leaves_together(trees: Trees, tree: int, x: Floats, leaves: NDArray[np.int64]) -> None:
    """The leaves of a few points [B, D], into ``leaves`` [B]: `leaf_of`, one step for each in turn.

    A step waits for a node to come from memory; the steps of several points wait at the same time.

    Example:
        >>> from rlplay.models.supervised import DecisionTreeRegressor
        >>> trees = DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0]).trees_
        >>> leaves = np.empty(2, np.int64)
        >>> leaves_together(trees, 0, np.array([[0.2], [0.8]]), leaves)
        >>> leaves.tolist()
        [1, 2]
    """
    for i in range(leaves.shape[0]):
        leaves[i] = trees.roots[tree]
    waiting = True
    while waiting:
        waiting = False
        for i in range(leaves.shape[0]):
            node = leaves[i]
            if trees.feature[node] == LEAF:
                continue
            waiting = True
            value = x[i, trees.feature[node]]
            goes_right = not value <= trees.threshold[node]
            if np.isnan(value) and trees.missing_left.shape[0] > 0:
                goes_right = not trees.missing_left[node]
            left = trees.left[node]
            leaves[i] = left + (trees.right[node] - left) * goes_right  # no branch to mispredict


@compiled
def predict_rows(trees: Trees, x: Floats) -> Floats:
    """The predictions for points [N, D], tree by tree, so that a tree stays in the processor's cache; float64 [N, K].

    Example:
        >>> from rlplay.models.supervised import DecisionTreeRegressor
        >>> trees = DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0]).trees_
        >>> predict_rows(trees, np.array([[0.2], [0.8]])).tolist()
        [[3.0], [5.0]]
    """
    out, work = np.zeros((x.shape[0], trees.value.shape[1])), np.empty(_TOGETHER, np.int64)
    for tree in range(trees.roots.shape[0]):
        for first in range(0, x.shape[0], _TOGETHER):
            few = x[first : first + _TOGETHER]
            leaves = work[: few.shape[0]]
            leaves_together(trees, tree, few, leaves)
            for i in range(leaves.shape[0]):
                for k in range(out.shape[1]):
                    out[first + i, k] += trees.value[leaves[i], k]
    return out / trees.roots.shape[0]


@compiled
def leaves_of(trees: Trees, x: Floats) -> NDArray[np.int64]:
    """The leaf of each point [N, D] in each tree, numbered from the tree's root, int64 [N, T].

    Example:
        >>> from rlplay.models.supervised import DecisionTreeRegressor
        >>> trees = DecisionTreeRegressor().fit([[0.0], [1.0]], [3.0, 5.0]).trees_
        >>> leaves_of(trees, np.array([[0.2], [0.8]])).tolist()
        [[1], [2]]
    """
    out = np.empty((x.shape[0], trees.roots.shape[0]), np.int64)
    for tree in range(trees.roots.shape[0]):
        for i in range(x.shape[0]):
            out[i, tree] = leaf_of(trees, tree, x[i]) - trees.roots[tree]
    return out


@compiled
def empty_nodes(most: int, n_outputs: int) -> Grown:
    """Arrays for the nodes of a tree that grows: feature, threshold, left, right, value [most, K], missing_left.

    Example:
        >>> feature, threshold, left, right, value, missing_left = empty_nodes(3, 2)
        >>> feature.tolist(), value.shape
        ([-1, -1, -1], (3, 2))
    """
    left, right = np.zeros(most, np.int64), np.zeros(most, np.int64)
    return np.full(most, LEAF), np.zeros(most), left, right, np.zeros((most, n_outputs)), np.zeros(most, np.bool_)


@compiled
def first_nodes(
    feature: NDArray[np.int64], threshold: Floats, left: NDArray[np.int64], right: NDArray[np.int64], value: Floats,
    missing_left: Flags, count: int,
) -> Grown:  # fmt: skip
    """The nodes that a tree has, copied out of its arrays.

    Example:
        >>> [array.shape for array in first_nodes(*empty_nodes(3, 2), 1)]
        [(1,), (1,), (1,), (1,), (1, 2), (1,)]
    """
    return (
        feature[:count].copy(), threshold[:count].copy(), left[:count].copy(), right[:count].copy(),
        value[:count].copy(), missing_left[:count].copy(),
    )  # fmt: skip


def join(grown: Iterable[Grown]) -> Trees:
    """Several trees as one set of arrays.

    Example:
        >>> none = np.zeros(1, np.int64)
        >>> leaf = (np.array([LEAF]), np.zeros(1), none, none, np.ones((1, 1)), np.zeros(1, bool))
        >>> join([leaf, leaf]).roots.tolist()
        [0, 1]
    """
    grown = list(grown)
    sizes = [len(tree[0]) for tree in grown]
    roots = np.cumsum([0, *sizes[:-1]])
    feature, threshold, left, right, value, missing_left = zip(*grown, strict=True)
    return Trees(
        roots,
        np.concatenate(feature),
        np.concatenate(threshold),
        np.concatenate([one + root for one, root in zip(left, roots, strict=True)]),
        np.concatenate([one + root for one, root in zip(right, roots, strict=True)]),
        np.concatenate(value),
        np.concatenate(missing_left),
    )


def check(trees: Trees, n_features: int) -> None:
    """Refuse trees whose nodes have children outside them; compiled code does not check.

    Raises:
        ValueError: lengths that differ, a child before its parent, or a feature that is not there.

    Example:
        >>> none = np.zeros(1, np.int64)
        >>> leaf = (np.array([LEAF]), np.zeros(1), none, none, np.ones((1, 1)), np.zeros(1, bool))
        >>> check(join([leaf, leaf]), n_features=1)
    """
    count, inner = len(trees.feature), trees.feature != LEAF
    here = np.arange(count)
    good = (
        all(array.ndim == 1 for array in trees[:5])
        and trees.value.ndim == 2
        and all(len(array) == count for array in trees[1:6])
        and trees.missing_left.shape in ((0,), (count,))
        and trees.missing_left.dtype == np.bool_
        and len(trees.roots) > 0
        and ((trees.roots >= 0) & (trees.roots < count)).all()
        and ((trees.feature >= LEAF) & (trees.feature < n_features)).all()
        and all(((child > here) & (child < count))[inner].all() for child in (trees.left, trees.right))
    )
    if not good:
        raise ValueError("the trees in the file lead outside themselves: refused")
