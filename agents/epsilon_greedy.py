"""ε-greedy bandit: take the action that paid best so far, and sometimes any.

    N(A) ← N(A) + 1,   Q(A) ← Q(A) + α [R - Q(A)]

With α = 1/n, the default, Q is the average of the rewards; a constant α forgets, for rewards that drift; a high
``initial_value`` makes even a greedy agent try everything (optimistic initial values).

Source: Sutton & Barto 2e, sections 2.2 to 2.6, equations (2.3) and (2.5), box on page 32.

Symbols:
    Q  q  float64 [S, A]  value of each action; a bandit has one state, a contextual bandit one a context
    A  a, R  r,  α  alpha  float, schedule or "1/n",  ε  epsilon  float or schedule

Deviations from the box: each observation has a row of its own, so it also learns contextual bandits; what an action
leads to is not looked at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Exploration,
    FeaturesLike,
    InitialValue,
    LearningRule,
    Rate,
    StepSize,
    TableAgent,
    act_epsilon_greedy,
    in_place,
    visited,
)


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        q: value of each action, float64 [S, A].
        alpha, epsilon, rng: as in `ControlMemory`.
    """

    q: NDArray[np.float64]
    alpha: Rate
    epsilon: Rate
    rng: NDArray[np.uint64]


@in_place
def update(q: NDArray[np.float64], s: int, a: int, r: float, alpha: float) -> float:
    """Q(A) ← Q(A) + α [R - Q(A)], equation (2.5); returns the error in brackets."""
    error = r - q[s, a]
    q[s, a] += alpha * error
    return error


@in_place
def learn(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """S, A and R; a bandit has nothing that follows."""
    return update(memory.q, s, a, r, visited(memory.alpha, s, a, progress))


class EpsilonGreedy(TableAgent):
    """ε-greedy bandit with sample averages, constant steps or optimistic initial values.

    Example:
        >>> agent = EpsilonGreedy("rlplay/Bandit-v0", epsilon=0.1, seed=0).learn(1000)
        >>> agent.q.shape
        (1, 10)
    """

    id = "epsilon-greedy"
    rule = LearningRule(act_epsilon_greedy, learn)
    alpha: StepSize = "1/n"
    epsilon: Exploration = 0.1
    initial_value: InitialValue = 0.0
    features: FeaturesLike = None

    def setup(self) -> None:
        """The value of each action."""
        super().setup()
        self.q, self.exploration = self.table("q", self.initial_value), self.rate("epsilon", by_state=True)
        self.memory = Memory(self.q, self.rate("alpha"), self.exploration, self.rng)
