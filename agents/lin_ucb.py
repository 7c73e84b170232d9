"""LinUCB: of actions whose rewards are linear in a context, take the one that could pay most.

    A = argmax_a [θ_aᵀ x + α √(xᵀ A_a⁻¹ x)]        A_a = λ I + Σ x xᵀ,  b_a = Σ R x,  θ_a = A_a⁻¹ b_a

The sums are over the steps in which a was taken: the root is how unsure the estimate is in this context.

Source: Li, Chu, Langford & Schapire 2010, algorithm 1 (disjoint linear models); Abbasi-Yadkori, Pál & Szepesvári 2011
(its regret grows like √T, but for logarithms).

Symbols:
    x  context  float64 [D]    A_a⁻¹  models.inverse  [K, D, D]    b_a  models.sums  [K, D]    θ_a  models.theta  [K, D]
    α  alpha    λ  ridge

Deviations from the algorithm: ties are broken at random; λ need not be 1.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import ContextualBandit, Range, StateArrays, learn_reward, new_linear_models, widths

Array = NDArray[np.float64]


class LinUCB(ContextualBandit):
    """LinUCB with a linear model an action.

    Example:
        >>> agent = LinUCB("rlplay/LinearBandit-v0", seed=0).learn(1000)
        >>> agent.models_of_actions.theta.shape
        (5, 5)
    """

    id = "lin-ucb"
    alpha: Annotated[float, Range("α, how much being unsure is worth", 0, 1e6)] = 1.0
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
        """The upper bounds, [K]."""
        return self.estimates(x) + self.alpha * widths(self.models_of_actions, x[None])[0]

    def learn_step(self, x: Array, obs: Any, a: int, reward: float) -> float:
        """A step of ridge regression."""
        return learn_reward(self.models_of_actions, x, a, reward)

    def arrays(self) -> StateArrays:
        """The models too."""
        return {**self.models_of_actions._asdict(), **super().arrays()}


__all__ = ["LinUCB"]
