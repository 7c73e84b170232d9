"""Scalers: they bring columns to the same scale, so that no unit outweighs another.

    standard  (x - mean) / deviation        min-max  (x - min) / (max - min)        robust  (x - median) / (q75 - q25)

Means and variances are combined over batches by Chan's formula, so the standard scaler can be learned as data come.

Source: Chan, Golub & LeVeque 1979; Hastie, Tibshirani & Friedman 2009, section 14.3. The twins are
`sklearn.preprocessing.StandardScaler`, `sklearn.preprocessing.MinMaxScaler` and `sklearn.preprocessing.RobustScaler`.

Shapes: X [N, D]; a column that is constant is only shifted.
In reinforcement learning: observations of one scale, for networks, distances and penalties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from rlplay.compiled.cache import compiled
from rlplay.models.common import Floats, new_points, point_weights, require, training_points


@compiled
def _row(codes: Any, x: Floats, out: NDArray[np.float32]) -> None:
    shift, scale = codes
    for d in range(x.shape[0]):
        out[d] = (x[d] - shift[d]) / scale[d]


def sizes(spread: Floats, middle: Floats) -> Floats:
    """The divisor of each column: 1 where a column is constant up to rounding.

    Example:
        >>> sizes(np.array([0.0, 4.0]), np.array([5.0, 5.0])).tolist()
        [1.0, 4.0]
    """
    constant = spread <= 10 * np.finfo(np.float64).eps * np.maximum(np.abs(middle), 1e-300)
    return np.where(constant | (spread == 0), 1.0, spread)


class Scaler:
    """The transforms of a fitted scaler, with ``shift_`` and ``scale_``; a mixin.

    Example:
        >>> scaler = StandardScaler().fit([[1.0], [3.0]])
        >>> isinstance(scaler, Scaler), scaler.inverse_transform([[1.0]]).tolist()
        (True, [[3.0]])
    """

    shift_: Floats
    scale_: Floats

    def transform(self, X: Any) -> Floats:
        """(X - shift) / scale, [N, D]."""
        x = new_points(self, X)
        converted = isinstance(X, np.ndarray) and X.dtype != x.dtype  # then x is nobody else's
        out = np.subtract(x, self.shift_, out=x if converted else None)
        out /= self.scale_
        return out

    def inverse_transform(self, X: Any) -> Floats:
        """X scale + shift, [N, D]."""
        check_is_fitted(self)
        out: Floats = np.multiply(np.asarray(X), self.scale_, dtype=np.float64)
        out += self.shift_
        return out

    def sample_function(self, method: str) -> Any:
        """The compiled function of one row for ``transform`` (`rlplay.approximation.estimators.SampleFunction`)."""
        return _row, (self.shift_, self.scale_)


@dataclass(eq=False, repr=False, kw_only=True)
class StandardScaler(Scaler, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Columns with mean 0 and deviation 1.

    Args:
        with_mean: whether the mean is subtracted.
        with_std: whether columns are divided by their deviation.

    Attributes:
        mean_, var_: of the columns, float64 [D].
        n_samples_seen_: points so far, or the sum of their weights.
        shift_, scale_: the numbers subtracted and divided by, float64 [D].

    Example:
        >>> StandardScaler().fit_transform([[1.0], [3.0]]).tolist()
        [[-1.0], [1.0]]
    """

    with_mean: bool = True
    with_std: bool = True

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn means and deviations, each point counted by its ``sample_weight`` [N]."""
        self.n_samples_seen_ = 0
        return self._add(training_points(self, X), sample_weight)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more points."""
        first = not hasattr(self, "mean_")
        if first:
            self.n_samples_seen_ = 0
        return self._add(training_points(self, X, reset=first), sample_weight)

    def _add(self, x: Floats, sample_weight: Any) -> Self:
        weights = point_weights(self, x, sample_weight)
        n, m = self.n_samples_seen_, len(x) if weights is None else weights.sum()
        mean = np.average(x, axis=0, weights=weights)
        variance = x.var(axis=0) if weights is None else np.average((x - mean) ** 2, axis=0, weights=weights)
        if n == 0:
            self.mean_, self.var_ = mean, variance
        else:
            apart = (self.mean_ - mean) ** 2 * (n * m / (n + m) ** 2)
            self.var_ = (n * self.var_ + m * variance) / (n + m) + apart
            self.mean_ = (n * self.mean_ + m * mean) / (n + m)
        self.n_samples_seen_ = n + m
        self.shift_ = self.mean_ if self.with_mean else np.zeros_like(self.mean_)
        eps, seen = np.finfo(np.float64).eps, self.n_samples_seen_
        constant = self.var_ <= seen * eps * self.var_ + (seen * self.mean_ * eps) ** 2  # but for rounding
        deviation = np.where(constant, 1.0, np.sqrt(self.var_))
        self.scale_ = deviation if self.with_std else np.ones_like(deviation)
        return self


@dataclass(eq=False, repr=False)
class MinMaxScaler(Scaler, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Columns from 0 to 1, or over another range.

    Args:
        feature_range: the lowest and the highest value afterwards.

    Attributes:
        data_min_, data_max_: of the columns, float64 [D].
        shift_, scale_: the numbers subtracted and divided by, float64 [D].

    Example:
        >>> MinMaxScaler().fit_transform([[2.0], [3.0], [6.0]]).tolist()
        [[0.0], [0.25], [1.0]]
    """

    feature_range: tuple[float, float] = (0, 1)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the columns' ranges."""
        return self._add(training_points(self, X), first=True)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from more points."""
        first = not hasattr(self, "data_min_")
        return self._add(training_points(self, X, reset=first), first=first)

    def _add(self, x: Floats, *, first: bool) -> Self:
        low, high = self.feature_range
        require(self, feature_range=(low < high, "a pair with the lower number first"))
        self.data_min_: Floats = x.min(axis=0) if first else np.minimum(x.min(axis=0), self.data_min_)
        self.data_max_: Floats = x.max(axis=0) if first else np.maximum(x.max(axis=0), self.data_max_)
        self.scale_ = sizes(self.data_max_ - self.data_min_, self.data_max_) / (high - low)
        self.shift_ = self.data_min_ - low * self.scale_
        return self


@dataclass(eq=False, repr=False, kw_only=True)
class RobustScaler(Scaler, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Columns scaled by median and quartiles, which outliers hardly change.

    Args:
        quantile_range: the two percentiles whose distance is the scale.

    Attributes:
        center_: medians, float64 [D].
        shift_, scale_: the numbers subtracted and divided by, float64 [D].

    Example:
        >>> RobustScaler().fit_transform([[1.0], [2.0], [3.0], [4.0], [1000.0]]).tolist()
        [[-1.0], [-0.5], [0.0], [0.5], [498.5]]
    """

    quantile_range: tuple[float, float] = (25.0, 75.0)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn medians and quartiles."""
        low, high = self.quantile_range
        require(self, quantile_range=(0 <= low < high <= 100, "two percentiles, the lower first"))
        x = training_points(self, X)
        self.center_ = np.median(x, axis=0)
        below, above = np.percentile(x, [low, high], axis=0)
        self.shift_, self.scale_ = self.center_, sizes(above - below, self.center_)
        return self
