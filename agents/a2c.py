"""Advantage actor-critic: one step along the policy gradient for each short rollout.

Play n_steps in each of n_envs environments, M steps together, and take one step down

    L = - 1/M Σ [A log π(a|s, θ) + c H(π)]  +  c_v 1/M Σ (v̂(s, w) - G)²

with advantages A = G - v̂; with λ = 1, G are the n-step returns. The gradient at the networks' outputs:

    ∂L/∂z_b = 1/M {A [π(b) - 1(b = a)] + c π(b) [log π(b) + H]}        Discrete: logits z
    ∂L/∂μ   = - 1/M A (a - μ) / σ²                                     Box: means μ; likewise for log σ
    ∂L/∂v̂   = 2 c_v (v̂ - G) / M

Source: Mnih et al. 2016, algorithm S3, with the environments in step (A2C); Sutton & Barto 2e, section 13.5.

Symbols:
    π(a|s, θ)  policy    a network: softmax of its outputs, or their normal        A  advantages  float64 [M]
    v̂(s, w)    value     a network of its own                                      G  returns     float64 [M]
    c  ent_coef    c_v  vf_coef    γ  gamma    λ  gae_lambda

Deviations from the paper: two networks in place of one with two heads, RMSProp without momentum, the gradient of both
networks together is cut to ``max_grad_norm``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Choice,
    CriticMemory,
    Discount,
    EntropyWeight,
    GaeLambda,
    Head,
    Kernel,
    LearningRate,
    MaxGradNorm,
    NEnvs,
    OnPolicyAgent,
    OnPolicyMemory,
    Range,
    Recurrent,
    RecurrentSize,
    Rollout,
    RolloutSteps,
    Schedule,
    SdeSampleFreq,
    UseSde,
    ValueWeight,
    descent,
    explained_variance,
    forbid,
    in_place,
    mean,
    scheduled,
    standardise,
)

Array = NDArray[np.float64]


class Settings(NamedTuple):
    """The hyperparameters that the update reads; schedules as tables."""

    learning_rate: Schedule
    ent_coef: float
    vf_coef: float
    normalize_advantage: bool


@in_place
def value_gradient(values: Any, returns: Array, weight: float, gradient: Any) -> float:
    """∂L/∂v̂ = 2 c_v (v̂ - G) / M into ``gradient`` [M, 1]; returns the mean of (v̂ - G)²."""
    loss, n = 0.0, returns.shape[0]
    for i in range(n):
        gap = values[i, 0] - returns[i]
        loss += gap * gap / n
        gradient[i, 0] = 2.0 * weight * gap / n
    return loss


@in_place
def policy_loss(log_probs: Array, advantages: Array) -> float:
    """The loss without entropy, - 1/M Σ A log π."""
    total, n = 0.0, log_probs.shape[0]
    for i in range(n):
        total -= advantages[i] * log_probs[i] / n
    return total


def make_update(kernel: Kernel, head: Head, decorator: Callable[..., Any]) -> Callable[..., None]:
    """The update over networks and a policy head: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.distributions import CATEGORICAL
        >>> from rlplay.functional.on_policy_step import plain
        >>> agent = A2C("CartPole-v1", n_envs=1, n_steps=4, seed=0)
        >>> make_update(agent.kernel, CATEGORICAL, plain)(agent.memory, agent.memory.rollout, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    forward, backward, descend = kernel.forward, kernel.backward, descent(kernel, decorator)
    log_probs_of, policy_gradient = head.log_probs, head.gradient

    @decorator
    def update(memory: OnPolicyMemory, rollout: Rollout, progress: float) -> None:
        """One step over a rollout."""
        policy, value, spread = memory.policy, memory.value, memory.spread
        given, metrics = memory.settings, memory.metrics
        rows, advantages = rollout.rewards.shape[0], rollout.advantages
        learning_rate = scheduled(given.learning_rate, progress)
        log_probs, entropies = np.empty(rows), np.empty(rows)
        output_gradient = np.empty((rows, memory.output_gradient.shape[1]), np.float32)
        gradient = np.empty((rows, 1), np.float32)
        if given.normalize_advantage:
            standardise(advantages)

        outputs = forward(policy, rollout.obs)
        if rollout.masks.shape[0] > 0:
            forbid(outputs, rollout.masks)
        log_probs_of(outputs, spread, rollout.actions, output_gradient, log_probs, entropies)
        policy_gradient(
            outputs, spread, rollout.actions, advantages, given.ent_coef, output_gradient, memory.spread_gradient
        )
        backward(policy, rollout.obs, output_gradient, False)

        squares = value_gradient(forward(value, rollout.obs), rollout.returns, given.vf_coef, gradient)
        backward(value, rollout.obs, gradient, False)

        loss, entropy = policy_loss(log_probs, advantages), mean(entropies)
        metrics.policy_gradient_loss[0], metrics.entropy_loss[0], metrics.value_loss[0] = loss, -entropy, squares
        metrics.loss[0] = loss - given.ent_coef * entropy + given.vf_coef * squares
        metrics.explained_variance[0] = explained_variance(rollout.values, rollout.returns)
        metrics.learning_rate[0] = learning_rate
        descend(memory, learning_rate)
        metrics.n_updates[0] += 1.0

    return update


class A2C(OnPolicyAgent):
    """Advantage actor-critic, for finite actions, a Box, and Tuples and Dicts of both.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = A2C("CartPole-v1", n_envs=8, seed=0).learn(20_000)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_probabilities.shape
        (1, 2)
    """

    id = "a2c"
    make_update = staticmethod(make_update)
    settings = Settings

    learning_rate: LearningRate = 7e-4
    n_steps: RolloutSteps = 5
    gamma: Discount = 0.99
    gae_lambda: GaeLambda = 1.0
    ent_coef: EntropyWeight = 0.0
    vf_coef: ValueWeight = 0.5
    max_grad_norm: MaxGradNorm = 0.5
    use_sde: UseSde = False
    sde_sample_freq: SdeSampleFreq = -1
    rms_prop_eps: Annotated[float, Range("ε of RMSProp", 0, 1, open_low=True)] = 1e-5
    use_rms_prop: Annotated[bool, Choice("RMSProp in place of Adam", (True, False))] = True
    normalize_advantage: Annotated[
        bool, Choice("divide advantages by their deviation in the rollout", (True, False))
    ] = False
    n_envs: NEnvs = 1
    recurrent: Recurrent = None
    recurrent_size: RecurrentSize = 64
    critic_memory: CriticMemory = "own"
    policy: Annotated[
        str, Choice("as RL Zoo's files have it: the networks follow the observations",
                    ("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"))
    ] = "auto"  # fmt: skip

    def metrics(self) -> dict[str, float]:
        """Losses and so on of the last update; ``train/policy_loss`` is Stable-Baselines3's tag with A2C."""
        found = super().metrics()
        return {**found, "train/policy_loss": found["train/policy_gradient_loss"]} if found else found


__all__ = ["A2C", "make_update"]
