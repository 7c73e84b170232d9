"""One iteration of an on-policy agent, two executions.

`iteration` writes a step of all environments once, over a network's functions, a policy head and the agent's own
update. Compiled, it is part of one native loop (`rlplay.compiled.vector_loop`); as plain Python the same lines run a torch
network, or any Gymnasium environment.

    choose   draw an action for each environment from π(· | S)
    finish   keep the step; when the rollout is full, value it (v and what comes after), estimate advantages, update

The rollout is full at its last row; an agent that learns from whole episodes (`LEAST` rows or more) ends it earlier.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.vector_loop import StepBuffer
from rlplay.functional.distributions import Head
from rlplay.functional.rollout import Rollout, generalised_advantages
from rlplay.functional.running_moments import Normaliser, scale_rewards, see, seen_as
from rlplay.networks import Kernel
from rlplay.networks.optimisers import Optimiser, improve

# Numbers of the last update, as they are logged.
METRICS = ("loss", "policy_gradient_loss", "value_loss", "entropy_loss", "approx_kl", "clip_fraction",
           "explained_variance", "learning_rate", "grad_norm", "n_updates")  # fmt: skip
(LOSS, POLICY_LOSS, VALUE_LOSS, ENTROPY_LOSS, KL, CLIP_FRACTION, EXPLAINED, RATE, NORM, UPDATES) = range(len(METRICS))
# Places in the settings; an agent's own begin behind them.
GAMMA, LAMBDA, ENTROPY, VALUE, MAX_NORM, WHITEN, LEAST, OWN = range(8)


class Sight(NamedTuple):
    """A feature map between the observations and the networks, see `rlplay.approximation.feature_map.BoundFeatures`.

    Attributes:
        codes: the fitted map, as its row function takes it.
        samples: the newest observations, a ring, float32 [W, D].
        counts: observations seen first, int64.
        due: how many will be seen when the map is fitted again, int64 [1].
        shift, scale: of each number, float64 [D].
        point: room for a scaled observation, float64 [D].
    """

    codes: Any
    samples: NDArray[np.float32]
    counts: NDArray[np.int64]
    due: NDArray[np.int64]
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    point: NDArray[np.float64]


class Memory(NamedTuple):
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
        log_probs: theirs, float64 [N].
        normaliser: running moments of observations and returns.
        sight: the feature map, or None.
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
    sight: Sight | None
    room: tuple[NDArray[np.float64], NDArray[np.float32]]
    settings: NDArray[np.float64]
    schedules: tuple[NDArray[np.float64], ...]
    rng: NDArray[np.uint64]
    metrics: NDArray[np.float64]


class Iteration(NamedTuple):
    """A step of all environments, compiled or plain; see the head of this file.

    Attributes:
        choose: ``choose(memory)`` writes ``memory.actions``.
        finish: ``finish(memory, seen, progress)`` learns; False where the loop has to stop: numbers are not finite, or
            the feature map is to be fitted again.
        look: ``look(memory, observation [D], out [F])``, an observation as the networks see it.
    """

    choose: Callable[[Memory], None]
    finish: Callable[[Memory, StepBuffer, float], bool]
    look: Callable[..., None]


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it is, in place of `rlplay.compiled.cache.compiled`."""
    return function


@cache
def iteration(
    kernel: Kernel, head: Head, make_update: Callable[..., Callable[..., None]], compile: Callable[..., Any],
    row: Callable[..., None] | None = None,
) -> Iteration:  # fmt: skip
    """The step over a network, a policy head and an agent's ``make_update(kernel, head, compile)``.

    ``row`` is the row function of a feature map, ``row(codes, point [D], out [F])``.
    """
    forward, forward_row, predict = kernel.forward, kernel.forward_row, kernel.predict
    sample, log_probs = head.sample, head.log_probs
    update = make_update(kernel, head, compile)

    @compile
    def see_features(memory: Memory, obs: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        sight = memory.sight
        for i in range(obs.shape[0]):
            sight.point[i] = (obs[i] - sight.shift[i]) / sight.scale[i]  # type: ignore[union-attr]
        row(sight.codes, sight.point, out)  # type: ignore[union-attr, misc]

    @compile
    def keep_features(memory: Memory, obs: NDArray[np.float32]) -> None:
        sight = memory.sight
        sight.samples[sight.counts[0] % sight.samples.shape[0]] = obs  # type: ignore[union-attr]
        sight.counts[0] += 1  # type: ignore[union-attr]

    @compile
    def features_are_due(memory: Memory) -> bool:
        return memory.sight.counts[0] >= memory.sight.due[0]  # type: ignore[union-attr]

    @compile
    def see_observation(memory: Memory, obs: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        seen_as(memory.normaliser, obs, out)

    @compile
    def keep_nothing(memory: Memory, obs: NDArray[np.float32]) -> None:
        pass

    @compile
    def never(memory: Memory) -> bool:
        return False

    look, keep, due = (
        (see_observation, keep_nothing, never) if row is None else (see_features, keep_features, features_are_due)
    )

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
    def finish(memory: Memory, seen: StepBuffer, progress: float) -> bool:
        """Keep a step of all environments, and update when the rollout is full."""
        rollout, normaliser, n = memory.rollout, memory.normaliser, memory.obs.shape[0]
        first = rollout.counters[0]
        ends, told = rollout.ends[first : first + n], memory.room[0]
        for i in range(n):
            at = first + i
            rollout.obs[at], rollout.actions[at] = memory.obs[i], memory.actions[i]
            rollout.log_probs[at] = memory.log_probs[i]
            ends[i] = seen.terminated[i] or seen.truncated[i]
            told[0, i] = seen.rewards[i]
            keep(memory, seen.final[i] if ends[i] else seen.obs[i])
        see(normaliser, seen.obs)
        scale_rewards(normaliser, told[0], ends)
        for i in range(n):
            rollout.rewards[first + i], rollout.beyond[first + i] = told[0, i], 0.0
            if ends[i] and not seen.terminated[i]:  # a time limit: the value of where it was cut
                look(memory, seen.final[i], memory.obs[i])
                rollout.beyond[first + i] = forward_row(memory.value, memory.obs[i])[0]
            look(memory, seen.obs[i], memory.obs[i])
        rows = first + n
        rollout.counters[0] = rows
        if rows < rollout.rewards.shape[0] and not (rows >= memory.settings[LEAST] and ends.all()):
            return True

        filled = Rollout(
            rollout.obs[:rows], rollout.actions[:rows], rollout.masks[:rows], rollout.log_probs[:rows],
            rollout.rewards[:rows], rollout.ends[:rows], rollout.beyond[:rows], rollout.values[:rows],
            rollout.advantages[:rows], rollout.returns[:rows], rollout.counters,
        )  # fmt: skip
        values = predict(memory.value, memory.obs)
        for i in range(n):
            if not ends[i]:
                filled.beyond[first + i] = values[i, 0]
        filled.values[:] = predict(memory.value, filled.obs)[:, 0]
        generalised_advantages(filled, n, memory.settings[GAMMA], memory.settings[LAMBDA])
        rollout.counters[0] = 0
        update(memory, filled, progress)
        healthy = bool(np.isfinite(memory.metrics[LOSS]) and np.isfinite(memory.metrics[NORM]))
        return healthy and not due(memory)

    return Iteration(choose, finish, look)


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
