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
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay import Probe
from rlplay.agent.tabular import TableAgent, greedy
from rlplay.compiled.cache import in_place
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import visited
from rlplay.hyperparameters.domains import Range
from rlplay.hyperparameters.types import FeaturesLike, InitialValue, StepSize


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
def act(memory: Any, s: int, progress: float) -> int:
    """The loop's way to the policy."""
    q, alpha, c, counts, rng, bounds = memory
    upper_bounds(q, counts, s, c, bounds)
    return greedy(bounds, 0, rng)


@in_place
def learn(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to the update."""
    q, alpha, c, counts, rng, bounds = memory
    counts[s, a] += 1.0
    error = r - q[s, a]
    q[s, a] += visited(alpha, s, a, progress) * error
    return error


class UCB(TableAgent):
    """Upper-confidence-bound bandit.

    Example:
        >>> agent = UCB("rlplay/Bandit-v0", c=2.0, seed=0).learn(1000)
        >>> int(agent.counts.sum())
        1000
    """

    id = "ucb"
    rule = LearningRule(act, learn)

    def __init__(
        self,
        env: EnvLike,
        *,
        c: Annotated[float, Range("degree of exploration c, in units of the reward", 0, 1e9)] = 2.0,
        alpha: StepSize = "1/n",
        initial_value: InitialValue = 0.0,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(env, seed=seed, c=c, alpha=alpha, initial_value=initial_value, features=features)
        self.q = self.table("q", initial_value)
        self.tables["counts"] = self.counts = np.zeros(self.size)
        self.memory = (
            self.q, self.rate("alpha"), float(c), self.counts, self.rng, np.zeros((1, self.size[1])),
        )  # fmt: skip

    def probe(self, observation: Any) -> Probe:
        """Action values, and the policy: the action of the highest bound; those that share it share."""
        states = self.state_indices(observation)
        bounds = np.empty((len(states), self.size[1]))
        for row, s in zip(bounds, states.tolist(), strict=True):
            upper_bounds(self.q, self.counts, s, self.memory[2], row[None])
        best = bounds == bounds.max(axis=1, keepdims=True)
        q = self.q[states]
        return Probe(action_values=q, action_probabilities=best / best.sum(axis=1, keepdims=True), value=q.max(axis=1))
