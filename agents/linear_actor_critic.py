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
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import Probe
from rlplay.agent.linear import LinearAgent, fade, learn_traces, mark_row, value_of, values_of
from rlplay.approximation.encodings import Active
from rlplay.compiled.cache import compiled, in_place
from rlplay.compiled.pcg64 import normal, random
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.functional.traces import clear
from rlplay.hyperparameters.domains import Range
from rlplay.hyperparameters.types import AverageReward, Discount, FeaturesLike, Intercept, LinearStep, TraceDecay

LOW, HIGH = -5.0, 2.0  # log σ


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
def act_softmax(memory: Any, x: Active, progress: float) -> int:
    """Draw an action."""
    pi, u = memory[6], random(memory[4])
    softmax(memory[1], x, pi)
    for b in range(pi.shape[1] - 1):
        u -= pi[0, b]
        if u < 0.0:
            return b
    return pi.shape[1] - 1


@in_place
def mark_softmax(memory: Any, x: Active, a: int) -> None:
    """Z_θ ← z_θ + ∇ln π(a|s)."""
    theta, actor_traces, pi = memory[1], memory[8], memory[6]
    softmax(theta, x, pi)
    for b in range(pi.shape[1]):
        mark_row(actor_traces, x, b, theta.shape[1], (1.0 if b == a else 0.0) - pi[0, b])


@compiled  # it returns an array
def act_gaussian(memory: Any, x: Active, progress: float) -> NDArray[np.float32]:
    """Draw an action; it is kept for the update, since the environment may cut it to its bounds."""
    theta, action = memory[1], memory[9]
    for i in range(action.shape[0]):
        log_std = min(max(value_of(theta, x, action.shape[0] + i), -5.0), 2.0)
        action[i] = value_of(theta, x, i) + math.exp(log_std) * normal(memory[4])
    return action


@in_place
def mark_gaussian(memory: Any, x: Active, a: Any) -> None:
    """Z_θ ← z_θ + σ² ∇ln π(a|s), for the action drawn last."""
    theta, actor_traces, action = memory[1], memory[8], memory[9]
    for i in range(action.shape[0]):
        mean, log_std = value_of(theta, x, i), value_of(theta, x, action.shape[0] + i)
        inside = -5.0 < log_std < 2.0
        std = math.exp(min(max(log_std, -5.0), 2.0))
        z = (action[i] - mean) / std
        mark_row(actor_traces, x, i, theta.shape[1], z * std)
        if inside:
            mark_row(actor_traces, x, action.shape[0] + i, theta.shape[1], (z * z - 1.0) * std * std)


def make_rule(act: Any, mark: Any) -> LearningRule:
    """The algorithm over a policy."""

    @in_place
    def learn(
        memory: Any, x: Active, a: Any, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
        progress: float,
    ) -> float:  # fmt: skip
        """The loop's way to the update."""
        w, theta, rates, settings, rng, mean_reward, pi, traces, actor_traces, action = memory
        alpha, actor_alpha, reward_alpha = rates
        gamma, decay, averaged = settings
        following = 0.0 if terminated else gamma * value_of(w, x_next, 0)
        td_error = r - mean_reward[0] + following - value_of(w, x, 0)
        if averaged > 0.0:
            mean_reward[0] += scheduled(reward_alpha, progress) * td_error
        fade(traces, decay)
        fade(actor_traces, decay)
        mark_row(traces, x, 0, 1, 1.0)
        mark(memory, x, a)
        learn_traces(w, traces, scheduled(alpha, progress) * td_error)
        learn_traces(theta, actor_traces, scheduled(actor_alpha, progress) * td_error)
        return td_error

    return LearningRule(act, learn, begin)


@in_place
def begin(memory: Any) -> None:
    """No traces yet."""
    clear(memory[7])
    clear(memory[8])


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

    def __init__(
        self,
        env: EnvLike,
        *,
        alpha: LinearStep = 0.0625,
        actor_alpha: LinearStep = 0.001,
        gamma: Discount = 0.99,
        lambda_: TraceDecay = 0.9,
        average_reward: AverageReward = False,
        reward_alpha: LinearStep = 0.001,
        log_std_init: Annotated[float, Range("log σ of a normal policy at the start", LOW, HIGH)] = 0.0,
        intercept: Intercept = False,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, alpha=alpha, actor_alpha=actor_alpha, gamma=gamma, lambda_=lambda_,
            average_reward=average_reward, reward_alpha=reward_alpha, log_std_init=log_std_init, intercept=intercept,
            features=features,
        )  # fmt: skip
        continuous = self._actions is None
        space = self.action_space
        n = math.prod(space.shape or ()) if continuous else self._actions.n
        self.rule = GAUSSIAN if continuous else SOFTMAX
        self.w, self.theta = self.weights("w", 1), self.weights("theta", 2 * n if continuous else n)
        if continuous:
            self.theta[:, n:] = float(log_std_init) / self.width
        self.mean_reward = self.kept("mean_reward", np.zeros(1))
        discount = 1.0 if average_reward else float(gamma)
        settings = np.array([discount, discount * float(lambda_), float(average_reward)])
        self.memory = (
            self.w, self.theta, tuple(tabulate(rate) for rate in (alpha, actor_alpha, reward_alpha)), settings,
            self.rng, self.mean_reward, np.zeros((1, n)), self.new_traces(self.size),
            self.new_traces(self.theta.size, "actor_traces"), np.zeros(n, np.float32),
        )  # fmt: skip

    def probe(self, observation: Any) -> Probe:
        """Probabilities, or mean and deviation, of the actions, and the value."""
        value, outputs = self.linear(self.w, observation)[:, 0], self.linear(self.theta, observation)
        if isinstance(self.action_space, gym.spaces.Box):
            n = outputs.shape[1] // 2
            return Probe(action_mean=outputs[:, :n], action_std=np.exp(np.clip(outputs[:, n:], LOW, HIGH)), value=value)
        exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return Probe(action_probabilities=exponentials / exponentials.sum(axis=1, keepdims=True), value=value)


__all__ = ["LinearActorCritic"]
