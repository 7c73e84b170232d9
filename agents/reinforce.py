"""REINFORCE with baseline: make actions that were followed by more than expected more likely.

Play whole episodes, then move the policy's parameters along the gradient of the log-probability of each action,
weighted by how much its return exceeded the baseline, and the baseline towards the returns:

    θ ← θ + α (G_t - v̂(S_t, w)) ∇ ln π(A_t | S_t, θ)
    w ← w + α_w (G_t - v̂(S_t, w)) ∇ v̂(S_t, w)

With the mean over M steps the gradient at the networks' outputs is, δ = G - v̂,

    ∂L/∂z_b = 1/M {δ [π(b) - 1(b = a)] + c π(b) [log π(b) + H]}        Discrete: logits z
    ∂L/∂μ   = - 1/M δ (a - μ) / σ²                                     Box: means μ; likewise for log σ
    ∂L/∂v̂   = (v̂ - G) / M

Source: Williams 1992; Sutton & Barto 2e, section 13.4, equation (13.11), box on page 330.

Symbols:
    π(a|s, θ)  policy    a network: softmax of its outputs, or their normal        δ  advantages  float64 [M]
    v̂(s, w)    value     the baseline, a network of its own                        G  returns     float64 [M]
    α  learning_rate,  α_w  baseline_learning_rate  float or schedule    c  ent_coef    γ  gamma

Deviations from the box: an update takes all episodes of at least ``batch_size`` steps at once, with their mean
gradient, by Adam; the factor γᵗ is left out, as is common; advantages are normalised over the batch
(``normalize_advantage=False`` leaves them); the baseline takes ``baseline_epochs`` steps a batch; where a time limit
cuts an episode, the return goes on with the baseline's value, since a limit is no terminal state.
``batch_size=1, normalize_advantage=False, baseline_epochs=1`` is the box, but for Adam.
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
    MaxNorm,
    Normalise,
    OnPolicyAgent,
    PolicyKwargs,
    Sized,
    WhoseNetwork,
)
from rlplay.environments.make import EnvLike
from rlplay.functional.distributions import Head
from rlplay.functional.on_policy_step import (  # fmt: skip
    ENTROPY,
    ENTROPY_LOSS,
    EXPLAINED,
    LOSS,
    MAX_NORM,
    NORM,
    OWN,
    POLICY_LOSS,
    RATE,
    UPDATES,
    VALUE_LOSS,
    WHITEN,
    Memory,
)
from rlplay.functional.rollout import Rollout, explained_variance, standardise
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.hyperparameters.domains import Choice, Range
from rlplay.hyperparameters.types import Discount, FeaturesLike, LearningRate
from rlplay.networks import Kernel
from rlplay.networks.optimisers import improve as improve_spread

EPOCHS = OWN
_LONGEST_EPISODE = 10_000  # steps; one without a time limit is cut here and goes on with the baseline's value


def make_update(kernel: Kernel, head: Head, compile: Callable[..., Any]) -> Callable[..., None]:
    """The update over networks and a policy head: compiled, or with ``compile=plain`` as Python."""
    forward, backward, improve = kernel.forward, kernel.backward, kernel.improve
    squared_length, log_probs, policy_gradient = kernel.squared_length, head.log_probs, head.gradient

    @compile
    def update(memory: Memory, rollout: Rollout, progress: float) -> None:
        """The two updates of the box over whole episodes."""
        policy, baseline, spread, settings = memory.policy, memory.value, memory.spread, memory.settings
        metrics, rows, advantages = memory.metrics, rollout.rewards.shape[0], rollout.advantages  # δ = G - v̂(S, w)
        rate, longest, told = scheduled(memory.schedules[0], progress), settings[MAX_NORM], np.empty((2, rows))
        gradient = np.empty((rows, memory.room[1].shape[1]), np.float32)
        if settings[WHITEN] > 0.0:
            standardise(advantages)

        outputs = forward(policy, rollout.obs)
        if rollout.masks.shape[0] > 0:
            outputs += rollout.masks
        log_probs(outputs, spread, rollout.actions, gradient, told[0], told[1])
        policy_gradient(
            outputs, spread, rollout.actions, advantages, settings[ENTROPY], gradient, memory.spread_gradient
        )
        backward(policy, rollout.obs, gradient, False)
        metrics[NORM] = np.sqrt(squared_length(policy))
        improve(policy, rate, longest)
        if memory.spread_gradient.shape[0] > 0:
            improve_spread(spread, memory.spread_gradient, memory.spread_optimiser, rate, longest)

        to_value, squares = np.empty((rows, 1), np.float32), 0.0
        for _ in range(int(settings[EPOCHS])):
            values, squares = forward(baseline, rollout.obs), 0.0
            for i in range(rows):
                gap = values[i, 0] - rollout.returns[i]
                to_value[i, 0] = gap / rows  # ∂/∂v of ½ (G - v)²
                squares += gap * gap / rows
            backward(baseline, rollout.obs, to_value, False)
            improve(baseline, scheduled(memory.schedules[1], progress), longest)

        loss = 0.0
        for i in range(rows):
            loss -= advantages[i] * told[0, i] / rows
        entropy = told[1].mean()
        metrics[POLICY_LOSS], metrics[ENTROPY_LOSS], metrics[VALUE_LOSS] = loss, -entropy, squares
        metrics[LOSS], metrics[RATE] = loss - settings[ENTROPY] * entropy + 0.5 * squares, rate
        metrics[EXPLAINED] = explained_variance(rollout.values, rollout.returns)
        metrics[UPDATES] += 1.0

    return update


class Reinforce(OnPolicyAgent):
    """REINFORCE with baseline, for Discrete, MultiDiscrete, MultiBinary and Box actions.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = Reinforce("CartPole-v1", seed=0).learn(20_000)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_probabilities.shape
        (1, 2)
    """

    id = "reinforce"
    make_update = staticmethod(make_update)

    def __init__(
        self,
        env: EnvLike,
        *,
        learning_rate: LearningRate = 3e-3,
        baseline_learning_rate: LearningRate = 3e-3,
        gamma: Discount = 0.99,
        batch_size: Annotated[
            int, Range("steps after which the next end of an episode brings an update", 1, 1_000_000, integer=True)
        ] = 1000,
        baseline_epochs: Annotated[int, Range("steps of the baseline a batch", 1, 1000, integer=True)] = 5,
        normalize_advantage: Annotated[
            bool, Choice("divide advantages by their deviation in the batch", (True, False))
        ] = True,
        ent_coef: EntropyWeight = 0.0,
        max_grad_norm: MaxNorm = 0.5,
        normalize: Normalise = False,
        net_arch: Sized = (64, 64),
        activation: Activated = "tanh",
        policy_kwargs: PolicyKwargs = None,
        network: WhoseNetwork = "numpy",
        device: Device = "auto",
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, learning_rate=learning_rate, baseline_learning_rate=baseline_learning_rate, gamma=gamma,
            batch_size=batch_size, baseline_epochs=baseline_epochs, normalize_advantage=normalize_advantage,
            ent_coef=ent_coef, max_grad_norm=max_grad_norm, normalize=normalize, net_arch=net_arch,
            activation=activation, policy_kwargs=policy_kwargs, network=network, device=device, features=features,
        )  # fmt: skip

    def _capacity(self) -> int:
        limit = self.env.spec.max_episode_steps if self.env.spec else None
        return int(self.hyperparameters["batch_size"]) + (limit or _LONGEST_EPISODE)

    def _least(self, rows: int) -> int:
        return int(self.hyperparameters["batch_size"])

    def _own_settings(self) -> list[float]:
        return [float(self.hyperparameters["baseline_epochs"])]

    def _schedules(self) -> tuple[NDArray[np.float64], ...]:
        given = self.hyperparameters
        return tabulate(given["learning_rate"]), tabulate(given["baseline_learning_rate"])


__all__ = ["Reinforce", "make_update"]
