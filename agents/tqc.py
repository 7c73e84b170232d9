"""Truncated quantile critics: soft actor-critic whose critics give distributions, of which the highest parts are cut.

A critic gives K quantiles z of the return. Those of all C critics together are sorted, and only the M least of them
are bootstrapped from, which keeps values from growing too optimistic by as much as is asked for. For a batch of B
transitions out of the replay buffer, with a', log π' drawn from the policy at s', and a, log π at s:

    y_m       = r + Γ [z'_(m) - α log π']                    m = 1..M of the sorted z'_ck(s', a'), M = C (K - d)
    critics   L_Z = mean_{c,n,k,m} |τ_k - 1(u < 0)| h(u)     u = y_m - z_ck(s, a_B), τ_k = (k - ½) / K
    actor     L_π = 1/B Σ [α log π - mean_{c,k} z_ck(s, a)]  through the sample a = tanh(μ + σ ε)
    α         L_α = - log α 1/B Σ [log π + H]
    targets   θ' ← (1 - τ) θ' + τ θ

with Huber's h(u) = ½ u² where |u| ≤ 1, else |u| - ½, so that

    ∂L_Z/∂z_ck  = - 1/(C B K M) Σ_m |τ_k - 1(u < 0)| clip(u, ±1)
    ∂L_π/∂μ     = 1/B d            d = 2 α a - g (1 - a²),  g = ∂ mean z/∂a
    ∂L_π/∂log σ = 1/B [d σ ε - α]

Source: Kuznetsov et al. 2020, "Controlling overestimation bias with truncated mixture of continuous distributional
quantile critics", algorithm 1, equations 10 to 14; details and defaults as in sb3-contrib.

Symbols:
    d  top_quantiles_to_drop_per_net     α  temperature, ent_coef     H  target_entropy, - A by default, A numbers
    γ  gamma    τ  tau                   K  n_quantiles               z  critics, float32 [C, B, K]

With ``use_sde`` the noise depends on the state and lasts (`rlplay.functional.squashed_state_noise`).

With ``n_sampled_goal`` goals are put in place in hindsight (`rlplay.functional.hindsight`): Andrychowicz et al. 2017.

Deviations from the paper: two critics by default, and not five, as in sb3-contrib; those of `agents.sac`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    HyperparameterError,
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
    drawing,
    join,
    kept_quantiles,
    mean,
    mean_of_quantiles,
    quantile_errors,
    scalar_adam,
    scheduled,
    to_unit,
    whole_setting,
)


class Settings(NamedTuple):
    """The hyperparameters that the update reads; schedules as tables."""

    learning_rate: Schedule
    tau: float
    target_update_interval: int
    entropy_target: float
    learns_alpha: bool
    noise_kind: int
    noise_std: float


def make_update(
    kernel: Kernel, ensemble: EnsembleKernel, decorator: Callable[..., Any], smooth: bool = False
) -> Callable[..., None]:
    """The update over an actor and its critics: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = TQC("Pendulum-v1", net_arch=[8], batch_size=4, buffer_size=100, seed=0)
        >>> update = make_update(agent.kernels["actor"], agent.kernels["critics"], plain)
        >>> update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    forward, backward, improve = kernel.forward, kernel.backward, kernel.improve
    quantiles_of, quantiles_back, action_gradient = ensemble.forward, ensemble.backward, ensemble.input_gradient
    improve_critics, blend = ensemble.improve, ensemble.blend
    squared_length = ensemble.squared_length
    draw, draw_again, sample, follow_sample = drawing(smooth, decorator)

    @decorator
    def update(memory: Any, batch: Any, progress: float) -> None:
        """One gradient step of critics, actor and temperature."""
        given, metrics, nets, work = memory.settings, memory.metrics, memory.nets, memory.work
        learning_rate, alpha = scheduled(given.learning_rate, progress), math.exp(work.log_alpha[0])
        to_unit(batch.actions, memory.low, memory.high)

        # Targets, by actions that the policy draws now.
        draw(nets, work, memory.noise_rng)
        sample(nets, work, forward(nets.actor, batch.next_obs))
        join(batch.next_obs, work.actions, work.pairs)
        quantiles = quantiles_of(nets.target_critics, work.pairs)
        kept_quantiles(
            batch.rewards, batch.discounts, quantiles, work.log_probs, alpha, work.quantile_targets, work.sorted
        )

        # Critics.
        join(batch.obs, batch.actions, work.pairs)
        quantiles = quantiles_of(nets.critics, work.pairs)
        metrics.critic_loss[0] = quantile_errors(quantiles, work.quantile_targets, work.critic_gradient)
        quantiles_back(nets.critics, work.pairs, work.critic_gradient)
        metrics.grad_norm[0] = np.sqrt(squared_length(nets.critics))
        improve_critics(nets.critics, learning_rate, 0.0)

        # Actor.
        draw_again(nets, work, memory.noise_rng)
        outputs = forward(nets.actor, batch.obs)
        sample(nets, work, outputs)
        join(batch.obs, work.actions, work.pairs)
        value = mean_of_quantiles(quantiles_of(nets.critics, work.pairs), work.critic_gradient)
        slope = action_gradient(nets.critics, work.pairs, work.critic_gradient)[:, batch.obs.shape[1] :]  # [B, A]
        follow_sample(nets, work, outputs, slope, alpha)
        backward(nets.actor, batch.obs, work.actor_gradient, False)
        improve(nets.actor, learning_rate, 0.0)
        log_prob = mean(work.log_probs)
        metrics.actor_loss[0] = alpha * log_prob - value

        # Temperature.
        if given.learns_alpha:
            surplus = log_prob + given.entropy_target
            metrics.ent_coef_loss[0] = -work.log_alpha[0] * surplus
            scalar_adam(work.log_alpha, -surplus, work.log_alpha_means, learning_rate)

        metrics.loss[0] = metrics.critic_loss[0] + metrics.actor_loss[0]
        metrics.ent_coef[0], metrics.learning_rate[0] = alpha, learning_rate
        metrics.n_updates[0] += 1.0
        if metrics.n_updates[0] % given.target_update_interval == 0:
            blend(nets.target_critics, nets.critics, given.tau)

    return update


