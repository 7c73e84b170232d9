"""Linear Thompson sampling: draw what the rewards may be, linear in a context, and take the best of what was drawn.

    θ̃_a ~ N(θ_a, v² A_a⁻¹)        A = argmax_a θ̃_aᵀ x        A_a = λ I + Σ x xᵀ,  b_a = Σ R x,  θ_a = A_a⁻¹ b_a

Only θ̃_aᵀ x is needed, which is normal with mean θ_aᵀ x and deviation v √(xᵀ A_a⁻¹ x).

Source: Thompson 1933; Agrawal & Goyal 2013, algorithm 1.

Symbols:
    x  context  float64 [D]    A_a⁻¹  models.inverse  [K, D, D]    b_a  models.sums  [K, D]    θ_a  models.theta  [K, D]
    v  scale    λ  ridge

Deviations from the algorithm: a model an action, as in LinUCB, in place of one for all.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import ContextualBandit, Range, StateArrays, learn_reward, new_linear_models, normal, widths

Array = NDArray[np.float64]


class LinearThompsonSampling(ContextualBandit):
    """Thompson sampling with a linear model an action.

    Example:
        >>> agent = LinearThompsonSampling("rlplay/LinearBandit-v0", seed=0).learn(1000)
        >>> agent.models_of_actions.theta.shape
        (5, 5)
    """

    id = "linear-thompson-sampling"
    scale: Annotated[float, Range("v, how far draws lie from the mean", 0, 1e6)] = 0.5
    ridge: Annotated[float, Range("λ, weight of the penalty", 0, 1e12, open_low=True)] = 1.0

    def setup(self) -> None:
        """Models of nothing yet."""
        super().setup()
        self.models_of_actions = new_linear_models(self.n_actions, self.encoder.size, self.ridge)

    def begin_anew(self) -> None:
        """Models of nothing yet."""
        fresh = new_linear_models(self.n_actions, self.encoder.size, self.ridge)
        for mine, new in zip(self.models_of_actions, fresh, strict=True):
            mine[:] = new

    def estimates(self, x: Array) -> Array:
        """θ x, [B, K]."""
        return x @ self.models_of_actions.theta.T

    def scores(self, x: Array) -> Array:
        """What was drawn, [K]."""
        drawn = np.array([normal(self.rng) for _ in range(self.n_actions)])
        return self.estimates(x) + self.scale * drawn * widths(self.models_of_actions, x[None])[0]

    def learn_step(self, x: Array, obs: Any, a: int, reward: float) -> float:
        """A step of ridge regression."""
        return learn_reward(self.models_of_actions, x, a, reward)

    def arrays(self) -> StateArrays:
        """The models too."""
        return {**self.models_of_actions._asdict(), **super().arrays()}


__all__ = ["LinearThompsonSampling"]
