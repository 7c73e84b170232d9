"""Trees as flat arrays: growing them, by the best or by a random split, and answering with one or many.

At each node the points are divided by one feature at one threshold. With sums S and counts n of the targets left and
right, the squared error within the two halves is smallest where

    S_l² / n_l + S_r² / n_r

is largest, since the sum of squares of all targets stays the same. Classes are targets too, one indicator a class:
summed over them the same score is smallest in Gini's impurity. A leaf answers with the mean of its targets, which for
classes are their shares.

The best split needs the points in the order of each feature. They are sorted once, at the root; a split divides each
order stably, so that both halves are sorted again ("presorting").

Source: Breiman, Friedman, Olshen & Stone 1984, chapters 4 and 8 (CART); Mehta, Agrawal & Rissanen 1996 (presorting);
Geurts, Ernst & Wehenkel 2006, table 1 (random splits).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.compiled.pcg64 import random

LEAF = -1
Floats = NDArray[np.float64]
Grown = tuple[NDArray[np.int64], Floats, NDArray[np.int64], NDArray[np.int64], Floats]


class Trees(NamedTuple):
    """T trees of M nodes in all; a node's children are numbered after it.

    Attributes:
        roots: first node of each tree, int64 [T].
        feature: the feature that divides, `LEAF` in a leaf, int64 [M].
        threshold: values up to it go left, float64 [M].
        left: left child, int64 [M].
        right: right child, int64 [M].
        value: mean target of the node's points, or share of each class, float64 [M, K].
    """

    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats


class Growth(NamedTuple):
    """When a tree stops, and what it looks at.

    Attributes:
        max_depth: most questions on the way to a leaf.
        min_samples_split: fewest points of a node that is divided.
        min_samples_leaf: fewest points of a leaf.
        max_features: features that a split looks at.
    """

    max_depth: int
    min_samples_split: int
    min_samples_leaf: int
    max_features: int


@compiled
def leaf_of(trees: Trees, tree: int, x: Floats) -> int:
    """The leaf into which a point falls."""
    node = trees.roots[tree]
    while trees.feature[node] != LEAF:
        node = trees.left[node] if x[trees.feature[node]] <= trees.threshold[node] else trees.right[node]
    return node


@compiled
def predict_row(trees: Trees, x: Floats) -> float:
    """The mean over the trees for one point [D]: the row function of a fitted regressor."""
    total = 0.0
    for tree in range(trees.roots.shape[0]):
        total += trees.value[leaf_of(trees, tree, x), 0]
    return total / trees.roots.shape[0]


@compiled
def predict_row_of(codes: Any, x: Floats) -> float:
    """`predict_row` as a row function takes its arrays."""
    roots, feature, threshold, left, right, value = codes
    return predict_row(Trees(roots, feature, threshold, left, right, value), x)


@compiled
def leaf_row_of(codes: Any, x: Floats) -> int:
    """The leaf of the first tree as a row function takes its arrays."""
    roots, feature, threshold, left, right, value = codes
    return leaf_of(Trees(roots, feature, threshold, left, right, value), 0, x)


@compiled
def predict_rows(trees: Trees, x: Floats) -> Floats:
    """The answers for points [N, D], tree by tree, so that a tree stays in the processor's cache; [N, K]."""
    out = np.zeros((x.shape[0], trees.value.shape[1]))
    for tree in range(trees.roots.shape[0]):
        for i in range(x.shape[0]):
            leaf = leaf_of(trees, tree, x[i])
            for k in range(out.shape[1]):
                out[i, k] += trees.value[leaf, k]
    return out / trees.roots.shape[0]


@compiled
def leaves_of(trees: Trees, x: Floats) -> NDArray[np.int64]:
    """The leaf of each point [N, D] in each tree, numbered from the tree's root, int64 [N, T]."""
    out = np.empty((x.shape[0], trees.roots.shape[0]), np.int64)
    for tree in range(trees.roots.shape[0]):
        for i in range(x.shape[0]):
            out[i, tree] = leaf_of(trees, tree, x[i]) - trees.roots[tree]
    return out


# The score of splits.


@compiled
def _best_for_numbers(
    values: Floats, order: NDArray[np.int32], f: int, start: int, end: int, y: Floats, total: float, least: int,
    inverse: Floats,
) -> tuple[float, int]:  # fmt: skip
    """The best split of a node by feature f, for numbers: score, and how many go left; -infinity where there is none.

    The node's points are ``order[f, start:end]``, sorted; ``inverse[n]`` is 1 / n.
    """
    n = end - start
    best, place, left = -np.inf, 0, 0.0
    after = values[f, start]
    for i in range(start, end - 1):
        left += y[order[f, i]]
        here, after = after, values[f, i + 1]
        if after > here:
            n_left = i + 1 - start
            right = total - left
            score = left * left * inverse[n_left] + right * right * inverse[n - n_left]
            if score > best and n_left >= least and n - n_left >= least:
                best, place = score, n_left
    return best, place


