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

from typing import Annotated

import numpy as np

from rlplay.extend import (
    TRACE_KINDS,
    Choice,
    ControlAgent,
    LearningRule,
    TraceDecay,
    act_epsilon_greedy,
    clear_traces,
    forget_traces,
    greatest,
    in_place,
    new_traces,
    td_lambda_update,
    visited,
)

from .sarsa_lambda import Memory


@in_place
def learn(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step; A' only says whether the agent goes on greedily, or all traces are cut."""
    alpha, entry = visited(memory.alpha, s, a, progress), s * memory.q.shape[1] + a
    target, is_greedy = r, True
    if not terminated:
        best = greatest(memory.q, s_next)
        target, is_greedy = r + memory.gamma * best, memory.q[s_next, a_next] == best
    decay = memory.gamma * memory.lambda_
    td_error = td_lambda_update(memory.q_flat, entry, target, memory.traces, memory.kind, alpha, decay)
    if not is_greedy:
        clear_traces(memory.traces)  # what follows an exploring action says nothing about the greedy policy
    return td_error


class WatkinsQLambda(ControlAgent):
    """Watkins's Q(λ) with replacing or accumulating traces.

    Example:
        >>> agent = WatkinsQLambda("CliffWalking-v1", alpha=0.1, gamma=1.0, seed=0).learn(50_000)
        >>> agent.q.shape
        (48, 4)
    """

    id = "watkins-q-lambda"
    rule = LearningRule(act_epsilon_greedy, learn, forget_traces, on_policy=True)
    lambda_: TraceDecay = 0.9
    traces: Annotated[str, Choice("what a visit does to its trace", ("replacing", "accumulating"))] = "replacing"

    def setup(self) -> None:
        """A trace for each state and action."""
        super().setup()
        self.memory = Memory(
            **self.memory._asdict(), q_flat=self.q.reshape(-1),
            traces=self.kept_traces("traces", new_traces(self.q.size)), kind=TRACE_KINDS[self.traces],
            lambda_=self.lambda_, q_old=np.zeros(1),  # of dutch traces only
        )  # fmt: skip
