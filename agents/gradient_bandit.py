"""Gradient bandit: raise the preference of actions that pay more than usual, without asking what they are worth.

    π(a) = e^{H(a)} / Σ_b e^{H(b)}
    H(A) ← H(A) + α (R - R̄) (1 - π(A)),   H(a) ← H(a) - α (R - R̄) π(a)    for all a ≠ A

It is stochastic gradient ascent on the expected reward; the baseline R̄ changes the variance alone.

Source: Sutton & Barto 2e, section 2.8, equations (2.11) and (2.12); Williams 1992.

Symbols:
    H  preferences  float64 [S, A],  π  policy, softmax of H
    R̄  average      float64 [S]     mean reward so far, the baseline,  α  alpha  float or schedule

As in the book the baseline is the mean of the rewards before the step, and the first reward is its own baseline.
Deviation: each observation has a row of its own.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Choice,
    FeaturesLike,
    LearningRule,
    Probe,
    Rate,
    StepSize,
    TableAgent,
    greatest,
    in_place,
    sampled,
    visited,
)


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        preferences: H, float64 [S, A].
        alpha: step size, by training progress or by the visits of each state and action.
        baseline: whether rewards are compared with their mean.
        average: mean reward so far, float64 [S].
        counts: rewards so far, float64 [S].
        rng: the state of the policy's generator, uint64 [4].
        policy: takes π of one state, float64 [1, A].
    """

    preferences: NDArray[np.float64]
    alpha: Rate
    baseline: bool
    average: NDArray[np.float64]
    counts: NDArray[np.float64]
    rng: NDArray[np.uint64]
    policy: NDArray[np.float64]


@in_place
def softmax(h: NDArray[np.float64], s: int, policy: NDArray[np.float64]) -> None:
    """π(a) of all actions in a state, equation (2.11), into row 0 of ``policy`` [1, A]."""
    top, total = greatest(h, s), 0.0
    for a in range(h.shape[1]):
        policy[0, a] = math.exp(h[s, a] - top)
        total += policy[0, a]
    for a in range(h.shape[1]):
        policy[0, a] /= total


@in_place
def update(h: NDArray[np.float64], s: int, a: int, advantage: float, alpha: float, policy: NDArray[np.float64]) -> None:
    """H(A) += α (R - R̄) (1 - π(A)), H(a) -= α (R - R̄) π(a), equation (2.12), with advantage = R - R̄."""
    for b in range(h.shape[1]):
        h[s, b] += alpha * advantage * ((1.0 if b == a else 0.0) - policy[0, b])


@in_place
def act(memory: Memory, s: int, progress: float) -> int:
    """An action drawn from the softmax of the preferences in S."""
    softmax(memory.preferences, s, memory.policy)
    return sampled(memory.policy, 0, memory.rng)


@in_place
def learn(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """S, A and R; returns the advantage R - R̄."""
    average, counts = memory.average, memory.counts
    softmax(memory.preferences, s, memory.policy)
    if counts[s] == 0.0:
        average[s] = r
    advantage = r - average[s] if memory.baseline else r
    update(memory.preferences, s, a, advantage, visited(memory.alpha, s, a, progress), memory.policy)
    counts[s] += 1.0
    average[s] += (r - average[s]) / counts[s]
    return advantage


class GradientBandit(TableAgent):
    """Gradient bandit with a softmax policy over preferences.

    Attributes:
        preferences: H, float64 [S, A].
        average: mean reward so far, float64 [S].

    Example:
        >>> agent = GradientBandit("rlplay/Bandit-v0", alpha=0.1, seed=0).learn(1000)
        >>> float(agent.probe(0).action_probabilities.sum().round(6))
        1.0
    """

    id = "gradient-bandit"
    rule = LearningRule(act, learn)
    alpha: StepSize = 0.1
    baseline: Annotated[bool, Choice("compare rewards with their mean", (True, False))] = True
    features: FeaturesLike = None

    def setup(self) -> None:
        """Preferences of 0, which is the random policy."""
        super().setup()
        self.preferences = self.table("preferences")
        self.average, counts = self.values("average"), self.values("counts")
        self.memory = Memory(
            self.preferences, self.rate("alpha"), self.baseline, self.average, counts, self.rng,
            np.zeros((1, self.size[1])),
        )  # fmt: skip

    def probe(self, observation: Any) -> Probe:
        """The policy; the value is the mean reward so far."""
        states = self.encoder.encode_batch(observation)
        probabilities = np.empty((len(states), self.size[1]))
        for row, s in zip(probabilities, states.tolist(), strict=True):
            softmax(self.preferences, s, row[None])
        return Probe(action_probabilities=probabilities, value=self.average[states])
