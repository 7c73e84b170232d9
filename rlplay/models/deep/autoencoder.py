"""Autoencoders: few numbers from which all columns can be told again.

    code   c = encode(x)        answer   x̂ = decode(c)        loss   ½ ‖x̂ - x‖²

The code is narrower than x, so only what matters fits in. A denoising autoencoder sees x + noise and must tell x: it
learns which points there are, and pulls others towards them. Where points are unlike those it knows, x̂ is far from x.

Source: Hinton & Salakhutdinov 2006; Vincent et al. 2008 (denoising). The twin is a torch module
(``backend="torch"``); with linear layers the codes span the space of PCA (Baldi & Hornik 1989).

Shapes: X [N, D], codes [N, n_components].
In reinforcement learning: features from high-dimensional observations (Lange & Riedmiller 2010), novelty for
exploration.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state

from rlplay.models.common import Floats, new_points, require, training_points
from rlplay.models.deep.mlp import features_of_row, sizes_of
from rlplay.models.deep.training import DeepModel, loss_of
from rlplay.networks.layers import mlp
from rlplay.networks.network import kernel


class Coder(TransformerMixin, DeepModel):  # type: ignore[misc]
    """An encoder and a decoder; a mixin."""

    hidden_layer_sizes: Any
    activation: str
    n_components: int

    def _layers(self) -> Any:
        inner, d = sizes_of(self.hidden_layer_sizes), self.n_features_in_
        encoder = mlp([d, *inner, self._code_size()], self.activation)
        return [(encoder, None), (mlp([self.n_components, *inner[::-1], d], self.activation), None)]

    def _code_size(self) -> int:
        return self.n_components

    def _check(self) -> None:
        super()._check()
        require(self, n_components=(int(self.n_components) >= 1, "a whole number of 1 or more"))

    def transform(self, X: Any) -> Floats:
        """The codes, [N, n_components]."""
        x = new_points(self, X).astype(np.float32)
        return self._in_parts(self.networks()[0].predict, x)[:, : self.n_components]

    def inverse_transform(self, X: Any) -> Floats:
        """The points that codes X [N, n_components] stand for, [N, D]."""
        codes = np.asarray(X, np.float32)
        decoder = self.networks()[1]
        if codes.ndim != 2 or codes.shape[1] != self.n_components:
            raise ValueError(f"codes have shape [N, {self.n_components}], and {list(codes.shape)} was given")
        return self._in_parts(decoder.predict, codes)

    def reconstruction_error(self, X: Any) -> Floats:
        """How far each point is from what is told of it: the mean of (x̂ - x)² over the columns, [N]."""
        x = new_points(self, X)
        return ((self.inverse_transform(self.transform(x)) - x) ** 2).mean(axis=1)

    def score(self, X: Any, y: Any = None) -> float:
        """The negative mean error: higher is better."""
        return -float(self.reconstruction_error(X).mean())

    @property
    def _n_features_out(self) -> int:
        return self.n_components

    def row_function(self, method: str) -> Any:
        """The compiled function of one row for ``transform`` (`rlplay.approximation.estimators.RowFunction`)."""
        if self.backend == "torch":
            return None
        room = np.zeros(self.n_features_in_, np.float32)
        return features_of_row(kernel(self._layers()[0][0]).forward_row), (self.networks()[0].net, room)


class Autoencoder(Coder, BaseEstimator):  # type: ignore[misc]
    """Codes by a network that has to tell its own input again.

    Args:
        n_components: numbers of a code.
        hidden_layer_sizes: units of the encoder's hidden layers; the decoder has them in reverse.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.
        solver: adam, rmsprop, momentum or sgd.
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
        n_iter_: epochs made.

    Example:
        >>> angle = np.linspace(0, 6, 200)
        >>> ring = np.column_stack([np.cos(angle), np.sin(angle)])
        >>> model = Autoencoder(1, learning_rate_init=0.01, random_state=0).fit(ring)
        >>> bool(model.reconstruction_error(ring).mean() < 0.02 < 0.2 < model.reconstruction_error([[0.0, 0.0]])[0])
        True
    """

    def __init__(
        self, n_components: int = 2, hidden_layer_sizes: Any = (64,), activation: str = "tanh", *, solver: str = "adam",
        batch_size: int | str = "auto", learning_rate_init: float = 1e-3, max_iter: int = 200, tol: float = 1e-5,
        n_iter_no_change: int = 10, early_stopping: bool = False, validation_fraction: float = 0.1,
        max_grad_norm: float = 0.0, predict_batch_size: int = 1024, backend: str = "numpy", device: str = "cpu",
        verbose: bool | None = None, random_state: Any = None,
    ) -> None:  # fmt: skip
        self._take(locals())

    def _seen(self, points: NDArray[Any], rng: np.random.RandomState) -> NDArray[Any]:
        """What the encoder sees of a minibatch."""
        return points

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from points X [N, D], from new weights; y is not looked at."""
        return self._learn(training_points(self, X), True)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """One more epoch over these points."""
        return self._learn(training_points(self, X, reset=not hasattr(self, "weights_")), False)

    def _learn(self, x: Floats, whole: bool) -> Self:
        (encoder, decoder), points = self._begin(whole), x.astype(np.float32)
        rng = check_random_state(self.random_state)

        def step(rows: NDArray[np.int64], learn: bool) -> float:
            target = points[rows]
            answer = decoder.forward(encoder.forward(self._seen(target, rng) if learn else target))
            value, gradient = loss_of("squared_error", answer, target)
            if learn:
                encoder.backward(decoder.backward(gradient), to_input=False)
                self._descend(encoder)
                self._descend(decoder)
            return value

        self._run(len(x), step, whole)
        return self


class DenoisingAutoencoder(Autoencoder):
    """Codes by a network that sees its input with noise, and has to tell it without.

    Args:
        n_components: numbers of a code.
        hidden_layer_sizes: units of the encoder's hidden layers; the decoder has them in reverse.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.
        noise: deviation of what is added to each number.
        learning_rate_init: the step size.
        max_iter: most epochs.
        backend: ``"numpy"``, ours, or ``"torch"``.

    The other parameters are those of `Autoencoder`.
    """

    def __init__(
        self, n_components: int = 2, hidden_layer_sizes: Any = (64,), activation: str = "tanh", *, noise: float = 0.3,
        solver: str = "adam", batch_size: int | str = "auto", learning_rate_init: float = 1e-3, max_iter: int = 200,
        tol: float = 1e-5, n_iter_no_change: int = 10, early_stopping: bool = False, validation_fraction: float = 0.1,
        max_grad_norm: float = 0.0, predict_batch_size: int = 1024, backend: str = "numpy", device: str = "cpu",
        verbose: bool | None = None, random_state: Any = None,
    ) -> None:  # fmt: skip
        self._take(locals())

    def _check(self) -> None:
        super()._check()
        require(self, noise=(self.noise >= 0, "a number of 0 or more"))

    def _seen(self, points: NDArray[Any], rng: np.random.RandomState) -> NDArray[Any]:
        return (points + self.noise * rng.standard_normal(points.shape)).astype(np.float32)
