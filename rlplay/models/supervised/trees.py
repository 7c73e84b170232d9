"""Regression trees as flat arrays: growing them, best split or random split, and predicting with one or many.

At each node the points are divided by one feature at one threshold, so that the squared error within the two halves is
smallest. With sums S and counts n of the targets left and right this is the largest

    S_l² / n_l + S_r² / n_r

since the sum of squares of all targets stays the same. A leaf predicts the mean of its targets.

Source: Breiman, Friedman, Olshen & Stone 1984, chapter 8 (CART); Geurts, Ernst & Wehenkel 2006, table 1 (extra-trees).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.compiled.pcg64 import random

LEAF = -1


class Trees(NamedTuple):
    """T trees of M nodes in all; a node's children are numbered after it.

    Attributes:
        roots: first node of each tree, int64 [T].
        feature: the feature that divides, `LEAF` in a leaf, int64 [M].
        threshold: values up to it go left, float64 [M].
        left: left child, int64 [M].
        right: right child, int64 [M].
        value: mean target of the node's points, float64 [M].
    """

    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]


@compiled
def leaf_of(trees: Trees, tree: int, x: NDArray[np.float64]) -> int:
    """The leaf into which a point falls."""
    node = trees.roots[tree]
    while trees.feature[node] != LEAF:
        node = trees.left[node] if x[trees.feature[node]] <= trees.threshold[node] else trees.right[node]
    return node


@compiled
def predict_row(trees: Trees, x: NDArray[np.float64]) -> float:
    """The mean over the trees for one point [D]: the row function of a fitted model."""
    total = 0.0
    for tree in range(trees.roots.shape[0]):
        total += trees.value[leaf_of(trees, tree, x)]
    return total / trees.roots.shape[0]


@compiled
def predict_row_of(codes: Any, x: NDArray[np.float64]) -> float:
    """`predict_row` as a row function takes its arrays."""
    roots, feature, threshold, left, right, value = codes
    return predict_row(Trees(roots, feature, threshold, left, right, value), x)


@compiled
def predict_rows(trees: Trees, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The predictions for points [N, D], tree by tree, so that a tree stays in the processor's cache; [N]."""
    out = np.zeros(x.shape[0])
    for tree in range(trees.roots.shape[0]):
        for i in range(x.shape[0]):
            out[i] += trees.value[leaf_of(trees, tree, x[i])]
    return out / trees.roots.shape[0]


@compiled
def leaves_of(trees: Trees, x: NDArray[np.float64]) -> NDArray[np.int64]:
    """The leaf of each point [N, D] in each tree, numbered from the tree's root, int64 [N, T]."""
    out = np.empty((x.shape[0], trees.roots.shape[0]), np.int64)
    for tree in range(trees.roots.shape[0]):
        for i in range(x.shape[0]):
            out[i, tree] = leaf_of(trees, tree, x[i]) - trees.roots[tree]
    return out


@compiled
def _best_threshold(
    x: NDArray[np.float64], y: NDArray[np.float64], points: NDArray[np.int64], feature: int, least: int
) -> tuple[float, float]:
    """Score and threshold of the best split of some points by a feature; minus infinity where there is none."""
    n = points.shape[0]
    values = np.empty(n)
    for i in range(n):
        values[i] = x[points[i], feature]
    order = np.argsort(values)
    total = 0.0
    for i in range(n):
        total += y[points[i]]
    best, threshold, left_sum = -np.inf, 0.0, 0.0
    for i in range(n - 1):
        left_sum += y[points[order[i]]]
        here, after, n_left = values[order[i]], values[order[i + 1]], i + 1
        if after > here and n_left >= least and n - n_left >= least:
            right_sum = total - left_sum
            score = left_sum * left_sum / n_left + right_sum * right_sum / (n - n_left)
            if score > best:
                middle = here + (after - here) / 2.0
                best, threshold = score, middle if middle < after else here
    return best, threshold


