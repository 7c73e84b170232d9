"""Soft actor-critic: as much reward as can be had while acting as randomly as possible.

The policy is a normal distribution squashed by tanh (`rlplay.functional.squashed_normal`). Two critics value state and
action, and the smaller of their values counts. For a batch of B transitions out of the replay buffer, with a', log π'
drawn from the policy at s', and a, log π at s:

    y       = r + Γ [min_c Q'_c(s', a') - α log π']          Γ = γ, and 0 where the episode terminated
    critics   L_Q = ½ Σ_c 1/B Σ [Q_c(s, a_B) - y]²           ∂L_Q/∂Q_c = (Q_c - y) / B
    actor     L_π = 1/B Σ [α log π - min_c Q_c(s, a)]        through the sample a = tanh(μ + σ ε)
    α         L_α = - log α 1/B Σ [log π + H]                ∂L_α/∂log α = - 1/B Σ [log π + H]
    targets   θ' ← (1 - τ) θ' + τ θ

With g = ∂min_c Q_c/∂a, the gradient at the actor's outputs is, for each number of an action,

    ∂L_π/∂μ     = 1/B d                                      d = 2 α a - g (1 - a²)
    ∂L_π/∂log σ = 1/B [d σ ε - α]

Source: Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", algorithm 1, equations 5, 7 and 18;
details and defaults as in Stable-Baselines3.

Symbols:
    α  temperature      ent_coef, or learned from log α = 0            H  target_entropy   - A by default, A numbers
    γ  gamma    τ  tau  ε  standard normal numbers, float32 [B, A]     Q_c  critics        float32 [C, B, 1]

With ``use_sde`` the noise depends on the state and lasts (`rlplay.functional.squashed_state_noise`): then one matrix of
noise serves a whole update.

With ``n_sampled_goal`` goals are put in place in hindsight (`rlplay.functional.hindsight`): Andrychowicz et al. 2017.

With ``dropout`` (0.01), ``layer_norm`` (True) and many updates of the critics for one of the actor (``gradient_steps``
and ``policy_delay``, 20) it is DroQ: Hiraoka et al. 2022, algorithm 1.

With ``batch_renorm`` (True), ``target_networks`` (False), ``policy_delay`` (3), ``beta_1`` (0.5) and wide critics it is
CrossQ: Bhatt et al. 2024, "CrossQ: Batch normalization in deep reinforcement learning for greater sample efficiency and
simplicity", section 3 (`agents.recipes.PRESETS` has all of it). Critics and actor normalise by the batch, and so both
states of each transition go through the critics in one pass, which knows the moments of both:

    [Q_c, Q'_c] = Q_c([s; s'], [a_B; a'])                    with Q'_c held fixed

Deviations from the paper: log α is the parameter of the gradient above, and not α; the actions of the first
``learning_starts`` steps are uniform; ``ent_coef`` may be a fixed number. From Stable-Baselines3: log(1 - a²) is
computed exactly, not as log(1 - a² + 1e-6). From DroQ: the actor climbs the smaller of the critics' values, not their
mean. CrossQ is sb3-contrib's: batch renormalisation, also in front of the outputs, and critics of 1024 units.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
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
    EntCoef,
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
    SdeSampleFreq,
    Sizes,
    Spec,
    TargetEntropy,
    Tau,
    TrainFreq,
    UseSde,
    UseSdeAtWarmup,
    choose_least,
    clipped_targets,
    drawing,
    join,
    mean,
    of_first,
    part,
    scalar_adam,
    scheduled,
    squared_errors,
    to_unit,
    use_batch,
)


class Settings(NamedTuple):
    """The hyperparameters that the update reads; schedules as tables."""

    learning_rate: Schedule
    tau: float
    target_update_interval: int
    entropy_target: float
    learns_alpha: bool
    policy_delay: int
    dropout: float
    noise_kind: int
    noise_std: float


def make_update(
    kernel: Kernel, ensemble: EnsembleKernel, decorator: Callable[..., Any], renorm: bool = False, joint: bool = False,
    smooth: bool = False,
) -> Callable[..., None]:  # fmt: skip
    """The update over an actor and its critics: compiled, or with ``decorator=plain`` as Python.

    Args:
        kernel: the functions of the actor.
        ensemble: those of the critics.
        decorator: compiled, or plain.
        renorm: whether the networks normalise by the batch while they learn.
        joint: whether the critics have no targets and value both states in one pass.
        smooth: whether the actor's noise depends on the state.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = SAC("Pendulum-v1", net_arch=[8], batch_size=4, buffer_size=100, seed=0)
        >>> update = make_update(agent.kernels["actor"], agent.kernels["critics"], plain)
        >>> update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    forward, backward, improve = kernel.forward, kernel.backward, kernel.improve
    values_of, values_back, action_gradient = ensemble.forward, ensemble.backward, ensemble.input_gradient
    improve_critics, blend = ensemble.improve, ensemble.blend
    squared_length, drop = ensemble.squared_length, ensemble.drop
    draw, draw_again, sample, follow_sample = drawing(smooth, decorator)

    @decorator
    def follow_targets(memory: Any, batch: Any, alpha: float) -> None:
        """The gradient of the critics, of which targets value the next states."""
        given, nets, work = memory.settings, memory.nets, memory.work
        join(batch.next_obs, work.actions, work.pairs)
        if given.dropout > 0.0:
            drop(nets.target_critics, given.dropout, memory.noise_rng)
        next_values = values_of(nets.target_critics, work.pairs)
        clipped_targets(batch.rewards, batch.discounts, next_values, work.log_probs, alpha, work.targets)

        join(batch.obs, batch.actions, work.pairs)
        if given.dropout > 0.0:
            drop(nets.critics, given.dropout, memory.noise_rng)
        if renorm:
            use_batch(nets.critics.net, True)
        values = values_of(nets.critics, work.pairs)
        if renorm:
            use_batch(nets.critics.net, False)
        memory.metrics.critic_loss[0] = squared_errors(values, work.targets, 0.5, work.critic_gradient)
        values_back(nets.critics, work.pairs, work.critic_gradient)

    @decorator
    def follow_themselves(memory: Any, batch: Any, alpha: float) -> None:
        """The gradient of the critics, which value the states and the next ones in one pass."""
        given, nets, work, rows = memory.settings, memory.nets, memory.work, batch.obs.shape[0]
        join(batch.obs, batch.actions, work.both_pairs[:rows])
        join(batch.next_obs, work.actions, work.both_pairs[rows:])
        if given.dropout > 0.0:
            drop(nets.both, given.dropout, memory.noise_rng)
        use_batch(nets.both.net, renorm)
        part(values_of(nets.both, work.both_pairs), work.values, work.next_values)
        use_batch(nets.both.net, False)
        clipped_targets(batch.rewards, batch.discounts, work.next_values, work.log_probs, alpha, work.targets)
        memory.metrics.critic_loss[0] = squared_errors(work.values, work.targets, 0.5, work.critic_gradient)
        of_first(work.critic_gradient, work.both_gradient)
        values_back(nets.both, work.both_pairs, work.both_gradient)

    learn_values = follow_themselves if joint else follow_targets

    @decorator
    def update(memory: Any, batch: Any, progress: float) -> None:
        """One gradient step of critics, actor and temperature."""
        given, metrics, nets, work = memory.settings, memory.metrics, memory.nets, memory.work
        learning_rate, alpha = scheduled(given.learning_rate, progress), math.exp(work.log_alpha[0])
        to_unit(batch.actions, memory.low, memory.high)

        # Critics, for actions that the policy draws now.
        draw(nets, work, memory.noise_rng)
        sample(nets, work, forward(nets.actor, batch.next_obs))
        learn_values(memory, batch, alpha)
        metrics.grad_norm[0] = np.sqrt(squared_length(nets.critics))
        improve_critics(nets.critics, learning_rate, 0.0)

        metrics.ent_coef[0], metrics.learning_rate[0] = alpha, learning_rate
        metrics.n_updates[0] += 1.0
        if not joint and metrics.n_updates[0] % given.target_update_interval == 0:
            blend(nets.target_critics, nets.critics, given.tau)
        if metrics.n_updates[0] % given.policy_delay != 0:
            return

        # Actor.
        draw_again(nets, work, memory.noise_rng)
        if renorm:
            use_batch(nets.actor, True)
        outputs = forward(nets.actor, batch.obs)
        if renorm:
            use_batch(nets.actor, False)
        sample(nets, work, outputs)
        join(batch.obs, work.actions, work.pairs)
        if given.dropout > 0.0:
            drop(nets.critics, given.dropout, memory.noise_rng)
        value = choose_least(values_of(nets.critics, work.pairs), work.critic_gradient)
        slope = action_gradient(nets.critics, work.pairs, work.critic_gradient)[:, batch.obs.shape[1] :]  # [B, A]
        follow_sample(nets, work, outputs, slope, alpha)
        backward(nets.actor, batch.obs, work.actor_gradient, False)
        improve(nets.actor, learning_rate, 0.0)
        log_prob = mean(work.log_probs)
        metrics.actor_loss[0] = alpha * log_prob - value
        metrics.loss[0] = metrics.critic_loss[0] + metrics.actor_loss[0]

        # Temperature.
        if given.learns_alpha:
            surplus = log_prob + given.entropy_target
            metrics.ent_coef_loss[0] = -work.log_alpha[0] * surplus
            scalar_adam(work.log_alpha, -surplus, work.log_alpha_means, learning_rate)

    return update


