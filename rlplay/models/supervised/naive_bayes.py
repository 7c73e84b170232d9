"""Gaussian naive Bayes: each class is normally distributed in each column, and the columns are independent.

    p(k | x) ∝ p(k) Π_d N(x_d; μ_kd, σ²_kd)

The product is "naive": it takes the columns as independent given the class. Means and variances of new data are
combined with those so far by Chan's formula, so the model can learn in batches:

    μ = (n μ_1 + m μ_2) / (n + m),    (n + m) σ² = n σ²_1 + m σ²_2 + n m / (n + m) (μ_1 - μ_2)²

Source: Hand & Yu 2001; Chan, Golub & LeVeque 1979. The twin is `sklearn.naive_bayes.GaussianNB`.

Shapes: X [N, D], means and variances [K, D], probabilities [N, K].
In reinforcement learning: imitation from few examples; a baseline for every classifier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from rlplay.models.common import (
    Floats,
    LogProbabilities,
    known_codes,
    new_points,
    point_weights,
    points_and_classes,
    require,
    softmax,
)


@dataclass(eq=False, repr=False, kw_only=True)
class GaussianNB(LogProbabilities, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian naive Bayes.

    Args:
        var_smoothing: share of the largest column variance that is added to all variances, so that none is 0.

    Attributes:
        classes_: the classes [K].
        class_count_: training points of each class, float64 [K].
        class_prior_: their shares, float64 [K].
        theta_: means, float64 [K, D].
        var_: variances, smoothed, float64 [K, D].
        epsilon_: what was added to the variances.

    Example:
        >>> model = GaussianNB().fit([[-2.0], [-1.0], [1.0], [2.0]], ["left", "left", "right", "right"])
        >>> model.predict([[-0.5], [0.5]]).tolist()
        ['left', 'right']
    """

    var_smoothing: float = 1e-9

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from X [N, D] and the classes y [N], each point counted by its weight [N]."""
        x, codes = points_and_classes(self, X, y, fewest=1)
        return self._begin(x)._add(x, codes, point_weights(self, x, sample_weight))

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more points; the first call names all classes. One without points has probability 0."""
        x, codes = known_codes(self, X, y, classes)
        if hasattr(self, "theta_"):
            self.var_ -= self.epsilon_
        else:
            self._begin(x)
        return self._add(x, codes, point_weights(self, x, sample_weight))

    def _begin(self, x: Floats) -> Self:
        require(self, var_smoothing=(self.var_smoothing >= 0, "0 or more"))
        self.epsilon_ = self.var_smoothing * float(x.var(axis=0).max())
        shape = (len(self.classes_), x.shape[1])
        self.theta_, self.var_, self.class_count_ = np.zeros(shape), np.zeros(shape), np.zeros(shape[0])
        return self

    def _add(self, x: Floats, codes: NDArray[np.int64], weights: Floats | None) -> Self:
        for k in range(len(self.classes_)):
            mine, share = x[codes == k], None if weights is None else weights[codes == k]
            n, m = self.class_count_[k], len(mine) if share is None else share.sum()
            if m == 0:
                continue
            mean = np.average(mine, axis=0, weights=share)
            variance = mine.var(axis=0) if share is None else np.average((mine - mean) ** 2, axis=0, weights=share)
            apart = (self.theta_[k] - mean) ** 2 * n * m / (n + m) ** 2
            self.var_[k] = (n * self.var_[k] + m * variance) / (n + m) + apart
            self.theta_[k] = (n * self.theta_[k] + m * mean) / (n + m)
            self.class_count_[k] = n + m
        self.var_ += self.epsilon_
        self.class_prior_ = self.class_count_ / self.class_count_.sum()
        return self

    def joint_log_likelihood(self, x: Floats) -> Floats:
        """The logarithms ln p(k) + Σ_d ln N(x_d; μ_kd, σ²_kd), [N, K]."""
        out = np.full((len(x), len(self.classes_)), -np.inf)
        for k in np.flatnonzero(self.class_prior_ > 0):
            spread = np.log(2 * np.pi * self.var_[k]).sum()
            out[:, k] = -0.5 * (spread + ((x - self.theta_[k]) ** 2 / self.var_[k]).sum(axis=1))
            out[:, k] += np.log(self.class_prior_[k])
        return out

    def predict_proba(self, X: Any) -> Floats:
        """The probability of each class, [N, K]."""
        return softmax(self.joint_log_likelihood(new_points(self, X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each point [N]."""
        likelihoods = self.joint_log_likelihood(new_points(self, X))
        return self.classes_[likelihoods.argmax(axis=1)]