_SMOOTH_UPDATE = partial(make_update, smooth=True)  # made once: loops are kept by the function they are made from


class TQC(ActorCriticAgent):
    """Truncated quantile critics, for continuous actions.

    Observations are vectors, finite, or Dicts and Tuples of those, flattened; actions are a Box with bounds.

    Example:
        >>> agent = TQC("Pendulum-v1", net_arch=[32], batch_size=32, buffer_size=1000, seed=0).learn(200)
        >>> agent.predict(agent.get_env().reset(seed=0)[0], deterministic=True)[0].shape
        (1,)
    """

    id = "tqc"
    make_update = staticmethod(make_update)
    is_soft = True
    settings = Settings
    more_settings = ("n_critics", "n_quantiles")

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
    top_quantiles_to_drop_per_net: Annotated[
        int, Range("quantiles d of each critic that are not bootstrapped from", 0, 1000, integer=True)
    ] = 2
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
        """The update, with state-dependent noise or without."""
        return Spec(_SMOOTH_UPDATE if self.use_sde else make_update, True, self.use_sde)

    def quantiles(self, n_critics: int) -> tuple[int, int]:
        """Quantiles of a critic, and how many of all are bootstrapped from."""
        each, dropped = whole_setting(self, "n_quantiles", 25), self.top_quantiles_to_drop_per_net
        if dropped >= each:
            raise HyperparameterError(
                f"TQC: top_quantiles_to_drop_per_net={dropped} leaves nothing of n_quantiles={each}",
                "Drop fewer, or give more quantiles",
            )
        return each, n_critics * (each - dropped)

    def value_of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean of all quantiles of all critics, [C, B, K] to [B]."""
        return values.mean(axis=(0, 2))


__all__ = ["TQC", "make_update"]
