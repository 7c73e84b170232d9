"""A variational autoencoder: codes that are normally distributed, so that new points can be drawn.

    [μ, log σ²] = encode(x)        z = μ + σ ⊙ ε,  ε ~ N(0, 1)        x̂ = decode(z)
    loss   ½ ‖x̂ - x‖² + β KL,      KL = ½ Σ (μ² + σ² - 1 - log σ²)

The gradient passes through the draw, since z is a function of μ and σ (the reparametrisation trick):

    ∂μ = ∂z + β μ        ∂(log σ²) = ½ (∂z ⊙ σ ⊙ ε + β (σ² - 1))

Source: Kingma & Welling 2014, eq. 10 and appendix B; Higgins et al. 2017 (β). The twin is a torch module
(``backend="torch"``).

Shapes: X [N, D], codes [N, n_components].
In reinforcement learning: short codes of observations; draws of new ones from a world model (Ha & Schmidhuber 2018).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from rlplay.models.common import Floats, require
from rlplay.models.deep.autoencoder import PointCoder
from rlplay.models.deep.training import loss_of


@dataclass(eq=False, repr=False)
class VAE(PointCoder, BaseEstimator):  # type: ignore[misc]
    """Codes with a probability distribution, from which new points are drawn.

    Args:
        n_components: numbers of a code.
        hidden_layer_sizes: units of the encoder's hidden layers; the decoder has them in reverse.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.
        beta: weight of KL: above 1 codes are simpler, below 1 reconstructions are sharper. Scale the columns to
            standard deviation 1.

    The other arguments are those of `rlplay.models.deep.training.TrainingParameters`.

    Attributes:
        loss_curve_: mean loss of each epoch.
        n_iter_: epochs made.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(300, 1)) * [[1.0, 2.0]]
        >>> model = VAE(1, beta=0.1, learning_rate_init=0.01, max_iter=50, random_state=0).fit(x)
        >>> model.transform(x).shape, model.sample(5).shape
        ((300, 1), (5, 2))
    """

    n_components: int = 2
    hidden_layer_sizes: Any = (64,)
    activation: str = "tanh"
    _: KW_ONLY
    beta: float = 1.0

    def _code_size(self) -> int:
        return 2 * self.n_components

    def _check(self) -> None:
        super()._check()
        require(self, beta=(self.beta >= 0, "a number of 0 or more"))

    def _learn(self, data: Floats, whole: bool) -> Self:
        (encoder, decoder), points, k = self._begin(whole), data.astype(np.float32), int(self.n_components)
        rng = check_random_state(self.random_state)

        def step(batch: NDArray[np.int64], learn: bool) -> float:
            x, n = points[batch], len(batch)
            code = encoder.forward(x)
            mean, log_variance = code[:, :k], np.clip(code[:, k:], -20.0, 20.0)
            deviation = np.exp(0.5 * log_variance)
            noise = rng.standard_normal((n, k)).astype(np.float32) if learn else np.zeros((n, k), np.float32)
            value, gradient = loss_of("squared_error", decoder.forward(mean + deviation * noise), x)
            divergence = 0.5 * (mean**2 + deviation**2 - 1.0 - log_variance).sum() / n
            if learn:
                to_z, share = decoder.backward(gradient), self.beta / n
                to_mean = to_z + share * mean
                to_log_variance = 0.5 * (to_z * deviation * noise + share * (deviation**2 - 1.0))
                encoder.backward(np.hstack([to_mean, to_log_variance]), to_input=False)
                self._descend(encoder)
                self._descend(decoder)
            return value + self.beta * float(divergence)

        self._run(len(points), step, whole)
        return self

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Floats:
        """New points: z ~ N(0, 1), decoded, float64 [n_samples, D]."""
        rng = check_random_state(random_state)
        return self.inverse_transform(rng.standard_normal((n_samples, int(self.n_components))))
