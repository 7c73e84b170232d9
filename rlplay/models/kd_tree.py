"""A k-d tree: nearest neighbours without visiting all points.

Points are halved again and again at the median of the column that spreads most, until few are left in a leaf. A search
goes down to the leaf of the query point, and on the way back enters the other half only where its box is nearer than
the worst neighbour so far.

Source: Bentley 1975; Friedman, Bentley & Finkel 1977. The twin is `sklearn.neighbors.KDTree`.

Shapes: N points of D numbers, M nodes in heap order: the children of m are 2m + 1 and 2m + 2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place

Floats = NDArray[np.float64]


class KDTree(NamedTuple):
    """A tree as arrays.

    Attributes:
        points: the points, those of a leaf side by side, float64 [N, D].
        order: the number that each of them had, int64 [N].
        start, end: the points of each node, int64 [M].
        low, high: the box around them, float64 [M, D].

    Example:
        >>> tree = build(np.array([[2.0], [0.0], [1.0]]))
        >>> tree.low.tolist(), tree.high.tolist(), tree.order.tolist()
        ([[0.0]], [[2.0]], [0, 1, 2])
    """

    points: Floats
    order: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    low: Floats
    high: Floats


@compiled
def _halve(x: Floats, order: NDArray[np.int64], start: int, end: int, column: int) -> int:
    """Put the smaller half of some points first (quickselect); returns the middle."""
    middle = (start + end) // 2
    left, right = start, end - 1
    while left < right:
        pivot = x[order[(left + right) // 2], column]
        i, j = left, right
        while i <= j:
            while x[order[i], column] < pivot:
                i += 1
            while x[order[j], column] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            right = j
        elif middle >= i:
            left = i
        else:
            break
    return middle


@compiled
def _build(
    x: Floats, order: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64], low: Floats, high: Floats
) -> None:
    nodes, width = start.shape[0], x.shape[1]
    start[0], end[0] = 0, x.shape[0]
    for node in range(nodes):
        for d in range(width):
            low[node, d], high[node, d] = np.inf, -np.inf
        for k in range(start[node], end[node]):
            for d in range(width):
                value = x[order[k], d]
                low[node, d], high[node, d] = min(low[node, d], value), max(high[node, d], value)
        if 2 * node + 2 < nodes:
            column, widest = 0, -1.0
            for d in range(width):
                if high[node, d] - low[node, d] > widest:
                    column, widest = d, high[node, d] - low[node, d]
            middle = _halve(x, order, start[node], end[node], column)
            start[2 * node + 1], end[2 * node + 1] = start[node], middle
            start[2 * node + 2], end[2 * node + 2] = middle, end[node]


def build(x: Floats, leaf_size: int = 24) -> KDTree:
    """The tree of points [N, D].

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 2))
        >>> tree = build(x)
        >>> tree.start.shape, bool((x[tree.order] == tree.points).all())
        ((15,), True)
    """
    levels = max(int(np.ceil(np.log2(max(len(x), 1) / leaf_size))), 0)
    nodes = 2 ** (levels + 1) - 1
    order = np.arange(len(x))
    start, end = np.zeros((2, nodes), np.int64)
    low, high = np.zeros((2, nodes, x.shape[1]))
    _build(x, order, start, end, low, high)
    return KDTree(x[order], order, start, end, low, high)


@in_place
def _box_distance(tree: KDTree, node: int, x: Floats) -> float:
    total = 0.0
    for d in range(x.shape[0]):
        gap = max(tree.low[node, d] - x[d], x[d] - tree.high[node, d])
        if gap > 0.0:
            total += gap * gap
    return total


@in_place
def nearest(
    tree: KDTree, x: Floats, distances: Floats, found: NDArray[np.int64], nodes: NDArray[np.int64], bounds: Floats
) -> None:
    """The k nearest points of one point [D], nearest first: squared distances [k] and numbers [k].

    ``nodes`` and ``bounds`` are work space for the branches still to visit, [64]. Of equal distances the lower number
    is first.

    Example:
        >>> tree = build(np.array([[0.0], [1.0], [5.0]]))
        >>> distances, found = np.empty(2), np.empty(2, np.int64)
        >>> nearest(tree, np.array([4.0]), distances, found, np.empty(64, np.int64), np.empty(64))
        >>> distances.tolist(), found.tolist()
        ([1.0, 9.0], [2, 1])
    """
    k = distances.shape[0]
    for i in range(k):
        distances[i], found[i] = np.inf, -1
    nodes[0], bounds[0] = 0, _box_distance(tree, 0, x)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        node = nodes[waiting]
        if bounds[waiting] > distances[k - 1]:
            continue
        while 2 * node + 2 < tree.start.shape[0]:
            left, right = 2 * node + 1, 2 * node + 2
            to_left, to_right = _box_distance(tree, left, x), _box_distance(tree, right, x)
            nearer, further, other = (left, right, to_right) if to_left <= to_right else (right, left, to_left)
            if other <= distances[k - 1]:
                nodes[waiting], bounds[waiting] = further, other
                waiting += 1
            node = nearer
        for i in range(tree.start[node], tree.end[node]):
            total = 0.0
            for d in range(x.shape[0]):
                gap = tree.points[i, d] - x[d]
                total += gap * gap
            number = tree.order[i]
            if total < distances[k - 1] or (total == distances[k - 1] and number < found[k - 1]):
                place = k - 1
                while place > 0 and (
                    total < distances[place - 1] or (total == distances[place - 1] and number < found[place - 1])
                ):
                    distances[place], found[place] = distances[place - 1], found[place - 1]
                    place -= 1
                distances[place], found[place] = total, number


@compiled
def query(tree: KDTree, x: Floats, k: int) -> tuple[Floats, NDArray[np.int64]]:
    """The k nearest points of each of many, [N, k]: distances and numbers.

    Example:
        >>> distances, found = query(build(np.array([[0.0], [1.0], [5.0]])), np.array([[4.0], [0.4]]), 1)
        >>> distances.tolist(), found.tolist()
        ([[1.0], [0.4]], [[2], [0]])
    """
    distances, found = np.empty((x.shape[0], k)), np.empty((x.shape[0], k), np.int64)
    nodes, bounds = np.empty(64, np.int64), np.empty(64)
    for i in range(x.shape[0]):
        nearest(tree, x[i], distances[i], found[i], nodes, bounds)
    return np.sqrt(distances), found


@compiled
def within(tree: KDTree, x: Floats, radius: float, nodes: NDArray[np.int64], found: NDArray[np.int64]) -> int:
    """The numbers of the points within a radius of one point, into ``found`` [N]; returns how many.

    Example:
        >>> tree = build(np.array([[0.0], [1.0], [5.0]]))
        >>> found = np.empty(3, np.int64)
        >>> count = within(tree, np.array([0.5]), 2.0, np.empty(64, np.int64), found)
        >>> sorted(found[:count].tolist())
        [0, 1]
    """
    nodes[0], waiting, count = 0, 1, 0
    while waiting > 0:
        waiting -= 1
        node = nodes[waiting]
        if _box_distance(tree, node, x) > radius * radius:
            continue
        if 2 * node + 2 < tree.start.shape[0]:
            nodes[waiting], nodes[waiting + 1] = 2 * node + 1, 2 * node + 2
            waiting += 2
            continue
        for i in range(tree.start[node], tree.end[node]):
            total = 0.0
            for d in range(x.shape[0]):
                gap = tree.points[i, d] - x[d]
                total += gap * gap
            if total <= radius * radius:
                found[count] = tree.order[i]
                count += 1
    return count
