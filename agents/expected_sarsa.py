"""Expected Sarsa: like Sarsa, but average over the next action in place of drawing it.

After each step the value of the action taken moves towards the reward plus the discounted expected value of the next
action under the policy that is followed. It removes the noise of the draw, so larger steps are safe:

    Q(S, A) ← Q(S, A) + α [R + γ Σ_a π(a|S') Q(S', a) - Q(S, A)]

Source: van Seijen et al. 2009; Sutton & Barto 2e, section 6.6, equation (6.9).

Symbols:
    Q  q      float64 [S, A]   action values
    S  s      int              state before the step, S' = s_next after it
    A  a      int              action taken
    R  r      float            reward
    π  pi     the ε-greedy policy over Q
    α  alpha  float or schedule, γ gamma float, ε epsilon float or schedule

Deviations from the book: ties between best actions are broken at random; a time limit is not a terminal state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.tabular import TableAgent, act_epsilon_greedy, expected_value
from rlplay.compiled.cache import in_place
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import ahead, visited
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike, InitialValue, StepSize


@in_place
def update(
    q: NDArray[np.float64],
    s: int,
    a: int,
    r: float,
    s_next: int,
    terminated: bool,
    alpha: float,
    gamma: float,
    epsilon: float,
) -> float:
    """Q(S, A) ← Q(S, A) + α [R + γ Σ_a π(a|S') Q(S', a) - Q(S, A)], equation (6.9); returns the TD error."""
    target = r if terminated else r + gamma * expected_value(q, s_next, epsilon)
    td_error = target - q[s, a]
    q[s, a] += alpha * td_error
    return td_error


@in_place
def learn(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to the update."""
    q, alpha, gamma, epsilon, rng = memory
    step, next_epsilon = visited(alpha, s, a, progress), ahead(epsilon, s_next, 0, progress)
    return update(q, s, a, r, s_next, terminated, step, gamma, next_epsilon)


class ExpectedSarsa(TableAgent):
    """Tabular Expected Sarsa for finite observations and actions.

    Example:
        >>> agent = ExpectedSarsa("CliffWalking-v1", alpha=1.0, gamma=1.0, seed=0).learn(50_000)
        >>> int(agent.predict(36, deterministic=True)[0])  # up, away from the cliff
        0
    """

    id = "expected-sarsa"
    rule = LearningRule(act_epsilon_greedy, learn)

    def __init__(
        self,
        env: EnvLike,
        *,
        alpha: StepSize = 0.1,
        gamma: Discount = 0.99,
        epsilon: Exploration = 0.1,
        initial_value: InitialValue = 0.0,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, alpha=alpha, gamma=gamma, epsilon=epsilon, initial_value=initial_value, features=features
        )
        self.q, self.epsilon = self.table("q", initial_value), self.rate("epsilon", by_state=True)
        self.memory = (self.q, self.rate("alpha"), float(gamma), self.epsilon, self.rng)
