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
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.on_policy import (  # fmt: skip
    Activated,
    Device,
    EntropyWeight,
    Lambda,
    MaxNorm,
    NEnvs,
    Normalise,
    OnPolicyAgent,
    PolicyKwargs,
    Sized,
    Steps,
    ValueWeight,
    WhoseNetwork,
)
from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import random
from rlplay.environments.make import EnvLike
from rlplay.errors import HyperparameterError
from rlplay.functional.distributions import Head
from rlplay.functional.on_policy_step import (  # fmt: skip
    CLIP_FRACTION,
    ENTROPY,
    ENTROPY_LOSS,
    EXPLAINED,
    KL,
    LOSS,
    NORM,
    OWN,
    POLICY_LOSS,
    RATE,
    UPDATES,
    VALUE,
    VALUE_LOSS,
    WHITEN,
    Memory,
    descend,
)
from rlplay.functional.rollout import Rollout, explained_variance, standardise
from rlplay.functional.schedules import ScheduleLike, scheduled, tabulate
from rlplay.hyperparameters.domains import Choice, Either, Range
from rlplay.hyperparameters.types import Discount, FeaturesLike, LearningRate
from rlplay.networks import Kernel

EPOCHS, BATCH, TARGET_KL = range(OWN, OWN + 3)
Array = NDArray[np.float64]


@in_place
def shuffle(order: NDArray[np.int64], rng: NDArray[np.uint64]) -> None:
    """A random order of the rows, in place (Fisher and Yates)."""
    for i in range(order.shape[0] - 1, 0, -1):
        j = int(random(rng) * (i + 1))
        order[i], order[j] = order[j], order[i]


@in_place
def surrogate(
    log_probs: Array, old: Array, advantages: Array, clip: float, weights: Array
) -> tuple[float, float, float]:
    """The weights w of the head of this file, [B]; returns -mean of the minimum, the divergence, the share clipped.

    The divergence from the old policy is estimated by (r - 1) - log r (Schulman 2020).
    """
    loss, divergence, clipped, n = 0.0, 0.0, 0.0, old.shape[0]
    for i in range(n):
        log_ratio = log_probs[i] - old[i]
        ratio = math.exp(log_ratio)
        free, held = ratio * advantages[i], min(max(ratio, 1.0 - clip), 1.0 + clip) * advantages[i]
        weights[i] = free if free <= held else 0.0
        loss -= min(free, held) / n
        divergence += (ratio - 1.0 - log_ratio) / n
        clipped += (abs(ratio - 1.0) > clip) / n
    return loss, divergence, clipped


@in_place
def value_gradient(values: Any, old: Array, returns: Array, weight: float, clip: float, grad: Any) -> float:
    """∂L/∂v̂ = 2 c_v (v̂ - G) / B into ``grad`` [B, 1]; where values left the old ones by more than ``clip``, 0.

    Returns the mean of (v̂ - G)², with v̂ held within the clip (none where it is 0).
    """
    loss, n = 0.0, old.shape[0]
    for i in range(n):
        value, free = float(values[i, 0]), True
        if clip > 0.0 and abs(value - old[i]) > clip:
            value, free = old[i] + (clip if value > old[i] else -clip), False
        gap = value - returns[i]
        loss += gap * gap / n
        grad[i, 0] = 2.0 * weight * gap / n if free else 0.0
    return loss


def make_update(kernel: Kernel, head: Head, compile: Callable[..., Any]) -> Callable[..., None]:
    """The update over networks and a policy head: compiled, or with ``compile=plain`` as Python."""
    forward, backward, descent = kernel.forward, kernel.backward, descend(kernel, compile)
    head_log_probs, head_gradient = head.log_probs, head.gradient

    @compile
    def update(memory: Memory, rollout: Rollout, progress: float) -> None:
        """All epochs over a rollout."""
        policy, value, spread, settings = memory.policy, memory.value, memory.spread, memory.settings
        metrics, rows, outputs_size = memory.metrics, rollout.rewards.shape[0], memory.room[1].shape[1]
        epochs, batch, target = int(settings[EPOCHS]), int(settings[BATCH]), settings[TARGET_KL]
        rate, clip = scheduled(memory.schedules[0], progress), scheduled(memory.schedules[1], progress)
        clip_values = scheduled(memory.schedules[2], progress)
        order, told = np.arange(rows), np.empty((5, batch))
        obs = np.empty((batch, rollout.obs.shape[1]), np.float32)
        actions = np.empty((batch, rollout.actions.shape[1]), np.float32)
        grad, to_value = np.empty((batch, outputs_size), np.float32), np.empty((batch, 1), np.float32)
        sums, count, going = np.zeros(6), 0, True

        for _ in range(epochs):
            if not going:
                break
            shuffle(order, memory.rng[1])
            for begin in range(0, rows, batch):
                n = min(batch, rows - begin)
                old, advantages, log_probs = told[0, :n], told[1, :n], told[2, :n]
                entropies, weights = told[3, :n], told[4, :n]
                for i in range(n):
                    row = order[begin + i]
                    obs[i], actions[i] = rollout.obs[row], rollout.actions[row]
                    old[i], advantages[i] = rollout.log_probs[row], rollout.advantages[row]
                if settings[WHITEN] > 0.0:
                    standardise(advantages)

                outputs = forward(policy, obs[:n])
                if rollout.masks.shape[0] > 0:
                    for i in range(n):
                        outputs[i] += rollout.masks[order[begin + i]]
                head_log_probs(outputs, spread, actions[:n], grad[:n], log_probs, entropies)
                loss, divergence, clipped = surrogate(log_probs, old, advantages, clip, weights)
                entropy = entropies.mean()
                sums[:4] += np.array([loss, entropy, divergence, clipped])
                count += 1
                if target > 0.0 and divergence > 1.5 * target:
                    going = False
                    break
                head_gradient(
                    outputs, spread, actions[:n], weights, settings[ENTROPY], grad[:n], memory.spread_gradient
                )
                backward(policy, obs[:n], grad[:n], False)

                for i in range(n):
                    row = order[begin + i]
                    old[i], advantages[i] = rollout.values[row], rollout.returns[row]
                values = forward(value, obs[:n])
                squares = value_gradient(values, old, advantages, settings[VALUE], clip_values, to_value)
                backward(value, obs[:n], to_value[:n], False)
                sums[4], sums[5] = sums[4] + squares, descent(memory, rate)
                metrics[LOSS] = loss - settings[ENTROPY] * entropy + settings[VALUE] * squares
                metrics[UPDATES] += 1.0

        metrics[POLICY_LOSS], metrics[ENTROPY_LOSS] = sums[0] / count, -sums[1] / count
        metrics[KL], metrics[CLIP_FRACTION] = sums[2] / count, sums[3] / count
        metrics[VALUE_LOSS], metrics[NORM], metrics[RATE] = sums[4] / count, sums[5], rate
        metrics[EXPLAINED] = explained_variance(rollout.values, rollout.returns)

    return update


