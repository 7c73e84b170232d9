"""Deep Q-learning: a network of action values that chases the values of its own slow copy, from remembered steps.

Every ``train_freq`` steps draw a batch of B steps (S, A, R, S') from the replay buffer and take a step of the optimiser
down

    L(θ) = 1/B Σ w ℓ(q̂(S, A, θ) - y)        y = R + γ max_a q̂(S', a, θ⁻)        (y = R where the episode terminated)

where θ⁻ is a copy of θ that is renewed every ``target_update_interval`` steps. The gradient at the outputs is 0 but for
the action that was taken; with δ = q̂(S, A, θ) - y

    ∂L/∂q̂(S, A) = w/B clip(δ, -1, 1)        Huber's loss,  ℓ(δ) = ½ δ² where |δ| < 1, else |δ| - ½
    ∂L/∂q̂(S, A) = w/B 2 δ                    squared error, ℓ(δ) = δ²

Source: Mnih et al. 2015, algorithm 1; Sutton & Barto 2e, section 16.5; hyperparameters as in Stable-Baselines3's DQN.

Symbols:
    q̂(s, a, θ)  nets.q       a network with an output an action        y  target   float64 [B]
    θ⁻          nets.target  the same, older                           w  weights  float64 [B], 1 unless prioritized
    γ  gamma    n  n_steps    B  batch_size    ε  exploration

Parts, each a flag by itself; together they are Rainbow (Hessel et al. 2018):

    double        y = R + γ q̂(S', argmax_a q̂(S', a, θ), θ⁻)                            van Hasselt et al. 2016, eq. 4
    n_steps       R is Σ_{k<n} γ^k R_{t+k+1}, bootstrapped with γ^n from S_{t+n}         Sutton & Barto 2e, section 7.1
    prioritized   steps are drawn by their last |δ|, with weights w                      Schaul et al. 2016

Deviations from the paper: Adam in place of RMSProp, and the gradient is cut to ``max_grad_norm``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Batch,
    BatchSize,
    BufferSize,
    Choice,
    Discount,
    GradientSteps,
    Kernel,
    LearningRate,
    LearningStarts,
    MaxGradNorm,
    NEnvs,
    NSteps,
    OffPolicyAgent,
    OffPolicyMemory,
    OffPolicyRule,
    Parts,
    PriorityEpsilon,
    PriorityExponent,
    PriorityWeight,
    PriorityWeightSteps,
    Probe,
    Range,
    Schedule,
    TrainFreq,
    VectorFeatures,
    forbid,
    generator,
    in_place,
    kernel_of,
    layers_of,
    network_options,
    new_network,
    on_top,
    random,
    random_number,
    scheduled,
)

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


class Settings(NamedTuple):
    """The hyperparameters that the rule reads; schedules as tables."""

    learning_rate: Schedule
    max_grad_norm: float
    tau: float
    target_update_interval: int
    exploration_fraction: float
    exploration_initial_eps: float
    exploration_final_eps: float


class Flags(NamedTuple):
    """What is decided when the rule is compiled."""

    double: bool
    huber: bool


class Nets(NamedTuple):
    """The network that learns, and its older copy."""

    q: Any
    target: Any


class Work(NamedTuple):
    """Room for N or B rows of K actions.

    Attributes:
        q: action values now, float32 [rows, K].
        targets: y, float64 [B].
        gradient: of the loss at the outputs, float32 [B, outputs].
    """

    q: Floats
    targets: Array
    gradient: Floats


class Metrics(NamedTuple):
    """Numbers of the last update, float64 [1] each.

    Attributes:
        loss: L.
        td_error: the mean of |δ|.
        q_mean: the mean of q̂(S, A).
        exploration_rate: ε now.
        learning_rate: of the update.
        grad_norm: length of the gradient before it was cut.
        n_updates: updates so far.
    """

    loss: Array
    td_error: Array
    q_mean: Array
    exploration_rate: Array
    learning_rate: Array
    grad_norm: Array
    n_updates: Array


@in_place
def exploration(fraction: float, initial: float, final: float, progress: float) -> float:
    """ε: a line from its initial to its final value within a fraction of training.

    Example:
        >>> [exploration(0.5, 1.0, 0.2, progress) for progress in (0.0, 0.25, 0.5, 1.0)]
        [1.0, 0.6, 0.2, 0.2]
    """
    return final if progress >= fraction else initial + (final - initial) * progress / fraction


@in_place
def best_action(q: Floats, row: int) -> int:
    """argmax_a q(row, a), the first among equals.

    Example:
        >>> best_action(np.float32([[1, 3, 3]]), 0)
        1
    """
    best = 0
    for a in range(1, q.shape[1]):
        if q[row, a] > q[row, best]:
            best = a
    return best


@in_place
def bootstrap(q: Floats, choosing: Floats, batch: Any, targets: Array) -> None:
    """y = R + γ^n q(S', argmax_a choosing(S', a)) into targets [B]; q and choosing are [B, K]."""
    for b in range(targets.shape[0]):
        targets[b] = batch.rewards[b] + batch.discounts[b] * q[b, best_action(choosing, b)]


@in_place
def value_gradient(q: Floats, batch: Any, targets: Array, huber: bool, gradient: Floats) -> tuple[float, float, float]:
    """∂L/∂q̂ of the head of this file into gradient [B, K]; returns L, the mean of |δ| and the mean of q̂(S, A).

    The TD errors of the batch are -δ.
    """
    loss, size, value, n = 0.0, 0.0, 0.0, targets.shape[0]
    for b in range(n):
        a = int(batch.actions[b, 0])
        delta, weight = q[b, a] - targets[b], batch.weights[b]
        for k in range(gradient.shape[1]):
            gradient[b, k] = 0.0
        if huber:
            slope = min(max(delta, -1.0), 1.0)
            loss += weight * (0.5 * delta * delta if abs(delta) < 1.0 else abs(delta) - 0.5) / n
        else:
            slope = 2.0 * delta
            loss += weight * delta * delta / n
        gradient[b, a] = weight * slope / n
        batch.td_errors[b] = -delta
        size += abs(delta) / n
        value += q[b, a] / n
    return loss, size, value


@cache
def make_rule(kernels: tuple[Kernel, ...], flags: Flags, decorator: Callable[..., Any]) -> OffPolicyRule:
    """The rule over networks: compiled, or with ``decorator=plain`` as Python."""
    (forward, backward, improve, squared_length, shrink, blend) = _functions(kernels[0])
    double, huber = flags

    @decorator
    def act(memory: OffPolicyMemory) -> None:
        """An ε-greedy action for each environment."""
        given, rng = memory.settings, memory.action_rng
        epsilon = exploration(
            given.exploration_fraction, given.exploration_initial_eps, given.exploration_final_eps, memory.progress[0]
        )
        memory.metrics.exploration_rate[0] = epsilon
        q = forward(memory.nets.q, memory.obs)
        if memory.masks.shape[0] > 0:
            forbid(q, memory.masks)
        for i in range(memory.actions.shape[0]):
            explores = random(rng) < epsilon
            memory.actions[i, 0] = random_number(memory.masks, i, q.shape[1], rng) if explores else best_action(q, i)

    @decorator
    def after_step(memory: OffPolicyMemory) -> None:
        """Renew the older copy."""
        every = max(memory.settings.target_update_interval // memory.obs.shape[0], 1)
        if memory.counters.rounds[0] % every == 0:
            blend(memory.nets.target, memory.nets.q, memory.settings.tau)

    @decorator
    def update(memory: OffPolicyMemory, batch: Batch, progress: float) -> None:
        """One step of the optimiser."""
        nets, work, given, metrics = memory.nets, memory.work, memory.settings, memory.metrics
        learning_rate, longest = scheduled(given.learning_rate, progress), given.max_grad_norm

        target_q = forward(nets.target, batch.next_obs)
        if batch.next_masks.shape[0] > 0:
            forbid(target_q, batch.next_masks)
        if double:
            choosing = forward(nets.q, batch.next_obs)
            if batch.next_masks.shape[0] > 0:
                forbid(choosing, batch.next_masks)
            bootstrap(target_q, choosing, batch, work.targets)
        else:
            bootstrap(target_q, target_q, batch, work.targets)

        q = forward(nets.q, batch.obs)
        loss, size, value = value_gradient(q, batch, work.targets, huber, work.gradient)
        backward(nets.q, batch.obs, work.gradient, False)
        length = math.sqrt(squared_length(nets.q))
        if longest > 0.0 and length > longest:
            shrink(nets.q, longest / (length + 1e-6))
        improve(nets.q, learning_rate, 0.0)

        metrics.loss[0], metrics.td_error[0], metrics.q_mean[0] = loss, size, value
        metrics.grad_norm[0], metrics.learning_rate[0] = length, learning_rate
        metrics.n_updates[0] += 1.0

    return OffPolicyRule(act, after_step, update)


def _functions(kernel: Kernel) -> tuple[Callable[..., Any], ...]:
    return kernel.forward, kernel.backward, kernel.improve, kernel.squared_length, kernel.shrink, kernel.blend


class DQN(OffPolicyAgent):
    """Deep Q-learning, for finite actions.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = DQN("CartPole-v1", learning_starts=100, buffer_size=5000, seed=0).learn(500)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_values.shape
        (1, 2)
    """

    id = "dqn"
    make_rule = staticmethod(make_rule)
    settings = Settings

    learning_rate: LearningRate = 1e-4
    buffer_size: BufferSize = 1_000_000
    learning_starts: LearningStarts = 100
    batch_size: BatchSize = 32
    tau: Annotated[float, Range("share of θ that its older copy takes", 0, 1, open_low=True)] = 1.0
    gamma: Discount = 0.99
    train_freq: TrainFreq = 4
    gradient_steps: GradientSteps = 1
    target_update_interval: Annotated[
        int, Range("steps after which the older copy is renewed", 1, 10**12, integer=True)
    ] = 10_000
    exploration_fraction: Annotated[float, Range("part of training within which ε falls", 0, 1)] = 0.1
    exploration_initial_eps: Annotated[float, Range("ε at the start", 0, 1)] = 1.0
    exploration_final_eps: Annotated[float, Range("ε at the end", 0, 1)] = 0.05
    max_grad_norm: MaxGradNorm = 10.0
    n_envs: NEnvs = 1
    loss: Annotated[str, Choice("what is made of TD errors", ("huber", "mse"))] = "huber"
    double: Annotated[bool, Choice("the learning network chooses, its older copy values", (True, False))] = False
    n_steps: NSteps = 1
    prioritized: Annotated[bool, Choice("draw steps by their TD errors", (True, False))] = False
    priority_alpha: PriorityExponent = 0.6
    priority_beta: PriorityWeight = 0.4
    priority_beta_steps: PriorityWeightSteps = 100_000
    priority_epsilon: PriorityEpsilon = 1e-6
    activation: Annotated[
        str, Choice("what hidden units apply", ("tanh", "relu", "leaky_relu", "sigmoid", "silu", "gelu"))
    ] = "relu"
    policy: Annotated[
        str, Choice("as RL Zoo's files have it: the networks follow the observations",
                    ("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"))
    ] = "auto"  # fmt: skip

    def spec(self) -> Flags:
        """The flags."""
        return Flags(self.double, self.loss == "huber")

    def make_parts(self) -> Parts:
        """Two networks, the same at the start."""
        given, size, name = self.hyperparameters, self.encoder.size, type(self).__name__
        assert self.numbering is not None
        n_actions, picture, rows = self.numbering.n, self.encoder.view.picture, self.network_rows()
        shape = picture if picture is not None and size == math.prod(picture) else None
        hidden, activation, threads, _ = network_options(given, name, ("q",))
        if isinstance(self.network, list):
            layers = on_top(self.network, shape or (size,), n_actions, name)
        else:
            layers = layers_of(shape, size, hidden["q"], n_actions, activation)
        q, target = (
            new_network(self.network, layers, shape, ("torch", 1.0), rows, ("adam", {}), (given["device"], threads),
                        generator(self.seed, "weights"), name)
            for _ in range(2)
        )  # fmt: skip
        kernel, batch = kernel_of(self.network, layers), self.batch_size
        work = Work(np.zeros((rows, n_actions), np.float32), np.zeros(batch), np.zeros((batch, n_actions), np.float32))
        return Parts(Nets(q, target), {"q": kernel, "target": kernel}, work, Metrics)

    def probe(self, observation: Any) -> Probe:
        """Action values, and the greatest of them."""
        x = self._network_inputs(observation)
        q = self.kernels["q"].predict(self.memory.nets.q, x).astype(np.float64)
        features = x.astype(np.float64) if isinstance(self.encoder, VectorFeatures) else None
        return Probe(action_values=q, value=q.max(axis=1), features=features)


__all__ = ["DQN", "make_rule"]
