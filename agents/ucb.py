"""UCB: take the action whose value may be the highest, given how little it was tried.

    A = argmax_a [Q(a) + c √(ln t / N(a))],   Q(A) ← Q(A) + α [R - Q(A)]

Source: Auer, Cesa-Bianchi & Fischer 2002; Sutton & Barto 2e, section 2.7, equation (2.10).

Symbols:
    Q  q       float64 [S, A]  value of each action
    N  counts  float64 [S, A]  how often each was taken;  t  how often any was, in that state
    c  c       float           degree of exploration,  α  alpha  float, schedule or "1/n"

Deviations: an action never taken comes first, ties are broken at random; each observation has a row of its own.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    FeaturesLike,
    InitialValue,
    LearningRule,
    Probe,
    Range,
    Rate,
    StepSize,
    TableAgent,
    greedy,
    in_place,
    visited,
)

from .epsilon_greedy import update


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        q: value of each action, float64 [S, A].
        counts: how often each was taken, float64 [S, A].
        alpha: step size, by training progress or by the visits of each state and action.
        c: degree of exploration.
        rng: the state of the generator that breaks ties, uint64 [4].
        bounds: takes the bounds of one state, float64 [1, A].
    """

    q: NDArray[np.float64]
    counts: NDArray[np.float64]
    alpha: Rate
    c: float
    rng: NDArray[np.uint64]
    bounds: NDArray[np.float64]


@in_place
def upper_bounds(
    q: NDArray[np.float64], counts: NDArray[np.float64], s: int, c: float, bounds: NDArray[np.float64]
) -> None:
    """Q(a) + c √(ln t / N(a)) of all actions in a state, equation (2.10), into row 0 of ``bounds`` [1, A]."""
    t = 0.0
    for a in range(q.shape[1]):
        t += counts[s, a]
    for a in range(q.shape[1]):
        if counts[s, a] > 0.0:
            bounds[0, a] = q[s, a] + c * math.sqrt(math.log(t + 1.0) / counts[s, a])
        else:
            bounds[0, a] = math.inf if q[s, a] > -math.inf else -math.inf


@in_place
def act(memory: Memory, s: int, progress: float) -> int:
    """The action of the highest bound in S."""
    upper_bounds(memory.q, memory.counts, s, memory.c, memory.bounds)
    return greedy(memory.bounds, 0, memory.rng)


@in_place
def learn(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """S, A and R: counts the action, and moves its value as the ε-greedy bandit does."""
    memory.counts[s, a] += 1.0
    return update(memory.q, s, a, r, visited(memory.alpha, s, a, progress))


class UCB(TableAgent):
    """Upper-confidence-bound bandit.

    Attributes:
        counts: how often each action was taken, float64 [S, A].

    Example:
        >>> agent = UCB("rlplay/Bandit-v0", c=2.0, seed=0).learn(1000)
        >>> int(agent.counts.sum())
        1000
    """

    id = "ucb"
    rule = LearningRule(act, learn)
    c: Annotated[float, Range("degree of exploration c, in units of the reward", 0, 1e9)] = 2.0
    alpha: StepSize = "1/n"
    initial_value: InitialValue = 0.0
    features: FeaturesLike = None

    def setup(self) -> None:
        """The value of each action, and how often it was taken."""
        super().setup()
        self.q = self.table("q", self.initial_value)
        self.tables["counts"] = self.counts = np.zeros(self.size)
        self.memory = Memory(self.q, self.counts, self.rate("alpha"), self.c, self.rng, np.zeros((1, self.size[1])))

    def probe(self, observation: Any) -> Probe:
        """Action values, and the policy: the action of the highest bound; those that share it share."""
        states = self.encoder.encode_batch(observation)
        bounds = np.empty((len(states), self.size[1]))
        for row, s in zip(bounds, states.tolist(), strict=True):
            upper_bounds(self.q, self.counts, s, self.c, row[None])
        best = bounds == bounds.max(axis=1, keepdims=True)
        q = self.q[states]
        return Probe(action_values=q, action_probabilities=best / best.sum(axis=1, keepdims=True), value=q.max(axis=1))
