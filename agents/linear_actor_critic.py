"""Actor-critic with linear features and eligibility traces: a policy that is moved by what a value was wrong about.

    δ = R + γ v(S', w) - v(S, w)                      with an average reward: δ = R - R̄ + v(S', w) - v(S, w)
    z_w ← γ λ_w z_w + x,        w ← w + α_w δ z_w
    z_θ ← γ λ_θ z_θ + ∇ln π,    θ ← θ + α_θ δ z_θ          (R̄ ← R̄ + α_R δ)

A policy over finite actions is a softmax of preferences h(b) = θ_b · x, over a Box a normal with μ = θ_μ · x and
σ = exp(θ_σ · x):

    ∂ln π/∂θ_b = [1(b = A) - π(b)] x        ∂ln π/∂θ_μ = (A - μ)/σ² x        ∂ln π/∂θ_σ = [(A - μ)²/σ² - 1] x

Source: Barto, Sutton & Anderson 1983; Degris, Pilarski & Sutton 2012; Sutton & Barto 2e, sections 13.5 to 13.7,
boxes on pages 332 and 333, equations (13.20) and (13.21).

Symbols:
    w  weights of values  float64 [F, 1]    θ  weights of the policy  float64 [F, A], or [F, 2A]: means, then log σ
    x  active features of S    z_w, z_θ  traces, kept as lists    λ  lambda_, of both
    α_w  alpha    α_θ  actor_alpha    α_R  reward_alpha  float or schedule    γ  gamma

Deviations from the boxes: the factor γᵗ is left out, as is common; steps of a normal policy are scaled by σ² (Williams
1992, section 6), without which they grow beyond all bounds as σ falls; log σ is held between -5 and 2; a trace below
1e-8 is forgotten; an episode that is only truncated bootstraps.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Active,
    AverageReward,
    LearningRule,
    LinearAgent,
    LinearStep,
    Probe,
    Range,
    TraceDecay,
    Traces,
    clear_traces,
    compiled,
    decay_traces,
    in_place,
    learn_by_traces,
    mark_features,
    new_traces,
    normal,
    random,
    scheduled,
    tabulate,
    value_of,
    values_of,
)

LOW, HIGH = -5.0, 2.0  # log σ


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        w: weights of values, float64 [F, 1].
        theta: weights of the policy, float64 [F, A], or [F, 2A]: means, then log σ.
        alpha, actor_alpha, reward_alpha: step sizes by training progress, float64 [K].
        gamma: discount; 1 with an average reward.
        decay: that of the traces, γ λ.
        average_reward: whether the mean reward is learned and subtracted.
        rng: the state of the exploration's generator, uint64 [4].
        mean_reward: R̄, float64 [1].
        pi: takes the probabilities of the actions, float64 [1, A].
        traces, actor_traces: z_w and z_θ.
        action: the action of a normal policy that was drawn last, float32 [A].
    """

    w: NDArray[np.float64]
    theta: NDArray[np.float64]
    alpha: NDArray[np.float64]
    actor_alpha: NDArray[np.float64]
    reward_alpha: NDArray[np.float64]
    gamma: float
    decay: float
    average_reward: bool
    rng: NDArray[np.uint64]
    mean_reward: NDArray[np.float64]
    pi: NDArray[np.float64]
    traces: Traces
    actor_traces: Traces
    action: NDArray[np.float32]


@in_place
def softmax(theta: NDArray[np.float64], x: Active, pi: NDArray[np.float64]) -> None:
    """π(·|s) into ``pi`` [1, A]; the largest preference is subtracted first."""
    values_of(theta, x, pi)
    largest, total = pi[0, 0], 0.0
    for b in range(1, pi.shape[1]):
        largest = max(largest, pi[0, b])
    for b in range(pi.shape[1]):
        pi[0, b] = math.exp(pi[0, b] - largest)
        total += pi[0, b]
    for b in range(pi.shape[1]):
        pi[0, b] /= total


@in_place
def act_softmax(memory: Memory, x: Active, progress: float) -> int:
    """Draw an action of the softmax policy."""
    pi, u = memory.pi, random(memory.rng)
    softmax(memory.theta, x, pi)
    for b in range(pi.shape[1] - 1):
        u -= pi[0, b]
        if u < 0.0:
            return b
    return pi.shape[1] - 1


@in_place
def mark_softmax(memory: Memory, x: Active, a: int) -> None:
    """z_θ ← z_θ + ∇ln π(a|s)."""
    theta, pi = memory.theta, memory.pi
    softmax(theta, x, pi)
    for b in range(pi.shape[1]):
        mark_features(memory.actor_traces, x, b, theta.shape[1], (1.0 if b == a else 0.0) - pi[0, b])


