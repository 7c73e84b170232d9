"""TD3+BC: twin delayed DDPG from a data set, whose policy is also pulled towards the actions of the data.

A policy that climbs its critic leaves the data for actions that the critic has never seen. One more term holds it near
them. For a batch of B steps (s, a, r, s') of the data set:

    a'      = clip(π'(s') + clip(σ ε, ±c), ±1)
    y       = r + Γ min_c Q'_c(s', a')                       Γ = γ, and 0 where the episode terminated
    critics   L_Q = Σ_c 1/B Σ [Q_c(s, a) - y]²               ∂L_Q/∂Q_c = 2 (Q_c - y) / B

and every ``policy_delay`` updates

    actor     L_π = - λ/B Σ Q_1(s, π(s)) + 1/(B A) Σ [π(s) - a]²        λ = α / (1/B Σ |Q_1(s, π(s))|), held constant
              ∂L_π/∂π = - λ/B ∂Q_1/∂a + 2/(B A) [π(s) - a]
    targets   θ' ← (1 - τ) θ' + τ θ                          of critics and actor

Observations are standardised by those of the data set (``normalize``). With ``alpha=0`` the policy only imitates.

Source: Fujimoto & Gu 2021, equations 3 to 5; Fujimoto, van Hoof & Meger 2018, algorithm 1.

Symbols:
    π  actor     tanh at its outputs, float32 [B, A]        σ  target_policy_noise       c  target_noise_clip
    γ  gamma     τ  tau     ε  standard normal, [B, A]      Q_c  critics, float32 [C, B, 1]      α  alpha

Deviations from the paper: λ divides by |Q_1| of the policy's own actions, as the authors' code does.
"""

from __future__ import annotations

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
    Range,
    Schedule,
    Sizes,
    Tau,
    choose_least,
    clipped_targets,
    draw_noise,
    in_place,
    join,
    scheduled,
    smooth,
    squared_errors,
    to_unit,
)

Floats = NDArray[np.float32]


class TD3BCSettings(NamedTuple):
    """The hyperparameters that the update reads; schedules as tables."""

    learning_rate: Schedule
    alpha: float
    tau: float
    policy_delay: int
    target_policy_noise: float
    target_noise_clip: float


@in_place
def climb_near_data(slope: Floats, scale: float, actions: Floats, data: Floats, grad: Floats) -> float:
    """∂L_π/∂π from ∂Q_1/∂a and λ, into ``grad``; returns 1/(B A) Σ [π(s) - a]². All [B, A].

    Example:
        >>> grad = np.zeros((1, 2), np.float32)
        >>> one = np.ones((1, 2), np.float32)
        >>> climb_near_data(one, 0.5, one, 0.5 * one, grad), grad.tolist()
        (0.25, [[0.0, 0.0]])
    """
    rows, size = grad.shape
    error = 0.0
    for i in range(rows):
        for j in range(size):
            gap = actions[i, j] - data[i, j]
            error += gap * gap / (rows * size)
            grad[i, j] = -scale * slope[i, j] / rows + 2.0 * gap / (rows * size)
    return error


@in_place
def mean_size(values: Floats) -> float:
    """1/B Σ |Q|, of the first critic's values [1, B, 1].

    Example:
        >>> mean_size(np.float32([[[1.0], [-3.0]]]))
        2.0
    """
    total = 0.0
    for i in range(values.shape[1]):
        total += abs(values[0, i, 0])
    return total / values.shape[1]


