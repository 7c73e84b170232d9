"""Multilayer perceptrons: regression and classification by layers of weighted sums, each followed by an activation.

    h_l = f(h_{l-1} W_l + b_l)        numbers: ŷ = h_L W + b        classes: p = softmax(h_L W + b)

The networks learn by backpropagation: `rlplay.networks.losses` has the losses, `rlplay.networks.linear` the rule. The
penalty ½ α ‖W‖² / N pulls all weights, but no bias, towards 0.

Source: Rumelhart, Hinton & Williams 1986; Goodfellow, Bengio & Courville 2016, chapter 6. The twins are
`sklearn.neural_network.MLPRegressor` and `MLPClassifier`, and with ``backend="torch"`` a torch module.

Shapes: N points of D numbers, X [N, D]; targets y [N] or [N, K].
In reinforcement learning: value functions and policies (neural fitted Q, behaviour cloning).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin

from rlplay.compiled.cache import compiled
from rlplay.models.common import (
    Floats,
    LogProbabilities,
    flat_targets,
    known_codes,
    new_points,
    point_weights,
    points_and_classes,
    points_and_numbers,
    require,
    softmax,
)
from rlplay.models.deep.training import DeepModel, sizes_of, weights_only
from rlplay.networks.kernel import kernel
from rlplay.networks.layers import mlp


class SoftmaxAnswers:
    """The predictions of a network with one output a class; a mixin. The model has ``classes_`` and `_outputs`.

    Example:
        >>> issubclass(MLPClassifier, SoftmaxAnswers)
        True
    """

    classes_: NDArray[Any]
    _outputs: Callable[[Any], Floats]

    def predict_proba(self, X: Any) -> Floats:
        """The probability of each class, float64 [N, K]."""
        return softmax(self._outputs(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class, [N]."""
        best = self._outputs(X).argmax(axis=1)
        return self.classes_[best]


@dataclass(eq=False, repr=False)
class _MLPParameters(DeepModel):
    """The arguments of both models."""

    hidden_layer_sizes: Any = (100,)
    activation: str = "relu"
    _: KW_ONLY
    alpha: float = 1e-4


class _MLP(_MLPParameters):
    """The network of both models, and its training."""

    n_outputs_: int

    def _layers(self) -> Any:
        sizes = [self.n_features_in_, *sizes_of(self.hidden_layer_sizes), self.n_outputs_]
        return [(mlp(sizes, self.activation), None)]

    def _learn(self, x: Floats, targets: NDArray[Any], sample_weight: Any, whole: bool, loss: str) -> Self:
        weights = point_weights(self, x, sample_weight)
        if weights is not None and (weights == 0).any():
            x, targets, weights = x[weights > 0], targets[weights > 0], weights[weights > 0]
        require(self, alpha=(self.alpha >= 0, "a number of 0 or more"))
        (network,), pulled = self._begin(whole), weights_only(self._layers()[0][0])

        def penalty(n: int) -> Floats | None:
            return self.alpha / n * pulled if self.alpha > 0 else None

        return self._regress(
            network,
            x.astype(np.float32),
            targets.astype(np.float32),
            whole,
            loss=loss,
            penalty=penalty,
            weights=weights,
        )

    def _outputs(self, X: Any) -> Floats:
        x = new_points(self, X).astype(np.float32)
        return self._in_parts(self.networks()[0].predict, x)


