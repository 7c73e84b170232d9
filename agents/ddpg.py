"""Deep deterministic policy gradient: Q-learning for continuous actions, with a network that finds the best action.

For a batch of B transitions out of the replay buffer:

    y         = r + Γ Q'(s', π'(s'))                         Γ = γ, and 0 where the episode terminated
    critic    L_Q = 1/B Σ [Q(s, a_B) - y]²                   ∂L_Q/∂Q = 2 (Q - y) / B
    actor     L_π = - 1/B Σ Q(s, π(s))                       ∂L_π/∂a = - 1/B ∂Q/∂a
    targets   θ' ← (1 - τ) θ' + τ θ                          of critic and actor

Source: Lillicrap et al. 2016, algorithm 1; Silver et al. 2014, equation 9; details and defaults as in
Stable-Baselines3.

Symbols:
    π  actor     tanh at its outputs, float32 [B, A]        Q  critic, float32 [1, B, 1]
    γ  gamma     τ  tau

Deviations from the paper: there is no batch normalisation and no weight decay, the networks begin as torch's do, the
learning rate of both is the same, noise is none or as asked for, and the first ``learning_starts`` actions are uniform.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rlplay.extend import (
    EnsembleKernel,
    Kernel,
    Schedule,
    ascend,
    choose_least,
    clipped_targets,
    join,
    scheduled,
    squared_errors,
    to_unit,
)


class Settings(NamedTuple):
    """The hyperparameters that the update reads; schedules as tables."""

    learning_rate: Schedule
    tau: float


def make_update(kernel: Kernel, ensemble: EnsembleKernel, decorator: Callable[..., Any]) -> Callable[..., None]:
    """The update over an actor and its critic: compiled, or with ``decorator=plain`` as Python."""
    forward, backward, improve, blend_actor = kernel.forward, kernel.backward, kernel.improve, kernel.blend
    value_of, value_back, action_gradient = ensemble.forward, ensemble.backward, ensemble.input_gradient
    improve_critic, blend = ensemble.improve, ensemble.blend

    @decorator
    def update(memory: Any, batch: Any, progress: float) -> None:
        """One gradient step of critic and actor."""
        given, metrics, nets, work = memory.settings, memory.metrics, memory.nets, memory.work
        learning_rate = scheduled(given.learning_rate, progress)
        to_unit(batch.actions, memory.low, memory.high)

        # Critic.
        join(batch.next_obs, forward(nets.target_actor, batch.next_obs), work.pairs)
        next_values = value_of(nets.target_critics, work.pairs)
        clipped_targets(batch.rewards, batch.discounts, next_values, work.log_probs, 0.0, work.targets)
        join(batch.obs, batch.actions, work.pairs)
        values = value_of(nets.critics, work.pairs)
        metrics.critic_loss[0] = squared_errors(values, work.targets, 1.0, work.critic_gradient)
        value_back(nets.critics, work.pairs, work.critic_gradient)
        improve_critic(nets.critics, learning_rate, 0.0)

        # Actor.
        join(batch.obs, forward(nets.actor, batch.obs), work.pairs)
        metrics.actor_loss[0] = -choose_least(value_of(nets.critics, work.pairs), work.critic_gradient)
        slope = action_gradient(nets.critics, work.pairs, work.critic_gradient)[:, batch.obs.shape[1] :]  # [B, A]
        ascend(slope, work.actor_gradient)
        backward(nets.actor, batch.obs, work.actor_gradient, False)
        improve(nets.actor, learning_rate, 0.0)

        # Targets.
        blend(nets.target_critics, nets.critics, given.tau)
        blend_actor(nets.target_actor, nets.actor, given.tau)
        metrics.learning_rate[0] = learning_rate
        metrics.n_updates[0] += 1.0

    return update
