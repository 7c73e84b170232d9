"""A variational autoencoder: codes that are spread like a bell, so that new points can be drawn.

    [μ, log σ²] = encode(x)        z = μ + σ ⊙ ε,  ε ~ N(0, 1)        x̂ = decode(z)
    loss   ½ ‖x̂ - x‖² + β KL,      KL = ½ Σ (μ² + σ² - 1 - log σ²)

The gradient goes through the draw, since z is a function of μ and σ (the reparametrisation):

    ∂μ = ∂z + β μ        ∂(log σ²) = ½ (∂z ⊙ σ ⊙ ε + β (σ² - 1))

Source: Kingma & Welling 2014, eq. 10 and appendix B; Higgins et al. 2017 (β). The twin is a torch module
(``backend="torch"``).

Shapes: X [N, D], codes [N, n_components].
In reinforcement learning: what an agent has seen, as few numbers; dreams of what it might see (Ha & Schmidhuber 2018).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from rlplay.models.common import Floats, require, training_points
from rlplay.models.deep.autoencoder import Coder
from rlplay.models.deep.training import loss_of


class VAE(Coder, BaseEstimator):  # type: ignore[misc]
    """Codes with a distribution, from which new points are drawn.

    Args:
        n_components: numbers of a code.
        hidden_layer_sizes: units of the encoder's hidden layers; the decoder has them in reverse.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.
        beta: weight of KL; above 1 codes become simpler, below 1 answers sharper. Columns are best of deviation 1.
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
        >>> x = np.random.default_rng(0).normal(size=(300, 1)) * [[1.0, 2.0]]
        >>> model = VAE(1, beta=0.1, learning_rate_init=0.01, max_iter=50, random_state=0).fit(x)
        >>> model.transform(x).shape, model.sample(5).shape
        ((300, 1), (5, 2))
    """

    def __init__(
        self, n_components: int = 2, hidden_layer_sizes: Any = (64,), activation: str = "tanh", *, beta: float = 1.0,
        solver: str = "adam", batch_size: int | str = "auto", learning_rate_init: float = 1e-3, max_iter: int = 200,
        tol: float = 1e-4, n_iter_no_change: int = 10, early_stopping: bool = False, validation_fraction: float = 0.1,
        max_grad_norm: float = 0.0, predict_batch_size: int = 1024, backend: str = "numpy", device: str = "cpu",
        verbose: bool | None = None, random_state: Any = None,
    ) -> None:  # fmt: skip
        self._take(locals())

    def _code_size(self) -> int:
        return 2 * self.n_components

    def _check(self) -> None:
        super()._check()
        require(self, beta=(self.beta >= 0, "a number of 0 or more"))

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from points X [N, D], from new weights; y is not looked at."""
        return self._learn(training_points(self, X), True)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """One more epoch over these points."""
        return self._learn(training_points(self, X, reset=not hasattr(self, "weights_")), False)

    def _learn(self, x: Floats, whole: bool) -> Self:
        (encoder, decoder), points, k = self._begin(whole), x.astype(np.float32), int(self.n_components)
        rng = check_random_state(self.random_state)

        def step(rows: NDArray[np.int64], learn: bool) -> float:
            target, n = points[rows], len(rows)
            code = encoder.forward(target)
            mean, log_variance = code[:, :k], np.clip(code[:, k:], -20.0, 20.0)
            deviation = np.exp(0.5 * log_variance)
            noise = rng.standard_normal((n, k)).astype(np.float32) if learn else np.zeros((n, k), np.float32)
            value, gradient = loss_of("squared_error", decoder.forward(mean + deviation * noise), target)
            divergence = 0.5 * (mean**2 + deviation**2 - 1.0 - log_variance).sum() / n
            if learn:
                to_z, share = decoder.backward(gradient), self.beta / n
                to_mean = to_z + share * mean
                to_log_variance = 0.5 * (to_z * deviation * noise + share * (deviation**2 - 1.0))
                encoder.backward(np.hstack([to_mean, to_log_variance]), to_input=False)
                self._descend(encoder)
                self._descend(decoder)
            return value + self.beta * float(divergence)

        self._run(len(x), step, whole)
        return self

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Floats:
        """New points, drawn by decoding z ~ N(0, 1), [n_samples, D]."""
        rng = check_random_state(random_state)
        return self.inverse_transform(rng.standard_normal((n_samples, int(self.n_components))))
