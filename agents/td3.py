"""Twin delayed DDPG: a deterministic policy that climbs its critic, and three remedies for a critic too optimistic.

For a batch of B transitions out of the replay buffer, with the target actor's action smoothed by noise:

    a'      = clip(π'(s') + clip(σ ε, ±c), ±1)
    y       = r + Γ min_c Q'_c(s', a')                       Γ = γ, and 0 where the episode terminated
    critics   L_Q = Σ_c 1/B Σ [Q_c(s, a_B) - y]²             ∂L_Q/∂Q_c = 2 (Q_c - y) / B

and every ``policy_delay`` updates

    actor     L_π = - 1/B Σ Q_1(s, π(s))                     ∂L_π/∂a = - 1/B ∂Q_1/∂a
    targets   θ' ← (1 - τ) θ' + τ θ                          of critics and actor

Source: Fujimoto, van Hoof & Meger 2018, algorithm 1; details and defaults as in Stable-Baselines3.

Symbols:
    π  actor     tanh at its outputs, float32 [B, A]        σ  target_policy_noise       c  target_noise_clip
    γ  gamma     τ  tau     ε  standard normal, [B, A]      Q_c  critics, float32 [C, B, 1]

With ``n_sampled_goal`` goals are put in place in hindsight (`rlplay.functional.hindsight`): Andrychowicz et al. 2017.

Deviations from the paper: the actions of the first ``learning_starts`` steps are uniform; all actions are scaled to
[-1, 1], so noise is relative to the range of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np

from rlplay.extend import (
    ACTIVATIONS,
    ActorCriticAgent,
    BatchSize,
    BufferSize,
    Choice,
    Discount,
    EnsembleKernel,
    GoalSelectionStrategy,
    GradientSteps,
    Kernel,
    LearningRate,
    LearningStarts,
    NEnvs,
    NoiseStd,
    NoiseType,
    NSampledGoal,
    NSteps,
    Range,
    Schedule,
    Sizes,
    Tau,
    TrainFreq,
    ascend,
    choose_least,
    clipped_targets,
    draw_noise,
    join,
    scheduled,
    smooth,
    squared_errors,
    to_unit,
)


class Settings(NamedTuple):
    """The hyperparameters that the update reads; schedules as tables."""

    learning_rate: Schedule
    tau: float
    policy_delay: int
    target_policy_noise: float
    target_noise_clip: float
    noise_kind: int
    noise_std: float


def make_update(kernel: Kernel, ensemble: EnsembleKernel, decorator: Callable[..., Any]) -> Callable[..., None]:
    """The update over an actor and its critics: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = TD3("Pendulum-v1", net_arch=[8], batch_size=4, buffer_size=100, seed=0)
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

        # Actor, by the first critic alone.
        join(batch.obs, forward(nets.actor, batch.obs), work.pairs)
        choice = work.critic_gradient[:1]
        metrics.actor_loss[0] = -choose_least(first_value(nets.critics, work.pairs), choice)
        slope = action_gradient(nets.critics, work.pairs, choice)[:, batch.obs.shape[1] :]  # [B, A]
        ascend(slope, work.actor_gradient)
        backward(nets.actor, batch.obs, work.actor_gradient, False)
        improve(nets.actor, learning_rate, 0.0)
        blend(nets.target_critics, nets.critics, given.tau)
        blend_actor(nets.target_actor, nets.actor, given.tau)

    return update


class TD3(ActorCriticAgent):
    """Twin delayed DDPG, for continuous actions.

    Observations are vectors, finite, or Dicts and Tuples of those, flattened; actions are a Box with bounds.

    Example:
        >>> agent = TD3("Pendulum-v1", net_arch=[32], batch_size=32, buffer_size=1000, seed=0).learn(200)
        >>> agent.predict(agent.get_env().reset(seed=0)[0], deterministic=True)[0].shape
        (1,)
    """

    id = "td3"
    make_update = staticmethod(make_update)
    is_soft = False
    settings = Settings

    learning_rate: LearningRate = 1e-3
    buffer_size: BufferSize = 1_000_000
    learning_starts: LearningStarts = 100
    batch_size: BatchSize = 256
    tau: Tau = 0.005
    gamma: Discount = 0.99
    train_freq: TrainFreq = 1
    gradient_steps: GradientSteps = 1
    policy_delay: Annotated[
        int, Range("updates of the critics from one of the actor to the next", 1, 10**6, integer=True)
    ] = 2
    target_policy_noise: Annotated[float, Range("deviation σ of the noise on the target's actions", 0, 100)] = 0.2
    target_noise_clip: Annotated[float, Range("bound c of that noise", 0, 100)] = 0.5
    n_steps: NSteps = 1
    n_sampled_goal: NSampledGoal = 0
    goal_selection_strategy: GoalSelectionStrategy = "future"
    noise_type: NoiseType = None
    noise_std: NoiseStd = 0.1
    n_envs: NEnvs = 1
    net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers, of all networks")] = (400, 300)
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"
    policy: Annotated[
        str, Choice("as RL Zoo's files have it: the networks follow the observations",
                    ("auto", "MlpPolicy", "MultiInputPolicy"))
    ] = "auto"  # fmt: skip


__all__ = ["TD3", "make_update"]
