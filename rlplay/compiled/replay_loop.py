"""Episodes played again in native code, from their seeds and actions: a hundred thousand steps in some milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import as_these
from rlplay.compiled.native import NativeDynamics
from rlplay.compiled.pcg64 import reseed


@cache
def replay_loop(native: NativeDynamics) -> Callable[..., int]:
    """The loop over E episodes of T steps in all: ``loop(parameters, state, rng, seeds, lengths, actions, obs, ...)``.

        loop(parameters, state [S], rng [4], seeds [E], lengths [E], actions [T] or [T, A], obs [T + E, D],
             rewards [T], terminated [E]) -> steps done

    Each episode has a row of ``obs`` more than it has steps. Fewer steps than T were done where an episode ended before
    its last action.
    """
    native_reset, native_step, native_observe, _ = native

    @as_these(native_reset, native_step, native_observe)
    def loop(
        parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64],
        seeds: NDArray[np.int64], lengths: NDArray[np.int64], actions: NDArray[Any], obs: NDArray[np.float32],
        rewards: NDArray[np.float64], terminated: NDArray[np.bool_],
    ) -> int:  # fmt: skip
        t = 0
        for e in range(seeds.shape[0]):
            reseed(rng, seeds[e])
            native_reset(parameters, state, rng)
            native_observe(parameters, state, obs[t + e])
            for k in range(lengths[e]):
                rewards[t], ended = native_step(parameters, state, actions[t], rng)
                t += 1
                native_observe(parameters, state, obs[t + e])
                terminated[e] = ended
                if ended and k + 1 < lengths[e]:
                    return t
        return t

    return loop
