"""Augmented random search: play a policy's parameters moved both ways by noise, and follow what was better.

Each generation draws N directions δ_k and plays 2 N policies, θ + σ δ_k and θ - σ δ_k, whole episodes each:

    θ ← θ + α / (b σ_r) Σ_k [r(θ + σ δ_k) - r(θ - σ δ_k)] δ_k

over the b directions with the greatest max(r⁺, r⁻); σ_r is the deviation of the 2 b returns. There is no gradient, no
value and no noise on actions: a linear policy of the normalised observations is often enough.

Source: Mania, Guy & Recht 2018, algorithm 2 (V1-t, with ``normalize`` V2-t). Names and defaults as in sb3-contrib.

Symbols:
    θ  theta  float64 [P]    δ  noise  float64 [N, P]    σ  delta_std    α  learning_rate    N  n_delta    b  n_top

Deviations from the paper: an alive bonus is taken off by ``alive_bonus_offset`` a step; with several episodes of each
candidate their returns are added up. Observations are normalised by the moments of the generations before.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Choice,
    Either,
    LearningRate,
    Range,
    ScheduleLike,
    SearchAgent,
    random_search_step,
    scheduled,
    tabulate,
)

Array = NDArray[np.float64]


class ARS(SearchAgent):
    """Augmented random search, for finite actions and a Box.

    Example:
        >>> agent = ARS("CartPole-v1", n_delta=4, seed=0).learn(20_000)
        >>> agent.metrics()["train/iterations"] > 5
        True
    """

    id = "ars"

    n_delta: Annotated[int, Range("directions of a generation, each of which is tried both ways", 1, 10_000,
                                  integer=True)] = 8  # fmt: skip
    n_top: Annotated[
        Any, Either((None,), Range("best directions that count; None for all", 1, 10_000, integer=True))
    ] = None
    learning_rate: LearningRate = 0.02
    delta_std: Annotated[ScheduleLike, Range("σ, deviation of the noise", 0, open_low=True, schedule=True)] = 0.05
    zero_policy: Annotated[bool, Choice("θ begins at 0", (True, False))] = True
    alive_bonus_offset: Annotated[float, Range("what is added to each reward", -1e9, 1e9)] = 0.0

    def setup(self) -> None:
        """The schedules."""
        super().setup()
        self._rate, self._std = tabulate(self.learning_rate), tabulate(self.delta_std)
        self._last = np.zeros(3)  # deviation of the noise, learning rate, deviation of the returns

    @property
    def draws(self) -> int:
        """A direction each."""
        return int(self.n_delta)

    @property
    def population_size(self) -> int:
        """Both ways."""
        return 2 * int(self.n_delta)

    def candidates(self) -> Array:
        """θ + σ δ, then θ - σ δ, [2 N, P]."""
        moves = scheduled(self._std, self.generation.progress[0]) * self.generation.noise
        return np.concatenate([self.theta + moves, self.theta - moves])

    def improve(self, returns: Array, lengths: NDArray[np.int64]) -> None:
        """A step along the directions that were better."""
        scores = returns.sum(axis=1) + self.alive_bonus_offset * lengths.sum(axis=1)
        plus, minus = np.split(scores, 2)
        n_top = min(self.n_top or self.n_delta, self.n_delta)
        progress, noise = self.generation.progress[0], self.generation.noise
        direction, deviation = random_search_step(plus, minus, noise, n_top)
        rate = scheduled(self._rate, progress)
        self.theta += rate * direction
        self._last[:] = scheduled(self._std, progress), rate, deviation

    def numbers(self) -> dict[str, float]:
        """Deviations and the learning rate."""
        return dict(zip(("delta_std", "learning_rate", "return_std"), self._last.tolist(), strict=True))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was logged too."""
        return {**super().arrays(), "last": self._last}


__all__ = ["ARS"]