@compiled
def _random_threshold(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    points: NDArray[np.int64],
    feature: int,
    least: int,
    rng: NDArray[np.uint64],
) -> tuple[float, float]:
    """Score of a split at a threshold drawn between the smallest and the largest value."""
    low, high = np.inf, -np.inf
    for i in points:
        low, high = min(low, x[i, feature]), max(high, x[i, feature])
    if high <= low:
        return -np.inf, 0.0
    threshold = low + (high - low) * random(rng)
    left_sum, right_sum, n_left = 0.0, 0.0, 0
    for i in points:
        if x[i, feature] <= threshold:
            left_sum += y[i]
            n_left += 1
        else:
            right_sum += y[i]
    n_right = points.shape[0] - n_left
    if n_left < least or n_right < least:
        return -np.inf, 0.0
    return left_sum * left_sum / n_left + right_sum * right_sum / n_right, threshold


@compiled
def grow(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    max_depth: int,
    min_samples_split: int,
    min_samples_leaf: int,
    max_features: int,
    random_splits: bool,
    rng: NDArray[np.uint64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Grow one tree on x [N, D] and y [N]; returns feature, threshold, left, right and value of its nodes."""
    n, n_features = x.shape
    room = 2 * n
    feature, threshold = np.full(room, LEAF), np.zeros(room)
    left, right, value = np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros(room)
    points, swap = np.arange(n), np.empty(n, np.int64)
    features = np.arange(n_features)
    todo = [(0, 0, n, 0)]  # node, its points, depth
    nodes = 1
    while len(todo) > 0:
        node, start, end, depth = todo.pop()
        mine = points[start:end]
        mean, low, high = 0.0, np.inf, -np.inf
        for i in mine:
            mean += y[i]
            low, high = min(low, y[i]), max(high, y[i])
        value[node] = mean / (end - start) if high > low else low
        if depth >= max_depth or end - start < min_samples_split or high <= low:
            continue
        best, best_feature, best_threshold, tried = -np.inf, LEAF, 0.0, 0
        for k in range(n_features):  # features in random order, until enough of them could divide
            if max_features < n_features or random_splits:
                other = k + int(random(rng) * (n_features - k))
                features[k], features[other] = features[other], features[k]
            f = features[k]
            if random_splits:
                score, at = _random_threshold(x, y, mine, f, min_samples_leaf, rng)
            else:
                score, at = _best_threshold(x, y, mine, f, min_samples_leaf)
            if score > best:
                best, best_feature, best_threshold = score, f, at
            if score > -np.inf:
                tried += 1
            if tried >= max_features:
                break
        if best_feature == LEAF:
            continue
        n_left, n_right = 0, 0
        for i in mine:
            if x[i, best_feature] <= best_threshold:
                points[start + n_left] = i
                n_left += 1
            else:
                swap[n_right] = i
                n_right += 1
        points[start + n_left : end] = swap[:n_right]
        feature[node], threshold[node] = best_feature, best_threshold
        left[node], right[node] = nodes, nodes + 1
        todo.append((nodes, start, start + n_left, depth + 1))
        todo.append((nodes + 1, start + n_left, end, depth + 1))
        nodes += 2
    return (
        feature[:nodes].copy(),
        threshold[:nodes].copy(),
        left[:nodes].copy(),
        right[:nodes].copy(),
        value[:nodes].copy(),
    )


def join(grown: list[tuple[NDArray[Any], ...]]) -> Trees:
    """Several trees as one set of arrays."""
    sizes = [len(tree[0]) for tree in grown]
    roots = np.cumsum([0, *sizes[:-1]])
    feature, threshold, left, right, value = zip(*grown, strict=True)
    return Trees(
        roots,
        np.concatenate(feature),
        np.concatenate(threshold),
        np.concatenate([one + root for one, root in zip(left, roots, strict=True)]),
        np.concatenate([one + root for one, root in zip(right, roots, strict=True)]),
        np.concatenate(value),
    )


def check(trees: Trees, n_features: int) -> None:
    """Refuse trees whose nodes lead outside them: what compiled code would follow blindly.

    Raises:
        ValueError: lengths that differ, a child before its parent, or a feature that is not there.
    """
    count, inner = len(trees.feature), trees.feature != LEAF
    here = np.arange(count)
    good = (
        all(array.ndim == 1 for array in trees)
        and all(len(array) == count for array in trees[1:])
        and len(trees.roots) > 0
        and ((trees.roots >= 0) & (trees.roots < count)).all()
        and ((trees.feature >= LEAF) & (trees.feature < n_features)).all()
        and all(((child > here) & (child < count))[inner].all() for child in (trees.left, trees.right))
    )
    if not good:
        raise ValueError("the trees in the file lead outside themselves: refused")
