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

from rlplay import Probe
from rlplay.agent.base import StateArrays
from rlplay.agent.planner import Model, Planner, evaluation_sweep
from rlplay.environments.make import EnvLike
from rlplay.hyperparameters.domains import Either, Range
from rlplay.hyperparameters.types import Accuracy, AverageReward, Discount, InPlace

SWEEPS, IMPROVEMENTS, CHANGED, IMPROVE_NEXT = range(4)  # places in the counts


class PolicyIteration(Planner):
    """Policy iteration for environments with a transition table.

    Example:
        >>> agent = PolicyIteration("FrozenLake-v1", gamma=0.99).learn(10_000)
        >>> print(f"{agent.v[0]:.5f} after {agent.counts[1]} improvements")
        0.54203 after 6 improvements
    """

    id = "policy-iteration"

    def __init__(
        self,
        env: EnvLike,
        *,
        gamma: Discount = 0.99,
        theta: Accuracy = 1e-9,
        evaluation_sweeps: Annotated[
            int | None, Either((None,), Range("most sweeps of an evaluation; None: until it stands", 1, integer=True))
        ] = None,
        in_place: InPlace = True,
        average_reward: AverageReward = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, gamma=gamma, theta=theta, average_reward=average_reward,
            evaluation_sweeps=evaluation_sweeps, in_place=in_place,
        )  # fmt: skip
        self.in_place = bool(in_place) and not average_reward
        self.policy = np.zeros(self.size)  # all 0 before the model is read
        self.counts = np.array([0, 0, -1, 0])  # sweeps of this evaluation, improvements, actions changed, phase

    @property
    def converged(self) -> bool:
        """Whether the last improvement changed nothing, and the values stand."""
        return bool(self.counts[CHANGED] == 0 and self.delta[0] <= self.theta)

    def sweep(self, model: Model) -> None:
        """Evaluate one sweep, or improve."""
        if not self.policy.any():
            self.policy[:] = model.allowed / model.allowed.sum(axis=1, keepdims=True)
        if self.counts[IMPROVE_NEXT]:
            self.improve()
            return
        source = self.v if self.in_place else self.v.copy()
        self.delta[0] = evaluation_sweep(self.v, source, self.policy, model, self.gamma, self.beyond)
        if self.average_reward:
            self.settle(source)
        self.counts[SWEEPS] += 1
        most = self.hyperparameters["evaluation_sweeps"]
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
            return f"improvement {improvements}: {changed} states changed their action; {following}"
        return f"evaluation sweep {sweeps}: largest change {self.delta[0]:.3g}; {following}"

    def set_env(self, env: EnvLike) -> None:
        """Plan in another environment with the same spaces, starting from the policy and values so far."""
        super().set_env(env)
        self.counts[:] = 0, self.counts[IMPROVEMENTS], -1, 0

    def probe(self, observation: Any) -> Probe:
        """Action values by one backup of the table, the policy, and the state's value under it."""
        states = self.state_indices(observation)
        q = self.q_values()[states]
        policy = self.policy[states] if self.policy.any() else np.full(q.shape, 1 / q.shape[1])
        return Probe(action_values=q, action_probabilities=policy, value=self.v[states])

    def arrays(self) -> StateArrays:
        """The values, the policy, and where the iteration stands."""
        return {**super().arrays(), "policy": self.policy, "counts": self.counts}
