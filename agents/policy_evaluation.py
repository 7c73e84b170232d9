"""Policy evaluation: how good is every state under a policy that is given? Exactly, from the model.

    V(s) ← Σ_a π(a|s) Σ_{s',r} p(s', r | s, a) [r + γ V(s')]    for all s, until the largest change Δ is below θ

With ``average_reward`` values are relative to the reward a step in the long run, the gain g, without a discount.

Source: Sutton & Barto 2e, section 4.1, equation (4.5), box on page 75; Puterman 1994, section 8.2, for the gain.

Symbols:
    V  v       float64 [S]        state values under π
    π  policy  float64 [S, A]     the policy
    p  p       float64 [S, A, K]  probability of outcome k, with s' = next_state, r = reward, terminated of that shape
    Δ  delta,  γ  gamma,  θ  theta

Deviations from the box: none in place (the default); ``in_place=False`` computes a sweep from the values of the sweep
before. Average rewards are always computed that way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rlplay import Probe
from rlplay.agent.base import StateArrays
from rlplay.agent.planner import Model, Planner, evaluation_sweep
from rlplay.agent.policies import policy_table
from rlplay.environments.make import EnvLike
from rlplay.hyperparameters.types import Accuracy, AverageReward, Discount, InPlace, PolicyLike


class PolicyEvaluation(Planner):
    """Iterative policy evaluation for environments with a transition table.

    Example:
        >>> from rlplay import make
        >>> agent = PolicyEvaluation(make("rlplay/GridWorld-v0", map="corners"), policy="random", gamma=1.0)
        >>> agent.learn(10_000).v[:4].round().tolist()
        [0.0, -14.0, -20.0, -22.0]
    """

    id = "policy-evaluation"

    def __init__(
        self,
        env: EnvLike,
        *,
        policy: PolicyLike = "random",
        gamma: Discount = 0.99,
        theta: Accuracy = 1e-9,
        in_place: InPlace = True,
        average_reward: AverageReward = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, gamma=gamma, theta=theta, average_reward=average_reward, policy=policy, in_place=in_place
        )
        self.in_place = bool(in_place) and not average_reward
        self.policy = policy_table(
            self.hyperparameters["policy"], self.env, self.masks(), type(self).__name__
        )  # π(a|s), float64 [S, A]

    def sweep(self, model: Model) -> None:
        """One sweep of the box."""
        source = self.v if self.in_place else self.v.copy()
        self.delta[0] = evaluation_sweep(self.v, source, self.policy, model, self.gamma, self.beyond)
        if self.average_reward:
            self.settle(source)

    def probe(self, observation: Any) -> Probe:
        """Action values by one backup of the table, the policy, and the state's value under it."""
        return replace(super().probe(observation), action_probabilities=self.policy[self.state_indices(observation)])

    def arrays(self) -> StateArrays:
        """The values, and the policy."""
        return {**super().arrays(), "policy": self.policy}
