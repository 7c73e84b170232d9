"""Hierarchical clustering: begin with every point alone and join the two nearest clusters, again and again.

How near two clusters are is the linkage; after a and b are joined, the distance of any other cluster c to them follows
from the three old ones (Lance & Williams 1967):

    ward      d² = ((n_a + n_c) d²_ac + (n_b + n_c) d²_bc - n_c d²_ab) / (n_a + n_b + n_c)    the growth of the inertia
    average   d = (n_a d_ac + n_b d_bc) / (n_a + n_b)
    complete  d = max(d_ac, d_bc)                 single    d = min(d_ac, d_bc)

Each cluster's nearest neighbour is followed until two are each other's, which may be joined at once: N² steps in all
(the nearest-neighbour chain, Murtagh 1983). With the single linkage the joins are the edges of the shortest tree that
spans the points, the shortest first (Prim 1957). Of equal distances the twin's is taken: the chain begins at the
cluster with the lowest number and goes to the lowest-numbered of the nearest, and two clusters go on under the higher
of their numbers.

Source: Ward 1963; Lance & Williams 1967; Müllner 2011. The twin is `sklearn.cluster.AgglomerativeClustering`.

Shapes: X [N, D], distances [N, N]; the cost grows with N².
In reinforcement learning: sub-goals and pictures of a state space; new points through `NearestCentroidClusterer`.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin

from rlplay.compiled.cache import compiled, in_place
from rlplay.models.common import Floats, require, training_points

_BLOCK = 64  # rows and columns of distances at a time
LINKAGES = {"ward": 0, "average": 1, "complete": 2, "single": 3}  # the last by `spanning_tree`


@compiled
def _joined(kind: int, ac: float, bc: float, ab: float, a: float, b: float, c: float) -> float:
    if kind == 0:  # in the twin's order of operations, so that ties stay ties
        share = 1.0 / (a + b + c)
        return math.sqrt((c + a) * share * ac * ac + (c + b) * share * bc * bc - c * share * ab * ab)
    if kind == 1:
        return (a * ac + b * bc) / (a + b)
    return max(ac, bc)


@in_place
def all_distances(x: Floats, d: Floats) -> None:
    """The distances of all points [N, D], into ``d`` [N, N]: each once, block by block, so that both places are near.

    Example:
        >>> d = np.empty((2, 2))
        >>> all_distances(np.array([[0.0, 0.0], [3.0, 4.0]]), d)
        >>> d.tolist()
        [[0.0, 5.0], [5.0, 0.0]]
    """
    n = x.shape[0]
    for top in range(0, n, _BLOCK):
        for first in range(0, top + 1, _BLOCK):
            for i in range(top, min(top + _BLOCK, n)):
                for j in range(first, min(first + _BLOCK, i + 1)):
                    total = 0.0
                    for k in range(x.shape[1]):
                        gap = x[i, k] - x[j, k]
                        total += gap * gap
                    d[i, j] = d[j, i] = math.sqrt(total)


@compiled
def join_all(d: Floats, kind: int) -> tuple[NDArray[np.int64], Floats]:
    """Join until one cluster is left; ``d`` [N, N] is used up. Returns the pairs [N - 1, 2] and their distances.

    A pair holds a point of each cluster (its representative), in the order in which the chain finds them.

    Example:
        >>> d = np.array([[0.0, 1.0, 9.0], [1.0, 0.0, 8.0], [9.0, 8.0, 0.0]])
        >>> pairs, heights = join_all(d, LINKAGES["complete"])
        >>> pairs.tolist(), heights.tolist()
        ([[0, 1], [1, 2]], [1.0, 9.0])
    """
    n = d.shape[0]
    sizes, alive = np.ones(n), np.ones(n, np.bool_)
    chain, length = np.empty(n, np.int64), 0
    pairs, heights = np.empty((n - 1, 2), np.int64), np.empty(n - 1)
    for step in range(n - 1):
        if length == 0:
            for i in range(n):
                if alive[i]:
                    chain[0], length = i, 1
                    break
        while True:
            a = chain[length - 1]
            before = chain[length - 2] if length > 1 else -1
            best, b = (d[a, before], before) if before >= 0 else (np.inf, -1)
            for c in range(n):
                if alive[c] and c != a and d[a, c] < best:
                    best, b = d[a, c], c
            if b == before and before >= 0:
                break
            chain[length] = b
            length += 1
        length -= 2
        low, high = min(a, b), max(a, b)
        pairs[step, 0], pairs[step, 1], heights[step] = low, high, best
        for c in range(n):
            if alive[c] and c not in (a, b):
                value = _joined(kind, d[low, c], d[high, c], best, sizes[low], sizes[high], sizes[c])
                d[high, c] = d[c, high] = value
        sizes[high] += sizes[low]
        alive[low] = False
    return pairs, heights


@compiled
def spanning_tree(d: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The edges [N - 1, 2] of the shortest tree over points with distances ``d`` [N, N], and their lengths.

    Example:
        >>> d = np.array([[0.0, 1.0, 9.0], [1.0, 0.0, 8.0], [9.0, 8.0, 0.0]])
        >>> pairs, heights = spanning_tree(d)
        >>> pairs.tolist(), heights.tolist()
        ([[0, 1], [1, 2]], [1.0, 8.0])
    """
    n = d.shape[0]
    reached, source, inside = np.full(n, np.inf), np.zeros(n, np.int64), np.zeros(n, np.bool_)
    pairs, heights = np.empty((n - 1, 2), np.int64), np.empty(n - 1)
    here = 0
    for step in range(n - 1):
        inside[here] = True
        shortest, after = np.inf, 0
        for j in range(n):
            if inside[j]:
                continue
            if d[here, j] < reached[j]:
                reached[j], source[j] = d[here, j], here
            if reached[j] < shortest:
                shortest, after = reached[j], j
        pairs[step, 0], pairs[step, 1], heights[step] = source[after], after, shortest
        here = after
    return pairs, heights


