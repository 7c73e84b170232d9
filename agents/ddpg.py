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

With ``n_sampled_goal`` goals are put in place in hindsight (`rlplay.functional.hindsight`): Andrychowicz et al. 2017.

Deviations from the paper: there is no batch normalisation and no weight decay, the networks begin as torch's do, the
learning rate of both is the same, noise is none or as asked for, and the first ``learning_starts`` actions are uniform.
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
    Schedule,
    Sizes,
    Tau,
    TrainFreq,
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
    noise_kind: int
    noise_std: float


def make_update(kernel: Kernel, ensemble: EnsembleKernel, decorator: Callable[..., Any]) -> Callable[..., None]:
    """The update over an actor and its critic: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = DDPG("Pendulum-v1", net_arch=[8], batch_size=4, buffer_size=100, seed=0)
        >>> update = make_update(agent.kernels["actor"], agent.kernels["critics"], plain)
        >>> update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    forward, backward, improve, blend_actor = kernel.forward, kernel.backward, kernel.improve, kernel.blend
    value_of, value_back, action_gradient = ensemble.forward, ensemble.backward, ensemble.input_gradient
    improve_critic, blend = ensemble.improve, ensemble.blend
    squared_length = ensemble.squared_length

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
        metrics.grad_norm[0] = np.sqrt(squared_length(nets.critics))
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
        metrics.loss[0] = metrics.critic_loss[0] + metrics.actor_loss[0]
        metrics.learning_rate[0] = learning_rate
        metrics.n_updates[0] += 1.0

    return update


class DDPG(ActorCriticAgent):
    """Deep deterministic policy gradient, for continuous actions.

    Observations are vectors, finite, or Dicts and Tuples of those, flattened; actions are a Box with bounds.

    Example:
        >>> agent = DDPG("Pendulum-v1", net_arch=[32], batch_size=32, buffer_size=1000, seed=0).learn(200)
        >>> agent.predict(agent.get_env().reset(seed=0)[0], deterministic=True)[0].shape
        (1,)
    """

    id = "ddpg"
    make_update = staticmethod(make_update)
    is_soft = False
    settings = Settings
    n_critics = 1

    learning_rate: LearningRate = 1e-3
    buffer_size: BufferSize = 1_000_000
    learning_starts: LearningStarts = 100
    batch_size: BatchSize = 256
    tau: Tau = 0.005
    gamma: Discount = 0.99
    train_freq: TrainFreq = 1
    gradient_steps: GradientSteps = 1
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


__all__ = ["DDPG", "make_update"]