@compiled
def _best_for_classes(
    values: Floats, order: NDArray[np.int32], f: int, start: int, end: int, codes: NDArray[np.int64], counts: Floats,
    left: Floats, least: int, inverse: Floats,
) -> tuple[float, int]:  # fmt: skip
    """The same for classes, with the ``counts`` of all points; ``left`` is room, [K]. Σ_k n_k² is kept up to date."""
    n = end - start
    best, place = -np.inf, 0
    squares_left, squares_right = 0.0, 0.0
    for k in range(counts.shape[0]):
        left[k] = 0.0
        squares_right += counts[k] * counts[k]
    after = values[f, start]
    for i in range(start, end - 1):
        k = codes[order[f, i]]
        squares_left += 2.0 * left[k] + 1.0
        squares_right -= 2.0 * (counts[k] - left[k]) - 1.0
        left[k] += 1.0
        here, after = after, values[f, i + 1]
        if after > here:
            n_left = i + 1 - start
            score = squares_left * inverse[n_left] + squares_right * inverse[n - n_left]
            if score > best and n_left >= least and n - n_left >= least:
                best, place = score, n_left
    return best, place


@compiled
def _random_split(
    x: Floats, points: NDArray[np.int64], y: Floats, codes: NDArray[np.int64], feature: int, least: int,
    sums: Floats, left: Floats, rng: NDArray[np.uint64],
) -> tuple[float, float]:  # fmt: skip
    """Score and threshold of a split drawn between the smallest and the largest value; ``sums`` [K] are of all points.

    For numbers K is 1 and the sum of the targets, for classes their counts; ``left`` is room, [K].
    """
    low, high = np.inf, -np.inf
    for i in points:
        low, high = min(low, x[i, feature]), max(high, x[i, feature])
    if high <= low:
        return -np.inf, 0.0
    threshold = low + (high - low) * random(rng)
    n_left, classes = 0, codes.shape[0] > 0
    for k in range(left.shape[0]):
        left[k] = 0.0
    for i in points:
        if x[i, feature] <= threshold:
            n_left += 1
            if classes:
                left[codes[i]] += 1.0
            else:
                left[0] += y[i]
    n_right = points.shape[0] - n_left
    if n_left < least or n_right < least:
        return -np.inf, 0.0
    score = 0.0
    for k in range(left.shape[0]):
        right = sums[k] - left[k]
        score += left[k] * left[k] / n_left + right * right / n_right
    return score, threshold


@compiled
def _summary(points: NDArray[Any], y: Floats, codes: NDArray[np.int64], sums: Floats, value: Floats) -> bool:
    """Sums and means of a node's targets, into ``sums`` and ``value`` [K]; whether they are all the same."""
    n = points.shape[0]
    for k in range(sums.shape[0]):
        sums[k] = 0.0
    if codes.shape[0] > 0:
        for i in points:
            sums[codes[i]] += 1.0
        same = False
        for k in range(sums.shape[0]):
            value[k] = sums[k] / n
            same = same or sums[k] == n
        return same
    low, high = np.inf, -np.inf
    for i in points:
        sums[0] += y[i]
        low, high = min(low, y[i]), max(high, y[i])
    value[0] = sums[0] / n if high > low else low
    return high <= low


@compiled
def _shuffled(features: NDArray[np.int64], k: int, rng: NDArray[np.uint64]) -> int:
    """The k-th feature of a random order, which is drawn as far as it is needed."""
    other = k + int(random(rng) * (features.shape[0] - k))
    features[k], features[other] = features[other], features[k]
    return features[k]