def make_update(kernel: Kernel, ensemble: EnsembleKernel, decorator: Callable[..., Any]) -> Callable[..., None]:
    """The update over an actor and its critics: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = TD3BC("Pendulum-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0)
        >>> update = make_update(agent.kernels["actor"], agent.kernels["critics"], plain)
        >>> update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    forward, backward, improve, blend_actor = kernel.forward, kernel.backward, kernel.improve, kernel.blend
    values_of, first_value, values_back = ensemble.forward, ensemble.first, ensemble.backward
    action_gradient, improve_critics, blend = ensemble.input_gradient, ensemble.improve, ensemble.blend
    squared_length = ensemble.squared_length

    @decorator
    def update(memory: Any, batch: Any, progress: float) -> None:
        """One gradient step of the critics, and when it is due one of the actor."""
        given, metrics, nets, work = memory.settings, memory.metrics, memory.nets, memory.work
        learning_rate = scheduled(given.learning_rate, progress)
        to_unit(batch.actions, memory.low, memory.high)

        # Targets, by the target actor's smoothed actions.
        draw_noise(memory.noise_rng, work.noise)
        next_actions = forward(nets.target_actor, batch.next_obs)
        smooth(next_actions, work.noise, given.target_policy_noise, given.target_noise_clip)
        join(batch.next_obs, next_actions, work.pairs)
        next_values = values_of(nets.target_critics, work.pairs)
        clipped_targets(batch.rewards, batch.discounts, next_values, work.log_probs, 0.0, work.targets)

        # Critics.
        join(batch.obs, batch.actions, work.pairs)
        values = values_of(nets.critics, work.pairs)
        metrics.critic_loss[0] = squared_errors(values, work.targets, 1.0, work.critic_gradient)
        values_back(nets.critics, work.pairs, work.critic_gradient)
        metrics.grad_norm[0] = np.sqrt(squared_length(nets.critics))
        improve_critics(nets.critics, learning_rate, 0.0)
        metrics.n_updates[0] += 1.0
        metrics.learning_rate[0] = learning_rate
        metrics.loss[0] = metrics.critic_loss[0] + metrics.actor_loss[0]
        if metrics.n_updates[0] % given.policy_delay != 0:
            return

        # Actor, by the first critic alone, near the data.
        actions = forward(nets.actor, batch.obs)
        join(batch.obs, actions, work.pairs)
        choice, values = work.critic_gradient[:1], first_value(nets.critics, work.pairs)
        scale = given.alpha / max(mean_size(values), 1e-8)
        value = choose_least(values, choice)
        slope = action_gradient(nets.critics, work.pairs, choice)[:, batch.obs.shape[1] :]  # [B, A]
        error = climb_near_data(slope, scale, actions, batch.actions, work.actor_gradient)
        metrics.actor_loss[0] = error - scale * value
        backward(nets.actor, batch.obs, work.actor_gradient, False)
        improve(nets.actor, learning_rate, 0.0)
        blend(nets.target_critics, nets.critics, given.tau)
        blend_actor(nets.target_actor, nets.actor, given.tau)

    return update


class TD3BC(OfflineAgent, ActorCriticAgent):
    """TD3 with behaviour cloning from a data set, for continuous actions; a timestep is an update.

    Observations are vectors, finite, or Dicts and Tuples of those, flattened; actions are a Box with bounds.

    Example:
        >>> agent = TD3BC("Pendulum-v1", dataset="pump-and-hold:400", net_arch=[16], batch_size=32, seed=0).learn(50)
        >>> agent.predict(agent.get_env().reset(seed=0)[0], deterministic=True)[0].shape
        (1,)
    """

    id = "td3-bc"
    make_update = staticmethod(make_update)
    is_soft = False
    settings = TD3BCSettings

    alpha: Annotated[float, Range("how much the critic counts beside the data; 0 only imitates", 0, 1e6)] = 2.5
    learning_rate: LearningRate = 3e-4
    batch_size: BatchSize = 256
    tau: Tau = 0.005
    gamma: Discount = 0.99
    policy_delay: Annotated[
        int, Range("updates of the critics from one of the actor to the next", 1, 10**6, integer=True)
    ] = 2
    target_policy_noise: Annotated[float, Range("deviation σ of the noise on the target's actions", 0, 100)] = 0.2
    target_noise_clip: Annotated[float, Range("bound c of that noise", 0, 100)] = 0.5
    net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers, of all networks")] = (256, 256)
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"
    normalize = {"norm_reward": False}  # noqa: RUF012 - a new default of a field, not a class attribute


__all__ = ["TD3BC", "climb_near_data", "make_update", "mean_size"]
