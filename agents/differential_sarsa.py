"""Differential Sarsa: control for tasks that never end, by how much better than average a step is.

There is no discount and no end: what counts is the reward a step in the long run, R̄. Values are relative to it:

    δ = R - R̄ + Q(S', A') - Q(S, A)
    R̄ ← R̄ + β δ
    Q(S, A) ← Q(S, A) + α δ

Source: Sutton & Barto 2e, sections 10.3 and 10.4, box on page 251, for a table.

Symbols:
    Q  q             float64 [S, A]  differential action values
    R̄  average       float64 [1]     reward a step
    β  beta          float           step size of R̄,  α  alpha  float or schedule, ε epsilon float or schedule
    S  s, A  a, R  r, S'  s_next, A'  a_next

Deviations from the box: where an episode does terminate, its last state is worth nothing relative to the average.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Exploration,
    FeaturesLike,
    InitialValue,
    LearningRule,
    Range,
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
        q: differential action values, float64 [S, A].
        average: the reward a step R̄, float64 [1].
        alpha: step size of the values.
        beta: step size of the average.
        epsilon, rng: as in `ControlMemory`.
    """

    q: NDArray[np.float64]
    average: NDArray[np.float64]
    alpha: Rate
    beta: float
    epsilon: Rate
    rng: NDArray[np.uint64]


@in_place
def update(
    q: NDArray[np.float64], average: NDArray[np.float64], s: int, a: int, r: float, s_next: int, a_next: int,
    terminated: bool, alpha: float, beta: float,
) -> float:  # fmt: skip
    """δ = R - R̄ + Q(S', A') - Q(S, A), equation (10.10); R̄ += β δ, Q(S, A) += α δ; returns δ."""
    following = 0.0 if terminated else q[s_next, a_next]
    td_error = r - average[0] + following - q[s, a]
    average[0] += beta * td_error
    q[s, a] += alpha * td_error
    return td_error


@in_place
def learn(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step, S, A, R, S', A', as Sarsa does, and no discount."""
    alpha = visited(memory.alpha, s, a, progress)
    return update(memory.q, memory.average, s, a, r, s_next, a_next, terminated, alpha, memory.beta)


class DifferentialSarsa(TableAgent):
    """Differential Sarsa for continuing tasks.

    Attributes:
        average: the reward a step R̄, float64 [1].

    Example:
        >>> agent = DifferentialSarsa("rlplay/AccessControl-v0", alpha=0.01, beta=0.01, seed=0).learn(200_000)
        >>> bool(1.5 < agent.average[0] < 3.5)
        True
    """

    id = "differential-sarsa"
    rule = LearningRule(act_epsilon_greedy, learn, on_policy=True)
    alpha: StepSize = 0.01
    beta: Annotated[float, Range("step size β of the average reward", 0, 1, open_low=True)] = 0.01
    epsilon: Exploration = 0.1
    initial_value: InitialValue = 0.0
    features: FeaturesLike = None

    def setup(self) -> None:
        """Action values, and an average reward of 0."""
        super().setup()
        self.q, self.average = self.table("q", self.initial_value), self.kept("average", np.zeros(1))
        self.exploration = self.rate("epsilon", by_state=True)
        self.memory = Memory(self.q, self.average, self.rate("alpha"), self.beta, self.exploration, self.rng)

    def metrics(self) -> dict[str, float]:
        """The average reward."""
        return {"train/average_reward": float(self.average[0])}