@compiled
def grow_sorted(
    x: Floats, order: NDArray[np.int32], y: Floats, codes: NDArray[np.int64], n_classes: int, growth: Growth,
    rng: NDArray[np.uint64],
) -> Grown:  # fmt: skip
    """Grow one tree by the best splits.

    Args:
        x: the points, float64 [D, N0], a row a feature.
        order: the points to learn from in the order of each feature, int32 [D, N]; used up. A point may occur several
            times.
        y: their targets, float64 [N0]; empty for classes.
        codes: their classes, int64 [N0]; empty for numbers.
        n_classes: K, 1 for numbers.
        growth: when it stops.
        rng: draws the order in which features are looked at.

    Returns:
        Feature, threshold, left, right [M] and value [M, K] of the nodes.
    """
    n_features, n = order.shape
    room = 2 * n
    feature, threshold = np.full(room, LEAF), np.zeros(room)
    left, right, value = np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros((room, n_classes))
    values = np.empty((n_features, n))
    for f in range(n_features):
        for i in range(n):
            values[f, i] = x[f, order[f, i]]
    goes_left, swap, swap_values = np.zeros(x.shape[1], np.int64), np.empty(n, np.int32), np.empty(n)
    inverse = 1.0 / np.maximum(np.arange(n + 1), 1)
    sums, room_left, features = np.zeros(n_classes), np.zeros(n_classes), np.arange(n_features)
    todo = [(0, 0, n, 0)]  # node, its points, depth
    nodes, least = 1, growth.min_samples_leaf
    while len(todo) > 0:
        node, start, end, depth = todo.pop()
        same = _summary(order[0, start:end], y, codes, sums, value[node])
        if same or depth >= growth.max_depth or end - start < growth.min_samples_split or end - start < 2 * least:
            continue
        best, best_feature, best_place, tried = -np.inf, LEAF, 0, 0
        for k in range(n_features):
            f = _shuffled(features, k, rng)  # of equal splits the first is taken: any of them, by chance
            if values[f, end - 1] <= values[f, start]:
                continue
            if codes.shape[0] > 0:
                score, place = _best_for_classes(values, order, f, start, end, codes, sums, room_left, least, inverse)
            else:
                score, place = _best_for_numbers(values, order, f, start, end, y, sums[0], least, inverse)
            if score > best:
                best, best_feature, best_place = score, f, place
            if score > -np.inf:
                tried += 1
            if tried >= growth.max_features:
                break
        if best_feature == LEAF:
            continue
        here, after = values[best_feature, start + best_place - 1], values[best_feature, start + best_place]
        middle = here + (after - here) / 2.0
        feature[node], threshold[node] = best_feature, middle if middle < after else here
        left[node], right[node] = nodes, nodes + 1
        for i in range(start, end):
            goes_left[order[best_feature, i]] = 1 if i < start + best_place else 0
        for f in range(n_features):
            if f == best_feature:
                continue
            n_left, n_right = start, 0
            for i in range(start, end):  # both ways are written and one is kept: no branch to mispredict
                point, at = order[f, i], values[f, i]
                order[f, n_left], values[f, n_left] = point, at
                swap[n_right], swap_values[n_right] = point, at
                n_left += goes_left[point]
                n_right += 1 - goes_left[point]
            for i in range(n_right):
                order[f, n_left + i], values[f, n_left + i] = swap[i], swap_values[i]
        todo.append((nodes, start, start + best_place, depth + 1))
        todo.append((nodes + 1, start + best_place, end, depth + 1))
        nodes += 2
    return (
        feature[:nodes].copy(), threshold[:nodes].copy(), left[:nodes].copy(), right[:nodes].copy(),
        value[:nodes].copy(),
    )  # fmt: skip


@compiled
def grow_randomly(
    x: Floats, y: Floats, codes: NDArray[np.int64], n_classes: int, growth: Growth, rng: NDArray[np.uint64]
) -> Grown:  # fmt: skip
    """Grow one tree by random splits on x [N, D]; the rest as `grow_sorted`."""
    n, n_features = x.shape
    room = 2 * n
    feature, threshold = np.full(room, LEAF), np.zeros(room)
    left, right, value = np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros((room, n_classes))
    points, swap, features = np.arange(n), np.empty(n, np.int64), np.arange(n_features)
    sums, room_left = np.zeros(n_classes), np.zeros(n_classes)
    todo = [(0, 0, n, 0)]
    nodes = 1
    while len(todo) > 0:
        node, start, end, depth = todo.pop()
        mine = points[start:end]
        same = _summary(mine, y, codes, sums, value[node])
        if same or depth >= growth.max_depth or end - start < growth.min_samples_split:
            continue
        best, best_feature, best_threshold, tried = -np.inf, LEAF, 0.0, 0
        for k in range(n_features):
            f = _shuffled(features, k, rng)
            score, at = _random_split(x, mine, y, codes, f, growth.min_samples_leaf, sums, room_left, rng)
            if score > best:
                best, best_feature, best_threshold = score, f, at
            if score > -np.inf:
                tried += 1
            if tried >= growth.max_features:
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
        feature[:nodes].copy(), threshold[:nodes].copy(), left[:nodes].copy(), right[:nodes].copy(),
        value[:nodes].copy(),
    )  # fmt: skip


@compiled
def repeated(order: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.int32]:
    """An order [D, N] in which each point occurs as often as ``counts`` [N] says: a sorted bootstrap sample."""
    out = np.empty((order.shape[0], counts.sum()), np.int32)
    for f in range(order.shape[0]):
        place = 0
        for i in order[f]:
            for _ in range(counts[i]):
                out[f, place] = i
                place += 1
    return out


def join(grown: Iterable[Grown]) -> Trees:
    """Several trees as one set of arrays."""
    grown = list(grown)
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
        all(array.ndim == 1 for array in trees[:-1])
        and trees.value.ndim == 2
        and all(len(array) == count for array in trees[1:])
        and len(trees.roots) > 0
        and ((trees.roots >= 0) & (trees.roots < count)).all()
        and ((trees.feature >= LEAF) & (trees.feature < n_features)).all()
        and all(((child > here) & (child < count))[inner].all() for child in (trees.left, trees.right))
    )
    if not good:
        raise ValueError("the trees in the file lead outside themselves: refused")
