"""Autoencoders: networks that reconstruct their input from a short code.

    code   c = encode(x)        reconstruction   x̂ = decode(c)        loss   ½ ‖x̂ - x‖²

The code is narrower than x, so it keeps only what matters. A denoising autoencoder receives x + noise and reconstructs
x: it learns where points lie, and moves others towards them. Where points are unlike the training points, x̂ is far
from x.

Source: Hinton & Salakhutdinov 2006; Vincent et al. 2008 (denoising). The twin is a torch module
(``backend="torch"``); with linear layers the codes span the space of PCA (Baldi & Hornik 1989).

Shapes: X [N, D], codes [N, n_components].
In reinforcement learning: features from high-dimensional observations (Lange & Riedmiller 2010), novelty for
exploration.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state

from rlplay.models.common import Floats, new_points, require
from rlplay.models.deep.mlp import features_of_row
from rlplay.models.deep.training import SelfSupervised, loss_of, sizes_of
from rlplay.networks.kernel import kernel
from rlplay.networks.layers import mlp


class Coder(TransformerMixin, SelfSupervised):  # type: ignore[misc]
    """Models with codes of ``n_components`` numbers, and a reconstruction error; a mixin.

    Example:
        >>> from rlplay.models.deep import VAE, LSTMAutoencoder
        >>> issubclass(VAE, Coder), issubclass(LSTMAutoencoder, Coder)
        (True, True)
    """

    n_components: int

    def _check(self) -> None:
        super()._check()
        require(self, n_components=(int(self.n_components) >= 1, "a whole number of 1 or more"))

    def _codes(self, X: Any) -> NDArray[np.float32]:
        """Codes to decode, float32 [N, n_components].

        Raises:
            ValueError: another shape.
        """
        codes = np.asarray(X, np.float32)
        if codes.ndim != 2 or codes.shape[1] != self.n_components:
            raise ValueError(f"codes have shape [N, {self.n_components}], and {list(codes.shape)} was given")
        return codes

    def reconstruction_error(self, X: Any) -> Floats:
        """The mean of (x̂ - x)² over the numbers of each example, float64 [N]."""
        raise NotImplementedError

    def score(self, X: Any, y: Any = None) -> float:
        """The negative mean reconstruction error: higher is better."""
        return -float(self.reconstruction_error(X).mean())

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components)


class PointCoder(Coder):
    """An encoder and a decoder of points; a mixin.

    Example:
        >>> model = Autoencoder(1, 4, max_iter=1, random_state=0).fit([[0.0, 1.0], [1.0, 0.0]])
        >>> isinstance(model, PointCoder), model.inverse_transform([[0.5]]).shape
        (True, (1, 2))
    """

    hidden_layer_sizes: Any
    activation: str

    def _layers(self) -> Any:
        inner, d = sizes_of(self.hidden_layer_sizes), self.n_features_in_
        encoder = mlp([d, *inner, self._code_size()], self.activation)
        return [(encoder, None), (mlp([self.n_components, *inner[::-1], d], self.activation), None)]

    def _code_size(self) -> int:
        """The number of the encoder's outputs."""
        return self.n_components

    def transform(self, X: Any) -> Floats:
        """The codes, float64 [N, n_components]."""
        x = new_points(self, X).astype(np.float32)
        return self._in_parts(self.networks()[0].predict, x)[:, : self.n_components]

    def inverse_transform(self, X: Any) -> Floats:
        """The points of codes X [N, n_components], float64 [N, D].

        Raises:
            ValueError: codes of another shape.
        """
        return self._in_parts(self.networks()[1].predict, self._codes(X))

    def reconstruction_error(self, X: Any) -> Floats:
        """The distance of each point to its reconstruction: the mean of (x̂ - x)² over the columns, float64 [N]."""
        x = new_points(self, X)
        return ((self.inverse_transform(self.transform(x)) - x) ** 2).mean(axis=1)

    def sample_function(self, method: str) -> Any:
        """The compiled function of one row for ``transform`` (`rlplay.approximation.estimators.SampleFunction`)."""
        if self.backend == "torch":
            return None
        work = np.zeros(self.n_features_in_, np.float32)
        return features_of_row(kernel(self._layers()[0][0]).forward_row), (self.networks()[0].net, work)


@dataclass(eq=False, repr=False)
class Autoencoder(PointCoder, BaseEstimator):  # type: ignore[misc]
    """Codes from which a network reconstructs its own input.

    Args:
        n_components: numbers of a code.
        hidden_layer_sizes: units of the encoder's hidden layers; the decoder has them in reverse.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.

    The other arguments are those of `rlplay.models.deep.training.TrainingParameters`.

    Attributes:
        loss_curve_: mean loss of each epoch.
        n_iter_: epochs made.

    Example:
        >>> angle = np.linspace(0, 6, 200)
        >>> ring = np.column_stack([np.cos(angle), np.sin(angle)])
        >>> model = Autoencoder(1, learning_rate_init=0.01, max_iter=400, tol=0, random_state=0).fit(ring)
        >>> bool(model.reconstruction_error(ring).mean() < 0.05 < 0.2 < model.reconstruction_error([[0.0, 0.0]])[0])
        True
    """

    n_components: int = 2
    hidden_layer_sizes: Any = (64,)
    activation: str = "tanh"
    _: KW_ONLY
    tol: float = 1e-5

    def _corrupted(self, points: NDArray[Any], rng: np.random.RandomState) -> NDArray[Any]:
        """The encoder's input for the points of a minibatch while it learns."""
        return points

    def _learn(self, data: Floats, whole: bool) -> Self:
        (encoder, decoder), points = self._begin(whole), data.astype(np.float32)
        rng = check_random_state(self.random_state)

        def step(batch: NDArray[np.int64], learn: bool) -> float:
            x = points[batch]
            reconstruction = decoder.forward(encoder.forward(self._corrupted(x, rng) if learn else x))
            value, gradient = loss_of("squared_error", reconstruction, x)
            if learn:
                encoder.backward(decoder.backward(gradient), to_input=False)
                self._descend(encoder)
                self._descend(decoder)
            return value

        self._run(len(points), step, whole)
        return self


@dataclass(eq=False, repr=False)
class DenoisingAutoencoder(Autoencoder):
    """Codes from which a network that receives its input with noise reconstructs it without.

    Args:
        n_components: numbers of a code.
        hidden_layer_sizes: units of the encoder's hidden layers; the decoder has them in reverse.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.
        noise: standard deviation of the noise that is added to each number.

    The other arguments are those of `rlplay.models.deep.training.TrainingParameters`.

    Example:
        >>> angle = np.linspace(0, 6, 200)
        >>> ring = np.column_stack([np.cos(angle), np.sin(angle)])
        >>> model = DenoisingAutoencoder(2, 8, noise=0.2, max_iter=2, random_state=0).fit(ring)
        >>> model.transform(ring).shape
        (200, 2)
    """

    _: KW_ONLY
    noise: float = 0.3

    def _check(self) -> None:
        super()._check()
        require(self, noise=(self.noise >= 0, "a number of 0 or more"))

    def _corrupted(self, points: NDArray[Any], rng: np.random.RandomState) -> NDArray[Any]:
        return (points + self.noise * rng.standard_normal(points.shape)).astype(np.float32)
