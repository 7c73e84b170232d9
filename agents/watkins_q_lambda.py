"""Watkins's Q(λ): Q-learning with traces that are cut where the agent explores.

As in Sarsa(λ) every recent action learns from each TD error, here that of Q-learning. After an action that is not the
best one, what follows says nothing about the greedy policy any more, so all traces are dropped:

    δ = R + γ max_a Q(S', a) - Q(S, A)
    Q(s, a) ← Q(s, a) + α δ z(s, a),   z(s, a) ← γ λ z(s, a) if A' is greedy, else 0    for all s, a

Source: Watkins 1989; Sutton & Barto 2e, section 12.10; 1st edition, box on page 184.

Symbols:
    Q  q  float64 [S, A]  action values,  z  traces  float64 [S, A], kept as a list
    S  s, A  a, R  r, S'  s_next, A'  a_next, chosen before the update
    λ  lambda_  trace decay,  α  alpha  float or schedule, γ gamma, ε epsilon float or schedule

Deviations from the box: replacing traces by default; a trace below 1e-8 is forgotten.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.tabular import TableAgent, act_epsilon_greedy, greatest
from rlplay.compiled.cache import in_place
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import visited
from rlplay.functional.traces import KINDS, clear, new_traces, update
from rlplay.hyperparameters.domains import Choice
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike, InitialValue, StepSize, TraceDecay


@in_place
def learn(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to the update."""
    q, alpha, gamma, epsilon, rng, flat, traces, kind, lambda_ = memory
    step, entry = visited(alpha, s, a, progress), s * q.shape[1] + a
    target, is_greedy = r, True
    if not terminated:
        best = greatest(q, s_next)
        target, is_greedy = r + gamma * best, q[s_next, a_next] == best
    td_error = update(flat, entry, target, traces, kind, step, gamma * lambda_)
    if not is_greedy:
        clear(traces)  # what follows an exploring action says nothing about the greedy policy
    return td_error


@in_place
def begin(memory: Any) -> None:
    """No traces yet."""
    clear(memory[6])


class WatkinsQLambda(TableAgent):
    """Watkins's Q(λ) with replacing or accumulating traces.

    Example:
        >>> agent = WatkinsQLambda("CliffWalking-v1", alpha=0.1, gamma=1.0, seed=0).learn(50_000)
        >>> agent.q.shape
        (48, 4)
    """

    id = "watkins-q-lambda"
    rule = LearningRule(act_epsilon_greedy, learn, begin, on_policy=True)

    def __init__(
        self,
        env: EnvLike,
        *,
        alpha: StepSize = 0.1,
        gamma: Discount = 0.99,
        epsilon: Exploration = 0.1,
        lambda_: TraceDecay = 0.9,
        traces: Annotated[str, Choice("what a visit does to its trace", ("replacing", "accumulating"))] = "replacing",
        initial_value: InitialValue = 0.0,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, alpha=alpha, gamma=gamma, epsilon=epsilon, lambda_=lambda_, traces=traces,
            initial_value=initial_value, features=features,
        )  # fmt: skip
        self.q, self.epsilon = self.table("q", initial_value), self.rate("epsilon", by_state=True)
        self.traces = new_traces(self.q.size)
        for name, array in self.traces._asdict().items():
            self.kept(f"traces/{name}", array)
        self.memory = (
            self.q, self.rate("alpha"), float(gamma), self.epsilon, self.rng, self.q.reshape(-1), self.traces,
            KINDS[traces], float(lambda_),
        )  # fmt: skip

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster takes the values of the nearest old one; traces, in old clusters, are forgotten."""
        super().remap_states(nearest)
        begin(self.memory)
