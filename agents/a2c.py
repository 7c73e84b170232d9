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
from rlplay.environments.make import EnvLike
from rlplay.functional.distributions import Head
from rlplay.functional.on_policy_step import (  # fmt: skip
    ENTROPY,
    ENTROPY_LOSS,
    EXPLAINED,
    LOSS,
    NORM,
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
from rlplay.functional.schedules import scheduled
from rlplay.hyperparameters.domains import Choice, Range
from rlplay.hyperparameters.types import Discount, FeaturesLike, LearningRate
from rlplay.networks import Kernel

Array = NDArray[np.float64]


@in_place
def value_gradient(values: Any, returns: Array, weight: float, grad: Any) -> float:
    """∂L/∂v̂ = 2 c_v (v̂ - G) / M into ``grad`` [M, 1]; returns the mean of (v̂ - G)²."""
    loss, n = 0.0, returns.shape[0]
    for i in range(n):
        gap = values[i, 0] - returns[i]
        loss += gap * gap / n
        grad[i, 0] = 2.0 * weight * gap / n
    return loss


@in_place
def weighted(log_probs: Array, advantages: Array) -> float:
    """The loss without entropy, - 1/M Σ A log π."""
    total, n = 0.0, log_probs.shape[0]
    for i in range(n):
        total -= advantages[i] * log_probs[i] / n
    return total


def make_update(kernel: Kernel, head: Head, compile: Callable[..., Any]) -> Callable[..., None]:
    """The update over networks and a policy head: compiled, or with ``compile=plain`` as Python."""
    forward, backward, descent = kernel.forward, kernel.backward, descend(kernel, compile)
    head_log_probs, head_gradient = head.log_probs, head.gradient

    @compile
    def update(memory: Memory, rollout: Rollout, progress: float) -> None:
        """One step over a rollout."""
        policy, value, spread, settings = memory.policy, memory.value, memory.spread, memory.settings
        rows, advantages = rollout.rewards.shape[0], rollout.advantages
        rate, told = scheduled(memory.schedules[0], progress), np.empty((2, rows))
        grad, to_value = np.empty((rows, memory.room[1].shape[1]), np.float32), np.empty((rows, 1), np.float32)
        if settings[WHITEN] > 0.0:
            standardise(advantages)

        outputs = forward(policy, rollout.obs)
        if rollout.masks.shape[0] > 0:
            outputs += rollout.masks
        head_log_probs(outputs, spread, rollout.actions, grad, told[0], told[1])
        head_gradient(outputs, spread, rollout.actions, advantages, settings[ENTROPY], grad, memory.spread_gradient)
        backward(policy, rollout.obs, grad, False)

        squares = value_gradient(forward(value, rollout.obs), rollout.returns, settings[VALUE], to_value)
        backward(value, rollout.obs, to_value, False)

        metrics, entropy = memory.metrics, told[1].mean()
        metrics[NORM], metrics[RATE] = descent(memory, rate), rate
        metrics[POLICY_LOSS], metrics[ENTROPY_LOSS] = weighted(told[0], advantages), -entropy
        metrics[VALUE_LOSS] = squares
        metrics[LOSS] = metrics[POLICY_LOSS] - settings[ENTROPY] * entropy + settings[VALUE] * squares
        metrics[EXPLAINED] = explained_variance(rollout.values, rollout.returns)
        metrics[UPDATES] += 1.0

    return update


class A2C(OnPolicyAgent):
    """Advantage actor-critic, for Discrete, MultiDiscrete, MultiBinary and Box actions.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = A2C("CartPole-v1", n_envs=8, seed=0).learn(20_000)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_probabilities.shape
        (1, 2)
    """

    id = "a2c"
    make_update = staticmethod(make_update)

    def __init__(
        self,
        env: EnvLike,
        *,
        learning_rate: LearningRate = 7e-4,
        n_steps: Steps = 5,
        gamma: Discount = 0.99,
        gae_lambda: Lambda = 1.0,
        ent_coef: EntropyWeight = 0.0,
        vf_coef: ValueWeight = 0.5,
        max_grad_norm: MaxNorm = 0.5,
        rms_prop_eps: Annotated[float, Range("ε of RMSProp", 0, 1, open_low=True)] = 1e-5,
        use_rms_prop: Annotated[bool, Choice("RMSProp in place of Adam", (True, False))] = True,
        normalize_advantage: Annotated[
            bool, Choice("divide advantages by their deviation in the rollout", (True, False))
        ] = False,
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
            env, seed=seed, learning_rate=learning_rate, n_steps=n_steps, gamma=gamma, gae_lambda=gae_lambda,
            ent_coef=ent_coef, vf_coef=vf_coef, max_grad_norm=max_grad_norm, rms_prop_eps=rms_prop_eps,
            use_rms_prop=use_rms_prop, normalize_advantage=normalize_advantage, n_envs=n_envs, normalize=normalize,
            net_arch=net_arch, activation=activation, policy=policy, policy_kwargs=policy_kwargs, network=network,
            device=device, features=features,
        )  # fmt: skip

    def optimiser(self) -> tuple[str, dict[str, float]]:
        """RMSProp, or Adam."""
        given = self.hyperparameters
        return ("rmsprop", {"eps": given["rms_prop_eps"]}) if given["use_rms_prop"] else ("adam", {"eps": 1e-5})


__all__ = ["A2C", "make_update"]
