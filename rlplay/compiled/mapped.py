"""A feature map between an environment's observations and a learning rule, in the native loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.compiled.loops import Dynamics
from rlplay.compiled.native import NativeDynamics, World, carries_nothing, vector_dynamics


class Mapped(NamedTuple):
    """What the native loop works on where a feature map stands between the observation and the rule.

    Attributes:
        world: the environment.
        codes: the fitted map, as its row function takes it.
        samples: the newest observations, a ring, float32 [W, O].
        counts: observations seen first, int64.
        shift: what is subtracted from an observation, float64 [O].
        scale: by what it is then divided, float64 [O].
        point: room for the result, float64 [O].
        features: of the observation before the step, float32 [F].
        next_features: of the one after it, float32 [F].
    """

    world: World
    codes: Any
    samples: NDArray[np.float32]
    counts: NDArray[np.int64]
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    point: NDArray[np.float64]
    features: NDArray[np.float32]
    next_features: NDArray[np.float32]


@cache
def mapped_dynamics(native: NativeDynamics, row: Callable[..., Any], numbered: bool) -> Dynamics:
    """The dynamics behind a feature map: states are its labels (``numbered``), or vectors of features."""
    inner = vector_dynamics(native)
    inner_reset, inner_step, inner_settle = inner.reset, inner.step, inner.settle

    @compiled
    def look(mapped: Mapped, obs: NDArray[np.float32]) -> NDArray[np.float64]:
        for i in range(obs.shape[0]):
            mapped.point[i] = (obs[i] - mapped.shift[i]) / mapped.scale[i]
        return mapped.point

    @compiled
    def label(mapped: Mapped, obs: NDArray[np.float32], out: NDArray[np.float32]) -> int:
        return row(mapped.codes, look(mapped, obs))

    @compiled
    def vector(mapped: Mapped, obs: NDArray[np.float32], out: NDArray[np.float32]) -> NDArray[np.float32]:
        row(mapped.codes, look(mapped, obs), out)
        return out

    encode = label if numbered else vector

    @compiled
    def reset(mapped: Mapped, rng: NDArray[np.uint64]) -> Any:
        return encode(mapped, inner_reset(mapped.world, rng), mapped.features)

    @compiled
    def step(mapped: Mapped, state: Any, action: Any, rng: NDArray[np.uint64]) -> tuple[Any, float, bool]:
        obs, reward, terminated = inner_step(mapped.world, mapped.world.obs, action, rng)
        mapped.samples[mapped.counts[0] % mapped.samples.shape[0]] = obs
        mapped.counts[0] += 1
        return encode(mapped, obs, mapped.next_features), reward, terminated

    @compiled
    def stand(mapped: Mapped, running: int) -> Any:
        return encode(mapped, mapped.world.obs, mapped.features)

    @compiled
    def settle_label(mapped: Mapped, state: int) -> int:
        inner_settle(mapped.world, mapped.world.next_obs)
        return state

    @compiled
    def settle_vector(mapped: Mapped, features: NDArray[np.float32]) -> NDArray[np.float32]:
        inner_settle(mapped.world, mapped.world.next_obs)
        mapped.features[:] = features
        return mapped.features

    if numbered:
        return Dynamics(reset, step, stand, settle_label, numbered_actions=not native.continuous)
    return Dynamics(reset, step, stand, settle_vector, carries_nothing, not native.continuous)
