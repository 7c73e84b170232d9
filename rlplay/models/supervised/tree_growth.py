"""Growing a tree: by the best split of each node, or by random ones.

At each node the points are divided by one feature at one threshold. With sums S and counts n of the targets left and
right, the squared error within the two halves is smallest where

    S_l² / n_l + S_r² / n_r

is largest, since the sum of squares of all targets stays the same. Classes are targets too, one indicator a class:
summed over them the same score is smallest in Gini's impurity. A leaf predicts the mean of its targets, which for
classes are their shares.

A point's weight is a factor in the sums and in n. A value may be missing (NaN): a split then sends the missing ones
left or right, whichever scores better, or divides them from all others. Where a split saw none, they go to the side
that has more points.

The best split needs the points in the order of each feature. They are sorted once, at the root; a split divides each
order stably, so that both halves are sorted again ("presorting").

Source: Breiman, Friedman, Olshen & Stone 1984, chapters 4 and 8 (CART); Mehta, Agrawal & Rissanen 1996 (presorting);
Geurts, Ernst & Wehenkel 2006, table 1 (random splits).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place
from rlplay.compiled.pcg64 import random
from rlplay.models.supervised.trees import LEAF, Floats, Grown, empty_nodes, first_nodes


class Growth(NamedTuple):
    """When a tree stops growing, and how many features a split considers.

    Attributes:
        max_depth: most questions on the way to a leaf.
        min_samples_split: fewest points of a node that is divided.
        min_samples_leaf: fewest points of a leaf.
        max_features: features that a split considers.
        min_weight_leaf: least weight of a leaf.

    Example:
        >>> Growth(max_depth=3, min_samples_split=2, min_samples_leaf=1, max_features=4).max_depth
        3
    """

    max_depth: int
    min_samples_split: int
    min_samples_leaf: int
    max_features: int
    min_weight_leaf: float = 0.0


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
    """The best split by feature f for classes, from the ``counts`` of all points; Σ_k n_k² is updated point by point.

    ``left`` is work space, [K].
    """
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


@in_place
def _add(i: int, y: Floats, codes: NDArray[np.int64], weights: Floats, sums: Floats) -> float:
    """Add a point to the sums [K] of its side; returns its weight."""
    weight = weights[i] if weights.shape[0] > 0 else 1.0
    if codes.shape[0] > 0:
        sums[codes[i]] += weight
    else:
        sums[0] += weight * y[i]
    return weight


@in_place
def _score(sums: Floats, left: Floats, n_left: float, n_right: float) -> float:
    """Σ_k S_l² / n_l + S_r² / n_r from the sums [K] of all points and of those on the left."""
    score = 0.0
    for k in range(left.shape[0]):
        right = sums[k] - left[k]
        score += left[k] * left[k] / n_left + right * right / n_right
    return score


@compiled
def _best_of_all(
    values: Floats, order: NDArray[np.int32], f: int, start: int, end: int, missing: int, y: Floats,
    codes: NDArray[np.int64], weights: Floats, sums: Floats, total: float, left: Floats, growth: Growth,
) -> tuple[float, int, bool]:  # fmt: skip
    """The best split by feature f of weighted points of which ``missing`` have no value: they are sorted last.

    Returns the score, how many with a value go left, and whether the missing ones do. ``left`` is work space, [K].
    """
    best, place, to_left = -np.inf, 0, False
    known, least, lightest = end - missing, growth.min_samples_leaf, growth.min_weight_leaf
    for side in range(2 if missing > 0 else 1):
        n_left, weight_left = 0, 0.0
        for k in range(left.shape[0]):
            left[k] = 0.0
        if side == 1:
            n_left = missing
            for i in range(known, end):
                weight_left += _add(order[f, i], y, codes, weights, left)
        for i in range(start, known):
            weight_left += _add(order[f, i], y, codes, weights, left)
            n_left += 1
            last = i + 1 == known
            if n_left < least or end - start - n_left < least or (last and (side == 1 or missing == 0)):
                continue
            if weight_left < lightest or total - weight_left < lightest:
                continue
            if last or values[f, i + 1] > values[f, i]:
                score = _score(sums, left, weight_left, total - weight_left)
                if score > best:
                    best, place, to_left = score, i + 1 - start, side == 1
    return best, place, to_left


@in_place
def _random_split(
    x: Floats, points: NDArray[np.int32], y: Floats, codes: NDArray[np.int64], weights: Floats, feature: int,
    growth: Growth, sums: Floats, total: float, left: Floats, values: Floats, rng: NDArray[np.uint64],
) -> tuple[float, float, bool]:  # fmt: skip
    """Score and threshold of a split drawn between the smallest and the largest value; ``sums`` [K] are of all points.

    For numbers K is 1 and the sum of the targets, for classes their counts; ``left`` [K] and ``values`` [N] are work
    space. Missing values go left or right by chance; where there are none, to the side with more points.
    """
    n, low, high, missing = points.shape[0], np.inf, -np.inf, 0
    for i in range(n):
        value = values[i] = x[feature, points[i]]
        low, high = value if value < low else low, value if value > high else high  # NaN is neither
        missing += np.isnan(value)
    if missing == n or (high <= low and missing == 0):
        return -np.inf, 0.0, False
    threshold = low + (high - low) * random(rng)
    to_left = missing > 0 and random(rng) < 0.5
    n_left, weight_left = 0, 0.0
    for k in range(left.shape[0]):
        left[k] = 0.0
    if weights.shape[0] > 0 or to_left:
        for i in range(n):
            if values[i] <= threshold or (to_left and np.isnan(values[i])):
                n_left += 1
                weight_left += _add(points[i], y, codes, weights, left)
    else:  # the usual case: 1 or 0 times what would be added, for no processor foresees where a point goes
        for i in range(n):
            goes_left = values[i] <= threshold
            n_left += goes_left
            if codes.shape[0] > 0:
                left[codes[points[i]]] += goes_left
            else:
                left[0] += y[points[i]] * goes_left
        weight_left = float(n_left)
    n_right = n - n_left
    if min(n_left, n_right) < growth.min_samples_leaf or min(weight_left, total - weight_left) < growth.min_weight_leaf:
        return -np.inf, 0.0, False
    return _score(sums, left, weight_left, total - weight_left), threshold, to_left if missing > 0 else n_left > n_right


@compiled
def _summary(
    points: NDArray[Any], y: Floats, codes: NDArray[np.int64], weights: Floats, sums: Floats, value: Floats
) -> tuple[bool, float]:
    """Sums and means of a node's targets, into ``sums`` and ``value`` [K]; whether all are the same, and the weight."""
    total = 0.0
    for k in range(sums.shape[0]):
        sums[k] = 0.0
    if codes.shape[0] > 0:
        same = True
        for i in points:
            total += _add(i, y, codes, weights, sums)
            same = same and codes[i] == codes[points[0]]
        for k in range(sums.shape[0]):
            value[k] = sums[k] / total
        return same, total
    low, high = np.inf, -np.inf
    for i in points:
        total += _add(i, y, codes, weights, sums)
        low, high = min(low, y[i]), max(high, y[i])
    value[0] = sums[0] / total if high > low else low
    return high <= low, total


