"""Least-squares temporal differences: the fixed point of TD at once, without a step size.

    Â = ε I + Σ z (x - γ x')ᵀ,   b̂ = Σ R z,   w = Â⁻¹ b̂            z ← ρ (γ λ z + x)

The inverse is kept, not the matrix: a step costs F² operations, by the formula of Sherman and Morrison

    Â⁻¹ ← Â⁻¹ - (Â⁻¹ z) (uᵀ Â⁻¹) / (1 + uᵀ Â⁻¹ z),   u = x - γ x'

Source: Bradtke & Barto 1996; Boyan 1999 for λ; Sutton & Barto 2e, section 9.8, box on page 230.

Symbols:
    w  weights  float64 [F, 1]    Â⁻¹  inverse  float64 [F, F]    b̂  sums  float64 [F]    z  trace  float64 [F]
    x, x'  active features of S and S'    ε  epsilon    λ  lambda_    γ  gamma    ρ  importance ratio π(A|S) / b(A|S)

Deviations from the box: traces, and importance ratios where another policy acts; an episode that is only truncated
bootstraps.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Active,
    HyperparameterError,
    LearningRule,
    LinearPrediction,
    Range,
    TraceDecay,
    act_behaviour,
    importance_ratio,
    in_place,
    value_of,
)

_MOST = 3000  # features; the inverse has their square


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        w, gamma, target, behaviour, rng: as in `PredictionMemory`.
        inverse: Â⁻¹, float64 [F, F].
        sums: b̂, float64 [F].
        z: the trace, float64 [F].
        left, right: take the products Â⁻¹ z and uᵀ Â⁻¹, float64 [F].
        lambda_: decay of the trace.
    """

    w: NDArray[np.float64]
    gamma: float
    target: NDArray[np.float64]
    behaviour: NDArray[np.float64]
    rng: NDArray[np.uint64]
    inverse: NDArray[np.float64]
    sums: NDArray[np.float64]
    z: NDArray[np.float64]
    left: NDArray[np.float64]
    right: NDArray[np.float64]
    lambda_: float


@in_place
def learn(
    memory: Memory, x: Active, a: int, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step but the action that follows and the progress; the action taken counts by its importance ratio."""
    w, inverse, sums, z, left, right = memory.w, memory.inverse, memory.sums, memory.z, memory.left, memory.right
    rho, gamma, n = importance_ratio(memory.target, memory.behaviour, x, a), memory.gamma, z.shape[0]
    td_error = r + (0.0 if terminated else gamma * value_of(w, x_next, 0)) - value_of(w, x, 0)
    for i in range(n):
        z[i] *= rho * gamma * memory.lambda_
    for k in range(x.number.shape[0]):
        z[x.number[k]] += rho * x.value[k]
    for i in range(n):
        left[i], right[i] = 0.0, 0.0
    for i in range(n):
        for j in range(n):
            left[i] += inverse[i, j] * z[j]
    for k in range(x.number.shape[0]):
        for j in range(n):
            right[j] += x.value[k] * inverse[x.number[k], j]
    if not terminated:
        for k in range(x_next.number.shape[0]):
            for j in range(n):
                right[j] -= gamma * x_next.value[k] * inverse[x_next.number[k], j]
    total = 1.0
    for i in range(n):
        total += right[i] * z[i]
        sums[i] += r * z[i]
    for i in range(n):
        w[i, 0] = 0.0
        for j in range(n):
            inverse[i, j] -= left[i] * right[j] / total
            w[i, 0] += inverse[i, j] * sums[j]
    return td_error


@in_place
def begin(memory: Memory) -> None:
    """No trace yet."""
    for i in range(memory.z.shape[0]):
        memory.z[i] = 0.0


class LSTD(LinearPrediction):
    """LSTD(λ): the value of a policy by least squares.

    Example:
        >>> agent = LSTD("rlplay/RandomWalk-v0", gamma=1.0, epsilon=1e-3, seed=0).learn(5000)
        >>> agent.w.shape
        (7, 1)
    """

    id = "lstd"
    rule = LearningRule(act_behaviour, learn, begin)
    lambda_: TraceDecay = 0.0
    epsilon: Annotated[float, Range("ε on the diagonal at the start: small forgets it soon", 0, 1e6, open_low=True)] = (
        0.1
    )

    def setup(self) -> None:
        """The inverse, the sums and the trace."""
        super().setup()
        size = self.encoder.size
        if size > _MOST:
            raise HyperparameterError(
                f"LSTD keeps a matrix of the square of {size:,} features, more than {_MOST:,}",
                "Take fewer: features=rbf-grid:3",
            )
        self.memory = Memory(
            **self.memory._asdict(), inverse=self.kept("inverse", np.eye(size) / self.epsilon),
            sums=self.kept("sums", np.zeros(size)), z=self.kept("z", np.zeros(size)), left=np.zeros(size),
            right=np.zeros(size), lambda_=self.lambda_,
        )  # fmt: skip


__all__ = ["LSTD"]
