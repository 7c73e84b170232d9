"""Proximal policy optimisation: several careful steps on each rollout, none of which leaves the old policy far behind.

Play n_steps in each of n_envs environments. Then, n_epochs times over in minibatches of B steps, with the ratio
r = π(a|s, θ) / π(a|s, θ_old) and advantages A by generalised advantage estimation:

    L = - 1/B Σ [min(r A, clip(r, 1 - ε, 1 + ε) A) + c H(π)]  +  c_v 1/B Σ (v̂(s, w) - G)²

Where the minimum is the clipped one, nothing pulls. Elsewhere ∂(r A)/∂θ = r A ∂ log π/∂θ, so the gradient at the
network's outputs is that of the plain policy gradient with weights

    w = r A  where  r A ≤ clip(r, 1 - ε, 1 + ε) A,  else 0
    ∂L/∂z_b = 1/B {w [π(b) - 1(b = a)] + c π(b) [log π(b) + H]}        Discrete: logits z
    ∂L/∂μ   = - 1/B w (a - μ) / σ²                                     Box: means μ; likewise for log σ
    ∂L/∂v̂   = 2 c_v (v̂ - G) / B

Source: Schulman et al. 2017, equation 7 and algorithm 1; Schulman et al. 2016 (advantages); details as in
Stable-Baselines3 (Huang et al. 2022, "The 37 implementation details").

Symbols:
    π(a|s, θ)  policy    a network: softmax of its outputs, or their normal        A  advantages  float64 [M]
    v̂(s, w)    value     a network of its own                                      G  returns     float64 [M]
    ε          clip_range    c  ent_coef    c_v  vf_coef    γ  gamma    λ  gae_lambda    M = n_steps n_envs

Deviations from the paper: advantages are normalised in each minibatch, the gradient of both networks together is cut to
``max_grad_norm``, the epochs end early where the divergence exceeds 1.5 ``target_kl``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Choice,
    CriticMemory,
    Discount,
    Either,
    EntropyWeight,
    GaeLambda,
    Head,
    HyperparameterError,
    Kernel,
    LearningRate,
    MaxGradNorm,
    NEnvs,
    OnPolicyAgent,
    OnPolicyMemory,
    Range,
    Recurrent,
    RecurrentKernel,
    RecurrentSize,
    Rollout,
    RolloutSteps,
    Schedule,
    ScheduleLike,
    SdeSampleFreq,
    UseSde,
    ValueWeight,
    count_up,
    descent,
    explained_variance,
    forbid,
    gather,
    in_place,
    mean,
    new_minibatch,
    scheduled,
    shuffle,
    shuffle_sequences,
    standardise,
    taking_up,
)

Array = NDArray[np.float64]


class Settings(NamedTuple):
    """The hyperparameters that the update reads; schedules as tables, None as 0."""

    learning_rate: Schedule
    n_epochs: int
    batch_size: int
    clip_range: Schedule
    clip_range_vf: Schedule
    normalize_advantage: bool
    ent_coef: float
    vf_coef: float
    target_kl: float


@in_place
def surrogate(
    log_probs: Array, old_log_probs: Array, advantages: Array, clip: float, weights: Array
) -> tuple[float, float, float]:
    """The weights w of the head of this file, [B]; returns -mean of the minimum, the divergence, the share clipped.

    The divergence from the old policy is estimated by (r - 1) - log r (Schulman 2020).
    """
    loss, divergence, clipped, n = 0.0, 0.0, 0.0, log_probs.shape[0]
    for i in range(n):
        log_ratio = log_probs[i] - old_log_probs[i]
        ratio = math.exp(log_ratio)
        free, held = ratio * advantages[i], min(max(ratio, 1.0 - clip), 1.0 + clip) * advantages[i]
        weights[i] = free if free <= held else 0.0
        loss -= min(free, held) / n
        divergence += (ratio - 1.0 - log_ratio) / n
        clipped += (abs(ratio - 1.0) > clip) / n
    return loss, divergence, clipped


@in_place
def value_gradient(values: Any, old_values: Array, returns: Array, weight: float, clip: float, gradient: Any) -> float:
    """∂L/∂v̂ = 2 c_v (v̂ - G) / B into ``gradient`` [B, 1]; where values left the old ones by more than ``clip``, 0.

    Returns the mean of (v̂ - G)², with v̂ held within the clip (none where it is 0).
    """
    loss, n = 0.0, old_values.shape[0]
    for i in range(n):
        value, free = float(values[i, 0]), True
        if clip > 0.0 and abs(value - old_values[i]) > clip:
            value, free = old_values[i] + (clip if value > old_values[i] else -clip), False
        gap = value - returns[i]
        loss += gap * gap / n
        gradient[i, 0] = 2.0 * weight * gap / n if free else 0.0
    return loss


def make_update(kernel: Kernel, head: Head, decorator: Callable[..., Any]) -> Callable[..., None]:
    """The update over networks and a policy head: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.distributions import CATEGORICAL
        >>> from rlplay.functional.on_policy_step import plain
        >>> agent = PPO("CartPole-v1", n_steps=4, batch_size=4, n_epochs=2, seed=0)
        >>> make_update(agent.kernel, CATEGORICAL, plain)(agent.memory, agent.memory.rollout, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [2.0]
    """
    forward, backward, descend = kernel.forward, kernel.backward, descent(kernel, decorator)
    remembers = isinstance(kernel, RecurrentKernel)
    take_up: Any = taking_up(kernel, decorator) if isinstance(kernel, RecurrentKernel) else None
    log_probs_of, policy_gradient = head.log_probs, head.gradient

    @decorator
    def update(memory: OnPolicyMemory, rollout: Rollout, progress: float) -> None:
        """All epochs over a rollout."""
        policy, value, spread = memory.policy, memory.value, memory.spread
        given, metrics = memory.settings, memory.metrics
        learning_rate = scheduled(given.learning_rate, progress)
        clip, clip_values = scheduled(given.clip_range, progress), scheduled(given.clip_range_vf, progress)
        order = np.empty(rollout.rewards.shape[0], np.int64)
        count_up(order)
        minibatch = new_minibatch(rollout, given.batch_size, memory.output_gradient.shape[1])
        policy_loss, entropy_sum, divergence_sum, clipped_sum, value_loss = 0.0, 0.0, 0.0, 0.0, 0.0
        policy_steps, value_steps, going = 0, 0, True
        metrics.grad_norm[0], metrics.learning_rate[0] = 0.0, learning_rate

        for _ in range(given.n_epochs):
            if not going:
                break
            if remembers:
                shuffle_sequences(order, memory.obs.shape[0], policy.window, given.batch_size, memory.minibatch_rng)
            else:
                shuffle(order, memory.minibatch_rng)
            for begin in range(0, order.shape[0], given.batch_size):
                batch = gather(rollout, order[begin : begin + given.batch_size], minibatch)
                if remembers:
                    take_up(policy, rollout.ends, order[begin : begin + given.batch_size], policy.window)
                    take_up(value, rollout.ends, order[begin : begin + given.batch_size], policy.window)
                if given.normalize_advantage:
                    standardise(batch.advantages)

                outputs = forward(policy, batch.obs)
                if batch.masks.shape[0] > 0:
                    forbid(outputs, batch.masks)
                log_probs_of(outputs, spread, batch.actions, batch.output_gradient, batch.log_probs, batch.entropies)
                loss, divergence, clipped = surrogate(
                    batch.log_probs, batch.old_log_probs, batch.advantages, clip, batch.weights
                )
                entropy = mean(batch.entropies)
                policy_loss, entropy_sum = policy_loss + loss, entropy_sum + entropy
                divergence_sum, clipped_sum = divergence_sum + divergence, clipped_sum + clipped
                policy_steps += 1
                if given.target_kl > 0.0 and divergence > 1.5 * given.target_kl:
                    going = False
                    break
                policy_gradient(
                    outputs, spread, batch.actions, batch.weights, given.ent_coef, batch.output_gradient,
                    memory.spread_gradient,
                )  # fmt: skip
                backward(policy, batch.obs, batch.output_gradient, False)

                values = forward(value, batch.obs)
                squares = value_gradient(
                    values, batch.old_values, batch.returns, given.vf_coef, clip_values, batch.value_gradient
                )
                backward(value, batch.obs, batch.value_gradient, False)
                value_loss, value_steps = value_loss + squares, value_steps + 1
                metrics.policy_gradient_loss[0], metrics.value_loss[0] = loss, squares  # of this minibatch
                metrics.entropy_loss[0], metrics.approx_kl[0], metrics.clip_fraction[0] = -entropy, divergence, clipped
                metrics.loss[0] = loss - given.ent_coef * entropy + given.vf_coef * squares
                descend(memory, learning_rate)
                metrics.n_updates[0] += 1.0

        metrics.policy_gradient_loss[0] = policy_loss / policy_steps
        metrics.entropy_loss[0] = -entropy_sum / policy_steps
        metrics.approx_kl[0] = divergence_sum / policy_steps
        metrics.clip_fraction[0] = clipped_sum / policy_steps
        metrics.value_loss[0] = value_loss / max(value_steps, 1)  # a minibatch that ended the epochs took no step
        metrics.explained_variance[0] = explained_variance(rollout.values, rollout.returns)

    return update


class PPO(OnPolicyAgent):
    """Proximal policy optimisation, for finite actions, a Box, and Tuples and Dicts of both.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = PPO("CartPole-v1", n_envs=8, n_steps=32, batch_size=256, n_epochs=10, seed=0).learn(20_000)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_probabilities.shape
        (1, 2)
    """

    id = "ppo"
    make_update = staticmethod(make_update)
    settings = Settings

    learning_rate: LearningRate = 3e-4
    n_steps: RolloutSteps = 2048
    batch_size: Annotated[int, Range("steps of a minibatch", 1, 10_000_000, integer=True)] = 64
    n_epochs: Annotated[int, Range("passes over a rollout", 1, 1000, integer=True)] = 10
    gamma: Discount = 0.99
    gae_lambda: GaeLambda = 0.95
    clip_range: Annotated[
        ScheduleLike, Range("how far the ratio of probabilities may leave 1", 0, open_low=True, schedule=True)
    ] = 0.2
    clip_range_vf: Annotated[
        ScheduleLike | None,
        Either((None,), Range("how far values may move a rollout", 0, open_low=True, schedule=True)),
    ] = None
    normalize_advantage: Annotated[
        bool, Choice("divide advantages by their deviation in the minibatch", (True, False))
    ] = True
    ent_coef: EntropyWeight = 0.0
    vf_coef: ValueWeight = 0.5
    max_grad_norm: MaxGradNorm = 0.5
    use_sde: UseSde = False
    sde_sample_freq: SdeSampleFreq = -1
    target_kl: Annotated[
        float | None, Either((None,), Range("divergence at which a rollout's epochs end", 0, open_low=True))
    ] = None
    n_envs: NEnvs = 1
    recurrent: Recurrent = None
    recurrent_size: RecurrentSize = 64
    critic_memory: CriticMemory = "own"
    policy: Annotated[
        str, Choice("as RL Zoo's files have it: the networks follow the observations",
                    ("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy", "MlpLstmPolicy", "CnnLstmPolicy",
                     "MultiInputLstmPolicy"))
    ] = "auto"  # fmt: skip

    def sequence_steps(self) -> int:
        """Steps of the sequences from which networks with a memory learn: a rollout's, or as many as a minibatch has.

        Raises:
            HyperparameterError: minibatches that are not whole sequences.
        """
        steps = min(self.n_steps, self.batch_size)
        if self.n_steps % steps or self.batch_size % steps:
            raise HyperparameterError(
                f"PPO: with a memory a minibatch has whole sequences, and of batch_size={self.batch_size} and "
                f"n_steps={self.n_steps} neither is a multiple of the other",
                f"Take batch_size={self.n_steps}",
            )
        return steps

    def network_rows(self, rows: int) -> int:
        """Rows that the networks see at a time: a minibatch, or a step of all environments."""
        return self.minibatch_rows(rows)


__all__ = ["PPO", "make_update"]