class PPO(OnPolicyAgent):
    """Proximal policy optimisation, for Discrete, MultiDiscrete, MultiBinary and Box actions.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = PPO("CartPole-v1", n_envs=8, n_steps=32, batch_size=256, n_epochs=10, seed=0).learn(20_000)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_probabilities.shape
        (1, 2)
    """

    id = "ppo"
    make_update = staticmethod(make_update)

    def __init__(
        self,
        env: EnvLike,
        *,
        learning_rate: LearningRate = 3e-4,
        n_steps: Steps = 2048,
        batch_size: Annotated[int, Range("steps of a minibatch", 1, 10_000_000, integer=True)] = 64,
        n_epochs: Annotated[int, Range("passes over a rollout", 1, 1000, integer=True)] = 10,
        gamma: Discount = 0.99,
        gae_lambda: Lambda = 0.95,
        clip_range: Annotated[
            ScheduleLike, Range("how far the ratio of probabilities may leave 1", 0, open_low=True, schedule=True)
        ] = 0.2,
        clip_range_vf: Annotated[
            Any, Either((None,), Range("how far values may move a rollout", 0, open_low=True, schedule=True))
        ] = None,
        normalize_advantage: Annotated[
            bool, Choice("divide advantages by their deviation in the minibatch", (True, False))
        ] = True,
        ent_coef: EntropyWeight = 0.0,
        vf_coef: ValueWeight = 0.5,
        max_grad_norm: MaxNorm = 0.5,
        target_kl: Annotated[
            Any, Either((None,), Range("divergence at which a rollout's epochs end", 0, open_low=True))
        ] = None,
        n_envs: NEnvs = 1,
        normalize: Normalise = False,
        net_arch: Sized = (64, 64),
        activation: Activated = "tanh",
        policy: Annotated[
            str, Choice("as RL Zoo's files have it: the networks follow the observations",
                        ("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"))
        ] = "auto",
        policy_kwargs: PolicyKwargs = None,
        network: WhoseNetwork = "numpy",
        device: Device = "auto",
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            env, seed=seed, learning_rate=learning_rate, n_steps=n_steps, batch_size=batch_size, n_epochs=n_epochs,
            gamma=gamma, gae_lambda=gae_lambda, clip_range=clip_range, clip_range_vf=clip_range_vf,
            normalize_advantage=normalize_advantage, ent_coef=ent_coef, vf_coef=vf_coef, max_grad_norm=max_grad_norm,
            target_kl=target_kl, n_envs=n_envs, normalize=normalize, net_arch=net_arch, activation=activation,
            policy=policy, policy_kwargs=policy_kwargs, network=network, device=device, features=features,
        )  # fmt: skip

    def _room(self, rows: int) -> int:
        batch = self.hyperparameters["batch_size"]
        if batch > rows:
            raise HyperparameterError(
                f"PPO: batch_size={batch} is more than the {rows} steps of a rollout (n_steps * n_envs)",
                "Raise n_steps or n_envs, or lower batch_size",
            )
        return max(batch, self.hyperparameters["n_envs"])

    def _own_settings(self) -> list[float]:
        given = self.hyperparameters
        return [float(given["n_epochs"]), float(given["batch_size"]), float(given["target_kl"] or 0.0)]

    def _schedules(self) -> tuple[Array, ...]:
        given = self.hyperparameters
        values: Sequence[Any] = (given["learning_rate"], given["clip_range"], given["clip_range_vf"] or 0.0)
        return tuple(tabulate(value) for value in values)


__all__ = ["PPO", "make_update"]