@compiled
def _shuffled(features: NDArray[np.int64], k: int, rng: NDArray[np.uint64]) -> int:
    """The k-th feature of a random order, which is drawn as far as it is needed."""
    other = k + int(random(rng) * (features.shape[0] - k))
    features[k], features[other] = features[other], features[k]
    return features[k]


@compiled
def grow_sorted(
    x: Floats, order: NDArray[np.int32], y: Floats, codes: NDArray[np.int64], weights: Floats, n_classes: int,
    growth: Growth, rng: NDArray[np.uint64],
) -> Grown:  # fmt: skip
    """Grow one tree by the best splits.

    Args:
        x: the points, float64 [D, N0], a row a feature.
        order: the points to learn from in the order of each feature, int32 [D, N]; used up. A point may occur several
            times.
        y: their targets, float64 [N0]; empty for classes.
        codes: their classes, int64 [N0]; empty for numbers.
        weights: how much each counts, above 0, float64 [N0]; empty for all alike.
        n_classes: K, 1 for numbers.
        growth: when it stops.
        rng: draws the order in which features are looked at.

    Returns:
        Feature, threshold, left, right [M], value [M, K] and missing_left [M] of the nodes.

    Example:
        >>> from rlplay.seeding import stream
        >>> x, y = np.array([[0.0, 1.0, 2.0]]), np.array([0.0, 0.0, 6.0])
        >>> order = np.argsort(x, axis=1).astype(np.int32)
        >>> none, alike, growth = np.zeros(0, np.int64), np.zeros(0), Growth(9, 2, 1, 1)
        >>> feature, threshold, _, _, value, _ = grow_sorted(x, order, y, none, alike, 1, growth, stream(0, "tree"))
        >>> feature.tolist(), threshold.tolist(), value.ravel().tolist()
        ([0, -1, -1], [1.5, 0.0, 0.0], [2.0, 0.0, 6.0])
    """
    n_features, n = order.shape
    feature, threshold, left, right, value, missing_left = empty_nodes(2 * n, n_classes)
    values = np.empty((n_features, n))
    for f in range(n_features):
        for i in range(n):
            values[f, i] = x[f, order[f, i]]
    goes_left, swap, swap_values = np.zeros(x.shape[1], np.int64), np.empty(n, np.int32), np.empty(n)
    inverse = 1.0 / np.maximum(np.arange(n + 1), 1)
    sums, left_counts, features = np.zeros(n_classes), np.zeros(n_classes), np.arange(n_features)
    todo = [(0, 0, n, 0)]  # node, its points, depth
    nodes, least = 1, growth.min_samples_leaf
    while len(todo) > 0:
        node, start, end, depth = todo.pop()
        same, total = _summary(order[0, start:end], y, codes, weights, sums, value[node])
        if same or depth >= growth.max_depth or end - start < growth.min_samples_split or end - start < 2 * least:
            continue
        best, best_feature, best_place, best_missing, tried, to_left = -np.inf, LEAF, 0, 0, 0, False
        for k in range(n_features):
            f = _shuffled(features, k, rng)  # of equal splits the first is taken: any of them, by chance
            missing, side = 0, False
            while missing < end - start and np.isnan(values[f, end - 1 - missing]):
                missing += 1
            if missing == end - start or (missing == 0 and values[f, end - 1] <= values[f, start]):
                continue
            if missing > 0 or weights.shape[0] > 0:
                score, place, side = _best_of_all(
                    values, order, f, start, end, missing, y, codes, weights, sums, total, left_counts, growth
                )
            elif codes.shape[0] > 0:
                score, place = _best_for_classes(values, order, f, start, end, codes, sums, left_counts, least, inverse)
            else:
                score, place = _best_for_numbers(values, order, f, start, end, y, sums[0], least, inverse)
            if score > best:
                best, best_feature, best_place, best_missing, to_left = score, f, place, missing, side
            if score > -np.inf:
                tried += 1
            if tried >= growth.max_features:
                break
        if best_feature == LEAF:
            continue
        here, after = values[best_feature, start + best_place - 1], np.inf
        if start + best_place < end - best_missing:
            after = values[best_feature, start + best_place]
        middle = here + (after - here) / 2.0
        feature[node], threshold[node] = best_feature, middle if middle < after or after == np.inf else here
        left[node], right[node] = nodes, nodes + 1
        for i in range(start, end):
            goes_left[order[best_feature, i]] = i < start + best_place or (to_left and i >= end - best_missing)
        if to_left:
            best_place += best_missing
        missing_left[node] = to_left if best_missing > 0 else 2 * best_place > end - start
        for f in range(n_features):
            if f == best_feature and not to_left:
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
    return first_nodes(feature, threshold, left, right, value, missing_left, nodes)


