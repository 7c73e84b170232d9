"""The cross-entropy method: draw policies from a normal distribution, and fit it to the best of them.

Each generation draws C policies θ_c = μ + σ ⊙ ε_c, plays them, and takes mean and variance of the best share ρ:

    μ ← mean of the elites        σ² ← variance of the elites + Z_t        Z_t = max(z₀ (1 - t / T), 0)

The extra variance Z_t, which falls to 0 after T generations, keeps the distribution from closing too early.

Source: Rubinstein 1999; Szita & Lőrincz 2006, equations 1 to 3 (for policies; decreasing noise).

Symbols:
    μ  theta  float64 [P]    σ²  variance  float64 [P]    C  population_size    ρ  elite_share    z₀  extra_variance
    T  extra_generations    ε  noise  float64 [C, P]

Deviations from the paper: the policy is linear or a network.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import Range, SearchAgent, elite_moments

Array = NDArray[np.float64]


class CEM(SearchAgent):
    """The cross-entropy method, for finite actions and a Box.

    Example:
        >>> agent = CEM("CartPole-v1", n_candidates=20, seed=0).learn(20_000)
        >>> agent.variance.shape
        (8,)
    """

    id = "cem"

    n_candidates: Annotated[int, Range("policies of a generation, C", 2, 100_000, integer=True)] = 50
    elite_share: Annotated[float, Range("ρ, the share of them that is fitted", 0, 1, open_low=True)] = 0.2
    initial_std: Annotated[float, Range("σ at the start", 0, 1e6, open_low=True)] = 1.0
    extra_variance: Annotated[float, Range("z₀, added to the variance at first", 0, 1e6)] = 0.1
    extra_generations: Annotated[int, Range("T, generations in which it falls to 0", 1, 10_000_000, integer=True)] = 20

    def setup(self) -> None:
        """The distribution: mean 0."""
        super().setup()
        self.variance = np.full(len(self.theta), float(self.initial_std) ** 2)
        self._best = np.zeros(1)

    @property
    def draws(self) -> int:
        """A draw each."""
        return int(self.n_candidates)

    @property
    def population_size(self) -> int:
        """All that are drawn."""
        return int(self.n_candidates)

    def candidates(self) -> Array:
        """μ + σ ε, [C, P]."""
        return self.theta + np.sqrt(self.variance) * self.generation.noise

    def improve(self, returns: Array, lengths: NDArray[np.int64]) -> None:
        """Mean and variance of the best."""
        scores, many = returns.mean(axis=1), max(round(self.elite_share * self.n_candidates), 1)
        mean, variance = elite_moments(self.candidates(), scores, many)
        extra = self.extra_variance * max(1.0 - int(self.updates[0]) / self.extra_generations, 0.0)
        self.theta[:], self.variance[:], self._best[0] = mean, variance + extra, scores.max()

    def numbers(self) -> dict[str, float]:
        """The mean deviation of the parameters, and the best return."""
        return {"std": float(np.sqrt(self.variance).mean()), "best_return": float(self._best[0])}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The distribution's variance too."""
        return {**super().arrays(), "variance": self.variance, "best": self._best}


__all__ = ["CEM"]
