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
1992, section 6), without which they grow beyond all bounds as σ falls, those of log σ by 1 at most; μ is held in the
bounds of the actions and log σ between -5 and 2, by the shortest step of θ that does so (a μ far outside gets one and
the same action at the bound, whatever is drawn, and nothing to learn from); a trace below 1e-8 is forgotten; an episode
that is only truncated bootstraps.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import gymnasium as gym
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
        preferences: θ_aᵀ x(s), -∞ for what may not be done at the newest observation, float64 [1, A].
        before: likewise, at the observation before.
        pi: takes the probabilities of the actions, float64 [1, A].
        traces, actor_traces: z_w and z_θ.
        action: the action of a normal policy that was drawn last, float32 [A].
        low, high: what means and log σ of a normal policy are held between, float64 [2A].
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
    preferences: NDArray[np.float64]
    before: NDArray[np.float64]
    pi: NDArray[np.float64]
    traces: Traces
    actor_traces: Traces
    action: NDArray[np.float32]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@in_place
def softmax(
    theta: NDArray[np.float64], x: Active, preferences: NDArray[np.float64], pi: NDArray[np.float64]
) -> None:  # fmt: skip
    """π(·|s) into ``pi`` [1, A]; the largest preference is subtracted first."""
    values_of(theta, x, preferences)
    largest, total = preferences[0, 0], 0.0
    for b in range(1, pi.shape[1]):
        largest = max(largest, preferences[0, b])
    for b in range(pi.shape[1]):
        pi[0, b] = math.exp(preferences[0, b] - largest)
        total += pi[0, b]
    for b in range(pi.shape[1]):
        pi[0, b] /= total


@in_place
def act_softmax(memory: Memory, x: Active, progress: float) -> int:
    """Draw an action of the softmax policy."""
    pi, u = memory.pi, random(memory.rng)
    softmax(memory.theta, x, memory.preferences, pi)
    last = pi.shape[1] - 1
    for b in range(pi.shape[1] - 1):
        u -= pi[0, b]
        if u < 0.0:
            return b
    while last > 0 and pi[0, last] == 0.0:
        last -= 1
    return last


@in_place
def mark_softmax(memory: Memory, x: Active, a: int) -> None:
    """z_θ ← z_θ + ∇ln π(a|s)."""
    theta, pi = memory.theta, memory.pi
    softmax(theta, x, memory.before, pi)
    for b in range(pi.shape[1]):
        mark_features(memory.actor_traces, x, b, theta.shape[1], (1.0 if b == a else 0.0) - pi[0, b])


@compiled  # it returns an array
def act_gaussian(memory: Memory, x: Active, progress: float) -> NDArray[np.float32]:
    """Draw an action; it is kept for the update, since the environment may cut it to its bounds."""
    action = memory.action
    for i in range(action.shape[0]):
        log_std = held(memory, x, action.shape[0] + i)
        action[i] = held(memory, x, i) + math.exp(log_std) * normal(memory.rng)
    return action


@in_place
def mark_gaussian(memory: Memory, x: Active, a: Any) -> None:
    """z_θ ← z_θ + σ² ∇ln π(a|s), of log σ by min(σ², 1), for the action drawn last."""
    theta, actor_traces, action = memory.theta, memory.actor_traces, memory.action
    for i in range(action.shape[0]):
        std = math.exp(held(memory, x, action.shape[0] + i))
        z = (action[i] - held(memory, x, i)) / std
        mark_features(actor_traces, x, i, theta.shape[1], z * std)
        mark_features(actor_traces, x, action.shape[0] + i, theta.shape[1], (z * z - 1.0) * min(std * std, 1.0))


@in_place
def held(memory: Memory, x: Active, column: int) -> float:
    """A mean or log σ, within what it is held between."""
    return min(max(value_of(memory.theta, x, column), memory.low[column]), memory.high[column])


@in_place
def hold(memory: Memory, x: Active) -> None:
    """θ ← θ - (θ · x - held) x / (x · x), of each column: the nearest θ whose mean and log σ are within bounds."""
    theta, square = memory.theta, 0.0
    for k in range(x.number.shape[0]):
        square += x.value[k] * x.value[k]
    for column in range(memory.low.shape[0]):
        beyond = value_of(theta, x, column) - held(memory, x, column)
        if beyond != 0.0 and square > 0.0:
            for k in range(x.number.shape[0]):
                theta[x.number[k], column] -= beyond * x.value[k] / square


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
        hold(memory, x)
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
        low, high = np.zeros(0), np.zeros(0)  # preferences are not held
        if isinstance(self.action_space, gym.spaces.Box):
            space = self.action_space
            low, high = np.append(space.low, np.full(n, LOW)), np.append(space.high, np.full(n, HIGH))
        self._low, self._high = low.astype(np.float64), high.astype(np.float64)
        gamma = 1.0 if self.average_reward else self.gamma
        self.memory = Memory(
            self.w, self.theta, tabulate(self.alpha), tabulate(self.actor_alpha), tabulate(self.reward_alpha), gamma,
            gamma * self.lambda_, self.average_reward, self.rng, self.kept("mean_reward", np.zeros(1)),
            np.zeros((1, n)), np.zeros((1, n)), np.zeros((1, n)), self.kept_traces("traces", new_traces(self.w.size)),
            self.kept_traces("actor_traces", new_traces(self.theta.size)), np.zeros(n, np.float32),
            self._low, self._high,
        )  # fmt: skip

    @property
    def takes_masks(self) -> bool:
        """The policy gives nothing to what may not be done."""
        return True

    def take_mask(self, mask: NDArray[np.bool_] | None, observation: Any) -> None:
        """The update is about the observation before, and acting about the newest."""
        super().take_mask(mask, observation)
        self.memory.before[:] = np.where(self.memory.preferences > -np.inf, 0.0, -np.inf)
        self.memory.preferences[:] = 0.0 if mask is None else np.where(mask, 0.0, -np.inf)

    def probe(self, observation: Any) -> Probe:
        """Probabilities, or mean and deviation, of the actions, and the value."""
        value, outputs = self.linear(self.w, observation)[:, 0], self.linear(self.theta, observation)
        if self.numbering is None:
            n = outputs.shape[1] // 2
            outputs = np.clip(outputs, self._low, self._high)
            return Probe(action_mean=outputs[:, :n], action_std=np.exp(outputs[:, n:]), value=value)
        exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return Probe(action_probabilities=exponentials / exponentials.sum(axis=1, keepdims=True), value=value)


__all__ = ["LinearActorCritic"]
