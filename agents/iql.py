"""Implicit Q-learning: values of the best actions in a data set, without ever asking for an action outside of it.

The value of a state is a high expectile of the values of the actions that the data show there, so the maximum over
actions is never taken. The policy then imitates the data, better actions more. For a batch of B steps (s, a, r, s'):

    value     u = min_c Q'_c(s, a) - V(s)
              L_V = 1/B Σ |κ - 1(u < 0)| u²                  ∂L_V/∂V = - 2/B |κ - 1(u < 0)| u
    critics   y = r + Γ V(s')                                Γ = γ, and 0 where the episode terminated
              L_Q = Σ_c 1/B Σ [Q_c(s, a) - y]²               ∂L_Q/∂Q_c = 2 (Q_c - y) / B
    actor     w = min(exp(β u), 100)
              L_π = 1/B Σ w |π(s) - a|²                      ∂L_π/∂π = 2/B w [π(s) - a]
    targets   θ' ← (1 - τ) θ' + τ θ                          of the critics

Source: Kostrikov, Nair & Levine 2022, equations 5 to 7 and algorithm 1.

Symbols:
    V  value    float32 [B, 1]        κ  expectile (the paper's τ)    β  beta    γ  gamma    τ  tau (the paper's α)
    π  actor    tanh at its outputs, float32 [B, A]                   Q_c  critics, float32 [C, B, 1]

Deviations from the paper: the policy is deterministic, which is a normal one whose deviation is fixed (log π is then
- |π(s) - a|² but for constants), and its learning rate does not fall by a cosine (``learning_rate="lin_3e-4"`` falls).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    ACTIVATIONS,
    ActorCriticAgent,
    BatchSize,
    Choice,
    Discount,
    EnsembleKernel,
    Kernel,
    LearningRate,
    OfflineAgent,
    Parts,
    Range,
    Schedule,
    Sizes,
    Tau,
    in_place,
    join,
    q_network,
    scheduled,
    squared_errors,
    to_unit,
)

Floats = NDArray[np.float32]
MOST = 100.0  # of a weight


class IQLSettings(NamedTuple):
    """The hyperparameters that the update reads; schedules as tables."""

    learning_rate: Schedule
    expectile: float
    beta: float
    tau: float


class IQLNets(NamedTuple):
    """The policy, the value of a state, the critics (an ensemble), and those that follow them."""

    actor: Any
    value: Any
    critics: Any
    target_critics: Any


class IQLMetrics(NamedTuple):
    """Numbers of the last update, float64 [1] each.

    Attributes:
        loss: of actor, value and critics together.
        actor_loss, value_loss, critic_loss: its parts.
        weight: the mean of w.
        learning_rate: of the update.
        grad_norm: length of the gradient of the critics.
        n_updates: updates so far.
    """

    loss: Any
    actor_loss: Any
    value_loss: Any
    critic_loss: Any
    weight: Any
    learning_rate: Any
    grad_norm: Any
    n_updates: Any


@in_place
def expectile_errors(critic_values: Floats, values: Floats, expectile: float, gaps: Any, grad: Floats) -> float:
    """L_V; u into ``gaps`` [B] and ∂L_V/∂V into ``grad`` [B, 1], from Q' [C, B, 1] and V [B, 1].

    Example:
        >>> gaps, grad = np.zeros(2), np.zeros((2, 1), np.float32)
        >>> loss = expectile_errors(np.float32([[[3], [1]], [[5], [1]]]), np.float32([[2], [3]]), 0.75, gaps, grad)
        >>> loss, gaps.tolist(), grad.ravel().tolist()  # u = 1 and -2, with weights 0.75 and 0.25
        (0.875, [1.0, -2.0], [-0.75, 0.5])
    """
    loss, rows = 0.0, grad.shape[0]
    for i in range(rows):
        least = float(critic_values[0, i, 0])
        for c in range(1, critic_values.shape[0]):
            least = min(least, float(critic_values[c, i, 0]))
        u = least - float(values[i, 0])
        side = 1.0 - expectile if u < 0.0 else expectile
        gaps[i] = u
        loss += side * u * u / rows
        grad[i, 0] = -2.0 * side * u / rows
    return loss


@in_place
def targets_of_values(rewards: Any, discounts: Any, next_values: Floats, targets: Any) -> None:
    """y = r + Γ V(s'), [B].

    Example:
        >>> targets = np.zeros(1)
        >>> targets_of_values(np.ones(1), np.array([0.5]), np.float32([[4]]), targets)
        >>> targets.tolist()
        [3.0]
    """
    for i in range(targets.shape[0]):
        targets[i] = rewards[i] + discounts[i] * next_values[i, 0]


@in_place
def imitate_better(
    actions: Floats, data: Floats, gaps: Any, beta: float, grad: Floats
) -> tuple[float, float]:  # fmt: skip
    """L_π and the mean of w; ∂L_π/∂π into ``grad``. Actions are [B, A], u is ``gaps`` [B].

    Example:
        >>> grad = np.zeros((1, 1), np.float32)
        >>> imitate_better(np.float32([[0.5]]), np.float32([[0.0]]), np.array([99.0]), 3.0, grad), grad.tolist()
        ((25.0, 100.0), [[100.0]])
    """
    loss, total, rows = 0.0, 0.0, grad.shape[0]
    for i in range(rows):
        weight = min(math.exp(min(beta * gaps[i], 700.0)), MOST)
        total += weight / rows
        for j in range(grad.shape[1]):
            gap = actions[i, j] - data[i, j]
            loss += weight * gap * gap / rows
            grad[i, j] = 2.0 * weight * gap / rows
    return loss, total


def make_update(kernel: Kernel, ensemble: EnsembleKernel, decorator: Callable[..., Any]) -> Callable[..., None]:
    """The update over actor, value and critics: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = IQL("Pendulum-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0)
        >>> update = make_update(agent.kernels["actor"], agent.kernels["critics"], plain)
        >>> update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    forward, backward, improve = kernel.forward, kernel.backward, kernel.improve
    values_of, values_back, improve_critics = ensemble.forward, ensemble.backward, ensemble.improve
    squared_length, blend = ensemble.squared_length, ensemble.blend

    @decorator
    def update(memory: Any, batch: Any, progress: float) -> None:
        """One gradient step of value, critics and actor."""
        given, metrics, nets, work = memory.settings, memory.metrics, memory.nets, memory.work
        learning_rate, gaps = scheduled(given.learning_rate, progress), work.log_probs
        value_gradient = work.critic_gradient[0]
        to_unit(batch.actions, memory.low, memory.high)
        join(batch.obs, batch.actions, work.pairs)

        # Targets of the critics, before the value moves.
        targets_of_values(batch.rewards, batch.discounts, forward(nets.value, batch.next_obs), work.targets)

        # Value.
        aims = values_of(nets.target_critics, work.pairs)
        values = forward(nets.value, batch.obs)
        metrics.value_loss[0] = expectile_errors(aims, values, given.expectile, gaps, value_gradient)
        backward(nets.value, batch.obs, value_gradient, False)
        improve(nets.value, learning_rate, 0.0)

        # Actor.
        actions = forward(nets.actor, batch.obs)
        loss, weight = imitate_better(actions, batch.actions, gaps, given.beta, work.actor_gradient)
        backward(nets.actor, batch.obs, work.actor_gradient, False)
        improve(nets.actor, learning_rate, 0.0)

        # Critics.
        found = values_of(nets.critics, work.pairs)
        metrics.critic_loss[0] = squared_errors(found, work.targets, 1.0, work.critic_gradient)
        values_back(nets.critics, work.pairs, work.critic_gradient)
        metrics.grad_norm[0] = np.sqrt(squared_length(nets.critics))
        improve_critics(nets.critics, learning_rate, 0.0)
        blend(nets.target_critics, nets.critics, given.tau)

        metrics.actor_loss[0], metrics.weight[0], metrics.learning_rate[0] = loss, weight, learning_rate
        metrics.loss[0] = loss + metrics.value_loss[0] + metrics.critic_loss[0]
        metrics.n_updates[0] += 1.0

    return update


class IQL(OfflineAgent, ActorCriticAgent):
    """Implicit Q-learning from a data set, for continuous actions; a timestep is an update.

    Observations are vectors, finite, or Dicts and Tuples of those, flattened; actions are a Box with bounds.

    Example:
        >>> agent = IQL("Pendulum-v1", dataset="pump-and-hold:400", net_arch=[16], batch_size=32, seed=0).learn(50)
        >>> agent.predict(agent.get_env().reset(seed=0)[0], deterministic=True)[0].shape
        (1,)
    """

    id = "iql"
    make_update = staticmethod(make_update)
    is_soft = False
    settings = IQLSettings

    expectile: Annotated[float, Range("expectile κ: 0.5 is the mean, towards 1 the best action", 0, 1)] = 0.7
    beta: Annotated[float, Range("how much more better actions are imitated; 0 imitates all alike", 0, 1e6)] = 3.0
    learning_rate: LearningRate = 3e-4
    batch_size: BatchSize = 256
    tau: Tau = 0.005
    gamma: Discount = 0.99
    net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers, of all networks")] = (256, 256)
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"

    def make_parts(self) -> Parts:
        """As every actor-critic, and the value of a state."""
        made = super().make_parts()
        kernels = {name: kernel for name, kernel in made.kernels.items() if name != "target_actor"}
        (value,), kernel = q_network(self, 1, 1, "value")
        nets = IQLNets(made.nets.actor, value, made.nets.critics, made.nets.target_critics)
        own = {"actor": kernels.pop("actor"), "value": kernel}
        return Parts(nets, own | kernels, made.work, IQLMetrics)


__all__ = ["IQL", "expectile_errors", "imitate_better", "make_update", "targets_of_values"]
