"""Evolution strategies: the gradient of the expected return under noise on the parameters, by the ranks of returns.

Each generation draws N directions ε_k, plays θ + σ ε_k and θ - σ ε_k, and estimates, with u the centred ranks of the
2 N returns (-½ the worst, ½ the best):

    g = 1 / (2 N σ) Σ_k [u(θ + σ ε_k) - u(θ - σ ε_k)] ε_k - λ θ        θ ← θ + Adam(g)

Ranks make it the same for any scale of rewards; every candidate counts, so it bears large populations.

Source: Salimans et al. 2017, algorithm 1, with mirrored sampling, fitness shaping and weight decay (section 2.1); Adam:
Kingma & Ba 2015.

Symbols:
    θ  theta  float64 [P]    ε  noise  float64 [N, P]    σ  delta_std    α  learning_rate    N  n_delta
    λ  weight_decay    u  centred ranks  float64 [2 N]

Deviations from the paper: noise is drawn, not looked up in a table; there is no virtual batch normalisation.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    COUNT,
    Choice,
    LearningRate,
    Range,
    Ranges,
    ScheduleLike,
    SearchAgent,
    centred_ranks,
    improve,
    new_optimiser,
    scheduled,
    tabulate,
)

Array = NDArray[np.float64]


class EvolutionStrategies(SearchAgent):
    """Evolution strategies, for finite actions and a Box.

    Example:
        >>> agent = EvolutionStrategies("CartPole-v1", n_delta=8, seed=0).learn(20_000)
        >>> agent.metrics()["train/iterations"] > 3
        True
    """

    id = "evolution-strategies"

    n_delta: Annotated[int, Range("directions of a generation, each of which is tried both ways", 1, 10_000,
                                  integer=True)] = 16  # fmt: skip
    learning_rate: LearningRate = 0.1
    delta_std: Annotated[ScheduleLike, Range("σ, deviation of the noise", 0, open_low=True, schedule=True)] = 0.1
    weight_decay: Annotated[float, Range("λ", 0, 1e3)] = 0.005
    zero_policy: Annotated[bool, Choice("θ begins at 0", (True, False))] = True

    def setup(self) -> None:
        """Schedules and the optimiser."""
        super().setup()
        self._rate, self._std = tabulate(self.learning_rate), tabulate(self.delta_std)
        self._optimiser = new_optimiser(len(self.theta), "adam", np.float64)
        self._last = np.zeros(3)  # deviation of the noise, learning rate, length of the gradient

    @property
    def draws(self) -> int:
        """A direction each."""
        return int(self.n_delta)

    @property
    def population_size(self) -> int:
        """Both ways."""
        return 2 * int(self.n_delta)

    def candidates(self) -> Array:
        """θ + σ ε, then θ - σ ε, [2 N, P]."""
        moves = scheduled(self._std, self.generation.progress[0]) * self.generation.noise
        return np.concatenate([self.theta + moves, self.theta - moves])

    def improve(self, returns: Array, lengths: NDArray[np.int64]) -> None:
        """A step of Adam along the estimate."""
        progress, noise = self.generation.progress[0], self.generation.noise
        std, rate = scheduled(self._std, progress), scheduled(self._rate, progress)
        plus, minus = np.split(centred_ranks(returns.mean(axis=1)), 2)
        gradient = (plus - minus) @ noise / (2.0 * len(noise) * std) - self.weight_decay * self.theta
        self._last[:] = std, rate, np.sqrt(gradient @ gradient)
        improve(self.theta, -gradient, self._optimiser, rate, 0.0)

    def numbers(self) -> dict[str, float]:
        """The noise, the learning rate, and the length of the estimate."""
        return dict(zip(("delta_std", "learning_rate", "grad_norm"), self._last.tolist(), strict=True))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The optimiser too."""
        optimiser = {"m": self._optimiser.m, "v": self._optimiser.v, "t": self._optimiser.t}
        return {**super().arrays(), **optimiser, "last": self._last}

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold."""
        return {**super().ranges(), "t": COUNT}


__all__ = ["EvolutionStrategies"]
