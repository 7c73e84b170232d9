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

from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Choice,
    Discount,
    EpisodeBuffer,
    Exploration,
    FeaturesLike,
    HyperparameterError,
    InitialValue,
    LearningRule,
    Policy,
    Probe,
    Rate,
    TableAgent,
    act_epsilon_greedy,
    forget_steps,
    greatest,
    in_place,
    keep_whole_step,
    latest,
    longest_episode,
    policy_probability,
    policy_table,
    sampled,
)


class Memory(NamedTuple):
    """What the rules work on.

    Attributes:
        q: action values, float64 [S, A].
        c: sum of the weights of each action value, or their number, float64 [S, A].
        v: state values, float64 [S].
        c_v: the same as c for the state values, float64 [S].
        gamma, epsilon, rng: as in `ControlMemory`.
        steps: the episode so far, with b(A|S) of each step.
        policy: the policy to learn about, float64 [S, A]; [0, 0] for the greedy one (control).
        behaviour: the policy that is followed in prediction, float64 [S, A].
        weighted: whether averages are weighted, else ordinary.
    """

    q: NDArray[np.float64]
    c: NDArray[np.float64]
    v: NDArray[np.float64]
    c_v: NDArray[np.float64]
    gamma: float
    epsilon: Rate
    rng: NDArray[np.uint64]
    steps: EpisodeBuffer
    policy: NDArray[np.float64]
    behaviour: NDArray[np.float64]
    weighted: bool


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
def update(memory: Memory, end_value: float) -> None:
    """The boxes on pages 110 and 111, from the end of an episode back; an empty policy is the greedy one."""
    q, c, v, c_v, steps, weighted = memory.q, memory.c, memory.v, memory.c_v, memory.steps, memory.weighted
    g, weight, control = end_value, 1.0, memory.policy.shape[0] == 0
    for t in range(steps.length[0] - 1, -1, -1):
        s, a = steps.state[t], steps.action[t]
        g = steps.reward[t] + memory.gamma * g
        if weighted and weight == 0.0:
            break
        q[s, a], c[s, a] = average(q[s, a], weight, c[s, a], g, weighted)
        pi = policy_probability(q, s, a, 0.0) if control else memory.policy[s, a]
        weight *= pi / steps.behaviour[t]
        v[s], c_v[s] = average(v[s], weight, c_v[s], g, weighted)
        if control and weight == 0.0:
            break


@in_place
def act_behaviour(memory: Memory, s: int, progress: float) -> int:
    """An action of the policy that is followed in prediction."""
    return sampled(memory.behaviour, s, memory.rng)


@in_place
def learn_control(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """Keeps S, A, R and b(A|S) of the ε-greedy policy; at the end learns the greedy one from the whole episode."""
    t = keep_whole_step(memory.steps, s, a, r)
    if t < 0:
        return np.nan
    memory.steps.behaviour[t] = policy_probability(memory.q, s, a, latest(memory.epsilon, s, 0, progress))
    if terminated or truncated:
        update(memory, 0.0 if terminated else greatest(memory.q, s_next))
    return np.nan


@in_place
def learn_prediction(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """Keeps S, A, R and b(A|S) of the given behaviour; at the end learns the policy from the whole episode."""
    t = keep_whole_step(memory.steps, s, a, r)
    if t < 0:
        return np.nan
    memory.steps.behaviour[t] = memory.behaviour[s, a]
    if terminated or truncated:
        update(memory, 0.0 if terminated else memory.v[s_next])
    return np.nan


class OffPolicyMonteCarlo(TableAgent):
    """Off-policy Monte Carlo by ordinary or weighted importance sampling: prediction with a policy, control without.

    Attributes:
        q: action values, float64 [S, A].
        v: state values, float64 [S].
        policy: π(a|s) of the policy that was given, float64 [S, A], or None.
        behaviour: b(a|s), float64 [S, A].

    Example:
        >>> agent = OffPolicyMonteCarlo("Blackjack-v1", policy="stick-on-20", gamma=1.0, seed=0).learn(500)
        >>> control = OffPolicyMonteCarlo("Blackjack-v1", epsilon=0.5, gamma=1.0, seed=0).learn(500)
    """

    id = "off-policy-monte-carlo"
    policy: Annotated[Any, Policy("the policy to learn about; None learns the greedy one", optional=True)] = None
    behaviour: Annotated[Any, Policy("the policy that is followed, where one is to predict")] = "random"
    importance_sampling: Annotated[str, Choice("how returns are averaged", ("weighted", "ordinary"))] = "weighted"
    gamma: Discount = 0.99
    epsilon: Exploration = 0.1
    initial_value: InitialValue = 0.0
    features: FeaturesLike = None

    def setup(self) -> None:
        """Values, the sums of their weights, and both policies."""
        super().setup()
        name = type(self).__name__
        self.q, self.v = self.table("q", self.initial_value), self.values("v", self.initial_value)
        self.tables["c"], c_v = np.zeros(self.size), self.values("c_v")
        self.exploration = self.rate("epsilon", by_state=True)
        self.behaviour = self.kept("behaviour", policy_table(self.behaviour, self.env, self.allowed, name))
        self.rule = LearningRule(act_epsilon_greedy, learn_control, forget_steps)
        if self.policy is not None:
            self.policy = self.kept("policy", policy_table(self.policy, self.env, self.allowed, name))
            require_coverage(self.policy, self.behaviour)
            self.rule = LearningRule(act_behaviour, learn_prediction, forget_steps)
        self.memory = Memory(
            self.q, self.tables["c"], self.v, c_v, self.gamma, self.exploration, self.rng,
            steps=self.episode_buffer(longest_episode(self.env)),
            policy=np.zeros((0, 0)) if self.policy is None else self.policy, behaviour=self.behaviour,
            weighted=self.importance_sampling == "weighted",
        )  # fmt: skip

    def probe(self, observation: Any) -> Probe:
        """Action values of the policy that is learned, that policy, and the value of the state under it."""
        states = self.encoder.encode_batch(observation)
        q = self.q[states]
        if self.policy is not None:
            return Probe(action_values=q, action_probabilities=self.policy[states], value=self.v[states])
        best = q == q.max(axis=1, keepdims=True)
        return Probe(q, best / best.sum(axis=1, keepdims=True), value=q.max(axis=1))


def require_coverage(policy: NDArray[np.float64], behaviour: NDArray[np.float64]) -> None:
    """The behaviour must take every action that the policy takes (coverage, S&B section 5.5).

    Raises:
        HyperparameterError: it does not; names a state and an action.
    """
    missed = np.argwhere((policy > 0) & (behaviour == 0))
    if len(missed):
        s, a = missed[0]
        raise HyperparameterError(
            f"OffPolicyMonteCarlo: the behaviour policy never takes action {a} in state {s}, which the target "
            "policy takes",
            "Give a behaviour that takes every action of the target policy, such as random",
        )
