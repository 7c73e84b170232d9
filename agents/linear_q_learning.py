"""Semi-gradient Q-learning: action values that are linear in features, learned for the greedy policy.

    G = R_{t+1} + γ R_{t+2} + ... + γ^{n-1} R_{t+n} + γⁿ max_a Q(S_{t+n}, a, w)
    w ← w + α [G - Q(S_t, A_t, w)] ∇Q(S_t, A_t, w)

Off-policy, bootstrapped and approximate: the deadly triad of section 11.3. It need not converge, and mostly does; where
it has to, take `agents.gradient_td`.

Source: Watkins 1989; Sutton & Barto 2e, sections 6.5, 9.4 and 11.3; the rewards of n steps are taken as they are,
without importance sampling (as in Hessel et al. 2018).

Symbols:
    w  weights   float64 [F, A]        x(s)  active features: numbers and strengths (`rlplay.approximation.encodings.Active`)
    n  n_steps   α  alpha  float or schedule, per active feature    γ  gamma    ε  epsilon  float or schedule

Deviations: ties between best actions are broken at random; an episode that is only truncated bootstraps once more.
"""

from __future__ import annotations

from typing import Annotated, Any

from rlplay.agent.linear import LinearAgent, act_epsilon_greedy, begin_steps, update_n_steps, values_of
from rlplay.agent.tabular import greatest
from rlplay.approximation.encodings import Active
from rlplay.compiled.cache import in_place
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import scheduled
from rlplay.hyperparameters.domains import Range
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike, InitialValue, Intercept, LinearStep


@in_place
def learn(
    memory: Any, x: Active, a: int, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """The loop's way to the update."""
    w, alpha, gamma, epsilon, rng, q, steps, n = memory
    following = 0.0
    if not terminated:
        values_of(w, x_next, q)
        following = greatest(q, 0)
    ended = terminated or truncated
    return update_n_steps(w, x, a, r, following, ended, scheduled(alpha, progress), gamma, steps, n)


class LinearQLearning(LinearAgent):
    """Semi-gradient n-step Q-learning over tiles, or any other features.

    Example:
        >>> agent = LinearQLearning("MountainCar-v0", gamma=1.0, seed=0).learn(50_000)
        >>> agent.w.shape
        (648, 3)
    """

    id = "linear-q-learning"
    rule = LearningRule(act_epsilon_greedy, learn, begin_steps)

    def __init__(
        self,
        env: EnvLike,
        *,
        alpha: LinearStep = 0.0625,
        gamma: Discount = 0.99,
        epsilon: Exploration = 0.1,
        n_steps: Annotated[int, Range("rewards in the return, n", 1, 10_000, integer=True)] = 1,
        initial_value: InitialValue = 0.0,
        intercept: Intercept = False,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, alpha=alpha, gamma=gamma, epsilon=epsilon, n_steps=n_steps, initial_value=initial_value,
            intercept=intercept, features=features,
        )  # fmt: skip
        self.prepare(int(n_steps))


__all__ = ["LinearQLearning"]
