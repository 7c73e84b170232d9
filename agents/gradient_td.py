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

from typing import Annotated, Any

from rlplay.agent.linear import LinearPrediction, act_behaviour, importance, learn_row, value_of
from rlplay.approximation.encodings import Active
from rlplay.compiled.cache import in_place
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.hyperparameters.domains import Choice, Either, Policy
from rlplay.hyperparameters.types import Discount, FeaturesLike, InitialValue, Intercept, LinearStep, PolicyLike


@in_place
def learn(
    memory: Any, x: Active, a: int, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """The loop's way to the update."""
    w, alpha, gamma, target, behaviour, rng, v, beta, is_tdc = memory
    rho, expressed = importance(target, behaviour, x, a), value_of(v, x, 0)
    td_error = r + (0.0 if terminated else gamma * value_of(w, x_next, 0)) - value_of(w, x, 0)
    step = scheduled(alpha, progress) * rho
    learn_row(w, x, 0, step * (td_error if is_tdc else expressed))
    if not terminated:
        learn_row(w, x_next, 0, -step * gamma * expressed)
    learn_row(v, x, 0, scheduled(beta, progress) * rho * (td_error - expressed))
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

    def __init__(
        self,
        env: EnvLike,
        *,
        policy: PolicyLike = "random",
        behaviour: Annotated[Any, Either((None,), Policy("the policy that acts; None: the one evaluated"))] = None,
        method: Annotated[str, Choice("which of the two", ("tdc", "gtd2"))] = "tdc",
        alpha: LinearStep = 0.01,
        beta: LinearStep = 0.1,
        gamma: Discount = 0.99,
        initial_value: InitialValue = 0.0,
        intercept: Intercept = False,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, policy=policy, behaviour=behaviour, method=method, alpha=alpha, beta=beta, gamma=gamma,
            initial_value=initial_value, intercept=intercept, features=features,
        )  # fmt: skip
        self.prepare_prediction()
        self.memory += (self.weights("v", 1), tabulate(beta), method == "tdc")


__all__ = ["GradientTD"]
