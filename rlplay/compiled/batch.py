"""Many environments side by side in native code: one call resets or steps all of them.

The state of environment i lies in row i of flat arrays, so memory is linear in their number and a step costs the same
for each, however many there are. Each has a generator of its own, so environment i does what it would do alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import as_these, in_place
from rlplay.compiled.native import NativeDynamics
from rlplay.compiled.pcg64 import reseed
from rlplay.compiled.table import reset_table, step_table

# What happens at an episode's end: the next step begins anew, the same step does, or nothing does.
NEXT_STEP, SAME_STEP, DISABLED = range(3)


class Batch(NamedTuple):
    """The two loops over N environments.

    Attributes:
        reset: ``reset(parameters, state, rng, chosen, obs)`` begins an episode in the chosen environments, bool [N].
        step: ``step(parameters, state, rng, elapsed, over, actions, limit, mode, obs, final_obs, rewards, terminated,
            truncated) -> (ended, first)``: how many episodes ended, and the first environment with a number that is
            not finite, -1 for none. ``over`` marks those that wait for their reset, bool [N]; ``final_obs`` takes the
            last observations where ``mode`` is SAME_STEP.
    """

    reset: Callable[..., None]
    step: Callable[..., tuple[int, int]]


@cache
def native_batch(native: NativeDynamics) -> Batch:
    """The loops of an environment with a vector state: state float64 [N, D], observations float32 [N, O]."""
    native_reset, native_step, native_observe = native.reset, native.step, native.observe
    joined = as_these(native_reset, native_step, native_observe)

    @joined
    def begin(parameters: Any, state: Any, rng: Any, obs: Any, i: int) -> None:
        native_reset(parameters, state[i], rng[i])
        native_observe(parameters, state[i], obs[i])

    @joined
    def move(parameters: Any, state: Any, rng: Any, actions: Any, obs: Any, i: int) -> tuple[float, bool]:
        reward, terminated = native_step(parameters, state[i], actions[i], rng[i])
        native_observe(parameters, state[i], obs[i])
        return reward, terminated

    @joined
    def copy_obs(obs: Any, to: Any, i: int) -> None:
        for j in range(obs.shape[1]):
            to[i, j] = obs[i, j]

    @joined
    def poison(obs: Any, i: int) -> float:
        """0, or NaN where a number is not finite."""
        total = 0.0
        for j in range(obs.shape[1]):
            total += obs[i, j] * 0.0
        return total

    return _loops(begin, move, copy_obs, poison, joined)


@cache
def table_batch() -> Batch:
    """The loops of an environment with a transition table: state and observations int64 [N]."""

    @in_place
    def begin(parameters: Any, state: Any, rng: Any, obs: Any, i: int) -> None:
        state[i] = obs[i] = reset_table(parameters, rng[i])

    @in_place
    def move(parameters: Any, state: Any, rng: Any, actions: Any, obs: Any, i: int) -> tuple[float, bool]:
        state[i], reward, terminated = step_table(parameters, state[i], actions[i], rng[i])
        obs[i] = state[i]
        return reward, terminated

    @in_place
    def copy_obs(obs: Any, to: Any, i: int) -> None:
        to[i] = obs[i]

    @in_place
    def poison(obs: Any, i: int) -> float:
        return 0.0

    return _loops(begin, move, copy_obs, poison, in_place)


def _loops(
    begin: Callable[..., None],
    move: Callable[..., Any],
    copy_obs: Callable[..., None],
    poison: Callable[..., float],
    joined: Callable[..., Any],
) -> Batch:
    @joined
    def reset(parameters: Any, state: Any, rng: NDArray[np.uint64], chosen: NDArray[np.bool_], obs: Any) -> None:
        for i in range(chosen.shape[0]):
            if chosen[i]:
                begin(parameters, state, rng, obs, i)

    @joined
    def step(
        parameters: Any,
        state: Any,
        rng: NDArray[np.uint64],
        elapsed: NDArray[np.int64],
        over: NDArray[np.bool_],
        actions: Any,
        limit: int,
        mode: int,
        obs: Any,
        final_obs: Any,
        rewards: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
    ) -> tuple[int, int]:
        ended, poisoned = 0, 0.0
        for i in range(elapsed.shape[0]):
            if mode == NEXT_STEP and over[i]:
                begin(parameters, state, rng, obs, i)
                elapsed[i], over[i] = 0, False
                rewards[i], terminated[i], truncated[i] = 0.0, False, False
                continue
            reward, end = move(parameters, state, rng, actions, obs, i)
            elapsed[i] += 1
            cut = 0 < limit <= elapsed[i]
            rewards[i], terminated[i], truncated[i] = reward, end, cut
            poisoned += reward * 0.0 + poison(obs, i)
            if end or cut:
                ended += 1
                if mode == SAME_STEP:
                    copy_obs(obs, final_obs, i)
                    begin(parameters, state, rng, obs, i)
                    elapsed[i] = 0
                else:
                    over[i] = True
        if poisoned == 0.0:
            return ended, -1
        for i in range(elapsed.shape[0]):
            if not math.isfinite(rewards[i]) or poison(obs, i) != 0.0:
                return ended, i
        return ended, 0  # the first observation of an episode took the place of the last one

    return Batch(reset, step)


@in_place
def reseed_batch(rng: NDArray[np.uint64], seeds: NDArray[np.int64]) -> None:
    """Put each generator into the state of ``numpy.random.PCG64(seed)``; -1 leaves it."""
    for i in range(seeds.shape[0]):
        if seeds[i] >= 0:
            reseed(rng[i], seeds[i])


@in_place
def first_outside(actions: NDArray[np.int64], n: int) -> int:
    """The first environment whose action is not 0 to n - 1; -1 for none."""
    for i in range(actions.shape[0]):
        if actions[i] < 0 or actions[i] >= n:
            return i
    return -1


@in_place
def first_forbidden(
    defined: NDArray[np.bool_], state: NDArray[np.int64], actions: NDArray[np.int64], over: NDArray[np.bool_]
) -> int:
    """The first environment that would take an action that does nothing in its state; -1. ``defined`` is [S, A]."""
    for i in range(actions.shape[0]):
        if not defined[state[i], actions[i]] and not over[i]:
            return i
    return -1


@in_place
def bound(
    actions: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32], out: NDArray[np.float32]
) -> int:
    """Write the actions [N, A] within their bounds [A]; the first environment whose action is not finite; -1."""
    for i in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            if not math.isfinite(actions[i, j]):
                return i
            out[i, j] = min(max(actions[i, j], low[j]), high[j])
    return -1