@compiled  # it returns an array
def act_gaussian(memory: Memory, x: Active, progress: float) -> NDArray[np.float32]:
    """Draw an action; it is kept for the update, since the environment may cut it to its bounds."""
    theta, action = memory.theta, memory.action
    for i in range(action.shape[0]):
        log_std = min(max(value_of(theta, x, action.shape[0] + i), -5.0), 2.0)
        action[i] = value_of(theta, x, i) + math.exp(log_std) * normal(memory.rng)
    return action


@in_place
def mark_gaussian(memory: Memory, x: Active, a: Any) -> None:
    """z_θ ← z_θ + σ² ∇ln π(a|s), for the action drawn last."""
    theta, actor_traces, action = memory.theta, memory.actor_traces, memory.action
    for i in range(action.shape[0]):
        mean, log_std = value_of(theta, x, i), value_of(theta, x, action.shape[0] + i)
        inside = -5.0 < log_std < 2.0
        std = math.exp(min(max(log_std, -5.0), 2.0))
        z = (action[i] - mean) / std
        mark_features(actor_traces, x, i, theta.shape[1], z * std)
        if inside:
            mark_features(actor_traces, x, action.shape[0] + i, theta.shape[1], (z * z - 1.0) * std * std)


def make_rule(act: Any, mark: Any) -> LearningRule:
    """The algorithm over a policy: ``act`` draws its actions, ``mark`` adds the gradient of ln π to its traces."""

    @in_place
    def learn(
        memory: Memory, x: Active, a: Any, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
        progress: float,
    ) -> float:  # fmt: skip
        """All of a step but the action that follows: values are those of states."""
        w, mean_reward = memory.w, memory.mean_reward
        following = 0.0 if terminated else memory.gamma * value_of(w, x_next, 0)
        td_error = r - mean_reward[0] + following - value_of(w, x, 0)
        if memory.average_reward:
            mean_reward[0] += scheduled(memory.reward_alpha, progress) * td_error
        decay_traces(memory.traces, memory.decay)
        decay_traces(memory.actor_traces, memory.decay)
        mark_features(memory.traces, x, 0, 1, 1.0)
        mark(memory, x, a)
        learn_by_traces(w, memory.traces, scheduled(memory.alpha, progress) * td_error)
        learn_by_traces(memory.theta, memory.actor_traces, scheduled(memory.actor_alpha, progress) * td_error)
        return td_error

    return LearningRule(act, learn, begin)


@in_place
def begin(memory: Memory) -> None:
    """No traces yet."""
    clear_traces(memory.traces)
    clear_traces(memory.actor_traces)


SOFTMAX, GAUSSIAN = make_rule(act_softmax, mark_softmax), make_rule(act_gaussian, mark_gaussian)


class LinearActorCritic(LinearAgent):
    """Actor-critic over tiles, or any other features; finite actions or a Box, discounted or by average reward.

    Example:
        >>> agent = LinearActorCritic("MountainCarContinuous-v0", seed=0).learn(5_000)
        >>> agent.theta.shape
        (648, 2)
    """

    id = "linear-actor-critic"
    finite_actions = False
    alpha: LinearStep = 0.0625
    actor_alpha: LinearStep = 0.001
    lambda_: TraceDecay = 0.9
    average_reward: AverageReward = False
    reward_alpha: LinearStep = 0.001
    log_std_init: Annotated[float, Range("log σ of a normal policy at the start", LOW, HIGH)] = 0.0

    def setup(self) -> None:
        """The weights of values and policy, their traces, and the rule for these actions."""
        super().setup()
        continuous = self.numbering is None
        n = self.numbering.n if self.numbering is not None else math.prod(self.action_space.shape or ())
        self.rule = GAUSSIAN if continuous else SOFTMAX
        self.w, self.theta = self.weights("w", 1), self.weights("theta", 2 * n if continuous else n)
        if continuous:
            self.theta[:, n:] = self.log_std_init / self.encoder.width
        gamma = 1.0 if self.average_reward else self.gamma
        self.memory = Memory(
            self.w, self.theta, tabulate(self.alpha), tabulate(self.actor_alpha), tabulate(self.reward_alpha), gamma,
            gamma * self.lambda_, self.average_reward, self.rng, self.kept("mean_reward", np.zeros(1)),
            np.zeros((1, n)), self.kept_traces("traces", new_traces(self.w.size)),
            self.kept_traces("actor_traces", new_traces(self.theta.size)), np.zeros(n, np.float32),
        )  # fmt: skip

    def probe(self, observation: Any) -> Probe:
        """Probabilities, or mean and deviation, of the actions, and the value."""
        value, outputs = self.linear(self.w, observation)[:, 0], self.linear(self.theta, observation)
        if self.numbering is None:
            n = outputs.shape[1] // 2
            return Probe(action_mean=outputs[:, :n], action_std=np.exp(np.clip(outputs[:, n:], LOW, HIGH)), value=value)
        exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return Probe(action_probabilities=exponentials / exponentials.sum(axis=1, keepdims=True), value=value)


__all__ = ["LinearActorCritic"]
