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
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from rlplay.compiled.cache import compiled
from rlplay.errors import warn
from rlplay.models.common import new_points, point_weights, training_points

_BLOCK = 256  # points whose products are computed at once


@compiled
def nearest(centres: NDArray[np.float64], x: NDArray[np.float64]) -> int:
    """argmin_k ‖x - μ_k‖² of one point, the first among equals: the sample function of a fitted model.

    Example:
        >>> nearest(np.array([[0.0], [10.0]]), np.array([7.0]))
        1
    """
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
    """‖x - μ_k‖ of one point to each centre, into ``out`` [K].

    Example:
        >>> out = np.empty(2, np.float32)
        >>> distances_to(np.array([[0.0], [10.0]]), np.array([7.0]), out)
        >>> out.tolist()
        [7.0, 3.0]
    """
    for k in range(centres.shape[0]):
        distance = 0.0
        for d in range(x.shape[0]):
            difference = x[d] - centres[k, d]
            distance += difference * difference
        out[k] = math.sqrt(distance)


@compiled
def all_distances(x: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """‖x_i - μ_k‖ by differences, [N, K]; the innermost loop runs over the centres, side by side.

    Example:
        >>> all_distances(np.array([[7.0]]), np.array([[0.0], [10.0]])).tolist()
        [[7.0, 3.0]]
    """
    turned, out = np.ascontiguousarray(centres.T), np.empty((x.shape[0], centres.shape[0]))
    work = np.empty(centres.shape[0])
    for i in range(x.shape[0]):
        work[:] = 0.0
        for d in range(x.shape[1]):
            value, row = x[i, d], turned[d]
            for k in range(work.shape[0]):
                work[k] += (value - row[k]) * (value - row[k])
        for k in range(work.shape[0]):
            out[i, k] = math.sqrt(work[k])
    return out


@compiled
def _label_row(codes: Any, x: NDArray[np.float64]) -> int:
    return nearest(codes[0], x)


@compiled
def _distance_row(codes: Any, x: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    distances_to(codes[0], x, out)


sample_functions = {"predict": _label_row, "transform": _distance_row}


@compiled
def assign(
    x: NDArray[np.float64], rough: NDArray[np.float32], centres: NDArray[np.float64], labels: NDArray[np.int64],
    reach: float,
) -> int:  # fmt: skip
    """The first step: labels, [N]; returns how many changed.

    argmin_k ‖x - μ_k‖² is argmin_k (‖μ_k‖²/2 - x · μ_k), and the products of many points are one matrix product. It is
    made in float32, from ``rough``, the points so rounded; where rounding could matter, the differences in float64
    decide. Six times as fast as differences throughout. ``reach`` is the greatest ‖x‖.

    Example:
        >>> x, labels = np.array([[1.0], [9.0]]), np.zeros(2, np.int64)
        >>> rough, reach = rounded(x)
        >>> assign(x, rough, np.array([[0.0], [10.0]]), labels, reach), labels.tolist()
        (1, [0, 1])
    """
    n_clusters, n_features = centres.shape
    half, longest = np.empty(n_clusters, np.float32), 0.0
    for k in range(n_clusters):
        length = 0.0
        for d in range(n_features):
            length += centres[k, d] * centres[k, d]
        half[k], longest = 0.5 * length, max(longest, length)
    slack = np.float32(2.4e-7 * (n_features + 2) * (reach + math.sqrt(longest)) ** 2)
    turned, work = np.ascontiguousarray(centres.T).astype(np.float32), np.empty((_BLOCK, n_clusters), np.float32)
    changed = 0
    for start in range(0, x.shape[0], _BLOCK):
        scores = work[: min(_BLOCK, x.shape[0] - start)]
        np.dot(rough[start : start + _BLOCK], turned, scores)
        for i in range(scores.shape[0]):
            for k in range(n_clusters):
                scores[i, k] = half[k] - scores[i, k]
            a: Any = np.float32(np.inf)
            b: Any = a
            c: Any = a
            e: Any = a
            for k in range(0, n_clusters - 3, 4):  # four minima side by side: none waits for another
                a, b = min(a, scores[i, k]), min(b, scores[i, k + 1])
                c, e = min(c, scores[i, k + 2]), min(e, scores[i, k + 3])
            for k in range(n_clusters // 4 * 4, n_clusters):
                a = min(a, scores[i, k])
            best = min(a, b, c, e)
            limit: Any = best + slack
            close, label = 0, 0
            for k in range(n_clusters):
                close += scores[i, k] <= limit
            if close == 1 and slack < np.inf:
                while scores[i, label] != best:
                    label += 1
            else:
                label = nearest(centres, x[start + i])
            if labels[start + i] != label:
                changed += 1
                labels[start + i] = label
    return changed


def rounded(x: NDArray[np.float64]) -> tuple[NDArray[np.float32], float]:
    """The points in float32 and the greatest length of one; infinite where float32 cannot hold them.

    Example:
        >>> rough, reach = rounded(np.array([[3.0, 4.0]]))
        >>> rough.dtype, reach
        (dtype('float32'), 5.0)
    """
    reach = math.sqrt(float((x * x).sum(axis=1).max()))
    with np.errstate(over="ignore"):
        return x.astype(np.float32), reach if reach < 1e15 else math.inf


def nearest_labels(x: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """The label of each point, int64 [N].

    Example:
        >>> nearest_labels(np.array([[1.0], [9.0]]), np.array([[0.0], [10.0]])).tolist()
        [0, 1]
    """
    labels = np.zeros(len(x), np.int64)
    rough, reach = rounded(x)
    assign(x, rough, centres, labels, reach)
    return labels


@compiled
def spread(
    x: NDArray[np.float64], centres: NDArray[np.float64], labels: NDArray[np.int64], out: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> float:  # fmt: skip
    """‖x_i - μ_{ℓ_i}‖² of each point, into ``out`` [N]; returns the inertia, their weighted sum.

    Example:
        >>> x, centres, out = np.array([[1.0], [8.0]]), np.array([[0.0], [10.0]]), np.empty(2)
        >>> spread(x, centres, np.array([0, 1]), out, np.ones(2)), out.tolist()
        (5.0, [1.0, 4.0])
    """
    total = 0.0
    for i in range(x.shape[0]):
        distance = 0.0
        for d in range(x.shape[1]):
            difference = x[i, d] - centres[labels[i], d]
            distance += difference * difference
        out[i] = distance
        total += weights[i] * distance
    return total


@compiled
def update(
    x: NDArray[np.float64], labels: NDArray[np.int64], centres: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """The second step, in place, with points that count by their weights [N]; returns Σ_k ‖μ_k(new) - μ_k(old)‖².

    A cluster that lost all its members moves to the point that is farthest from its own centre.

    Example:
        >>> centres = np.array([[0.0], [10.0]])
        >>> update(np.array([[1.0], [3.0], [8.0]]), np.array([0, 0, 1]), centres, np.ones(3)), centres.tolist()
        (8.0, [[2.0], [8.0]])
    """
    n_clusters, n_features = centres.shape
    sums, counts = np.zeros((n_clusters, n_features)), np.zeros(n_clusters)
    for i in range(x.shape[0]):
        counts[labels[i]] += weights[i]
        for d in range(n_features):
            sums[labels[i], d] += weights[i] * x[i, d]
    distances = np.empty(0)
    for k in range(n_clusters):
        if counts[k] == 0:
            if distances.shape[0] == 0:
                distances = np.empty(x.shape[0])
                spread(x, centres, labels, distances, weights)
                distances[weights == 0.0] = -1.0
            i = int(np.argmax(distances))
            distances[i] = 0.0
            counts[labels[i]] -= weights[i]
            for d in range(n_features):
                sums[labels[i], d] -= weights[i] * x[i, d]
                sums[k, d] = weights[i] * x[i, d]
            counts[k], labels[i] = weights[i], k
    shift = 0.0
    for k in range(n_clusters):
        for d in range(n_features):
            if counts[k] > 0:
                mean = sums[k, d] / counts[k]
                shift += (mean - centres[k, d]) ** 2
                centres[k, d] = mean
    return shift


def spread_out(
    x: NDArray[np.float64], n_clusters: int, rng: np.random.RandomState, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """First centres by k-means++, the best of 2 + ln k candidates each time, [K, D].

    A point's weight [N] counts as so many points.

    Example:
        >>> x = np.array([[0.0], [0.1], [50.0], [50.1]])
        >>> sorted(spread_out(x, 2, np.random.RandomState(0)).round().ravel().tolist())
        [0.0, 50.0]
    """
    candidates = 2 + int(math.log(n_clusters))
    centres = np.empty((n_clusters, x.shape[1]))
    first = rng.randint(len(x)) if weights is None else rng.choice(len(x), p=weights / weights.sum())
    share = 1.0 if weights is None else weights
    centres[0], middle = x[first], x.mean(axis=0)
    apart = x - middle  # far from 0 the products below would lose the differences to rounding
    lengths = (apart * apart).sum(axis=1)

    def squares(some: NDArray[np.float64]) -> NDArray[np.float64]:
        """‖x - c‖² for a few centres, [few, N], by the points' weights."""
        products = lengths - 2.0 * (some @ apart.T) + (some * some).sum(axis=1)[:, None]
        return np.maximum(products, 0.0) * share

    closest = squares(centres[:1] - middle)[0]  # [N]
    for k in range(1, n_clusters):
        draws = rng.uniform(size=candidates) * closest.sum()
        chosen = np.minimum(np.searchsorted(closest.cumsum(), draws), len(x) - 1)
        tried = np.minimum(closest, squares(apart[chosen]))  # [candidates, N]
        best = tried.sum(axis=1).argmin()
        centres[k], closest = x[chosen[best]], tried[best]
    return centres


def weights_or_ones(model: Any, x: NDArray[np.float64], sample_weight: Any) -> NDArray[np.float64]:
    """The points' weights, float64 [N]; 1 where none are given.

    Example:
        >>> weights_or_ones(KMeans(), np.zeros((2, 1)), None).tolist()
        [1.0, 1.0]
    """
    weights = point_weights(model, x, sample_weight)
    return np.ones(len(x)) if weights is None else weights


class CentreAnswers(ClassNamePrefixFeaturesOutMixin):  # type: ignore[misc]
    """The predictions of a fitted clusterer with ``cluster_centers_``; a mixin.

    Example:
        >>> model = KMeans(2, random_state=0).fit([[0.0], [1.0], [9.0], [10.0]])
        >>> isinstance(model, CentreAnswers), model.score([[0.0], [1.0]])
        (True, -0.5)
    """

    cluster_centers_: NDArray[np.float64]

    def predict(self, X: Any) -> NDArray[np.int64]:
        """The label of the nearest centre, int64 [N]."""
        x = new_points(self, X)
        return nearest_labels(x, self.cluster_centers_)

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Distances to the centres, float64 [N, K]."""
        x = new_points(self, X)
        return all_distances(x, self.cluster_centers_)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Minus the inertia of X: the weighted sum of squared distances to the nearest centre."""
        x = new_points(self, X)
        labels, weights = nearest_labels(x, self.cluster_centers_), weights_or_ones(self, x, sample_weight)
        return -float(spread(x, self.cluster_centers_, labels, np.empty(len(x)), weights))

    def sample_function(self, method: str) -> tuple[Any, tuple[Any, ...]]:
        """The compiled function of one sample for ``predict`` or ``transform`` (a `SampleFunction`)."""
        return sample_functions[method], (self.cluster_centers_,)

    @property
    def _n_features_out(self) -> int:
        return int(self.cluster_centers_.shape[0])


@dataclass(eq=False, repr=False)
class KMeans(CentreAnswers, ClusterMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
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

    n_clusters: int = 8
    _: KW_ONLY
    init: Any = "k-means++"
    n_init: int = 1
    max_iter: int = 300
    tol: float = 1e-4
    random_state: Any = None

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the centres of X [N, D]; a point's ``sample_weight`` [N] counts as so many points.

        Raises:
            ValueError: fewer points than clusters, NaN, or first centres of another shape.
        """
        x = training_points(self, X)
        if not 1 <= self.n_clusters <= len(x):
            raise ValueError(f"n_samples={len(x)} should be >= n_clusters={self.n_clusters}, which should be >= 1.")
        rng, tolerance = check_random_state(self.random_state), self.tol * x.var(axis=0).mean()
        starts, weights = self.n_init if isinstance(self.init, str) else 1, point_weights(self, x, sample_weight)
        best = None
        for _ in range(max(starts, 1)):
            first = self._first(x, rng, weights)
            found = self._lloyd(x, first, tolerance, np.ones(len(x)) if weights is None else weights)
            if best is None or found[2] < best[2]:
                best = found
        assert best is not None
        self.cluster_centers_, self.labels_, self.inertia_, self.n_iter_ = best
        distinct = len(np.unique(self.labels_))
        if distinct < self.n_clusters:
            warn(
                f"Number of distinct clusters ({distinct}) found smaller than n_clusters ({self.n_clusters}). "
                "Possibly due to duplicate points in X.",
                ConvergenceWarning,
            )
        return self

    def _first(
        self, x: NDArray[np.float64], rng: np.random.RandomState, weights: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        if isinstance(self.init, str):
            if self.init == "k-means++":
                return spread_out(x, self.n_clusters, rng, weights)
            if self.init == "random":
                if weights is None:
                    return x[rng.permutation(len(x))[: self.n_clusters]].copy()
                return x[rng.choice(len(x), self.n_clusters, replace=False, p=weights / weights.sum())]
            raise ValueError(f"init={self.init!r} is not 'k-means++', 'random' or an array of centres.")
        centres = np.array(self.init, dtype=np.float64, order="C")
        if centres.shape != (self.n_clusters, x.shape[1]):
            raise ValueError(f"init has shape {centres.shape} and should have {(self.n_clusters, x.shape[1])}.")
        return centres

    def _lloyd(
        self, x: NDArray[np.float64], centres: NDArray[np.float64], tolerance: float, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], float, int]:
        labels, iteration = np.full(len(x), -1), 0
        rough, reach = rounded(x)
        for iteration in range(1, self.max_iter + 1):  # noqa: B007 - the number of iterations is reported
            if assign(x, rough, centres, labels, reach) == 0:
                break
            if update(x, labels, centres, weights) <= tolerance:
                break
        assign(x, rough, centres, labels, reach)
        return centres, labels, float(spread(x, centres, labels, np.empty(len(x)), weights)), iteration
