"""True online Sarsa(λ): exactly the online λ-return algorithm over linear features, at the cost of one trace.

    z ← γ λ z + (1 - α γ λ zᵀx) x                            the dutch trace
    δ = R + γ Q(S', A') - Q(S, A)
    w ← w + α (δ + Q(S, A) - Q_old) z - α (Q(S, A) - Q_old) x,    Q_old ← Q(S', A') as it was before

with x the features of the state in the column of the action.

Source: van Seijen, Mahmood, Pilarski, Machado & Sutton 2016; Sutton & Barto 2e, section 12.7, box on page 307.

Symbols:
    w  weights  float64 [F, A]    z  traces  of each weight, kept as a list    x(s)  active features
    λ  lambda_  α  alpha  float or schedule, per active feature    γ  gamma    ε  epsilon  float or schedule

Deviations from the box: a trace below 1e-8 is forgotten; an episode that is only truncated bootstraps once more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Active,
    LearningRule,
    LinearControl,
    TraceDecay,
    Traces,
    act_linear_epsilon_greedy,
    clear_traces,
    decay_traces,
    in_place,
    learn_by_traces,
    learn_features,
    mark_features,
    new_traces,
    scheduled,
    trace_product,
    value_of,
)


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        w, alpha, gamma, epsilon, rng, q: as in `LinearMemory`.
        traces: those of the weights, z.
        lambda_: decay of the traces.
        q_old: Q(S, A) as it was a step ago, float64 [1].
    """

    w: NDArray[np.float64]
    alpha: NDArray[np.float64]
    gamma: float
    epsilon: NDArray[np.float64]
    rng: NDArray[np.uint64]
    q: NDArray[np.float64]
    traces: Traces
    lambda_: float
    q_old: NDArray[np.float64]


@in_place
def update(
    w: NDArray[np.float64], traces: Traces, x: Active, a: int, target: float, q_old: float, alpha: float, decay: float
) -> float:
    """The step of the box on page 307 with decay = γ λ; returns the TD error δ = target - Q(S, A).

    z ← decay z + (1 - α decay zᵀx) x;  w ← w + α (δ + Q(S, A) - Q_old) z - α (Q(S, A) - Q_old) x.
    """
    value = value_of(w, x, a)
    td_error = target - value
    decay_traces(traces, decay)
    mark_features(traces, x, a, w.shape[1], 1.0 - alpha * trace_product(traces, x, a, w.shape[1]))
    learn_by_traces(w, traces, alpha * (td_error + value - q_old))
    learn_features(w, x, a, -alpha * (value - q_old))
    return td_error


@in_place
def learn(
    memory: Memory, x: Active, a: int, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step; Q(S', A') as it was before the update is kept for the next one."""
    following = 0.0 if terminated else value_of(memory.w, x_next, a_next)
    target, alpha = r + memory.gamma * following, scheduled(memory.alpha, progress)
    decay = memory.gamma * memory.lambda_
    td_error = update(memory.w, memory.traces, x, a, target, memory.q_old[0], alpha, decay)
    memory.q_old[0] = following
    return td_error


@in_place
def begin(memory: Memory) -> None:
    """No traces yet, and nothing to correct."""
    clear_traces(memory.traces)
    memory.q_old[0] = 0.0


class TrueOnlineSarsaLambda(LinearControl):
    """True online Sarsa(λ) over tiles, or any other features.

    Example:
        >>> agent = TrueOnlineSarsaLambda("MountainCar-v0", gamma=1.0, epsilon=0.0, seed=0).learn(50_000)
        >>> agent.w.shape
        (648, 3)
    """

    id = "true-online-sarsa-lambda"
    rule = LearningRule(act_linear_epsilon_greedy, learn, begin, on_policy=True)
    lambda_: TraceDecay = 0.9

    def setup(self) -> None:
        """Traces of all weights."""
        super().setup()
        base = self.memory
        self.memory = Memory(
            base.w, base.alpha, base.gamma, base.epsilon, base.rng, base.q,
            self.kept_traces("traces", new_traces(self.w.size)), self.lambda_, self.kept("q_old", np.zeros(1)),
        )  # fmt: skip


__all__ = ["TrueOnlineSarsaLambda"]
