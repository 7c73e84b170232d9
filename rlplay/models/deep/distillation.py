"""Random network distillation: a point is new where one network cannot predict the outputs of another.

    target   f(x), random and never trained        predictor   f̂(x; θ)        novelty   mean (f̂(x) - f(x))²

The predictor learns on the training points: it approaches the target there, and not elsewhere. Inputs are scaled by the
mean and the standard deviation of all training points so far.

Source: Burda et al. 2019. The twin is a torch module (``backend="torch"``).

Shapes: X [N, D], novelty [N].
In reinforcement learning: a bonus for exploration.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from rlplay.models.common import Floats, new_points, require
from rlplay.models.deep.training import SelfSupervised, sizes_of
from rlplay.networks.layers import mlp


@dataclass(eq=False, repr=False)
class RandomNetworkDistillation(TransformerMixin, SelfSupervised, BaseEstimator):  # type: ignore[misc]
    """The novelty of points: how badly a trained network predicts a random one.

    Args:
        hidden_layer_sizes: units of the hidden layers of both networks.
        n_outputs: outputs of both networks.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.

    The other arguments are those of `rlplay.models.deep.training.TrainingParameters`.

    Attributes:
        mean_: of the training points, float64 [D].
        scale_: their standard deviation, float64 [D].
        n_samples_seen_: the number of training points so far.
        loss_curve_: mean loss of each epoch.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(500, 2))
        >>> model = RandomNetworkDistillation(random_state=0).fit(x)
        >>> bool(model.novelty([[0.0, 0.0]])[0] < 0.1 * model.novelty([[6.0, -6.0]])[0])
        True
    """

    hidden_layer_sizes: Any = (64,)
    n_outputs: int = 16
    activation: str = "relu"
    _: KW_ONLY
    max_iter: int = 50
    tol: float = 1e-5
    initialiser = "orthogonal"

    def _layers(self) -> Any:
        sizes = [self.n_features_in_, *sizes_of(self.hidden_layer_sizes), int(self.n_outputs)]
        return [(mlp(sizes, self.activation), None)] * 2  # the target, and the predictor

    def _check(self) -> None:
        super()._check()
        require(self, n_outputs=(int(self.n_outputs) >= 1, "a whole number of 1 or more"))

    def _learn(self, data: Floats, whole: bool) -> Self:
        first = whole or not hasattr(self, "weights_")
        target, predictor = self._begin(whole)
        self._observe(data, first)
        points = self._scaled(data)
        goals = self._in_parts(target.predict, points).astype(np.float32)
        return self._regress(predictor, points, goals, whole)

    def _observe(self, x: Floats, first: bool) -> None:
        """Mean and variance of all training points so far (Chan, Golub & LeVeque 1983)."""
        seen: int = 0 if first else self.n_samples_seen_
        mean, variance = (0.0, 0.0) if first else (self.mean_, self.variance_)
        share = len(x) / (seen + len(x))
        gap = x.mean(axis=0) - mean
        self.mean_: Floats = mean + share * gap
        self.variance_: Floats = (1 - share) * variance + share * x.var(axis=0) + share * (1 - share) * gap**2
        self.scale_ = np.where(self.variance_ > 0, np.sqrt(self.variance_), 1.0)
        self.n_samples_seen_: int = seen + len(x)

    def _scaled(self, x: Floats) -> NDArray[np.float32]:
        return np.clip((x - self.mean_) / self.scale_, -5.0, 5.0).astype(np.float32)

    def novelty(self, X: Any) -> Floats:
        """The novelty of each point: the predictor's mean squared error, float64 [N]."""
        x = self._scaled(new_points(self, X))
        target, predictor = self.networks()
        return self._in_parts(lambda part: ((predictor.predict(part) - target.predict(part)) ** 2).mean(axis=1), x)

    def transform(self, X: Any) -> Floats:
        """The novelty as a feature, float64 [N, 1]."""
        return self.novelty(X)[:, None]

    @property
    def _n_features_out(self) -> int:
        return 1

    def score_samples(self, X: Any) -> Floats:
        """The negative novelty, float64 [N]: lower is more novel, as in scikit-learn's outlier detectors."""
        return -self.novelty(X)