def cut(pairs: NDArray[np.int64], heights: Floats, n_clusters: int) -> NDArray[np.int64]:
    """The labels when the nearest pairs are joined until so many clusters are left; numbered by their first point.

    Example:
        >>> cut(np.array([[0, 1], [0, 2]]), np.array([1.0, 8.0]), 2).tolist()
        [0, 0, 1]
    """
    n = len(heights) + 1
    parent = np.arange(n)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for step in np.argsort(heights, kind="stable")[: n - n_clusters]:
        a, b = (root(int(i)) for i in pairs[step])
        parent[max(a, b)] = min(a, b)
    roots = np.array([root(i) for i in range(n)])
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


@dataclass(eq=False, repr=False)
class AgglomerativeClustering(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Hierarchical clustering of the points it is fitted on.

    Args:
        n_clusters: how many clusters are left.
        linkage: ``"ward"``, ``"average"``, ``"complete"`` or ``"single"``.

    Attributes:
        labels_: int64 [N], numbered by each cluster's first point.
        pairs_: what was joined, a point of each cluster, int64 [N - 1, 2].
        distances_: how far apart they were, float64 [N - 1].

    Example:
        >>> AgglomerativeClustering(2).fit_predict([[0.0], [9.0], [1.0], [8.0]]).tolist()
        [0, 1, 0, 1]
    """

    n_clusters: int = 2
    _: KW_ONLY
    linkage: str = "ward"

    def fit(self, X: Any, y: Any = None) -> Self:
        """Join the points of X [N, D]."""
        require(self, n_clusters=(self.n_clusters >= 1, "1 or more"),
                linkage=(self.linkage in LINKAGES, f"one of {', '.join(LINKAGES)}"))  # fmt: skip
        x = training_points(self, X, ensure_min_samples=2)
        if self.n_clusters > len(x):
            raise ValueError(f"Cannot extract more clusters than samples: {self.n_clusters} clusters were given for a "
                             f"tree with {len(x)} leaves.")  # fmt: skip
        d = np.empty((len(x), len(x)))
        all_distances(x, d)
        joined = spanning_tree(d) if self.linkage == "single" else join_all(d, LINKAGES[self.linkage])
        self.pairs_, self.distances_ = joined
        self.labels_ = cut(self.pairs_, self.distances_, int(self.n_clusters))
        return self
