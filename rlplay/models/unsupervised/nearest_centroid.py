"""An adapter: clusterings of fixed points (hierarchical, DBSCAN) label new points by the nearest centroid.

Some clusterings cannot label points that they were not fitted on. Here each cluster is represented by the mean of its
members, and a new point belongs to the nearest; noise is left out.

Source: Tibshirani, Hastie, Narasimhan & Chu 2002 (nearest centroids).

Shapes: X [N, D], centroids [K, D].
In reinforcement learning: any clustering as states of a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin, clone

from rlplay.models.common import training_points
from rlplay.models.unsupervised.hierarchical import AgglomerativeClustering
from rlplay.models.unsupervised.k_means import CentreAnswers


@dataclass(eq=False, repr=False)
class NearestCentroidClusterer(CentreAnswers, ClusterMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Any clusterer with ``fit_predict``, extended to new points.

    Args:
        clusterer: the clustering, ours or the library's; None for `AgglomerativeClustering(8)`.

    Attributes:
        clusterer_: the fitted clustering.
        cluster_centers_: centroids, float64 [K, D].
        labels_: of the training points, as the clustering gave them, int64 [N].

    Example:
        >>> model = NearestCentroidClusterer(AgglomerativeClustering(2)).fit([[0.0], [1.0], [8.0], [9.0]])
        >>> model.predict([[2.0], [7.0]]).tolist(), model.cluster_centers_.tolist()
        ([0, 1], [[0.5], [8.5]])
    """

    clusterer: Any = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Cluster X [N, D] and find the centroids.

        Raises:
            ValueError: all points are noise.
        """
        x = training_points(self, X, ensure_min_samples=2)
        self.clusterer_ = clone(self.clusterer) if self.clusterer is not None else AgglomerativeClustering(
            min(8, len(x))
        )  # fmt: skip
        self.labels_ = np.asarray(self.clusterer_.fit_predict(x), np.int64)
        names = np.unique(self.labels_[self.labels_ >= 0])
        if len(names) == 0:
            raise ValueError(f"{type(self.clusterer_).__name__} found no cluster: all {len(x)} samples are noise.")
        self.cluster_centers_ = np.array([x[self.labels_ == name].mean(axis=0) for name in names])
        return self
