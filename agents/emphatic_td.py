"""Emphatic TD(λ): off-policy prediction, made stable by weighing each update by how much it matters to others.

    F ← γ ρ_old F + 1                        how often the target policy would have come here, the followon trace
    M = λ + (1 - λ) F                        the emphasis
    z ← ρ (γ λ z + M x)
    w ← w + α (R + γ wᵀx' - wᵀx) z

Source: Sutton, Mahmood & White 2016; Sutton & Barto 2e, sections 11.8 and 12.11.

Symbols:
    w  weights  float64 [F, 1]    z  traces, kept as a list    x, x'  active features of S and S'
    ρ  importance ratio π(A|S) / b(A|S)    λ  lambda_    α  alpha  float or schedule    γ  gamma

Deviations: the interest is 1 everywhere; a trace below 1e-8 is forgotten; an episode that is only truncated bootstraps.
The variance of F has no bound: where ratios are large (Baird's counterexample), single runs swing wildly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Active,
    InitialValue,
    LearningRule,
    LinearPrediction,
    LinearStep,
    TraceDecay,
    Traces,
    act_behaviour,
    clear_traces,
    decay_traces,
    importance_ratio,
    in_place,
    learn_by_traces,
    mark_features,
    new_traces,
    scheduled,
    tabulate,
    value_of,
)


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        w, gamma, target, behaviour, rng: as in `PredictionMemory`.
        alpha: step size by training progress, float64 [K].
        traces: those of the weights, z.
        lambda_: decay of the traces.
        followon: F, and the importance ratio of the step before, float64 [2].
    """

    w: NDArray[np.float64]
    gamma: float
    target: NDArray[np.float64]
    behaviour: NDArray[np.float64]
    rng: NDArray[np.uint64]
    alpha: NDArray[np.float64]
    traces: Traces
    lambda_: float
    followon: NDArray[np.float64]


@in_place
def learn(
    memory: Memory, x: Active, a: int, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step but the action that follows; the action's importance ratio counts now and in the next step."""
    w, gamma, lambda_, followon = memory.w, memory.gamma, memory.lambda_, memory.followon
    rho = importance_ratio(memory.target, memory.behaviour, x, a)
    td_error = r + (0.0 if terminated else gamma * value_of(w, x_next, 0)) - value_of(w, x, 0)
    followon[0] = gamma * followon[1] * followon[0] + 1.0
    emphasis = lambda_ + (1.0 - lambda_) * followon[0]
    decay_traces(memory.traces, rho * gamma * lambda_)
    mark_features(memory.traces, x, 0, 1, rho * emphasis)
    learn_by_traces(w, memory.traces, scheduled(memory.alpha, progress) * td_error)
    followon[1] = rho
    return td_error


@in_place
def begin(memory: Memory) -> None:
    """No traces yet, and nothing that led here."""
    clear_traces(memory.traces)
    memory.followon[0], memory.followon[1] = 0.0, 0.0


class EmphaticTD(LinearPrediction):
    """Emphatic TD(λ): the value of a policy from the steps of another.

    Example:
        >>> agent = EmphaticTD("rlplay/RandomWalk-v0", policy=[0.0, 1.0], behaviour="random", seed=0).learn(1000)
        >>> agent.w.shape
        (7, 1)
    """

    id = "emphatic-td"
    rule = LearningRule(act_behaviour, learn, begin)
    alpha: LinearStep = 0.005
    lambda_: TraceDecay = 0.0
    initial_value: InitialValue = 0.0

    def setup(self) -> None:
        """Traces of all weights, and the followon trace."""
        super().setup()
        self.memory = Memory(
            **self.memory._asdict(), alpha=tabulate(self.alpha),
            traces=self.kept_traces("traces", new_traces(self.w.size)), lambda_=self.lambda_,
            followon=self.kept("followon", np.zeros(2)),
        )  # fmt: skip


__all__ = ["EmphaticTD"]
