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
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay import Probe
from rlplay.agent.tabular import TableAgent, greatest
from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import random
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import visited
from rlplay.hyperparameters.domains import Choice
from rlplay.hyperparameters.types import FeaturesLike, StepSize


@in_place
def softmax(h: NDArray[np.float64], s: int, probabilities: NDArray[np.float64]) -> None:
    """π(a) of all actions in a state, equation (2.11), into ``probabilities`` [A]."""
    top, total = greatest(h, s), 0.0
    for a in range(h.shape[1]):
        probabilities[a] = math.exp(h[s, a] - top)
        total += probabilities[a]
    for a in range(h.shape[1]):
        probabilities[a] /= total


@in_place
def update(
    h: NDArray[np.float64], s: int, a: int, advantage: float, alpha: float, probabilities: NDArray[np.float64]
) -> None:
    """H(A) += α (R - R̄) (1 - π(A)), H(a) -= α (R - R̄) π(a), equation (2.12), with advantage = R - R̄."""
    for b in range(h.shape[1]):
        h[s, b] += alpha * advantage * ((1.0 if b == a else 0.0) - probabilities[b])


@in_place
def act(memory: Any, s: int, progress: float) -> int:
    """The loop's way to the policy."""
    h, alpha, baseline, average, counts, rng, probabilities = memory
    softmax(h, s, probabilities)
    u, total, last = random(rng), 0.0, 0
    for a in range(h.shape[1]):
        if probabilities[a] > 0.0:
            total, last = total + probabilities[a], a
            if u < total:
                return a
    return last


@in_place
def learn(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to the update."""
    h, alpha, baseline, average, counts, rng, probabilities = memory
    softmax(h, s, probabilities)
    if counts[s] == 0.0:
        average[s] = r
    advantage = r - average[s] if baseline else r
    update(h, s, a, advantage, visited(alpha, s, a, progress), probabilities)
    counts[s] += 1.0
    average[s] += (r - average[s]) / counts[s]
    return advantage


class GradientBandit(TableAgent):
    """Gradient bandit with a softmax policy over preferences.

    Example:
        >>> agent = GradientBandit("rlplay/Bandit-v0", alpha=0.1, seed=0).learn(1000)
        >>> float(agent.probe(0).action_probabilities.sum().round(6))
        1.0
    """

    id = "gradient-bandit"
    rule = LearningRule(act, learn)

    def __init__(
        self,
        env: EnvLike,
        *,
        alpha: StepSize = 0.1,
        baseline: Annotated[bool, Choice("compare rewards with their mean", (True, False))] = True,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(env, seed=seed, alpha=alpha, baseline=baseline, features=features)
        self.preferences = self.table("preferences")
        self.average, counts = self.values("average"), self.values("counts")
        self.memory = (
            self.preferences, self.rate("alpha"), bool(baseline), self.average, counts, self.rng,
            np.zeros(self.size[1]),
        )  # fmt: skip

    def probe(self, observation: Any) -> Probe:
        """The policy; the value is the mean reward so far."""
        states = self.state_indices(observation)
        probabilities = np.empty((len(states), self.size[1]))
        for row, s in zip(probabilities, states.tolist(), strict=True):
            softmax(self.preferences, s, row)
        return Probe(action_probabilities=probabilities, value=self.average[states])
