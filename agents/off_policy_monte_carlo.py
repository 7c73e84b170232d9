"""Off-policy Monte Carlo: learn about one policy from the episodes of another, by importance sampling.

A return counts by how much likelier the policy π makes it than the policy b that was followed, ρ = Π π(A|S) / b(A|S)
over the actions after it. Going back from the end, with W = ρ so far:

    weighted    C(S, A) ← C(S, A) + W,   Q(S, A) ← Q(S, A) + W/C(S, A) [G - Q(S, A)]
    ordinary    Q(S, A) ← Q(S, A) + 1/n(S, A) [W G - Q(S, A)]
    then        W ← W π(A|S) / b(A|S), until W is 0

Weighted averages are biased at first and of little variance; ordinary ones are the reverse. Without ``policy`` the
greedy policy is learned while the ε-greedy one is followed (control).

Source: Sutton & Barto 2e, sections 5.5 to 5.7, boxes on pages 110 and 111; Precup, Sutton & Singh 2000.

Symbols:
    Q  q  float64 [S, A]  action values of π,  V  v  float64 [S]  state values of π, with ρ from the first action on
    C  c  float64 [S, A]  sum of the weights (weighted) or their number (ordinary);  c_v  float64 [S]  the same for V
    b  behaviour, π  policy  float64 [S, A];  γ  gamma,  ε  epsilon of b in control

Deviations from the boxes: V is learned beside Q; an episode that a time limit cuts goes on with the value of its last
state. After 16,384 steps without a time limit the run stops with an error.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay import Probe
from rlplay.training.learner import Engine
from rlplay.agent.policies import policy_table
from rlplay.agent.tabular import TableAgent, epsilon_greedy, greatest, policy_probability, sampled
from rlplay.compiled.cache import in_place
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.errors import HyperparameterError
from rlplay.functional.episode_buffer import Steps, keep_whole, longest_episode, require_end
from rlplay.functional.schedules import latest, visited
from rlplay.hyperparameters.domains import Choice, Policy
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike, InitialValue


@in_place
def average(value: float, weight: float, sum_of_weights: float, g: float, weighted: bool) -> tuple[float, float]:
    """One more return G of weight W into an average: the new value, and the new C (or n)."""
    if weighted:
        if weight > 0.0:
            sum_of_weights += weight
            value += weight / sum_of_weights * (g - value)
    else:
        sum_of_weights += 1.0
        value += (weight * g - value) / sum_of_weights
    return value, sum_of_weights


@in_place
def update(
    q: NDArray[np.float64], c: NDArray[np.float64], v: NDArray[np.float64], c_v: NDArray[np.float64], steps: Steps,
    beyond: float, policy: NDArray[np.float64], gamma: float, weighted: bool,
) -> None:  # fmt: skip
    """The boxes on pages 110 and 111, from the end of an episode back; an empty policy is the greedy one."""
    g, weight = beyond, 1.0
    control = policy.shape[0] == 0
    for t in range(steps.length[0] - 1, -1, -1):
        s, a = steps.state[t], steps.action[t]
        g = steps.reward[t] + gamma * g
        if weighted and weight == 0.0:
            break
        q[s, a], c[s, a] = average(q[s, a], weight, c[s, a], g, weighted)
        pi = policy_probability(q, s, a, 0.0) if control else policy[s, a]
        weight *= pi / steps.behaviour[t]
        v[s], c_v[s] = average(v[s], weight, c_v[s], g, weighted)
        if control and weight == 0.0:
            break


@cache
def off_policy_rule(control: bool) -> LearningRule:
    """Control with an ε-greedy behaviour, or prediction with one that is given."""

    @in_place
    def act(memory: Any, s: int, progress: float) -> int:
        """The loop's way to the behaviour policy."""
        q, gamma, epsilon, rng, steps, c, v, c_v, policy, behaviour, weighted = memory
        if control:
            return epsilon_greedy(q, s, visited(epsilon, s, 0, progress), rng)
        return sampled(behaviour, s, rng)

    @in_place
    def learn(
        memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
        progress: float,
    ) -> float:  # fmt: skip
        """The loop's way to the update: keep the step and b(A|S); at the end learn from the episode."""
        q, gamma, epsilon, rng, steps, c, v, c_v, policy, behaviour, weighted = memory
        t = keep_whole(steps, s, a, r)
        if t < 0:
            return np.nan
        if control:
            steps.behaviour[t] = policy_probability(q, s, a, latest(epsilon, s, 0, progress))
        else:
            steps.behaviour[t] = behaviour[s, a]
        if terminated or truncated:
            beyond = 0.0 if terminated else greatest(q, s_next) if control else v[s_next]
            update(q, c, v, c_v, steps, beyond, policy, gamma, weighted)
        return np.nan

    return LearningRule(act, learn, begin)


