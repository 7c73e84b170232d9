"""One iteration of an on-policy agent, two executions.

`iteration` writes a step of all environments once, over a network's functions, a policy head and the agent's own
update. Compiled, it is part of one native loop (`rlplay.compiled.lanes`); as plain Python the same lines run a torch
network, or any Gymnasium environment.

    choose   draw an action for each environment from π(· | S)
    finish   keep the step; when the rollout is full, value it (v and what comes after), estimate advantages, update
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.lanes import Seen
from rlplay.distributions import Head
from rlplay.networks import Kernel
from rlplay.networks.optimisers import Optimiser, improve
from rlplay.normaliser import Normaliser, scale_rewards, see, seen_as
from rlplay.rollout import Rollout, generalised_advantages

# Numbers of the last update, as they are logged.
METRICS = ("loss", "policy_gradient_loss", "value_loss", "entropy_loss", "approx_kl", "clip_fraction",
           "explained_variance", "learning_rate", "grad_norm", "n_updates")  # fmt: skip
(LOSS, POLICY_LOSS, VALUE_LOSS, ENTROPY_LOSS, KL, CLIP_FRACTION, EXPLAINED, RATE, NORM, UPDATES) = range(len(METRICS))
# Places in the settings; an agent's own begin behind them.
GAMMA, LAMBDA, ENTROPY, VALUE, MAX_NORM, WHITEN, OWN = range(7)


class Memory(NamedTuple):
    """What an on-policy agent works on; N environments, D numbers an observation, A an action, K outputs.

    Attributes:
        policy, value: the networks.
        spread: log σ of a Gaussian policy, or the numbers of choices (`rlplay.distributions`), float32.
        spread_gradient: of the loss with respect to it.
        spread_optimiser: its optimiser.
        rollout: the steps since the last update.
        obs: what the networks see now, float32 [N, D].
        masks: what is added to the outputs now, float32 [N, K], or [0, K].
        actions: chosen last, float32 [N, A].
        log_probs: theirs, float64 [N].
        normaliser: running moments of observations and returns.
        room: for log-probabilities and entropies, float64 [2, N]; and for a gradient, float32 [N, K].
        settings: gamma, lambda and so on, float64.
        schedules: of the learning rate and whatever else the agent has.
        rng: streams for actions and for minibatches, uint64 [2, 4].
        metrics: numbers of the last update, float64 [10].
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
    normaliser: Normaliser
    room: tuple[NDArray[np.float64], NDArray[np.float32]]
    settings: NDArray[np.float64]
    schedules: tuple[NDArray[np.float64], ...]
    rng: NDArray[np.uint64]
    metrics: NDArray[np.float64]


class Iteration(NamedTuple):
    """A step of all environments, compiled or plain; see the head of this file."""

    choose: Callable[[Memory], None]
    finish: Callable[[Memory, Seen, float], bool]


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it is, in place of `rlplay.compiled.cache.compiled`."""
    return function


@cache
def iteration(
    kernel: Kernel, head: Head, make_update: Callable[..., Callable[..., None]], compile: Callable[..., Any]
) -> Iteration:
    """The step over a network, a policy head and an agent's ``make_update(kernel, head, compile)``."""
    forward, forward_row, predict = kernel.forward, kernel.forward_row, kernel.predict
    sample, log_probs = head.sample, head.log_probs
    update = make_update(kernel, head, compile)

    @compile
    def choose(memory: Memory) -> None:
        """Draw an action for each environment."""
        outputs, (told, grad) = forward(memory.policy, memory.obs), memory.room
        if memory.masks.shape[0] > 0:  # kept now: after the step they are those of what comes next
            outputs += memory.masks
            for i in range(memory.obs.shape[0]):
                memory.rollout.masks[memory.rollout.counters[0] + i] = memory.masks[i]
        for i in range(memory.obs.shape[0]):
            sample(outputs[i], memory.spread, memory.rng[0], memory.actions[i])
        log_probs(outputs, memory.spread, memory.actions, grad, memory.log_probs, told[0])

    @compile
    def finish(memory: Memory, seen: Seen, progress: float) -> bool:
        """Keep a step of all environments, and update when the rollout is full; False where numbers are not finite."""
        rollout, normaliser, n = memory.rollout, memory.normaliser, memory.obs.shape[0]
        first = rollout.counters[0]
        ends, told = rollout.ends[first : first + n], memory.room[0]
        for i in range(n):
            row = first + i
            rollout.obs[row], rollout.actions[row] = memory.obs[i], memory.actions[i]
            rollout.log_probs[row] = memory.log_probs[i]
            ends[i] = seen.terminated[i] or seen.truncated[i]
            told[0, i] = seen.rewards[i]
        see(normaliser, seen.obs)
        scale_rewards(normaliser, told[0], ends)
        for i in range(n):
            rollout.rewards[first + i], rollout.beyond[first + i] = told[0, i], 0.0
            if ends[i] and not seen.terminated[i]:  # a time limit: the value of where it was cut
                seen_as(normaliser, seen.final[i], memory.obs[i])
                rollout.beyond[first + i] = forward_row(memory.value, memory.obs[i])[0]
            seen_as(normaliser, seen.obs[i], memory.obs[i])
        rollout.counters[0] = first + n
        if first + n < rollout.rewards.shape[0]:
            return True

        values = predict(memory.value, memory.obs)
        for i in range(n):
            if not ends[i]:
                rollout.beyond[first + i] = values[i, 0]
        rollout.values[:] = predict(memory.value, rollout.obs)[:, 0]
        generalised_advantages(rollout, n, memory.settings[GAMMA], memory.settings[LAMBDA])
        rollout.counters[0] = 0
        update(memory, progress)
        return bool(np.isfinite(memory.metrics[LOSS]) and np.isfinite(memory.metrics[NORM]))

    return Iteration(choose, finish)


@cache
def descend(kernel: Kernel, compile: Callable[..., Any]) -> Callable[..., float]:
    """``step(memory, rate)``: a step of both networks and of log σ, the gradient of all together cut to the longest."""
    squared_length, shrink, improve_network = kernel.squared_length, kernel.shrink, kernel.improve

    @compile
    def step(memory: Memory, rate: float) -> float:
        """Returns the length of the gradient before it was cut."""
        total = squared_length(memory.policy) + squared_length(memory.value)
        for i in range(memory.spread_gradient.shape[0]):
            total += memory.spread_gradient[i] ** 2
        length, longest = math.sqrt(total), memory.settings[MAX_NORM]
        if longest > 0.0 and length > longest:
            factor = longest / (length + 1e-6)
            shrink(memory.policy, factor)
            shrink(memory.value, factor)
            for i in range(memory.spread_gradient.shape[0]):
                memory.spread_gradient[i] *= factor
        improve_network(memory.policy, rate, 0.0)
        improve_network(memory.value, rate, 0.0)
        if memory.spread_gradient.shape[0] > 0:
            improve(memory.spread, memory.spread_gradient, memory.spread_optimiser, rate, 0.0)
        return length

    return step