class MLPRegressor(RegressorMixin, MultiOutputMixin, _MLP, BaseEstimator):  # type: ignore[misc]
    """Regression by a multilayer perceptron.

    Args:
        hidden_layer_sizes: units of the hidden layers: ``(64, 64)``, or a number for one layer.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.
        alpha: strength of the penalty ½ α ‖W‖² / N.

    The other arguments are those of `rlplay.models.deep.training.TrainingParameters`.

    Attributes:
        loss_curve_: mean loss of each epoch.
        validation_losses_: with early stopping, the loss of the points held out after each epoch.
        n_iter_: epochs made.

    Example:
        >>> x = np.linspace(-1, 1, 50)[:, None]
        >>> model = MLPRegressor(32, learning_rate_init=0.01, max_iter=400, tol=1e-6, random_state=0)
        >>> bool(model.fit(x, x[:, 0] ** 2).score(x, x[:, 0] ** 2) > 0.99)
        True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from X [N, D] and the numbers y [N] or [N, K], from new weights.

        Each example's loss counts by its ``sample_weight`` [N].
        """
        return self._fit(X, y, sample_weight, True)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One more epoch over these points."""
        return self._fit(X, y, sample_weight, not hasattr(self, "weights_"), False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, first: bool, whole: bool = True) -> Self:
        x, target = points_and_numbers(self, X, y, several=True, reset=first)
        target = flat_targets(target)
        if first:
            self.n_outputs_, self.is_flat_ = (1 if target.ndim == 1 else target.shape[1]), target.ndim == 1
        elif target.shape[1:] != (() if self.is_flat_ else (self.n_outputs_,)):
            raise ValueError(f"y has shape {target.shape}, and MLPRegressor learns {self.n_outputs_} numbers a point.")
        return self._learn(x, target.reshape(len(x), -1), sample_weight, whole, "squared_error")

    def predict(self, X: Any) -> Floats:
        """The numbers [N], or [N, K] for several targets."""
        out = self._outputs(X)
        return out[:, 0] if self.is_flat_ else out

    def sample_function(self, method: str) -> Any:
        """The compiled function of one sample for ``predict`` (a `SampleFunction`)."""
        if self.backend == "torch" or not self.is_flat_:
            return None
        work = np.zeros(self.n_features_in_, np.float32)
        return value_of_row(kernel(self._layers()[0][0]).forward_row), (self.networks()[0].net, work)


class MLPClassifier(LogProbabilities, ClassifierMixin, SoftmaxAnswers, _MLP, BaseEstimator):  # type: ignore[misc]
    """Classification by a multilayer perceptron.

    Args:
        hidden_layer_sizes: units of the hidden layers: ``(64, 64)``, or a number for one layer.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.
        alpha: strength of the penalty ½ α ‖W‖² / N.

    The other arguments are those of `rlplay.models.deep.training.TrainingParameters`.

    Attributes:
        classes_: the classes [K].
        loss_curve_: mean loss of each epoch.
        n_iter_: epochs made.

    Example:
        >>> x, y = [[-1.0], [-0.5], [0.5], [1.0]], ["left", "left", "right", "right"]
        >>> model = MLPClassifier(8, learning_rate_init=0.05, random_state=0).fit(x, y)
        >>> model.predict([[-0.8], [0.8]]).tolist()
        ['left', 'right']
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from X [N, D] and the classes y [N], from new weights.

        Each example's loss counts by its ``sample_weight`` [N].
        """
        x, codes = points_and_classes(self, X, y, fewest=1)
        self.n_outputs_ = len(self.classes_)
        return self._learn(x, codes[:, None], sample_weight, True, "cross_entropy")

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One more epoch over these points; the first call names all classes."""
        x, codes = known_codes(self, X, y, classes)
        self.n_outputs_ = len(self.classes_)
        return self._learn(x, codes[:, None], sample_weight, False, "cross_entropy")


@cache
def value_of_row(forward_row: Any) -> Any:
    """``(codes, x [D]) -> y`` over a network: the sample function of a regressor.

    Example:
        >>> model = MLPRegressor(2, max_iter=1, random_state=0).fit([[0.0], [1.0]], [0.0, 1.0])
        >>> function, codes = model.sample_function("predict")
        >>> bool(function(codes, np.array([0.5])) == model.predict([[0.5]])[0])
        True
    """

    @compiled
    def predict_row(codes: Any, x: Any) -> float:
        net, work = codes
        for i in range(work.shape[0]):
            work[i] = x[i]
        return float(forward_row(net, work)[0])

    return predict_row


@cache
def features_of_row(forward_row: Any) -> Any:
    """``(codes, x [D], out [F])`` over a network: the sample function of a transformer.

    Example:
        >>> from rlplay.models.deep import Autoencoder
        >>> model = Autoencoder(2, 2, max_iter=1, random_state=0).fit([[0.0], [1.0]])
        >>> function, codes = model.sample_function("transform")
        >>> out = np.zeros(2, np.float32)
        >>> function(codes, np.array([0.5]), out)
        >>> np.allclose(out, model.transform([[0.5]])[0])
        True
    """

    @compiled
    def transform_row(codes: Any, x: Any, out: Any) -> None:
        net, work = codes
        for i in range(work.shape[0]):
            work[i] = x[i]
        found = forward_row(net, work)
        for i in range(out.shape[0]):
            out[i] = found[i]

    return transform_row
