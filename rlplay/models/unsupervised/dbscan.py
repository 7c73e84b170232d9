"""DBSCAN: clusters are dense regions; isolated points are noise.

A point is a core point where at least ``min_samples`` points, itself included, lie within ``eps``. Core points within
``eps`` of each other belong together, and other points within ``eps`` of a core point belong to its cluster; the rest
are noise, -1. Clusters may have any shape, and their number is not given.

Source: Ester, Kriegel, Sander & Xu 1996. The twin is `sklearn.cluster.DBSCAN`.

Shapes: X [N, D], labels [N].
In reinforcement learning: regions of the state space that are visited; new points through `NearestCentroidClusterer`.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin

from rlplay.compiled.cache import compiled
from rlplay.models.common import Floats, point_weights, require, training_points
from rlplay.models.kd_tree import KDTree, build, within


@compiled
def _grow(
    tree: KDTree, x: Floats, eps: float, min_samples: float, weights: Floats, labels: NDArray[np.int64],
    core: NDArray[np.bool_],
) -> None:  # fmt: skip
    n = x.shape[0]
    found, nodes, todo = np.empty(n, np.int64), np.empty(128, np.int64), np.empty(n, np.int64)
    for i in range(n):
        total = 0.0
        for k in range(within(tree, x[i], eps, nodes, found)):
            total += weights[found[k]]
        core[i] = total >= min_samples
    cluster = 0
    for i in range(n):
        if labels[i] != -1 or not core[i]:
            continue
        labels[i], todo[0], waiting = cluster, i, 1
        while waiting > 0:
            waiting -= 1
            count = within(tree, x[todo[waiting]], eps, nodes, found)
            for k in range(count):
                j = found[k]
                if labels[j] == -1:
                    labels[j] = cluster
                    if core[j]:
                        todo[waiting] = j
                        waiting += 1
        cluster += 1


@dataclass(eq=False, repr=False)
class DBSCAN(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Density-based clustering of the points it is fitted on.

    Args:
        eps: how far neighbours may be apart.
        min_samples: neighbours, itself included, that make a core point; with weights, their sum.

    Attributes:
        labels_: int64 [N], -1 for noise.
        core_sample_indices_: numbers of the core points, int64.
        components_: the core points, float64 [C, D].

    Example:
        >>> DBSCAN(1.5, min_samples=2).fit_predict([[0.0], [1.0], [10.0], [11.0], [50.0]]).tolist()
        [0, 0, 1, 1, -1]
    """

    eps: float = 0.5
    _: KW_ONLY
    min_samples: int = 5

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the clusters of X [N, D]; a point's ``sample_weight`` [N] counts as so many neighbours."""
        require(self, eps=(self.eps > 0, "above 0"), min_samples=(self.min_samples >= 1, "1 or more"))
        x = training_points(self, X)
        self.labels_, core = np.full(len(x), -1), np.zeros(len(x), np.bool_)
        weights = point_weights(self, x, sample_weight)
        weights = np.ones(len(x)) if weights is None else weights
        _grow(build(x), x, float(self.eps), float(self.min_samples), weights, self.labels_, core)
        self.core_sample_indices_ = np.flatnonzero(core)
        self.components_ = x[core]
        return self
