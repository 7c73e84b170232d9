"""Mini-batch k-means: k-means on small batches, for large or streaming data.

Each point of a batch moves its nearest centre towards it, less the more points the centre has:

    n_k ← n_k + 1,     μ_k ← μ_k + (x - μ_k) / n_k

So a centre is the mean of all points assigned to it so far. Centres with hardly any points are moved to random ones.

Source: Sculley 2010; Bottou & Bengio 1995. The twin is `sklearn.cluster.MiniBatchKMeans`.

Shapes: X [N, D], centres [K, D].
In reinforcement learning: states for a table, learned while the agent plays.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state

from rlplay.compiled.cache import compiled
from rlplay.models.common import Floats, require, training_points
from rlplay.models.unsupervised.k_means import CentreAnswers, nearest_labels, spread, spread_out, weights_or_ones


@compiled
def step(x: Floats, labels: NDArray[np.int64], centres: Floats, counts: Floats, weights: Floats) -> None:
    """Move the centres [K, D] by a batch [B, D] with its labels and weights [B].

    ``counts`` [K] are the points assigned to each centre so far, by their weights.

    Example:
        >>> centres, counts = np.array([[0.0]]), np.zeros(1)
        >>> step(np.array([[2.0], [4.0]]), np.array([0, 0]), centres, counts, np.ones(2))
        >>> centres.tolist(), counts.tolist()
        ([[3.0]], [2.0])
    """
    for i in range(x.shape[0]):
        k = labels[i]
        if weights[i] == 0.0:
            continue
        counts[k] += weights[i]
        for d in range(x.shape[1]):
            centres[k, d] += weights[i] * (x[i, d] - centres[k, d]) / counts[k]


@dataclass(eq=False, repr=False)
class MiniBatchKMeans(CentreAnswers, ClusterMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """k-means by mini-batches.

    Args:
        n_clusters: how many clusters, K.
        init: ``"k-means++"``, ``"random"``, or the first centres, [K, D].
        max_iter: most passes over the points in ``fit``.
        batch_size: points a batch.
        max_no_improvement: batches without a lower smoothed inertia after which ``fit`` stops; None for never.
        reassignment_ratio: centres with less than this share of the largest count are moved.
        random_state: a seed, a RandomState, or None.

    Attributes:
        cluster_centers_: float64 [K, D].
        counts_: points assigned to each so far, float64 [K].
        labels_: of the points of ``fit``, int64 [N].
        inertia_: sum of squared distances to the nearest centre.
        n_steps_: batches so far.

    Example:
        >>> x = np.concatenate([np.zeros((50, 1)), np.full((50, 1), 9.0)])
        >>> model = MiniBatchKMeans(2, batch_size=20, random_state=0).fit(x)
        >>> sorted(model.cluster_centers_.round(6).ravel().tolist())
        [0.0, 9.0]
    """

    n_clusters: int = 8
    _: KW_ONLY
    init: Any = "k-means++"
    max_iter: int = 100
    batch_size: int = 1024
    max_no_improvement: int | None = 10
    reassignment_ratio: float = 0.01
    random_state: Any = None

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the centres of X [N, D], batch by batch; a point's ``sample_weight`` [N] counts as so many points."""
        x = training_points(self, X)
        weights = weights_or_ones(self, x, sample_weight)
        rng = self._begin(x, weights if sample_weight is not None else None)
        size = min(int(self.batch_size), len(x))
        smooth, best, waiting = None, np.inf, 0
        for _ in range(max(self.max_iter * len(x) // size, 1)):
            chosen = rng.randint(len(x), size=size)
            inertia = self._step(x[chosen], weights[chosen], rng) / size
            share = min(2.0 * size / (len(x) + 1), 1.0)
            smooth = inertia if smooth is None else smooth * (1.0 - share) + inertia * share
            waiting = 0 if smooth < best else waiting + 1
            best = min(best, smooth)
            if self.max_no_improvement is not None and waiting >= self.max_no_improvement:
                break
        self.n_iter_ = max(self.n_steps_ * size // len(x), 1)
        self.labels_ = nearest_labels(x, self.cluster_centers_)
        self.inertia_ = float(spread(x, self.cluster_centers_, self.labels_, np.empty(len(x)), weights))
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Move the centres by one batch."""
        first = not hasattr(self, "cluster_centers_")
        x = training_points(self, X, reset=first)
        weights, given = weights_or_ones(self, x, sample_weight), sample_weight is not None
        rng = self._begin(x, weights if given else None) if first else np.random.RandomState(self.n_steps_)
        self._step(x, weights, rng)
        self.labels_ = nearest_labels(x, self.cluster_centers_)
        self.inertia_ = float(spread(x, self.cluster_centers_, self.labels_, np.empty(len(x)), weights))
        return self

    def _begin(self, x: Floats, weights: Floats | None) -> np.random.RandomState:
        require(
            self,
            n_clusters=(self.n_clusters >= 1, "1 or more"),
            max_iter=(self.max_iter >= 1, "1 or more"),
            batch_size=(self.batch_size >= 1, "1 or more"),
            reassignment_ratio=(0 <= self.reassignment_ratio < 1, "from 0 to below 1"),
        )
        if len(x) < self.n_clusters:
            raise ValueError(f"n_samples={len(x)} should be >= n_clusters={self.n_clusters}.")
        rng: np.random.RandomState = check_random_state(self.random_state)
        if isinstance(self.init, str):
            if self.init not in ("k-means++", "random"):
                raise ValueError(f"init={self.init!r} is not 'k-means++', 'random' or an array of centres.")
            chosen = rng.permutation(len(x))[: max(3 * self.batch_size, 3 * self.n_clusters)]
            if weights is not None and weights[chosen].any():
                chosen = chosen[weights[chosen] > 0]
            sample, share = x[chosen], None if weights is None else weights[chosen]
            if self.init == "k-means++":
                centres = spread_out(sample, self.n_clusters, rng, share)
            else:
                centres = sample[np.arange(self.n_clusters) % len(sample)]
        else:
            centres = np.array(self.init, np.float64)
            if centres.shape != (self.n_clusters, x.shape[1]):
                raise ValueError(f"init has shape {centres.shape} and should have {(self.n_clusters, x.shape[1])}.")
        self.cluster_centers_ = np.ascontiguousarray(centres)
        self.counts_, self.n_steps_ = np.zeros(self.n_clusters), 0
        return rng

    def _step(self, batch: Floats, weights: Floats, rng: np.random.RandomState) -> float:
        """One batch; returns its inertia before the step."""
        labels = nearest_labels(batch, self.cluster_centers_)
        inertia = float(spread(batch, self.cluster_centers_, labels, np.empty(len(batch)), weights))
        step(batch, labels, self.cluster_centers_, self.counts_, weights)
        self.n_steps_ += 1
        rare = self.counts_ < self.reassignment_ratio * self.counts_.max()
        if self.n_steps_ % 10 == 0 and rare.any() and rare.sum() <= len(batch) // 2:
            self.cluster_centers_[rare] = batch[rng.choice(len(batch), rare.sum(), replace=False)]
            self.counts_[rare] = self.counts_[~rare].min()
        return inertia
