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

from typing import Annotated, Any

import numpy as np

from rlplay.agent.linear import LinearPrediction, act_behaviour, importance, value_of
from rlplay.approximation.encodings import Active
from rlplay.compiled.cache import in_place
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.errors import HyperparameterError
from rlplay.hyperparameters.domains import Either, Policy, Range
from rlplay.hyperparameters.types import Discount, FeaturesLike, Intercept, PolicyLike, TraceDecay

_MOST = 3000  # features; the inverse has their square


@in_place
def learn(
    memory: Any, x: Active, a: int, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """The loop's way to the update."""
    w, alpha, gamma, target, behaviour, rng, inverse, sums, z, room, lambda_ = memory
    rho, n = importance(target, behaviour, x, a), z.shape[0]
    td_error = r + (0.0 if terminated else gamma * value_of(w, x_next, 0)) - value_of(w, x, 0)
    for i in range(n):
        z[i] *= rho * gamma * lambda_
    for k in range(x.number.shape[0]):
        z[x.number[k]] += rho * x.value[k]
    left, right, total = room[0], room[1], 1.0  # Â⁻¹ z, and uᵀ Â⁻¹
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
def begin(memory: Any) -> None:
    """No trace yet."""
    for i in range(memory[8].shape[0]):
        memory[8][i] = 0.0


class LSTD(LinearPrediction):
    """LSTD(λ): the value of a policy by least squares.

    Example:
        >>> agent = LSTD("rlplay/RandomWalk-v0", gamma=1.0, epsilon=1e-3, seed=0).learn(5000)
        >>> agent.w.shape
        (7, 1)
    """

    id = "lstd"
    rule = LearningRule(act_behaviour, learn, begin)

    def __init__(
        self,
        env: EnvLike,
        *,
        policy: PolicyLike = "random",
        behaviour: Annotated[Any, Either((None,), Policy("the policy that acts; None: the one evaluated"))] = None,
        gamma: Discount = 0.99,
        lambda_: TraceDecay = 0.0,
        epsilon: Annotated[
            float, Range("ε on the diagonal at the start: small forgets it soon", 0, 1e6, open_low=True)
        ] = 0.1,
        intercept: Intercept = False,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, policy=policy, behaviour=behaviour, gamma=gamma, lambda_=lambda_, epsilon=epsilon,
            intercept=intercept, features=features,
        )  # fmt: skip
        if self.size > _MOST:
            raise HyperparameterError(
                f"LSTD keeps a matrix of the square of {self.size:,} features, more than {_MOST:,}", "Take fewer"
            )
        self.prepare_prediction()
        self.memory += (
            self.kept("inverse", np.eye(self.size) / float(epsilon)), self.kept("sums", np.zeros(self.size)),
            self.kept("z", np.zeros(self.size)), np.zeros((2, self.size)), float(lambda_),
        )  # fmt: skip


__all__ = ["LSTD"]
