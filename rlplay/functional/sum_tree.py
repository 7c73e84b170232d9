"""Priorities under their sums: numbers drawn in proportion to them, in steps that grow with the logarithm of how many.

Every node is the sum of its eight children, added in their order, so the tree is a function of its leaves alone: a file
keeps the leaves, and what is built from them has the very bits of what was saved.

Source: Schaul, Quan, Antonoglou & Silver 2016, "Prioritized experience replay", appendix B.2.1 (a binary tree there).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import random

WIDTH = 8  # children of a node: 64 bytes, which a processor fetches at once


class SumTree(NamedTuple):
    """R priorities, and sums of sums of them up to one group of eight.

    Attributes:
        values: level by level, the leaves first, each filled up with zeros to whole groups, float64.
        starts: where each level begins, int64.
        greatest: the greatest priority so far, float64 [1].

    Example:
        >>> tree = new_sum_tree(100)
        >>> tree.starts.tolist(), tree.values.shape  # 13 groups of leaves, 2 of sums, 1 at the top
        ([0, 104, 120], (128,))
    """

    values: NDArray[np.float64]
    starts: NDArray[np.int64]
    greatest: NDArray[np.float64]


def new_sum_tree(rows: int) -> SumTree:
    """A tree of zeros, whose first priority will be 1."""
    sizes = [-(-max(rows, 1) // WIDTH)]  # groups of a level
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // WIDTH))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64) * WIDTH
    return SumTree(np.zeros(sum(sizes) * WIDTH), starts, np.ones(1))


@in_place
def _sum_of_group(tree: SumTree, level: int, group: int) -> float:
    first, total = tree.starts[level] + WIDTH * group, 0.0
    for j in range(WIDTH):
        total += tree.values[first + j]
    return total


@in_place
def total_priority(tree: SumTree) -> float:
    """The sum of all priorities.

    Example:
        >>> tree = new_sum_tree(100)
        >>> set_priority(tree, 3, 2.0); set_priority(tree, 99, 0.5)
        >>> total_priority(tree)
        2.5
    """
    return _sum_of_group(tree, tree.starts.shape[0] - 1, 0)


@in_place
def set_priority(tree: SumTree, row: int, priority: float) -> None:
    """Give a row a priority, 0 for one that is never drawn.

    Example:
        >>> tree = new_sum_tree(2)
        >>> set_priority(tree, 1, 3.0)
        >>> tree.values[:2].tolist(), tree.greatest.tolist()
        ([0.0, 3.0], [3.0])
    """
    tree.values[row] = priority
    tree.greatest[0] = max(tree.greatest[0], priority)
    node = row
    for level in range(tree.starts.shape[0] - 1):
        node //= WIDTH
        tree.values[tree.starts[level + 1] + node] = _sum_of_group(tree, level, node)


@in_place
def set_priorities(tree: SumTree, rows: NDArray[np.int64], priorities: NDArray[np.float64]) -> None:
    """Give rows [B] priorities [B]; of a row that is there twice the last one counts.

    Example:
        >>> tree = new_sum_tree(20)
        >>> set_priorities(tree, np.array([1, 19, 1]), np.array([3.0, 1.0, 2.0]))
        >>> total_priority(tree)
        3.0
    """
    for b in range(rows.shape[0]):
        tree.values[rows[b]] = priorities[b]
        tree.greatest[0] = max(tree.greatest[0], priorities[b])
    width = WIDTH
    for level in range(tree.starts.shape[0] - 1):
        for b in range(rows.shape[0]):
            node = rows[b] // width
            tree.values[tree.starts[level + 1] + node] = _sum_of_group(tree, level, node)
        width *= WIDTH


@in_place
def sum_up(tree: SumTree) -> None:
    """All sums, from leaves that were filled in.

    Example:
        >>> tree = new_sum_tree(20)
        >>> tree.values[:20] = 0.5
        >>> sum_up(tree)
        >>> total_priority(tree)
        10.0
    """
    starts = tree.starts
    for level in range(starts.shape[0] - 1):
        for node in range((starts[level + 1] - starts[level]) // WIDTH):
            tree.values[starts[level + 1] + node] = _sum_of_group(tree, level, node)


@in_place
def draw_by_priority(
    tree: SumTree, rng: NDArray[np.uint64], rows: NDArray[np.int64], chances: NDArray[np.float64]
) -> None:
    """Draw rows [B], the b-th from the b-th of B equal parts of the total, and how probable each was, [B].

    All rows go down the tree together, level by level, so that what one waits for in memory another one uses.

    Example:
        >>> tree, rows, chances = new_sum_tree(20), np.zeros(4, np.int64), np.zeros(4)
        >>> set_priorities(tree, np.array([3, 17]), np.array([1.0, 3.0]))
        >>> draw_by_priority(tree, np.arange(1, 5, dtype=np.uint64), rows, chances)
        >>> rows.tolist(), chances.tolist()  # a quarter and three quarters of them
        ([3, 17, 17, 17], [0.25, 0.75, 0.75, 0.75])
    """
    n, whole, values = rows.shape[0], total_priority(tree), tree.values
    for b in range(n):
        rows[b], chances[b] = 0, (b + random(rng)) / n * whole  # what is left of the way through the total
    for level in range(tree.starts.shape[0] - 1, -1, -1):
        for b in range(n):
            first = tree.starts[level] + WIDTH * rows[b]
            reached, before, child = 0.0, 0.0, 0
            for j in range(WIDTH):
                reached += values[first + j]
                if reached <= chances[b]:
                    child, before = j + 1, reached
            left = chances[b] - before
            if child == WIDTH:  # the last digits of a sum
                child, left = WIDTH - 1, 0.0
                while child > 0 and values[first + child] == 0.0:
                    child -= 1
            rows[b], chances[b] = WIDTH * rows[b] + child, left
    for b in range(n):
        chances[b] = values[rows[b]] / whole
