"""Thompson sampling: take each action as often as it is believed to be the best.

The mean reward of each action is believed to be normal. Each time, a mean is drawn for every action, and the action of
the highest is taken; its belief becomes sharper by the reward:

    θ(a) ~ N(m(a), 1/w(a)),   A = argmax_a θ(a)
    w(A) ← w(A) + 1/σ²,   m(A) ← m(A) + (R - m(A)) / (σ² w(A))

Source: Thompson 1933; Russo et al. 2018, "A Tutorial on Thompson Sampling", section 3; the update is Bayes' rule for a
normal mean with known noise (Murphy 2007).

Symbols:
    m  q          float64 [S, A]  believed mean of each action,  w  precision  float64 [S, A]  1 / its variance
    σ  noise_std  float           deviation of a reward,  prior_mean, prior_std  the belief before any reward

Deviations: each observation has a row of its own.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import FeaturesLike, LearningRule, Probe, Range, TableAgent, in_place, normal

_DRAWS = 2000  # by which `probe` estimates the probability of each action


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        q: believed mean of each action, float64 [S, A].
        precision: 1 / the variance of that belief, float64 [S, A].
        noise_variance: of a reward around its mean.
        rng: the state of the generator of the draws, uint64 [4].
    """

    q: NDArray[np.float64]
    precision: NDArray[np.float64]
    noise_variance: float
    rng: NDArray[np.uint64]


@in_place
def act(memory: Memory, s: int, progress: float) -> int:
    """Draws a mean for each action in S, θ(a) ~ N(m(a), 1/w(a)), and takes the highest."""
    m, best, action = memory.q, -math.inf, 0
    for a in range(m.shape[1]):
        if m[s, a] > -math.inf:
            theta = m[s, a] + normal(memory.rng) / math.sqrt(memory.precision[s, a])
            if theta > best:
                best, action = theta, a
    return action


@in_place
def update(
    m: NDArray[np.float64], precision: NDArray[np.float64], s: int, a: int, r: float, noise_variance: float
) -> float:
    """Bayes' rule for a normal mean: w += 1/σ², m += (R - m) / (σ² w); returns R - m."""
    error = r - m[s, a]
    precision[s, a] += 1.0 / noise_variance
    m[s, a] += error / (noise_variance * precision[s, a])
    return error


@in_place
def learn(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """S, A and R sharpen the belief; there is no step size."""
    return update(memory.q, memory.precision, s, a, r, memory.noise_variance)


class ThompsonSampling(TableAgent):
    """Thompson sampling for rewards that are normal around a mean of each action.

    Attributes:
        q: believed mean of each action, float64 [S, A].
        precision: 1 / the variance of that belief, float64 [S, A].

    Example:
        >>> agent = ThompsonSampling("rlplay/Bandit-v0", seed=0).learn(1000)
        >>> agent.probe(0).action_probabilities.shape
        (1, 10)
    """

    id = "thompson-sampling"
    rule = LearningRule(act, learn)
    noise_std: Annotated[float, Range("standard deviation of a reward around its mean", 0, open_low=True)] = 1.0
    prior_mean: Annotated[float, Range("believed mean of each action before any reward")] = 0.0
    prior_std: Annotated[float, Range("standard deviation of that belief", 0, open_low=True)] = 1.0
    features: FeaturesLike = None

    def setup(self) -> None:
        """The belief before any reward."""
        super().setup()
        self.q = self.table("q", self.prior_mean)
        self.tables["precision"] = self.precision = np.full(self.size, 1.0 / self.prior_std**2)
        self.memory = Memory(self.q, self.precision, self.noise_std**2, self.rng)

    def probe(self, observation: Any) -> Probe:
        """Believed means, and how often each action is the best by 2,000 fixed draws of the belief."""
        states = self.encoder.encode_batch(observation)
        q, std = self.q[states], 1.0 / np.sqrt(self.precision[states])  # [B, A]
        draws = np.random.default_rng(0).standard_normal((_DRAWS, 1, self.size[1]))
        best = (np.where(q > -np.inf, q, -1e300) + std * draws).argmax(axis=2)  # [D, B]
        probabilities = np.stack([(best == a).mean(axis=0) for a in range(self.size[1])], axis=1)
        return Probe(action_values=q, action_probabilities=probabilities, value=q.max(axis=1))
