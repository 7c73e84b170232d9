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

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    DUTCH,
    TRACE_KINDS,
    Choice,
    ControlAgent,
    LearningRule,
    Rate,
    TraceDecay,
    Traces,
    act_epsilon_greedy,
    forget_traces,
    in_place,
    new_traces,
    td_lambda_update,
    true_online_update,
    visited,
)


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        q, alpha, gamma, epsilon, rng: as in `ControlMemory`.
        q_flat: q as a list of entries s A + a, float64 [S * A].
        traces: the trace z of each entry.
        kind: of trace: ACCUMULATING, REPLACING or DUTCH.
        lambda_: trace decay.
        q_old: Q(S, A) of the next step as it was before the last update, for dutch traces, float64 [1].
    """

    q: NDArray[np.float64]
    alpha: Rate
    gamma: float
    epsilon: Rate
    rng: NDArray[np.uint64]
    q_flat: NDArray[np.float64]
    traces: Traces
    kind: int
    lambda_: float
    q_old: NDArray[np.float64]


@in_place
def learn(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step: S, A take a trace, and R + γ Q(S', A') is what all that have one learn from."""
    q, traces, q_old = memory.q_flat, memory.traces, memory.q_old
    alpha, entry = visited(memory.alpha, s, a, progress), s * memory.q.shape[1] + a
    following = 0.0 if terminated else memory.q[s_next, a_next]
    target, decay = r + memory.gamma * following, memory.gamma * memory.lambda_
    if memory.kind != DUTCH:
        return td_lambda_update(q, entry, target, traces, memory.kind, alpha, decay)
    if traces.length[0] == 0:
        q_old[0] = q[entry]  # at an episode's start the box sets Q_old so that nothing is corrected
    td_error = true_online_update(q, entry, target, q_old[0], traces, alpha, decay)
    q_old[0] = following
    return td_error


class SarsaLambda(ControlAgent):
    """Sarsa(λ) with accumulating, replacing or dutch traces.

    Example:
        >>> agent = SarsaLambda("CliffWalking-v1", alpha=0.1, gamma=1.0, lambda_=0.9, seed=0).learn(50_000)
        >>> agent.q.shape
        (48, 4)
    """

    id = "sarsa-lambda"
    rule = LearningRule(act_epsilon_greedy, learn, forget_traces, on_policy=True)
    lambda_: TraceDecay = 0.9
    traces: Annotated[str, Choice("what a visit adds to its trace", tuple(TRACE_KINDS))] = "replacing"

    def setup(self) -> None:
        """A trace for each state and action."""
        super().setup()
        self.memory = Memory(
            **self.memory._asdict(), q_flat=self.q.reshape(-1),
            traces=self.kept_traces("traces", new_traces(self.q.size)), kind=TRACE_KINDS[self.traces],
            lambda_=self.lambda_, q_old=self.kept("q_old", np.zeros(1)),
        )  # fmt: skip