@in_place
def begin(memory: Any) -> None:
    """No steps yet."""
    memory[4].length[0] = 0


class OffPolicyMonteCarlo(TableAgent):
    """Off-policy Monte Carlo by ordinary or weighted importance sampling: prediction with a policy, control without.

    Example:
        >>> agent = OffPolicyMonteCarlo("Blackjack-v1", policy="stick-on-20", gamma=1.0, seed=0).learn(50_000)
        >>> control = OffPolicyMonteCarlo("Blackjack-v1", epsilon=0.5, gamma=1.0, seed=0).learn(50_000)
    """

    id = "off-policy-monte-carlo"

    def __init__(
        self,
        env: EnvLike,
        *,
        policy: Annotated[Any, Policy("the policy to learn about; None learns the greedy one", optional=True)] = None,
        behaviour: Annotated[Any, Policy("the policy that is followed, where one is to predict")] = "random",
        importance_sampling: Annotated[str, Choice("how returns are averaged", ("weighted", "ordinary"))] = "weighted",
        gamma: Discount = 0.99,
        epsilon: Exploration = 0.1,
        initial_value: InitialValue = 0.0,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, policy=policy, behaviour=behaviour, importance_sampling=importance_sampling, gamma=gamma,
            epsilon=epsilon, initial_value=initial_value, features=features,
        )  # fmt: skip
        name, control = type(self).__name__, policy is None
        self.q, self.v = self.table("q", initial_value), self.values("v", initial_value)
        self.tables["c"] = self.c = np.zeros(self.size)
        self.c_v = self.values("c_v")
        self.epsilon, self.steps = self.rate("epsilon", by_state=True), self.room(longest_episode(self.env))
        self.policy = np.zeros((0, 0))
        behaviour = policy_table(self.hyperparameters["behaviour"], self.env, self.allowed, name)
        self.behaviour = self.kept("behaviour", behaviour)
        if not control:
            target = policy_table(self.hyperparameters["policy"], self.env, self.allowed, name)
            self.policy = self.kept("policy", target)
            self._require_coverage()
        self.rule = off_policy_rule(control)
        self.memory = (
            self.q, float(gamma), self.epsilon, self.rng, self.steps, self.c, self.v, self.c_v, self.policy,
            self.behaviour, importance_sampling == "weighted",
        )  # fmt: skip

    def _require_coverage(self) -> None:
        missed = np.argwhere((self.policy > 0) & (self.behaviour == 0))
        if len(missed):
            s, a = missed[0]
            raise HyperparameterError(
                f"OffPolicyMonteCarlo: the behaviour policy never takes action {a} in state {s}, which the target "
                "policy takes",
                "Give a behaviour that takes every action of the target policy, such as random",
            )

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Play and learn.

        Raises:
            EnvironmentFault: an episode does not end, so that there is nothing to learn from.
        """
        done = super().advance(timesteps, engine)
        require_end(self.steps, self.env, type(self).__name__)
        return done

    def probe(self, observation: Any) -> Probe:
        """Action values of the policy that is learned, that policy, and the value of the state under it."""
        states = self.state_indices(observation)
        q = self.q[states]
        if self.policy.size:
            return Probe(action_values=q, action_probabilities=self.policy[states], value=self.v[states])
        best = q == q.max(axis=1, keepdims=True)
        return Probe(q, best / best.sum(axis=1, keepdims=True), value=q.max(axis=1))
