"""Multilayer perceptrons: numbers and classes by layers of weighted sums with a bend between them.

    h_l = f(h_{l-1} W_l + b_l)        numbers: ŷ = h_L W + b        classes: p = softmax(h_L W + b)

trained by backpropagation: `rlplay.networks.linear` has the rule, `rlplay.networks.losses` where it begins. The penalty
½ α ‖W‖² / N pulls all weights, but no bias, towards 0.

Source: Rumelhart, Hinton & Williams 1986; Goodfellow, Bengio & Courville 2016, chapter 6. The twins are
`sklearn.neural_network.MLPRegressor` and `MLPClassifier`, and with ``backend="torch"`` a torch module.

Shapes: N points of D numbers, X [N, D]; targets y [N] or [N, K].
In reinforcement learning: value functions and policies (neural fitted Q, behaviour cloning).
"""

from __future__ import annotations

from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin

from rlplay.compiled.cache import compiled
from rlplay.models.common import Floats, new_points, points_and_classes, points_and_numbers, require, softmax
from rlplay.models.deep.training import DeepModel, loss_of, weights_only
from rlplay.models.supervised.sgd import known_codes
from rlplay.networks.layers import mlp
from rlplay.networks.network import kernel


def sizes_of(hidden: Any) -> list[int]:
    """Hidden layers as a list: a number is one layer."""
    return [int(size) for size in np.ravel(np.asarray(hidden, int))]


class _MLP(DeepModel):
    """What both share."""

    hidden_layer_sizes: Any
    activation: str
    alpha: float
    n_outputs_: int
    _loss = "squared_error"

    def __init__(
        self, hidden_layer_sizes: Any = (100,), activation: str = "relu", *, solver: str = "adam", alpha: float = 1e-4,
        batch_size: int | str = "auto", learning_rate_init: float = 1e-3, max_iter: int = 200, tol: float = 1e-4,
        n_iter_no_change: int = 10, early_stopping: bool = False, validation_fraction: float = 0.1,
        max_grad_norm: float = 0.0, predict_batch_size: int = 1024, backend: str = "numpy", device: str = "cpu",
        verbose: bool | None = None, random_state: Any = None,
    ) -> None:  # fmt: skip
        self._take(locals())

    def _layers(self) -> Any:
        sizes = [self.n_features_in_, *sizes_of(self.hidden_layer_sizes), self.n_outputs_]
        return [(mlp(sizes, self.activation), None)]

    def _learn(self, x: Floats, targets: NDArray[Any], whole: bool) -> Self:
        require(self, alpha=(self.alpha >= 0, "a number of 0 or more"))
        (network,), weights = self._begin(whole), weights_only(self._layers()[0][0])
        points, goals = x.astype(np.float32), targets.astype(np.float32)

        def step(rows: NDArray[np.int64], learn: bool) -> float:
            value, gradient = loss_of(self._loss, network.forward(points[rows]), goals[rows])
            if learn:
                network.backward(gradient, to_input=False)
                self._descend(network, self.alpha / len(rows) * weights if self.alpha > 0 else None)
            return value

        self._run(len(x), step, whole)
        return self

    def _outputs(self, X: Any) -> Floats:
        x = new_points(self, X).astype(np.float32)
        return self._in_parts(self.networks()[0].predict, x)


class MLPRegressor(RegressorMixin, MultiOutputMixin, _MLP, BaseEstimator):  # type: ignore[misc]
    """Regression by a multilayer perceptron.

    Args:
        hidden_layer_sizes: units of the hidden layers: ``(64, 64)``, or a number for one layer.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.
        solver: adam, rmsprop, momentum or sgd.
        alpha: strength of the penalty ½ α ‖W‖² / N.
        batch_size: points of a minibatch; ``"auto"`` for at most 200.
        learning_rate_init: the step size.
        max_iter: most epochs.
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
        loss_curve_: mean loss of each epoch.
        validation_losses_: with early stopping, the loss of the points held out after each epoch.
        n_iter_: epochs made.

    Example:
        >>> x = np.linspace(-1, 1, 50)[:, None]
        >>> model = MLPRegressor(32, learning_rate_init=0.01, max_iter=500, random_state=0).fit(x, x[:, 0] ** 2)
        >>> bool(model.score(x, x[:, 0] ** 2) > 0.99)
        True
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from X [N, D] and the numbers y [N] or [N, K], from new weights."""
        return self._fit(X, y, True)

    def partial_fit(self, X: Any, y: Any) -> Self:
        """One more epoch over these points."""
        return self._fit(X, y, not hasattr(self, "weights_"), False)

    def _fit(self, X: Any, y: Any, first: bool, whole: bool = True) -> Self:
        x, target = points_and_numbers(self, X, y, several=True, reset=first)
        if first:
            self.n_outputs_, self.is_flat_ = (1 if target.ndim == 1 else target.shape[1]), target.ndim == 1
        return self._learn(x, target.reshape(len(x), -1), whole)

    def predict(self, X: Any) -> Floats:
        """The numbers [N], or [N, K] for several targets."""
        out = self._outputs(X)
        return out[:, 0] if self.is_flat_ else out

    def row_function(self, method: str) -> Any:
        """The compiled function of one row for ``predict`` (`rlplay.approximation.estimators.RowFunction`)."""
        if self.backend == "torch" or not self.is_flat_:
            return None
        room = np.zeros(self.n_features_in_, np.float32)
        return value_of_row(kernel(self._layers()[0][0]).forward_row), (self.networks()[0].net, room)


class MLPClassifier(ClassifierMixin, _MLP, BaseEstimator):  # type: ignore[misc]
    """Classification by a multilayer perceptron; its parameters are those of `MLPRegressor`.

    Args:
        hidden_layer_sizes: units of the hidden layers: ``(64, 64)``, or a number for one layer.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.
        alpha: strength of the penalty ½ α ‖W‖² / N.
        learning_rate_init: the step size.
        max_iter: most epochs.
        backend: ``"numpy"``, ours, or ``"torch"``.

    Attributes:
        classes_: the classes [K].
        loss_curve_: mean loss of each epoch.
        n_iter_: epochs made.
    """

    _loss = "cross_entropy"

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from X [N, D] and the classes y [N], from new weights."""
        x, codes = points_and_classes(self, X, y)
        self.n_outputs_ = len(self.classes_)
        return self._learn(x, codes[:, None], True)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """One more epoch over these points; the first call names all classes."""
        x, codes = known_codes(self, X, y, classes)
        self.n_outputs_ = len(self.classes_)
        return self._learn(x, codes[:, None], False)

    def predict_proba(self, X: Any) -> Floats:
        """The probability of each class, [N, K]."""
        return softmax(self._outputs(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each point [N]."""
        best = self._outputs(X).argmax(axis=1)
        return self.classes_[best]


@cache
def value_of_row(forward_row: Any) -> Any:
    """``(codes, x [D]) -> y`` over a network: the row function of a regressor."""

    @compiled
    def predict_row(codes: Any, x: Any) -> float:
        net, room = codes
        for i in range(room.shape[0]):
            room[i] = x[i]
        return float(forward_row(net, room)[0])

    return predict_row


@cache
def features_of_row(forward_row: Any) -> Any:
    """``(codes, x [D], out [F])`` over a network: the row function of a transformer."""

    @compiled
    def transform_row(codes: Any, x: Any, out: Any) -> None:
        net, room = codes
        for i in range(room.shape[0]):
            room[i] = x[i]
        found = forward_row(net, room)
        for i in range(out.shape[0]):
            out[i] = found[i]

    return transform_row
