"""Double Q-learning and Double Sarsa: two tables, so that no maximum over noise is taken for a value.

The maximum of noisy estimates is too large on average. Each step, a coin decides which table learns; it takes the
other one's value of the action that it thinks best itself:

    Q₁(S, A) ← Q₁(S, A) + α [R + γ Q₂(S', argmax_a Q₁(S', a)) - Q₁(S, A)]    or with 1 and 2 exchanged

Double Sarsa takes Q₂(S', A') of the action A' that is really next.

Source: van Hasselt 2010; Sutton & Barto 2e, section 6.7, equation (6.10), box on page 136, exercise 6.13.

Symbols:
    Q₁ q1, Q₂ q2  float64 [S, A]  action values; q is their mean, by which the agent acts
    S  s, A  a, R  r, S'  s_next, A'  a_next
    α  alpha  float or schedule, γ gamma float, ε epsilon float or schedule

Deviations from the box: the policy is ε-greedy in the mean of both, which is the same as in their sum; ties between
best actions are broken at random; a time limit is not a terminal state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.tabular import TableAgent, act_epsilon_greedy, greedy
from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import random
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import visited
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike, InitialValue, StepSize


@in_place
def update(
    q1: NDArray[np.float64],
    q2: NDArray[np.float64],
    s: int,
    a: int,
    r: float,
    s_next: int,
    a_next: int,
    terminated: bool,
    alpha: float,
    gamma: float,
) -> float:
    """Q₁(S, A) ← Q₁(S, A) + α [R + γ Q₂(S', A*) - Q₁(S, A)], equation (6.10) with A* = a_next; returns the TD error."""
    target = r if terminated else r + gamma * q2[s_next, a_next]
    td_error = target - q1[s, a]
    q1[s, a] += alpha * td_error
    return td_error


@in_place
def learn_q(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to Double Q-learning."""
    q, alpha, gamma, epsilon, rng, q1, q2 = memory
    step = visited(alpha, s, a, progress)
    if random(rng) < 0.5:
        td_error = update(q1, q2, s, a, r, s_next, greedy(q1, s_next, rng), terminated, step, gamma)
    else:
        td_error = update(q2, q1, s, a, r, s_next, greedy(q2, s_next, rng), terminated, step, gamma)
    q[s, a] = 0.5 * (q1[s, a] + q2[s, a])
    return td_error


@in_place
def learn_sarsa(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to Double Sarsa."""
    q, alpha, gamma, epsilon, rng, q1, q2 = memory
    step = visited(alpha, s, a, progress)
    if random(rng) < 0.5:
        td_error = update(q1, q2, s, a, r, s_next, a_next, terminated, step, gamma)
    else:
        td_error = update(q2, q1, s, a, r, s_next, a_next, terminated, step, gamma)
    q[s, a] = 0.5 * (q1[s, a] + q2[s, a])
    return td_error


class DoubleQLearning(TableAgent):
    """Double Q-learning: off-policy control without maximisation bias.

    Example:
        >>> agent = DoubleQLearning("FrozenLake-v1", alpha=0.1, seed=0).learn(100_000)
        >>> agent.q1.shape
        (16, 4)
    """

    id = "double-q-learning"
    rule = LearningRule(act_epsilon_greedy, learn_q)

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
        self.q, self.q1, self.q2 = (self.table(name, initial_value) for name in ("q", "q1", "q2"))
        self.epsilon = self.rate("epsilon", by_state=True)
        self.memory = (self.q, self.rate("alpha"), float(gamma), self.epsilon, self.rng, self.q1, self.q2)


class DoubleSarsa(TableAgent):
    """Double Sarsa: on-policy control with two tables.

    Example:
        >>> agent = DoubleSarsa("CliffWalking-v1", alpha=0.5, gamma=1.0, seed=0).learn(50_000)
        >>> agent.q2.shape
        (48, 4)
    """

    id = "double-sarsa"
    rule = LearningRule(act_epsilon_greedy, learn_sarsa, on_policy=True)

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
        self.q, self.q1, self.q2 = (self.table(name, initial_value) for name in ("q", "q1", "q2"))
        self.epsilon = self.rate("epsilon", by_state=True)
        self.memory = (self.q, self.rate("alpha"), float(gamma), self.epsilon, self.rng, self.q1, self.q2)
