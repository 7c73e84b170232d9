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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import ControlAgent, LearningRule, Rate, act_epsilon_greedy, greedy, in_place, random, visited


class Memory(NamedTuple):
    """What both rules work on.

    Attributes:
        q: the mean of both tables, by which the agent acts, float64 [S, A].
        alpha, gamma, epsilon, rng: as in `ControlMemory`.
        q1: the one table, float64 [S, A].
        q2: the other one, float64 [S, A].
    """

    q: NDArray[np.float64]
    alpha: Rate
    gamma: float
    epsilon: Rate
    rng: NDArray[np.uint64]
    q1: NDArray[np.float64]
    q2: NDArray[np.float64]


@in_place
def update(
    q1: NDArray[np.float64], q2: NDArray[np.float64], s: int, a: int, r: float, s_next: int, a_next: int,
    terminated: bool, alpha: float, gamma: float,
) -> float:  # fmt: skip
    """Q₁(S, A) ← Q₁(S, A) + α [R + γ Q₂(S', A*) - Q₁(S, A)], equation (6.10) with A* = a_next; returns the TD error."""
    target = r if terminated else r + gamma * q2[s_next, a_next]
    td_error = target - q1[s, a]
    q1[s, a] += alpha * td_error
    return td_error


@in_place
def learn_double_q(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step but A': A* is the best action of the table that learns."""
    alpha, rng = visited(memory.alpha, s, a, progress), memory.rng
    q1, q2 = (memory.q1, memory.q2) if random(rng) < 0.5 else (memory.q2, memory.q1)
    td_error = update(q1, q2, s, a, r, s_next, greedy(q1, s_next, rng), terminated, alpha, memory.gamma)
    memory.q[s, a] = 0.5 * (q1[s, a] + q2[s, a])
    return td_error


@in_place
def learn_double_sarsa(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step: A* is A', the action that is really next."""
    alpha, rng = visited(memory.alpha, s, a, progress), memory.rng
    q1, q2 = (memory.q1, memory.q2) if random(rng) < 0.5 else (memory.q2, memory.q1)
    td_error = update(q1, q2, s, a, r, s_next, a_next, terminated, alpha, memory.gamma)
    memory.q[s, a] = 0.5 * (q1[s, a] + q2[s, a])
    return td_error


class DoubleAgent(ControlAgent):
    """What both share: two tables, and their mean.

    Attributes:
        q: the mean of both tables, float64 [S, A].
        q1, q2: the two tables, float64 [S, A].
    """

    def setup(self) -> None:
        """Two more tables."""
        super().setup()
        self.q1, self.q2 = (self.table(name, self.initial_value) for name in ("q1", "q2"))
        self.memory = Memory(**self.memory._asdict(), q1=self.q1, q2=self.q2)


class DoubleQLearning(DoubleAgent):
    """Double Q-learning: off-policy control without maximisation bias.

    Example:
        >>> agent = DoubleQLearning("FrozenLake-v1", alpha=0.1, seed=0).learn(100_000)
        >>> agent.q1.shape
        (16, 4)
    """

    id = "double-q-learning"
    rule = LearningRule(act_epsilon_greedy, learn_double_q)
    learns_from_others = True


class DoubleSarsa(DoubleAgent):
    """Double Sarsa: on-policy control with two tables.

    Example:
        >>> agent = DoubleSarsa("CliffWalking-v1", alpha=0.5, gamma=1.0, seed=0).learn(50_000)
        >>> agent.q2.shape
        (48, 4)
    """

    id = "double-sarsa"
    rule = LearningRule(act_epsilon_greedy, learn_double_sarsa, on_policy=True)