_UPDATES = {  # by flags, each made once: loops are kept by the function that they are made from
    flags: partial(make_update, renorm=flags[0], joint=flags[1], smooth=flags[2]) if any(flags) else make_update
    for flags in itertools.product((False, True), repeat=3)
}


class SAC(ActorCriticAgent):
    """Soft actor-critic, for continuous actions.

    Observations are vectors, finite, or Dicts and Tuples of those, flattened; actions are a Box with bounds.

    Example:
        >>> agent = SAC("Pendulum-v1", net_arch=[32], batch_size=32, buffer_size=1000, seed=0).learn(200)
        >>> agent.predict(agent.get_env().reset(seed=0)[0], deterministic=True)[0].shape
        (1,)
    """

    id = "sac"
    make_update = staticmethod(make_update)
    is_soft = True
    settings = Settings

    learning_rate: LearningRate = 3e-4
    buffer_size: BufferSize = 1_000_000
    learning_starts: LearningStarts = 100
    batch_size: BatchSize = 256
    tau: Tau = 0.005
    gamma: Discount = 0.99
    train_freq: TrainFreq = 1
    gradient_steps: GradientSteps = 1
    ent_coef: EntCoef = "auto"
    target_update_interval: Annotated[
        int, Range("gradient steps after which targets follow", 1, 10**9, integer=True)
    ] = 1
    target_entropy: TargetEntropy = "auto"
    policy_delay: Annotated[
        int, Range("updates of the critics from one of the actor to the next", 1, 10**6, integer=True)
    ] = 1
    layer_norm: Annotated[bool, Choice("layer norm behind the hidden layers of the critics", (True, False))] = False
    dropout: Annotated[float, Range("part of the critics' hidden units that is dropped in training", 0, 0.9)] = 0.0
    batch_renorm: Annotated[bool, Choice("batch renormalisation before the linear layers", (True, False))] = False
    target_networks: Annotated[bool, Choice("critics follow targets; else themselves", (True, False))] = True
    beta_1: Annotated[float, Range("decay of Adam's mean of the gradients of the networks", 0, 0.9999)] = 0.9
    n_steps: NSteps = 1
    n_sampled_goal: NSampledGoal = 0
    goal_selection_strategy: GoalSelectionStrategy = "future"
    noise_type: NoiseType = None
    noise_std: NoiseStd = 0.1
    use_sde: UseSde = False
    sde_sample_freq: SdeSampleFreq = -1
    use_sde_at_warmup: UseSdeAtWarmup = False
    n_envs: NEnvs = 1
    net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers, of all networks")] = (256, 256)
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"
    policy: Annotated[
        str, Choice("as RL Zoo's files have it: the networks follow the observations",
                    ("auto", "MlpPolicy", "MultiInputPolicy"))
    ] = "auto"  # fmt: skip

    def spec(self) -> Spec:
        """The update of these flags."""
        return Spec(_UPDATES[self.batch_renorm, not self.target_networks, self.use_sde], True, self.use_sde)


__all__ = ["SAC", "make_update"]
