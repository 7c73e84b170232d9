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

from rlplay.extend import Model, Planner, PolicyLike, Probe, StateArrays, evaluation_sweep, policy_table


class PolicyEvaluation(Planner):
    """Iterative policy evaluation for environments with a transition table.

    Attributes:
        policy: π(a|s) of the policy that was given, float64 [S, A].

    Example:
        >>> from rlplay import make
        >>> agent = PolicyEvaluation(make("rlplay/GridWorld-v0", map="corners"), policy="random", gamma=1.0)
        >>> agent.learn(10_000).v[:4].round().tolist()
        [0.0, -14.0, -20.0, -22.0]
    """

    id = "policy-evaluation"
    policy: PolicyLike = "random"

    def setup(self) -> None:
        """The policy as a table."""
        super().setup()
        self.policy = policy_table(self.policy, self.env, self.masks(), type(self).__name__)

    def sweep(self, model: Model) -> None:
        """V(s) ← Σ_a π(a|s) q(s, a) for all s."""
        self.update_values(evaluation_sweep, self.policy, model)

    def probe(self, observation: Any) -> Probe:
        """Action values by one backup of the table, the policy, and the state's value under it."""
        states = self.encoder.encode_batch(observation)
        return replace(super().probe(observation), action_probabilities=self.policy[states])

    def arrays(self) -> StateArrays:
        """The values, and the policy."""
        return {**super().arrays(), "policy": self.policy}
