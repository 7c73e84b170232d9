"""Sarsa(λ): after each step all recent actions learn, the more the fresher they are.

Every state and action has an eligibility trace z; one TD error changes all values in proportion to their traces:

    δ = R + γ Q(S', A') - Q(S, A)
    Q(s, a) ← Q(s, a) + α δ z(s, a),   then z(s, a) ← γ λ z(s, a)    for all s, a

``traces="accumulating"`` adds 1 to the trace of the action taken, ``"replacing"`` sets it to 1, and ``"dutch"`` is
true online Sarsa(λ), which is exactly the online λ-return algorithm.

Source: Rummery & Niranjan 1994; Sutton & Barto 2e, sections 12.5 and 12.7, boxes on pages 305 and 307, for a table.

Symbols:
    Q  q  float64 [S, A]  action values,  z  traces  float64 [S, A], kept as a list
    S  s, A  a, R  r, S'  s_next, A'  a_next, chosen before the update
    λ  lambda_  trace decay,  α  alpha  float or schedule, γ gamma, ε epsilon float or schedule

Deviations from the boxes: a trace below 1e-8 is forgotten; an episode that is only truncated bootstraps once more.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.tabular import TableAgent, act_epsilon_greedy
from rlplay.compiled.cache import in_place
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import visited
from rlplay.functional.traces import KINDS, clear, new_traces, update, update_true_online
from rlplay.hyperparameters.domains import Choice
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike, InitialValue, StepSize, TraceDecay


@in_place
def learn(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to the update."""
    q, alpha, gamma, epsilon, rng, flat, traces, kind, lambda_, q_old = memory
    step, entry = visited(alpha, s, a, progress), s * q.shape[1] + a
    following = 0.0 if terminated else q[s_next, a_next]
    target = r + gamma * following
    if kind < 2:
        return update(flat, entry, target, traces, kind, step, gamma * lambda_)
    if traces.length[0] == 0:
        q_old[0] = flat[entry]  # at an episode's start the box sets Q_old so that nothing is corrected
    td_error = update_true_online(flat, entry, target, q_old[0], traces, step, gamma * lambda_)
    q_old[0] = following
    return td_error


@in_place
def begin(memory: Any) -> None:
    """No traces yet."""
    clear(memory[6])


class SarsaLambda(TableAgent):
    """Sarsa(λ) with accumulating, replacing or dutch traces.

    Example:
        >>> agent = SarsaLambda("CliffWalking-v1", alpha=0.1, gamma=1.0, lambda_=0.9, seed=0).learn(50_000)
        >>> agent.q.shape
        (48, 4)
    """

    id = "sarsa-lambda"
    rule = LearningRule(act_epsilon_greedy, learn, begin, on_policy=True)

    def __init__(
        self,
        env: EnvLike,
        *,
        alpha: StepSize = 0.1,
        gamma: Discount = 0.99,
        epsilon: Exploration = 0.1,
        lambda_: TraceDecay = 0.9,
        traces: Annotated[str, Choice("what a visit adds to its trace", tuple(KINDS))] = "replacing",
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
        q_old = self.kept("q_old", np.zeros(1))
        for name, array in self.traces._asdict().items():
            self.kept(f"traces/{name}", array)
        self.memory = (
            self.q, self.rate("alpha"), float(gamma), self.epsilon, self.rng, self.q.reshape(-1), self.traces,
            KINDS[traces], float(lambda_), q_old,
        )  # fmt: skip

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster takes the values of the nearest old one; traces, in old clusters, are forgotten."""
        super().remap_states(nearest)
        begin(self.memory)
