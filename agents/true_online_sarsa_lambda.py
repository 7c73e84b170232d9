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

from typing import Any

import numpy as np

from rlplay.agent.linear import (
    LinearAgent,
    act_epsilon_greedy,
    fade,
    learn_row,
    learn_traces,
    mark_row,
    trace_product,
    value_of,
)
from rlplay.approximation.encodings import Active
from rlplay.compiled.cache import in_place
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import scheduled
from rlplay.functional.traces import clear
from rlplay.hyperparameters.types import (
    Discount,
    Exploration,
    FeaturesLike,
    InitialValue,
    Intercept,
    LinearStep,
    TraceDecay,
)


@in_place
def learn(
    memory: Any, x: Active, a: int, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """The loop's way to the update."""
    w, alpha, gamma, epsilon, rng, q, traces, lambda_, q_old = memory
    step, value = scheduled(alpha, progress), value_of(w, x, a)
    following = 0.0 if terminated else value_of(w, x_next, a_next)
    td_error = r + gamma * following - value
    fade(traces, gamma * lambda_)
    mark_row(traces, x, a, w.shape[1], 1.0 - step * trace_product(traces, x, a, w.shape[1]))
    learn_traces(w, traces, step * (td_error + value - q_old[0]))
    learn_row(w, x, a, -step * (value - q_old[0]))
    q_old[0] = following
    return td_error


@in_place
def begin(memory: Any) -> None:
    """No traces yet, and nothing to correct."""
    clear(memory[6])
    memory[8][0] = 0.0


class TrueOnlineSarsaLambda(LinearAgent):
    """True online Sarsa(λ) over tiles, or any other features.

    Example:
        >>> agent = TrueOnlineSarsaLambda("MountainCar-v0", gamma=1.0, epsilon=0.0, seed=0).learn(50_000)
        >>> agent.w.shape
        (648, 3)
    """

    id = "true-online-sarsa-lambda"
    rule = LearningRule(act_epsilon_greedy, learn, begin, on_policy=True)

    def __init__(
        self,
        env: EnvLike,
        *,
        alpha: LinearStep = 0.0625,
        gamma: Discount = 0.99,
        epsilon: Exploration = 0.1,
        lambda_: TraceDecay = 0.9,
        initial_value: InitialValue = 0.0,
        intercept: Intercept = False,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, alpha=alpha, gamma=gamma, epsilon=epsilon, lambda_=lambda_, initial_value=initial_value,
            intercept=intercept, features=features,
        )  # fmt: skip
        self.prepare(1)
        self.traces = self.new_traces(self.w.size)
        self.memory = (*self.memory[:6], self.traces, float(lambda_), self.kept("q_old", np.zeros(1)))


__all__ = ["TrueOnlineSarsaLambda"]
