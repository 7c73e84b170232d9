"""Incremental principal component analysis: the directions of most variance, learned batch by batch.

The directions so far, each scaled by its singular value, summarise all data so far. They are stacked on the centred new
batch and on the difference of the two means, and decomposed again:

    [ S V ;  X_new - x̄_new ;  √(n m / (n + m)) (x̄_old - x̄_new) ] = U' S' V'

Source: Ross, Lim, Lin & Yang 2008. The twin is `sklearn.decomposition.IncrementalPCA`.

Shapes: X [N, D], components [K, D].
In reinforcement learning: whitened features of a stream of observations.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from rlplay.models.common import Floats, new_points, training_points


@dataclass(eq=False, repr=False)
class IncrementalPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Principal component analysis of data that come in batches.

    Args:
        n_components: how many directions, K; None for as many as the first batch allows.
        whiten: whether codes have unit variance.
        batch_size: points of a batch in ``fit``; None for 5 D.

    Attributes:
        components_: directions, the strongest first, float64 [K, D].
        singular_values_, explained_variance_, explained_variance_ratio_: float64 [K].
        mean_, var_: of the columns, float64 [D].
        n_samples_seen_: points so far.
        n_components_: K.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(300, 3)) * [3.0, 2.0, 1.0]
        >>> model = IncrementalPCA(1)
        >>> for batch in np.split(x, 3):
        ...     model = model.partial_fit(batch)
        >>> np.abs(model.components_).round(0).tolist()
        [[1.0, 0.0, 0.0]]
    """

    n_components: int | None = None
    _: KW_ONLY
    whiten: bool = False
    batch_size: int | None = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn X [N, D] in batches."""
        x = training_points(self, X)
        self._begin(x)
        size = self.batch_size or 5 * x.shape[1]
        least, start = self.n_components or 1, 0
        while start < len(x):
            end = start + size if len(x) - start - size >= least else len(x)
            self._add(x[start:end])
            start = end
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn one more batch."""
        first = not hasattr(self, "components_")
        x = training_points(self, X, reset=first)
        if first:
            self._begin(x)
        elif self.n_components not in (None, self.n_components_):
            raise ValueError(f"n_components was {self.n_components_} when learning began and is {self.n_components}.")
        return self._add(x)

    def _begin(self, x: Floats) -> None:
        n, d = x.shape
        if self.n_components is not None and not 1 <= self.n_components <= min(n, d):
            raise ValueError(
                f"n_components={self.n_components!r} invalid for n_features={d}, need more rows than columns for "
                f"IncrementalPCA processing; it must be between 1 and min(n_samples, n_features)={min(n, d)}."
            )
        self.n_samples_seen_, self.mean_, self.var_ = 0, np.zeros(d), np.zeros(d)
        self.components_, self.singular_values_ = np.zeros((0, d)), np.zeros(0)

    def _add(self, x: Floats) -> Self:
        n, m = self.n_samples_seen_, len(x)
        mean, variance = x.mean(axis=0), x.var(axis=0)
        total = n + m
        step = np.sqrt(n * m / total) * (self.mean_ - mean)
        stacked = np.vstack([self.singular_values_[:, None] * self.components_, x - mean, step[None]])
        if n == 0:
            stacked = x - mean
        _, s, directions = scipy.linalg.svd(stacked, full_matrices=False, check_finite=False)
        largest = np.abs(directions).argmax(axis=1)
        directions *= np.sign(directions[np.arange(len(directions)), largest])[:, None]
        self.var_ = (n * self.var_ + m * variance) / total + (self.mean_ - mean) ** 2 * (n * m / total**2)
        self.mean_ = (n * self.mean_ + m * mean) / total
        k = self.n_components or (len(self.components_) or min(len(x), x.shape[1]))
        self.n_components_, self.n_samples_seen_ = k, total
        self.components_, self.singular_values_ = directions[:k], s[:k]
        self.explained_variance_ = s[:k] ** 2 / max(total - 1, 1)
        whole = self.var_.sum() * total
        self.explained_variance_ratio_ = s[:k] ** 2 / whole if whole > 0 else np.zeros(k)
        return self

    def transform(self, X: Any) -> Floats:
        """The codes of X, [N, K]."""
        codes = (new_points(self, X) - self.mean_) @ self.components_.T
        return codes / np.sqrt(np.maximum(self.explained_variance_, 1e-300)) if self.whiten else codes

    def inverse_transform(self, Z: Any) -> Floats:
        """The points of codes Z [N, K], [N, D]; exact where all directions were kept."""
        check_is_fitted(self)
        scale = np.sqrt(self.explained_variance_) if self.whiten else 1.0
        return (np.asarray(Z, np.float64) * scale) @ self.components_ + self.mean_

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)
