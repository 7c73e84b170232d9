"""Gradient temporal differences: off-policy prediction that cannot diverge.

Two sets of weights: v estimates the TD error that the features can express, w descends the projected Bellman error:

    δ = R + γ wᵀx' - wᵀx,      v ← v + β ρ (δ - vᵀx) x
    GTD2     w ← w + α ρ (x - γ x') vᵀx
    TDC      w ← w + α ρ [δ x - γ x' vᵀx]

with ρ = π(A|S) / b(A|S), the importance ratio of the policy π that is evaluated and the behaviour b.

Source: Sutton, Maei, Precup, Bhatnagar, Silver, Szepesvári & Wiewiora 2009; Sutton & Barto 2e, section 11.7, equations
(11.27) to (11.29).

Symbols:
    w  weights  float64 [F, 1]    v  second weights  float64 [F, 1]    x, x'  active features of S and S'
    α  alpha    β  beta  float or schedule    γ  gamma    ρ  importance ratio

Deviations: an episode that is only truncated bootstraps.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Active,
    Choice,
    InitialValue,
    LearningRule,
    LinearPrediction,
    LinearStep,
    act_behaviour,
    importance_ratio,
    in_place,
    learn_features,
    scheduled,
    tabulate,
    value_of,
)


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        w, gamma, target, behaviour, rng: as in `PredictionMemory`.
        v: second weights, float64 [F, 1].
        alpha, beta: step sizes of w and v by training progress, float64 [K].
        is_tdc: whether w learns by TDC; else by GTD2.
    """

    w: NDArray[np.float64]
    gamma: float
    target: NDArray[np.float64]
    behaviour: NDArray[np.float64]
    rng: NDArray[np.uint64]
    v: NDArray[np.float64]
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    is_tdc: bool


@in_place
def learn(
    memory: Memory, x: Active, a: int, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step but the action that follows; the action taken counts by its importance ratio."""
    w, v, gamma = memory.w, memory.v, memory.gamma
    rho, expressed = importance_ratio(memory.target, memory.behaviour, x, a), value_of(v, x, 0)
    td_error = r + (0.0 if terminated else gamma * value_of(w, x_next, 0)) - value_of(w, x, 0)
    step = scheduled(memory.alpha, progress) * rho
    learn_features(w, x, 0, step * (td_error if memory.is_tdc else expressed))
    if not terminated:
        learn_features(w, x_next, 0, -step * gamma * expressed)
    learn_features(v, x, 0, scheduled(memory.beta, progress) * rho * (td_error - expressed))
    return td_error


class GradientTD(LinearPrediction):
    """GTD2 or TDC: the value of a policy from the steps of another.

    Example:
        >>> agent = GradientTD("rlplay/Baird-v0", policy=[0.0, 1.0], behaviour=[6 / 7, 1 / 7], features="identity",
        ...                    alpha=0.005, beta=0.05, seed=0).learn(1000)
        >>> agent.w.shape
        (8, 1)
    """

    id = "gradient-td"
    rule = LearningRule(act_behaviour, learn)
    method: Annotated[str, Choice("which of the two", ("tdc", "gtd2"))] = "tdc"
    alpha: LinearStep = 0.01
    beta: LinearStep = 0.1
    initial_value: InitialValue = 0.0

    def setup(self) -> None:
        """The second weights."""
        super().setup()
        self.memory = Memory(
            **self.memory._asdict(), v=self.weights("v", 1), alpha=tabulate(self.alpha), beta=tabulate(self.beta),
            is_tdc=self.method == "tdc",
        )  # fmt: skip


__all__ = ["GradientTD"]
