"""Emphatic TD(λ): off-policy prediction, made stable by weighing each update by how much it matters to others.

    F ← γ ρ_old F + 1                        how often the target policy would have come here, the followon trace
    M = λ + (1 - λ) F                        the emphasis
    z ← ρ (γ λ z + M x)
    w ← w + α (R + γ wᵀx' - wᵀx) z

Source: Sutton, Mahmood & White 2016; Sutton & Barto 2e, sections 11.8 and 12.11, equations on page 234 and 307.

Symbols:
    w  weights  float64 [F, 1]    z  traces, kept as a list    x, x'  active features of S and S'
    ρ  importance ratio π(A|S) / b(A|S)    λ  lambda_    α  alpha  float or schedule    γ  gamma

Deviations: the interest is 1 everywhere; a trace below 1e-8 is forgotten; an episode that is only truncated bootstraps.
The variance of F has no bound: where ratios are large (Baird's counterexample), single runs swing wildly.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from rlplay.agent.linear import (
    LinearPrediction,
    act_behaviour,
    fade,
    importance,
    learn_traces,
    mark_row,
    value_of,
)
from rlplay.approximation.encodings import Active
from rlplay.compiled.cache import in_place
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import scheduled
from rlplay.functional.traces import clear
from rlplay.hyperparameters.domains import Either, Policy
from rlplay.hyperparameters.types import (
    Discount,
    FeaturesLike,
    InitialValue,
    Intercept,
    LinearStep,
    PolicyLike,
    TraceDecay,
)


@in_place
def learn(
    memory: Any, x: Active, a: int, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """The loop's way to the update; ``followon`` holds F and the last ratio."""
    w, alpha, gamma, target, behaviour, rng, traces, lambda_, followon = memory
    rho = importance(target, behaviour, x, a)
    td_error = r + (0.0 if terminated else gamma * value_of(w, x_next, 0)) - value_of(w, x, 0)
    followon[0] = gamma * followon[1] * followon[0] + 1.0
    emphasis = lambda_ + (1.0 - lambda_) * followon[0]
    fade(traces, rho * gamma * lambda_)
    mark_row(traces, x, 0, 1, rho * emphasis)
    learn_traces(w, traces, scheduled(alpha, progress) * td_error)
    followon[1] = rho
    return td_error


@in_place
def begin(memory: Any) -> None:
    """No traces yet, and nothing that led here."""
    clear(memory[6])
    memory[8][0], memory[8][1] = 0.0, 0.0


class EmphaticTD(LinearPrediction):
    """Emphatic TD(λ): the value of a policy from the steps of another.

    Example:
        >>> agent = EmphaticTD("rlplay/RandomWalk-v0", policy=[0.0, 1.0], behaviour="random", seed=0).learn(1000)
        >>> agent.w.shape
        (7, 1)
    """

    id = "emphatic-td"
    rule = LearningRule(act_behaviour, learn, begin)

    def __init__(
        self,
        env: EnvLike,
        *,
        policy: PolicyLike = "random",
        behaviour: Annotated[Any, Either((None,), Policy("the policy that acts; None: the one evaluated"))] = None,
        alpha: LinearStep = 0.005,
        gamma: Discount = 0.99,
        lambda_: TraceDecay = 0.0,
        initial_value: InitialValue = 0.0,
        intercept: Intercept = False,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, policy=policy, behaviour=behaviour, alpha=alpha, gamma=gamma, lambda_=lambda_,
            initial_value=initial_value, intercept=intercept, features=features,
        )  # fmt: skip
        self.prepare_prediction()
        self.memory += (self.new_traces(self.size), float(lambda_), self.kept("followon", np.zeros(2)))


__all__ = ["EmphaticTD"]
