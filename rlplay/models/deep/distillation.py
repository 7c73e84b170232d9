"""Random network distillation: how new a point is, by whether a network could foretell what another one says.

    target   f(x), random and never trained        predictor   f̂(x; θ)        novelty   mean (f̂(x) - f(x))²

The predictor learns on what was seen; there it comes near the target, and elsewhere it does not. The input is scaled by
the mean and deviation of what was seen.

Source: Burda et al. 2019. The twin is a torch module (``backend="torch"``).

Shapes: X [N, D], novelty [N].
In reinforcement learning: a bonus for exploration.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from rlplay.models.common import Floats, new_points, require, training_points
from rlplay.models.deep.mlp import sizes_of
from rlplay.models.deep.training import DeepModel, loss_of
from rlplay.networks.layers import mlp


class RandomNetworkDistillation(TransformerMixin, DeepModel, BaseEstimator):  # type: ignore[misc]
    """How new points are.

    Args:
        hidden_layer_sizes: units of the hidden layers of both networks.
        n_outputs: numbers that the target says of a point.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.
        solver: adam, rmsprop, momentum or sgd.
        batch_size: points of a minibatch; ``"auto"`` for at most 200.
        learning_rate_init: the step size.
        max_iter: most epochs of `fit`.
        tol: the least fall of the loss that counts.
        n_iter_no_change: epochs without one after which it stops.
        early_stopping: watch points that are held out, and take the best weights back.
        validation_fraction: the share of those.
        max_grad_norm: longer gradients are scaled down; 0 for never.
        predict_batch_size: points that are answered at a time.
        backend: ``"numpy"``, ours, or ``"torch"``.
        device: of torch: cpu, cuda, or auto.
        verbose: a progress bar: True, False, or None for fits that take long at a terminal.
        random_state: a seed, a RandomState, or None.

    Attributes:
        mean_: of what was seen, [D].
        scale_: deviation of what was seen, [D].
        n_samples_seen_: how many points that was.
        loss_curve_: mean loss of each epoch.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(500, 2))
        >>> model = RandomNetworkDistillation(random_state=0).fit(x)
        >>> bool(model.novelty([[0.0, 0.0]])[0] < 0.1 * model.novelty([[6.0, -6.0]])[0])
        True
    """

    def __init__(
        self, hidden_layer_sizes: Any = (64,), n_outputs: int = 16, activation: str = "relu", *, solver: str = "adam",
        batch_size: int | str = "auto", learning_rate_init: float = 1e-3, max_iter: int = 50, tol: float = 1e-5,
        n_iter_no_change: int = 10, early_stopping: bool = False, validation_fraction: float = 0.1,
        max_grad_norm: float = 0.0, predict_batch_size: int = 1024, backend: str = "numpy", device: str = "cpu",
        verbose: bool | None = None, random_state: Any = None,
    ) -> None:  # fmt: skip
        self._take(locals())

    initialiser = "orthogonal"
    n_samples_seen_: int
    mean_: Floats
    variance_: Floats

    def _layers(self) -> Any:
        sizes = [self.n_features_in_, *sizes_of(self.hidden_layer_sizes), int(self.n_outputs)]
        return [(mlp(sizes, self.activation), None)] * 2  # the target, and the predictor

    def _check(self) -> None:
        super()._check()
        require(self, n_outputs=(int(self.n_outputs) >= 1, "a whole number of 1 or more"))

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn that points X [N, D] are known, from new networks; y is not looked at."""
        return self._learn(training_points(self, X), True)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """One more epoch over these points."""
        return self._learn(training_points(self, X, reset=not hasattr(self, "weights_")), False)

    def _learn(self, x: Floats, whole: bool) -> Self:
        first = whole or not hasattr(self, "weights_")
        target, predictor = self._begin(whole)
        self._observe(x, first)
        points = self._scaled(x)
        goals = self._in_parts(target.predict, points).astype(np.float32)

        def step(rows: NDArray[np.int64], learn: bool) -> float:
            value, gradient = loss_of("squared_error", predictor.forward(points[rows]), goals[rows])
            if learn:
                predictor.backward(gradient, to_input=False)
                self._descend(predictor)
            return value

        self._run(len(x), step, whole)
        return self

    def _observe(self, x: Floats, first: bool) -> None:
        """Mean and deviation of all that was seen (Chan, Golub & LeVeque 1983)."""
        seen = 0 if first else self.n_samples_seen_
        mean, variance = (0.0, 0.0) if first else (self.mean_, self.variance_)
        share = len(x) / (seen + len(x))
        gap = x.mean(axis=0) - mean
        self.mean_ = mean + share * gap
        self.variance_ = (1 - share) * variance + share * x.var(axis=0) + share * (1 - share) * gap**2
        self.scale_ = np.where(self.variance_ > 0, np.sqrt(self.variance_), 1.0)
        self.n_samples_seen_ = seen + len(x)

    def _scaled(self, x: Floats) -> NDArray[np.float32]:
        return np.clip((x - self.mean_) / self.scale_, -5.0, 5.0).astype(np.float32)

    def novelty(self, X: Any) -> Floats:
        """How new each point is: the predictor's mean squared error, [N]."""
        x = self._scaled(new_points(self, X))
        target, predictor = self.networks()
        return self._in_parts(lambda part: ((predictor.predict(part) - target.predict(part)) ** 2).mean(axis=1), x)

    def transform(self, X: Any) -> Floats:
        """The novelty as a feature, [N, 1]."""
        return self.novelty(X)[:, None]

    @property
    def _n_features_out(self) -> int:
        return 1

    def score_samples(self, X: Any) -> Floats:
        """The negative novelty, [N]: higher is better known, as scikit-learn's detectors of outliers have it."""
        return -self.novelty(X)
