"""Policy iteration: evaluate the policy, make it greedy for its own values, and again, until it is its own best.

    evaluate  V(s) ← Σ_{s',r} p(s', r | s, π(s)) [r + γ V(s')]    for all s, sweep by sweep, until Δ < θ
    improve   π(s) ← argmax_a Σ_{s',r} p(s', r | s, a) [r + γ V(s')]    for all s; done when no action changes

One timestep is one evaluation sweep or one improvement. With ``evaluation_sweeps=k`` an evaluation ends after k
sweeps (modified policy iteration); with 1 it is value iteration.

Source: Howard 1960; Sutton & Barto 2e, section 4.3, box on page 80; Puterman & Shin 1978 for few sweeps.

Symbols:
    V  v       float64 [S]     state values,  π  policy  float64 [S, A]  the policy, at first that of chance
    Δ  delta, θ  theta, γ  gamma;  p as in value iteration

Deviations from the box: an action is kept while none is better by more than 1e-9 (exercise 4.4: ties would swap for
ever); the first policy is random, which reaches an end wherever one can be reached. Without a discount and with
``average_reward`` values are relative to the gain, the reward a step in the long run.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from rlplay.extend import (
    COUNT,
    Either,
    EnvLike,
    Model,
    Planner,
    Probe,
    Range,
    Ranges,
    StateArrays,
    counted,
    evaluation_sweep,
)

SWEEPS, IMPROVEMENTS, CHANGED, IMPROVE_NEXT = range(4)  # places in the counts


class PolicyIteration(Planner):
    """Policy iteration for environments with a transition table.

    Attributes:
        policy: π(a|s), float64 [S, A]; all 0 before the first sweep.
        counts: sweeps of this evaluation, improvements, actions that the last one changed (-1 before it), and whether
            an improvement is next; int64 [4].

    Example:
        >>> agent = PolicyIteration("FrozenLake-v1", gamma=0.99).learn(10_000)
        >>> print(f"{agent.v[0]:.5f} after {agent.counts[1]} improvements")
        0.54203 after 3 improvements
    """

    id = "policy-iteration"
    evaluation_sweeps: Annotated[
        int | None, Either((None,), Range("most sweeps of an evaluation; None: until it stands", 1, integer=True))
    ] = None

    def setup(self) -> None:
        """No policy yet."""
        super().setup()
        self.policy, self.counts = np.zeros(self.size), np.array([0, 0, -1, 0])

    @property
    def converged(self) -> bool:
        """Whether the last improvement changed nothing, and the values no longer change."""
        return bool(self.counts[CHANGED] == 0 and self.delta[0] <= self.theta)

    def sweep(self, model: Model) -> None:
        """Evaluate one sweep, V(s) ← Σ_a π(a|s) q(s, a) for all s, or improve."""
        if not self.policy.any():
            self.policy[:] = model.allowed / model.allowed.sum(axis=1, keepdims=True)
        if self.counts[IMPROVE_NEXT]:
            self.improve()
            return
        self.update_values(evaluation_sweep, self.policy, model)
        self.counts[SWEEPS] += 1
        most = self.evaluation_sweeps
        done = self.delta[0] <= self.theta or (most is not None and self.counts[SWEEPS] >= most)
        self.counts[IMPROVE_NEXT] = done

    def improve(self) -> None:
        """π(s) ← argmax_a q(s, a); an action stays while none is better by more than 1e-9."""
        q = self.q_values()
        best = q.max(axis=1)
        current = np.where(self.policy > 0, q, -np.inf)
        keeps = (current.max(axis=1) >= best - 1e-9) & (self.policy.max(axis=1) == 1.0)
        chosen = np.where(keeps, self.policy.argmax(axis=1), q.argmax(axis=1))
        self.policy[:] = np.eye(self.size[1])[chosen]
        self.counts[:] = 0, self.counts[IMPROVEMENTS] + 1, int((~keeps).sum()), 0

    @property
    def activity(self) -> str:
        """What the last timestep did, and what the next one does."""
        if self.num_timesteps == 0:
            return "next: evaluate one sweep"
        sweeps, improvements, changed, improve = self.counts.tolist()
        following = "done" if self.converged else f"next: {'improve' if improve else 'evaluate one sweep'}"
        if sweeps == 0 and improvements:
            return f"improvement {improvements}: {counted(changed, 'state')} changed their action; {following}"
        return f"evaluation sweep {sweeps}: largest change {self.delta[0]:.3g}; {following}"

    def set_env(self, env: EnvLike, force_reset: bool = True) -> None:
        """Plan in another environment with the same spaces, starting from the policy and values so far."""
        super().set_env(env, force_reset)
        self.counts[:] = 0, self.counts[IMPROVEMENTS], -1, 0

    def probe(self, observation: Any) -> Probe:
        """Action values by one backup of the table, the policy, and the state's value under it."""
        states = self.encoder.encode_batch(observation)
        q = self.q_values()[states]
        policy = self.policy[states] if self.policy.any() else np.full(q.shape, 1 / q.shape[1])
        return Probe(action_values=q, action_probabilities=policy, value=self.v[states])

    def arrays(self) -> StateArrays:
        """The values, the policy, and where the iteration stands."""
        return {**super().arrays(), "policy": self.policy, "counts": self.counts}

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold; -1 changes: not known yet."""
        return {"counts": (-1, COUNT[1]), **super().ranges()}
