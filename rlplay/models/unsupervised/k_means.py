"""k-means: divide points into k clusters, each around the mean of its members.

Two steps take turns until nothing moves (Lloyd's algorithm); neither can raise the inertia, so it ends:

    assign:  ℓ_i = argmin_k ‖x_i - μ_k‖²
    update:  μ_k = mean of the x_i with ℓ_i = k            inertia = Σ_i ‖x_i - μ_{ℓ_i}‖²

The first centres are drawn far apart (k-means++): each is a point, taken with probability proportional to its squared
distance to the nearest centre so far; the best of a few candidates is kept.

Source: Lloyd 1982; Arthur & Vassilvitskii 2007; Bishop 2006, section 9.1. The twin is `sklearn.cluster.KMeans`.

Shapes: N points of D numbers, X [N, D], centres μ [K, D], labels ℓ [N].
In reinforcement learning: states for a table (state aggregation), distances as features, counts for exploration.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from rlplay.compiled.cache import compiled


@compiled
def nearest(centres: NDArray[np.float64], x: NDArray[np.float64]) -> int:
    """argmin_k ‖x - μ_k‖² of one point, the first among equals: the row function of a fitted model."""
    best, label = np.inf, 0
    for k in range(centres.shape[0]):
        distance = 0.0
        for d in range(x.shape[0]):
            difference = x[d] - centres[k, d]
            distance += difference * difference
        if distance < best:
            best, label = distance, k
    return label


@compiled
def distances_to(centres: NDArray[np.float64], x: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """‖x - μ_k‖ of one point to each centre, into ``out`` [K]."""
    for k in range(centres.shape[0]):
        distance = 0.0
        for d in range(x.shape[0]):
            difference = x[d] - centres[k, d]
            distance += difference * difference
        out[k] = math.sqrt(distance)


@compiled
def _label_row(codes: Any, x: NDArray[np.float64]) -> int:
    return nearest(codes[0], x)


@compiled
def _distance_row(codes: Any, x: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    distances_to(codes[0], x, out)


@compiled
def assign(
    x: NDArray[np.float64], centres: NDArray[np.float64], labels: NDArray[np.int64], distances: NDArray[np.float64]
) -> int:
    """The first step: labels and squared distances, [N]; returns how many labels changed."""
    changed = 0
    for i in range(x.shape[0]):
        best, label = np.inf, 0
        for k in range(centres.shape[0]):
            distance = 0.0
            for d in range(x.shape[1]):
                difference = x[i, d] - centres[k, d]
                distance += difference * difference
            if distance < best:
                best, label = distance, k
        if labels[i] != label:
            changed += 1
        labels[i], distances[i] = label, best
    return changed


@compiled
def update(
    x: NDArray[np.float64], labels: NDArray[np.int64], distances: NDArray[np.float64], centres: NDArray[np.float64]
) -> float:
    """The second step, in place; returns Σ_k ‖μ_k(new) - μ_k(old)‖².

    A cluster that lost all its members moves to the point that is farthest from its own centre.
    """
    n_clusters, n_features = centres.shape
    sums, counts = np.zeros((n_clusters, n_features)), np.zeros(n_clusters, np.int64)
    for i in range(x.shape[0]):
        counts[labels[i]] += 1
        for d in range(n_features):
            sums[labels[i], d] += x[i, d]
    for k in range(n_clusters):
        if counts[k] == 0:
            i = int(np.argmax(distances))
            distances[i] = 0.0
            counts[labels[i]] -= 1
            for d in range(n_features):
                sums[labels[i], d] -= x[i, d]
                sums[k, d] = x[i, d]
            counts[k], labels[i] = 1, k
    shift = 0.0
    for k in range(n_clusters):
        for d in range(n_features):
            if counts[k] > 0:
                mean = sums[k, d] / counts[k]
                shift += (mean - centres[k, d]) ** 2
                centres[k, d] = mean
    return shift


def spread_out(x: NDArray[np.float64], n_clusters: int, rng: np.random.RandomState) -> NDArray[np.float64]:
    """First centres by k-means++, the best of 2 + ln k candidates each time, [K, D]."""
    candidates = 2 + int(math.log(n_clusters))
    centres = np.empty((n_clusters, x.shape[1]))
    centres[0] = x[rng.randint(len(x))]
    closest = ((x - centres[0]) ** 2).sum(axis=1)  # [N]
    for k in range(1, n_clusters):
        draws = rng.uniform(size=candidates) * closest.sum()
        chosen = np.minimum(np.searchsorted(closest.cumsum(), draws), len(x) - 1)
        tried = np.minimum(closest, ((x - x[chosen][:, None]) ** 2).sum(axis=2))  # [candidates, N]
        best = tried.sum(axis=1).argmin()
        centres[k], closest = x[chosen[best]], tried[best]
    return centres


class KMeans(ClusterMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """k-means clustering.

    Args:
        n_clusters: how many clusters, K.
        init: ``"k-means++"``, ``"random"`` (points drawn at random), or the first centres, [K, D].
        n_init: starts, of which the one with the lowest inertia is kept.
        max_iter: most iterations of a start.
        tol: stop once the centres move by less, in units of the mean variance of the columns.
        random_state: a seed, a RandomState, or None.

    Attributes:
        cluster_centers_: float64 [K, D].
        labels_: of the training points, int64 [N].
        inertia_: sum of squared distances to the nearest centre.
        n_iter_: iterations of the start that was kept.

    Example:
        >>> points = np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 9.0], [9.0, 8.0]])
        >>> sorted(KMeans(2, random_state=0).fit(points).cluster_centers_.tolist())
        [[0.0, 0.5], [9.0, 8.5]]
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Find the centres of X [N, D].

        Raises:
            ValueError: fewer points than clusters, NaN, or first centres of another shape.
        """
        x = validate_data(self, X, dtype=np.float64, order="C", ensure_min_samples=1)
        if not 1 <= self.n_clusters <= len(x):
            raise ValueError(f"n_samples={len(x)} should be >= n_clusters={self.n_clusters}, which should be >= 1.")
        rng, tolerance = check_random_state(self.random_state), self.tol * x.var(axis=0).mean()
        starts = self.n_init if isinstance(self.init, str) else 1
        best = None
        for _ in range(max(starts, 1)):
            found = self._lloyd(x, self._first(x, rng), tolerance)
            if best is None or found[2] < best[2]:
                best = found
        assert best is not None
        self.cluster_centers_, self.labels_, self.inertia_, self.n_iter_ = best
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:  # noqa: N803
        """The label of the nearest centre, int64 [N]."""
        x = self._check(X)
        labels = np.zeros(len(x), np.int64)
        assign(x, self.cluster_centers_, labels, np.zeros(len(x)))
        return labels

    def transform(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Distances to the centres, float64 [N, K]."""
        x = self._check(X)
        return np.sqrt(((x[:, None] - self.cluster_centers_) ** 2).sum(axis=2))

    def score(self, X: Any, y: Any = None) -> float:  # noqa: N803
        """Minus the inertia of X."""
        x = self._check(X)
        distances = np.zeros(len(x))
        assign(x, self.cluster_centers_, np.zeros(len(x), np.int64), distances)
        return -float(distances.sum())

    def row_function(self, method: str) -> tuple[Any, tuple[Any, ...]]:
        """The compiled function of one row for ``predict`` or ``transform`` (`rlplay.estimators.RowFunction`)."""
        return (_label_row if method == "predict" else _distance_row), (self.cluster_centers_,)

    @property
    def _n_features_out(self) -> int:
        return int(self.cluster_centers_.shape[0])

    def _check(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, order="C", reset=False)

    def _first(self, x: NDArray[np.float64], rng: np.random.RandomState) -> NDArray[np.float64]:
        if isinstance(self.init, str):
            if self.init == "k-means++":
                return spread_out(x, self.n_clusters, rng)
            if self.init == "random":
                return x[rng.permutation(len(x))[: self.n_clusters]].copy()
            raise ValueError(f"init={self.init!r} is not 'k-means++', 'random' or an array of centres.")
        centres = np.array(self.init, dtype=np.float64, order="C")
        if centres.shape != (self.n_clusters, x.shape[1]):
            raise ValueError(f"init has shape {centres.shape} and should have {(self.n_clusters, x.shape[1])}.")
        return centres

    def _lloyd(
        self, x: NDArray[np.float64], centres: NDArray[np.float64], tolerance: float
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], float, int]:
        labels, distances = np.full(len(x), -1), np.zeros(len(x))
        iteration = 0
        for iteration in range(1, self.max_iter + 1):  # noqa: B007 - the number of iterations is reported
            if assign(x, centres, labels, distances) == 0:
                break
            if update(x, labels, distances, centres) <= tolerance:
                break
        assign(x, centres, labels, distances)
        return centres, labels, float(distances.sum()), iteration
