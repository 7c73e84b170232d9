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
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Choice,
    CriticMemory,
    Discount,
    EntropyWeight,
    Head,
    Kernel,
    LearningRate,
    MaxGradNorm,
    OnPolicyAgent,
    OnPolicyMemory,
    Range,
    Recurrent,
    RecurrentSize,
    Rollout,
    Schedule,
    explained_variance,
    forbid,
    improve,
    in_place,
    mean,
    scheduled,
    standardise,
    time_limit,
)

_LONGEST_EPISODE = 10_000  # steps; one without a time limit is cut here and goes on with the baseline's value


class Settings(NamedTuple):
    """The hyperparameters that the update reads; schedules as tables."""

    learning_rate: Schedule
    baseline_learning_rate: Schedule
    baseline_epochs: int
    normalize_advantage: bool
    ent_coef: float


@in_place
def baseline_gradient(values: Any, returns: NDArray[np.float64], gradient: Any) -> float:
    """∂/∂v̂ of ½ (G - v̂)² / M = (v̂ - G) / M into ``gradient`` [M, 1]; returns the mean of (G - v̂)²."""
    squares, rows = 0.0, returns.shape[0]
    for i in range(rows):
        gap = values[i, 0] - returns[i]
        gradient[i, 0] = gap / rows
        squares += gap * gap / rows
    return squares


def make_update(kernel: Kernel, head: Head, decorator: Callable[..., Any]) -> Callable[..., None]:
    """The update over networks and a policy head: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.distributions import CATEGORICAL
        >>> from rlplay.functional.on_policy_step import plain
        >>> agent = Reinforce("CartPole-v1", seed=0)
        >>> make_update(agent.kernel, CATEGORICAL, plain)(agent.memory, agent.memory.rollout, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    forward, backward, improve_network = kernel.forward, kernel.backward, kernel.improve
    squared_length, log_probs_of, policy_gradient = kernel.squared_length, head.log_probs, head.gradient

    @decorator
    def update(memory: OnPolicyMemory, rollout: Rollout, progress: float) -> None:
        """The two updates of the box over whole episodes."""
        policy, baseline, spread, given = memory.policy, memory.value, memory.spread, memory.settings
        metrics, rows, advantages = memory.metrics, rollout.rewards.shape[0], rollout.advantages  # δ = G - v̂(S, w)
        learning_rate, longest = scheduled(given.learning_rate, progress), memory.max_grad_norm
        log_probs, entropies = np.empty(rows), np.empty(rows)
        output_gradient = np.empty((rows, memory.output_gradient.shape[1]), np.float32)
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
        metrics.grad_norm[0] = np.sqrt(squared_length(policy))
        improve_network(policy, learning_rate, longest)
        if memory.spread_gradient.shape[0] > 0:
            improve(spread, memory.spread_gradient, memory.spread_optimiser, learning_rate, longest)

        gradient, squares = np.empty((rows, 1), np.float32), 0.0
        for _ in range(given.baseline_epochs):
            squares = baseline_gradient(forward(baseline, rollout.obs), rollout.returns, gradient)
            backward(baseline, rollout.obs, gradient, False)
            improve_network(baseline, scheduled(given.baseline_learning_rate, progress), longest)

        loss = 0.0
        for i in range(rows):
            loss -= advantages[i] * log_probs[i] / rows
        entropy = mean(entropies)
        metrics.policy_gradient_loss[0], metrics.entropy_loss[0], metrics.value_loss[0] = loss, -entropy, squares
        metrics.loss[0], metrics.learning_rate[0] = loss - given.ent_coef * entropy + 0.5 * squares, learning_rate
        metrics.explained_variance[0] = explained_variance(rollout.values, rollout.returns)
        metrics.n_updates[0] += 1.0

    return update


class Reinforce(OnPolicyAgent):
    """REINFORCE with baseline, for finite actions, a Box, and Tuples and Dicts of both.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = Reinforce("CartPole-v1", seed=0).learn(20_000)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_probabilities.shape
        (1, 2)
    """

    id = "reinforce"
    make_update = staticmethod(make_update)
    settings = Settings

    learning_rate: LearningRate = 3e-3
    baseline_learning_rate: LearningRate = 3e-3
    gamma: Discount = 0.99
    batch_size: Annotated[
        int, Range("steps after which the next end of an episode brings an update", 1, 1_000_000, integer=True)
    ] = 1000
    baseline_epochs: Annotated[int, Range("steps of the baseline a batch", 1, 1000, integer=True)] = 5
    normalize_advantage: Annotated[bool, Choice("divide advantages by their deviation in the batch", (True, False))] = (
        True
    )
    ent_coef: EntropyWeight = 0.0
    max_grad_norm: MaxGradNorm = 0.5
    recurrent: Recurrent = None
    recurrent_size: RecurrentSize = 64
    critic_memory: CriticMemory = "own"

    def rollout_steps(self) -> int:
        """The batch, and the longest episode that may begin within it."""
        return self.batch_size + (time_limit(self.env) or _LONGEST_EPISODE)

    def least_rows(self, rows: int) -> int:
        """Whole episodes of at least the batch."""
        return self.batch_size


__all__ = ["Reinforce", "make_update"]
