"""Semi-gradient Sarsa: action values that are linear in features, learned from what is really done next.

    G = R_{t+1} + γ R_{t+2} + ... + γ^{n-1} R_{t+n} + γⁿ Q(S_{t+n}, A_{t+n}, w)
    w ← w + α [G - Q(S_t, A_t, w)] ∇Q(S_t, A_t, w)

and ∇Q(s, a, w) = x(s) in the column of a, 0 in the others, since Q(s, a, w) = w_a · x(s). With n = 1 it is the box on
page 244, with more the box on page 247.

Source: Sutton & Barto 2e, sections 10.1 and 10.2, equations (10.1) and (10.3).

Symbols:
    w  weights   float64 [F, A]        x(s)  active features: numbers and strengths (`rlplay.approximation.encodings.Active`)
    n  n_steps   α  alpha  float or schedule, per active feature    γ  gamma    ε  epsilon  float or schedule

Deviations from the boxes: ties between best actions are broken at random; an episode that is only truncated
bootstraps once more.
"""

from __future__ import annotations

from typing import Annotated, Any

from rlplay.agent.linear import LinearAgent, act_epsilon_greedy, begin_steps, update_n_steps
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
    following = 0.0 if terminated else q[0, a_next]  # chosen by these very values a moment ago
    ended = terminated or truncated
    return update_n_steps(w, x, a, r, following, ended, scheduled(alpha, progress), gamma, steps, n)


class LinearSarsa(LinearAgent):
    """Semi-gradient n-step Sarsa over tiles, or any other features.

    Example:
        >>> agent = LinearSarsa("MountainCar-v0", alpha=0.5 / 8, gamma=1.0, epsilon=0.0, seed=0).learn(50_000)
        >>> agent.w.shape
        (648, 3)
    """

    id = "linear-sarsa"
    rule = LearningRule(act_epsilon_greedy, learn, begin_steps, on_policy=True)

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


__all__ = ["LinearSarsa"]