@compiled
def grow_randomly(
    x: Floats, y: Floats, codes: NDArray[np.int64], weights: Floats, n_classes: int, growth: Growth,
    rng: NDArray[np.uint64],
) -> Grown:  # fmt: skip
    """Grow one tree by random splits on x [D, N], a row a feature; the rest as `grow_sorted`.

    Example:
        >>> from rlplay.seeding import stream
        >>> x, y = np.array([[0.0, 1.0, 2.0]]), np.array([0.0, 0.0, 6.0])
        >>> none, alike, growth = np.zeros(0, np.int64), np.zeros(0), Growth(1, 2, 1, 1)
        >>> feature, threshold, *_ = grow_randomly(x, y, none, alike, 1, growth, stream(0, "tree"))
        >>> feature.tolist(), bool(0 <= threshold[0] <= 2)
        ([0, -1, -1], True)
    """
    n_features, n = x.shape
    feature, threshold, left, right, value, missing_left = empty_nodes(2 * n, n_classes)
    points, swap, features = np.arange(n).astype(np.int32), np.empty(n, np.int32), np.arange(n_features)
    values = np.empty(n)
    sums, left_counts = np.zeros(n_classes), np.zeros(n_classes)
    todo = [(0, 0, n, 0)]
    nodes = 1
    while len(todo) > 0:
        node, start, end, depth = todo.pop()
        mine = points[start:end]
        same, total = _summary(mine, y, codes, weights, sums, value[node])
        if same or depth >= growth.max_depth or end - start < growth.min_samples_split:
            continue
        best, best_feature, best_threshold, to_left, tried = -np.inf, LEAF, 0.0, False, 0
        for k in range(n_features):
            f = _shuffled(features, k, rng)
            score, at, side = _random_split(
                x, mine, y, codes, weights, f, growth, sums, total, left_counts, values, rng
            )
            if score > best:
                best, best_feature, best_threshold, to_left = score, f, at, side
            if score > -np.inf:
                tried += 1
            if tried >= growth.max_features:
                break
        if best_feature == LEAF:
            continue
        n_left, n_right = 0, 0
        for i in range(start, end):  # both ways are written and one is kept: no branch to mispredict
            point = points[i]
            at = x[best_feature, point]
            goes_left = (at <= best_threshold) | (to_left & np.isnan(at))
            points[start + n_left], swap[n_right] = point, point
            n_left += goes_left
            n_right += 1 - goes_left
        for i in range(n_right):
            points[start + n_left + i] = swap[i]
        feature[node], threshold[node], missing_left[node] = best_feature, best_threshold, to_left
        left[node], right[node] = nodes, nodes + 1
        todo.append((nodes, start, start + n_left, depth + 1))
        todo.append((nodes + 1, start + n_left, end, depth + 1))
        nodes += 2
    return first_nodes(feature, threshold, left, right, value, missing_left, nodes)


@compiled
def repeated(order: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.int32]:
    """An order [D, N] with each point repeated ``counts`` [N] times: a sorted bootstrap sample.

    Example:
        >>> repeated(np.array([[2, 0, 1]], np.int32), np.array([0, 2, 1])).tolist()
        [[2, 1, 1]]
    """
    out = np.empty((order.shape[0], counts.sum()), np.int32)
    for f in range(order.shape[0]):
        place = 0
        for i in order[f]:
            for _ in range(counts[i]):
                out[f, place] = i
                place += 1
    return out
