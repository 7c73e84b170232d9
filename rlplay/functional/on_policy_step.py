"""One iteration of an on-policy agent: a step of all environments over a policy, a value and the agent's own update.

    choose   draw an action for each environment from π(· | S)
    finish   keep the step; when the rollout is full, value it (v and what comes after), estimate advantages, update

Both executions, compiled and plain, and when a rollout is full: `rlplay.functional.rollout_step`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.by_reference import by_reference
from rlplay.functional.distributions import Head
from rlplay.functional.rollout import Rollout, copy_row, forbid, generalised_advantages
from rlplay.functional.rollout_step import RolloutRule, rollout_iteration
from rlplay.functional.running_moments import RunningMoments
from rlplay.functional.state_noise import STATE_DEPENDENT, StateNoise, add_noise, draw_matrices
from rlplay.functional.vector_step import Decorator, FeatureState, Iteration, Scalar, plain
from rlplay.networks.contract import Kernel
from rlplay.networks.optimisers import Optimiser, improve


class Metrics(NamedTuple):
    """Numbers of the last update, as they are logged, float64 [1] each.

    Attributes:
        loss: of policy, entropy and values together.
        policy_gradient_loss, value_loss, entropy_loss: its parts, without their weights.
        approx_kl: divergence from the policy before the update.
        clip_fraction: share of the steps whose ratio was clipped.
        explained_variance: of the returns by the values before the update.
        learning_rate: of the update.
        grad_norm: length of the last gradient before it was cut.
        n_updates: updates so far.

    Example:
        >>> numbers = np.zeros(10)
        >>> metrics = Metrics(*(numbers[i : i + 1] for i in range(10)))
        >>> metrics.n_updates[0] += 1.0  # all are kept in one array
        >>> numbers.tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    """

    loss: Scalar
    policy_gradient_loss: Scalar
    value_loss: Scalar
    entropy_loss: Scalar
    approx_kl: Scalar
    clip_fraction: Scalar
    explained_variance: Scalar
    learning_rate: Scalar
    grad_norm: Scalar
    n_updates: Scalar


class OnPolicyMemory(NamedTuple):
    """What an on-policy agent works on; N environments, D numbers an observation, A an action, K outputs.

    Attributes:
        policy, value: the networks.
        spread: log σ of a Gaussian policy, or the numbers of choices (`rlplay.functional.distributions`), float32.
        spread_gradient: of the loss with respect to it.
        spread_optimiser: its optimiser.
        rollout: the steps since the last update.
        obs: what the networks see now, float32 [N, D].
        masks: what is added to the outputs now, float32 [N, K], or [0, K].
        actions: chosen last, float32 [N, A].
        log_probs, entropies: of the policy when they were chosen, float64 [N].
        rewards: of the last step, float64 [N].
        output_gradient: what the head needs between its functions, float32 [N, K].
        moments: running moments of observations and returns.
        features: the feature map, or None.
        gamma, gae_lambda: of the advantages.
        max_grad_norm: the longest gradient of both networks together, 0 for any.
        least_rows: rows from which the end of an episode ends the rollout.
        settings: the agent's own hyperparameters, a NamedTuple.
        action_rng, minibatch_rng: streams of random numbers, uint64 [4].
        noise: matrices of state-dependent exploration.
        metrics: numbers of the last update, `Metrics` or an agent's own, loss, grad_norm and n_updates among them.

    Example:
        >>> from agents import A2C
        >>> memory = A2C("CartPole-v1", n_envs=2, seed=0).memory
        >>> memory.obs.shape, memory.gamma
        ((2, 4), 0.99)
    """

    policy: Any
    value: Any
    spread: NDArray[np.float32]
    spread_gradient: NDArray[np.float32]
    spread_optimiser: Optimiser
    rollout: Rollout
    obs: NDArray[np.float32]
    masks: NDArray[np.float32]
    actions: NDArray[np.float32]
    log_probs: NDArray[np.float64]
    entropies: NDArray[np.float64]
    rewards: NDArray[np.float64]
    output_gradient: NDArray[np.float32]
    moments: RunningMoments
    features: FeatureState | None
    gamma: float
    gae_lambda: float
    max_grad_norm: float
    least_rows: int
    settings: Any
    action_rng: NDArray[np.uint64]
    minibatch_rng: NDArray[np.uint64]
    noise: StateNoise
    metrics: Any


@cache
def iteration(
    kernel: Kernel, head: Head, make_update: Callable[..., Callable[..., None]], decorator: Decorator,
    fill: Callable[..., None] | None = None,
) -> Iteration:  # fmt: skip
    """The step over a network, a policy head and an agent's ``make_update(kernel, head, decorator)``.

    Args:
        kernel: the functions of both networks.
        head: the policy.
        make_update: makes ``update(memory, rollout, progress)``.
        decorator: ``compiled``, or `plain`.
        fill: the function of a feature map, ``fill(codes, point [D], out [F])``.

    Example:
        >>> from agents import A2C
        >>> from rlplay.functional.distributions import CATEGORICAL
        >>> agent = A2C("CartPole-v1", n_envs=2, seed=0)
        >>> iteration(agent.kernel, CATEGORICAL, A2C.make_update, plain).choose(agent.memory)
        >>> bool((agent.memory.rollout.log_probs[:2] < 0.0).all())  # of the actions that were drawn
        True
    """
    forward, forward_row, predict = kernel.forward, kernel.forward_row, kernel.predict
    sample, log_probs = head.sample, head.log_probs
    update = make_update(kernel, head, decorator)

    @decorator
    def choose(memory: OnPolicyMemory) -> None:
        """Draw an action for each environment."""
        memory = by_reference(memory)
        rollout, first, n = memory.rollout, memory.rollout.filled[0], memory.obs.shape[0]
        outputs = forward(memory.policy, memory.obs)
        if memory.masks.shape[0] > 0:  # kept now: after the step they are those of what comes next
            forbid(outputs, memory.masks)
            for i in range(n):
                copy_row(memory.masks, i, rollout.masks, first + i)
        for i in range(n):
            sample(outputs[i], memory.spread, memory.action_rng, memory.actions[i])
        log_probs(outputs, memory.spread, memory.actions, memory.output_gradient, memory.log_probs, memory.entropies)
        for i in range(n):
            rollout.log_probs[first + i] = memory.log_probs[i]

    @decorator
    def choose_smoothly(memory: OnPolicyMemory) -> None:
        """An action for each environment, by noise that depends on the state."""
        memory = by_reference(memory)
        rollout, first, n, noise = memory.rollout, memory.rollout.filled[0], memory.obs.shape[0], memory.noise
        step = first // n
        if step == 0 or (noise.sample_freq > 0 and step % noise.sample_freq == 0):
            draw_matrices(noise.matrices, memory.spread, memory.action_rng)
        outputs = forward(memory.policy, memory.obs)
        add_noise(outputs, noise.matrices, memory.actions)
        log_probs(outputs, memory.spread, memory.actions, memory.output_gradient, memory.log_probs, memory.entropies)
        for i in range(n):
            rollout.log_probs[first + i] = memory.log_probs[i]

    @decorator
    def final_value(memory: OnPolicyMemory, i: int) -> float:
        """v̂ of what environment i showed last."""
        return forward_row(memory.value, memory.obs[i])[0]

    @decorator
    def bootstrap(memory: OnPolicyMemory, rollout: Rollout, first: int) -> None:
        """v̂ of what all environments show now."""
        values = predict(memory.value, memory.obs)
        for i in range(memory.obs.shape[0]):
            if not rollout.ends[first + i]:
                rollout.bootstrap_values[first + i] = values[i, 0]

    @decorator
    def learn(memory: OnPolicyMemory, rollout: Rollout, progress: float) -> None:
        """Value the rollout, estimate advantages, update."""
        values = predict(memory.value, rollout.obs)
        for row in range(rollout.rewards.shape[0]):
            rollout.values[row] = values[row, 0]
        generalised_advantages(rollout, memory.obs.shape[0], memory.gamma, memory.gae_lambda)
        update(memory, rollout, progress)

    chosen = choose_smoothly if head is STATE_DEPENDENT else choose
    return rollout_iteration(RolloutRule(chosen, final_value, bootstrap, learn), decorator, fill)


@cache
def descent(kernel: Kernel, decorator: Decorator) -> Callable[..., None]:
    """``descend(memory, learning_rate)``: a step of both networks and of log σ down their gradients.

    The gradient of all together is cut to ``max_grad_norm``; its length before that goes into the metrics.

    Example:
        >>> from agents import A2C
        >>> agent = A2C("CartPole-v1", seed=0)
        >>> descent(agent.kernel, plain)(agent.memory, 0.01)
        >>> agent.memory.metrics.grad_norm.tolist()  # there is no gradient yet
        [0.0]
    """
    squared_length, shrink, improve_network = kernel.squared_length, kernel.shrink, kernel.improve

    @decorator
    def descend(memory: OnPolicyMemory, learning_rate: float) -> None:
        total = squared_length(memory.policy) + squared_length(memory.value)
        for i in range(memory.spread_gradient.shape[0]):
            total += memory.spread_gradient[i] ** 2
        length, longest = np.float64(np.sqrt(total)), memory.max_grad_norm
        memory.metrics.grad_norm[0] = length
        if longest > 0.0 and length > longest:
            factor = np.float64(longest / (length + 1e-6))  # float64 in plain Python too, beside float32 gradients
            shrink(memory.policy, factor)
            shrink(memory.value, factor)
            for i in range(memory.spread_gradient.shape[0]):
                memory.spread_gradient[i] *= factor
        improve_network(memory.policy, learning_rate, 0.0)
        improve_network(memory.value, learning_rate, 0.0)
        if memory.spread_gradient.shape[0] > 0:
            improve(memory.spread, memory.spread_gradient, memory.spread_optimiser, learning_rate, 0.0)

    return descend


__all__ = ["FeatureState", "Iteration", "Metrics", "OnPolicyMemory", "descent", "iteration", "plain"]
