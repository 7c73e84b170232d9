"""Batch-constrained Q-learning for finite actions: deep Q-learning that takes only actions that the data make likely.

One network has two outputs an action: its value q̂, and z, whose softmax G says how likely the data take it. Draw B
steps (S, A, R, S') from the data set and take a step of the optimiser down

    L(θ)   = 1/B Σ { ℓ(q̂(S, A, θ) - y) - log G(A | S, θ) + c/K Σ_a z(S, a, θ)² }          c = 0.01
    y      = R + γ q̂(S', A', θ⁻)                                (y = R where the episode terminated)
    A'     = argmax of q̂(S', a, θ) over the actions with G(a | S', θ) > κ max_b G(b | S', θ)

where θ⁻ is a copy of θ that is renewed every ``target_update_interval`` updates. The agent acts as A' is chosen. With
δ = q̂(S, A, θ) - y the gradient at the outputs is

    ∂L/∂q̂(S, a) = 1/B 1(a = A) clip(δ, -1, 1)                   ℓ is Huber's loss
    ∂L/∂z(S, a) = 1/B { G(a | S) - 1(a = A) + 2 c/K z(S, a) }

Source: Fujimoto, Conti, Ghavamzadeh & Pineau 2019 ("Benchmarking batch deep reinforcement learning algorithms"),
algorithm 1 and appendix A; double Q-learning: van Hasselt et al. 2016, equation 4.

Symbols:
    q̂, z   nets.q       a network with two outputs an action, q̂ first, float32 [B, 2 K]      y  targets   float64 [B]
    θ⁻     nets.target  the same, older        κ  threshold (the paper's τ)     γ  gamma     B  batch_size

Deviations from the paper: both share all hidden layers. With ``threshold=1`` it only imitates, with 0 it is double deep
Q-learning offline.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    ACTIVATIONS,
    Batch,
    BatchSize,
    Choice,
    Discount,
    Kernel,
    LearningRate,
    MaxGradNorm,
    OfflineAgent,
    OffPolicyMemory,
    OffPolicyRule,
    Parts,
    Probe,
    Range,
    Schedule,
    VectorFeatures,
    in_place,
    q_network,
    scheduled,
)

Floats = NDArray[np.float32]
SMALL_LOGITS = 0.01  # c


class BCQSettings(NamedTuple):
    """The hyperparameters that the rule reads; schedules as tables."""

    learning_rate: Schedule
    max_grad_norm: float
    tau: float
    target_update_interval: int
    threshold: float


class Nets(NamedTuple):
    """The network that learns, and its older copy."""

    q: Any
    target: Any


class BCQWork(NamedTuple):
    """Room for B rows of K actions.

    Attributes:
        chosen: A', int64 [B].
        targets: y, float64 [B].
        gradient: of the loss at the outputs, float32 [B, 2 K].
    """

    chosen: NDArray[np.int64]
    targets: NDArray[np.float64]
    gradient: Floats


class BCQMetrics(NamedTuple):
    """Numbers of the last update, float64 [1] each.

    Attributes:
        loss: L.
        td_error: the mean of |δ|.
        imitation_loss: the mean of - log G(A | S).
        q_mean: the mean of q̂(S, A).
        learning_rate: of the update.
        grad_norm: length of the gradient before it was cut.
        n_updates: updates so far.
    """

    loss: Any
    td_error: Any
    imitation_loss: Any
    q_mean: Any
    learning_rate: Any
    grad_norm: Any
    n_updates: Any


@in_place
def best_likely(outputs: Floats, masks: Floats, threshold: float, chosen: NDArray[np.int64]) -> None:
    """A' of each row, from outputs [B, 2 K]; masks [B, K] or [0, K] are what `rlplay.extend.forbid` adds.

    Example:
        >>> chosen, none = np.zeros(1, np.int64), np.zeros((0, 2), np.float32)
        >>> best_likely(np.float32([[1, 9, 2, 0]]), none, 0.3, chosen)  # the better one is e^-2 as likely
        >>> chosen.tolist()
        [0]
    """
    n = outputs.shape[1] // 2
    for b in range(chosen.shape[0]):
        most = -math.inf
        for a in range(n):
            if masks.shape[0] == 0 or masks[b, a] == 0.0:
                most = max(most, float(outputs[b, n + a]))
        best = -1
        for a in range(n):
            if masks.shape[0] > 0 and masks[b, a] < 0.0:
                continue
            z = float(outputs[b, n + a])
            if (z == most or math.exp(z - most) > threshold) and (best < 0 or outputs[b, a] > outputs[b, best]):
                best = a
        chosen[b] = best


@in_place
def losses(
    outputs: Floats, actions: Floats, targets: NDArray[np.float64], td_errors: NDArray[np.float64], gradient: Floats
) -> tuple[float, float, float, float]:  # fmt: skip
    """L, and the means of |δ|, - log G(A | S) and q̂(S, A); ∂L/∂outputs into ``gradient`` [B, 2 K].

    Example:
        >>> gradient = np.zeros((1, 4), np.float32)
        >>> found = losses(np.float32([[3, 0, 0, 0]]), np.float32([[0]]), np.ones(1), np.zeros(1), gradient)
        >>> [round(one, 4) for one in found], gradient.tolist()
        ([2.1931, 2.0, 0.6931, 3.0], [[1.0, 0.0, -0.5, 0.5]])
    """
    loss, size, imitation, value = 0.0, 0.0, 0.0, 0.0
    rows, n = outputs.shape[0], outputs.shape[1] // 2
    for b in range(rows):
        taken, most, exps = int(actions[b, 0]), float(outputs[b, n]), 0.0
        for a in range(1, n):
            most = max(most, float(outputs[b, n + a]))
        for a in range(n):
            exps += math.exp(outputs[b, n + a] - most)
        for a in range(n):
            z = float(outputs[b, n + a])
            likely = math.exp(z - most) / exps
            gradient[b, a] = 0.0
            gradient[b, n + a] = (likely - (1.0 if a == taken else 0.0) + 2.0 * SMALL_LOGITS / n * z) / rows
            loss += SMALL_LOGITS / n * z * z / rows
        delta = outputs[b, taken] - targets[b]
        gradient[b, taken] = min(max(delta, -1.0), 1.0) / rows
        surprise = most + math.log(exps) - outputs[b, n + taken]
        loss += ((0.5 * delta * delta if abs(delta) < 1.0 else abs(delta) - 0.5) + surprise) / rows
        td_errors[b] = -delta
        size += abs(delta) / rows
        imitation += surprise / rows
        value += outputs[b, taken] / rows
    return loss, size, imitation, value


@cache
def make_rule(kernels: tuple[Kernel, ...], spec: Any, decorator: Callable[..., Any]) -> OffPolicyRule:
    """The rule over networks: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = DiscreteBCQ("CartPole-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0)
        >>> rule = make_rule(tuple(agent.kernels.values()), agent.spec(), plain)
        >>> rule.update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    kernel = kernels[0]
    forward, backward, improve, blend = kernel.forward, kernel.backward, kernel.improve, kernel.blend
    squared_length = kernel.squared_length

    @decorator
    def act(memory: OffPolicyMemory) -> None:
        """No environment is played."""

    @decorator
    def after_step(memory: OffPolicyMemory) -> None:
        """Renew the older copy."""
        if memory.counters.rounds[0] % memory.settings.target_update_interval == 0:
            blend(memory.nets.target, memory.nets.q, memory.settings.tau)

    @decorator
    def update(memory: OffPolicyMemory, batch: Batch, progress: float) -> None:
        """One step of the optimiser."""
        nets, work, given, metrics = memory.nets, memory.work, memory.settings, memory.metrics
        learning_rate = scheduled(given.learning_rate, progress)

        best_likely(forward(nets.q, batch.next_obs), batch.next_masks, given.threshold, work.chosen)
        after = forward(nets.target, batch.next_obs)
        for b in range(work.targets.shape[0]):
            work.targets[b] = batch.rewards[b] + batch.discounts[b] * after[b, work.chosen[b]]

        outputs = forward(nets.q, batch.obs)
        loss, size, imitation, value = losses(outputs, batch.actions, work.targets, batch.td_errors, work.gradient)
        backward(nets.q, batch.obs, work.gradient, False)
        metrics.grad_norm[0] = np.sqrt(squared_length(nets.q))
        improve(nets.q, learning_rate, given.max_grad_norm)
        metrics.loss[0], metrics.td_error[0], metrics.imitation_loss[0] = loss, size, imitation
        metrics.q_mean[0], metrics.learning_rate[0] = value, learning_rate
        metrics.n_updates[0] += 1.0

    return OffPolicyRule(act, after_step, update)


class DiscreteBCQ(OfflineAgent):
    """Batch-constrained Q-learning from a data set, for finite actions; a timestep is an update.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = DiscreteBCQ("CartPole-v1", dataset="follow-the-pole:500", net_arch=[16], seed=0)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_values.shape
        (1, 2)
    """

    id = "discrete-bcq"
    make_rule = staticmethod(make_rule)
    settings = BCQSettings

    threshold: Annotated[float, Range("how likely an action must be beside the likeliest: κ", 0, 1)] = 0.3
    learning_rate: LearningRate = 3e-4
    batch_size: BatchSize = 64
    gamma: Discount = 0.99
    tau: Annotated[float, Range("share of θ that its older copy takes", 0, 1, open_low=True)] = 1.0
    target_update_interval: Annotated[
        int, Range("updates after which the older copy is renewed", 1, 10**12, integer=True)
    ] = 500
    max_grad_norm: MaxGradNorm = 10.0
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"

    def make_parts(self) -> Parts:
        """Two networks, the same at the start."""
        assert self.numbering is not None
        outputs, batch = 2 * self.numbering.n, self.batch_size
        (q, target), kernel = q_network(self, outputs, 2)
        work = BCQWork(np.zeros(batch, np.int64), np.zeros(batch), np.zeros((batch, outputs), np.float32))
        return Parts(Nets(q, target), {"q": kernel, "target": kernel}, work, BCQMetrics)

    def probe(self, observation: Any) -> Probe:
        """Action values, below all others for actions that are too unlikely; the greatest of them."""
        x = self._network_inputs(observation)
        q, z = np.split(self.kernels["q"].predict(self.memory.nets.q, x).astype(np.float64), 2, axis=1)
        likely = np.exp(z - z.max(axis=1, keepdims=True))
        q = np.where((likely > self.threshold) | (likely == 1.0), q, q.min(axis=1, keepdims=True) - 1.0)
        features = x.astype(np.float64) if isinstance(self.encoder, VectorFeatures) else None
        return Probe(action_values=q, value=q.max(axis=1), features=features)


__all__ = ["DiscreteBCQ", "best_likely", "losses", "make_rule"]
