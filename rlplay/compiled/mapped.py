"""A feature map between an environment's observations and a learning rule, in the native loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.compiled.loops import Dynamics
from rlplay.compiled.native import NativeDynamics, World, vector_dynamics


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
    def look(mapped: Mapped, obs: NDArray[np.float32]) -> None:
        for i in range(obs.shape[0]):
            mapped.point[i] = (obs[i] - mapped.shift[i]) / mapped.scale[i]

    @compiled
    def label(mapped: Mapped, obs: NDArray[np.float32]) -> int:
        look(mapped, obs)
        return row(mapped.codes, mapped.point)

    @compiled
    def keep(mapped: Mapped) -> None:
        mapped.samples[mapped.counts[0] % mapped.samples.shape[0]] = mapped.world.next_obs
        mapped.counts[0] += 1

    @compiled
    def reset_label(mapped: Mapped, rng: NDArray[np.uint64]) -> int:
        inner_reset(mapped.world, rng)
        return label(mapped, mapped.world.obs)

    @compiled
    def step_label(mapped: Mapped, state: int, action: Any, rng: NDArray[np.uint64]) -> tuple[int, float, bool]:
        reward, terminated = inner_step(mapped.world, action, rng)
        keep(mapped)
        return label(mapped, mapped.world.next_obs), reward, terminated

    @compiled
    def stand_label(mapped: Mapped, running: int) -> int:
        return label(mapped, mapped.world.obs)

    @compiled
    def settle_label(mapped: Mapped, state: int) -> int:
        inner_settle(mapped.world)
        return state

    @compiled
    def rooms(mapped: Mapped) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        look(mapped, mapped.world.obs)
        row(mapped.codes, mapped.point, mapped.features)
        return mapped.features, mapped.next_features

    @compiled
    def reset_vector(mapped: Mapped, rng: NDArray[np.uint64]) -> None:
        inner_reset(mapped.world, rng)
        look(mapped, mapped.world.obs)
        row(mapped.codes, mapped.point, mapped.features)

    @compiled
    def step_vector(mapped: Mapped, action: Any, rng: NDArray[np.uint64]) -> tuple[float, bool]:
        reward, terminated = inner_step(mapped.world, action, rng)
        keep(mapped)
        look(mapped, mapped.world.next_obs)
        row(mapped.codes, mapped.point, mapped.next_features)
        return reward, terminated

    @compiled
    def settle_vector(mapped: Mapped) -> None:
        inner_settle(mapped.world)
        mapped.features[:] = mapped.next_features

    if numbered:
        return Dynamics(reset_label, step_label, stand_label, settle_label, not native.continuous)
    return Dynamics(
        reset_vector, step_vector, settle=settle_vector, numbered_actions=not native.continuous, rooms=rooms
    )
