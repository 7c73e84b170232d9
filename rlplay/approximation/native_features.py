"""A feature map between an environment's observations and a learning rule, in the native loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.approximation.encodings import Active
from rlplay.compiled.cache import as_these, compiled, in_place, written_out
from rlplay.compiled.native import NativeDynamics, World, vector_dynamics
from rlplay.compiled.table import TableArrays
from rlplay.compiled.table import reset as reset_table
from rlplay.compiled.table import step as step_table
from rlplay.compiled.training_loop import Dynamics


class NativeFeatures(NamedTuple):
    """What the native loop works on where a feature map stands between the observation and the rule.

    Attributes:
        world: the environment.
        codes: the fitted map, as its row function takes it.
        samples: the newest observations, a ring, float32 [W, O].
        counts: observations seen first, int64.
        shift: what is subtracted from an observation, float64 [O].
        scale: by what it is then divided, float64 [O].
        point: room for the result, float64 [O].
        active: features of the observation before the step; None where states are labels.
        next_active: of the one after it.
    """

    world: World
    codes: Any
    samples: NDArray[np.float32]
    counts: NDArray[np.int64]
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    point: NDArray[np.float64]
    active: Any
    next_active: Any


@cache
def feature_dynamics(native: NativeDynamics, row: Callable[..., Any], numbered: bool) -> Dynamics:
    """The dynamics behind a feature map: states are its labels (``numbered``), or its active features."""
    inner = vector_dynamics(native)
    inner_reset, inner_step, inner_settle = inner.reset, inner.step, inner.settle
    joined = as_these(row, inner_reset, inner_step)

    @written_out
    def look(mapped: NativeFeatures, obs: NDArray[np.float32]) -> None:
        for i in range(obs.shape[0]):
            mapped.point[i] = (obs[i] - mapped.shift[i]) / mapped.scale[i]

    @joined
    def label(mapped: NativeFeatures, obs: NDArray[np.float32]) -> int:
        look(mapped, obs)
        return row(mapped.codes, mapped.point)

    @written_out
    def keep(mapped: Mapped) -> None:
        place = mapped.counts[0] % mapped.samples.shape[0]
        for i in range(mapped.samples.shape[1]):
            mapped.samples[place, i] = mapped.world.next_obs[i]
        mapped.counts[0] += 1

    @joined
    def reset_label(mapped: NativeFeatures, rng: NDArray[np.uint64]) -> int:
        inner_reset(mapped.world, rng)
        return label(mapped, mapped.world.obs)

    @joined
    def step_label(mapped: NativeFeatures, state: int, action: Any, rng: NDArray[np.uint64]) -> tuple[int, float, bool]:
        reward, terminated = inner_step(mapped.world, action, rng)
        keep(mapped)
        return label(mapped, mapped.world.next_obs), reward, terminated

    @joined
    def stand_label(mapped: NativeFeatures, running: int) -> int:
        return label(mapped, mapped.world.obs)

    @joined
    def settle_label(mapped: NativeFeatures, state: int) -> int:
        inner_settle(mapped.world)
        return state

    @written_out
    def fill(mapped: NativeFeatures, obs: NDArray[np.float32], active: Active) -> None:
        look(mapped, obs)
        row(mapped.codes, mapped.point, active.number, active.value)

    @compiled
    def rooms(mapped: Mapped) -> tuple[Active, Active]:
        fill(mapped, mapped.world.obs, mapped.active)
        return mapped.active, mapped.next_active

    @joined
    def reset_active(mapped: NativeFeatures, rng: NDArray[np.uint64]) -> None:
        inner_reset(mapped.world, rng)
        fill(mapped, mapped.world.obs, mapped.active)

    @joined
    def step_active(mapped: NativeFeatures, action: Any, rng: NDArray[np.uint64]) -> tuple[float, bool]:
        reward, terminated = inner_step(mapped.world, action, rng)
        keep(mapped)
        fill(mapped, mapped.world.next_obs, mapped.next_active)
        return reward, terminated

    @joined
    def settle_active(mapped: Mapped) -> None:
        inner_settle(mapped.world)
        take_over(mapped.active, mapped.next_active)

    if numbered:
        return Dynamics(reset_label, step_label, stand_label, settle_label, not native.continuous)
    return Dynamics(
        reset_active, step_active, settle=settle_active, numbered_actions=not native.continuous, rooms=rooms
    )


@in_place
def take_over(active: Active, next_active: Active) -> None:
    """What was next is now."""
    for k in range(active.number.shape[0]):
        active.number[k], active.value[k] = next_active.number[k], next_active.value[k]


class Indexed(NamedTuple):
    """What the native loop works on where numbers of states are features of their own: 1 for the state, else 0.

    Attributes:
        table: the environment.
        state: where it stands, and where it stands after the step, int64 [2].
        active: feature of the state before the step.
        next_active: of the one after it.
    """

    table: TableArrays
    state: NDArray[np.int64]
    active: Active
    next_active: Active


@compiled
def _indexed_rooms(indexed: Indexed) -> tuple[Active, Active]:
    indexed.active.number[0] = indexed.state[0]
    return indexed.active, indexed.next_active


@in_place
def _indexed_reset(indexed: Indexed, rng: NDArray[np.uint64]) -> None:
    indexed.state[0] = reset_table(indexed.table, rng)
    indexed.active.number[0] = indexed.state[0]


@in_place
def _indexed_step(indexed: Indexed, action: int, rng: NDArray[np.uint64]) -> tuple[float, bool]:
    indexed.state[1], reward, terminated = step_table(indexed.table, indexed.state[0], action, rng)
    indexed.next_active.number[0] = indexed.state[1]
    return reward, terminated


@in_place
def _indexed_settle(indexed: Indexed) -> None:
    indexed.state[0] = indexed.state[1]
    indexed.active.number[0] = indexed.state[0]


INDEXED_DYNAMICS = Dynamics(_indexed_reset, _indexed_step, settle=_indexed_settle, rooms=_indexed_rooms)
