"""An encoder between an environment's observations and a learning rule, in the native loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.approximation.encoder import Encoder
from rlplay.approximation.encoders import ActiveFeatures
from rlplay.approximation.encodings import Active
from rlplay.approximation.feature_encoder import FeatureEncoder
from rlplay.compiled.cache import as_these, compiled, in_place
from rlplay.compiled.native import NativeDynamics, NativeEnv, World, vector_dynamics
from rlplay.compiled.table import TABLE_DYNAMICS, TableArrays, TableEnv, reset_table, step_table
from rlplay.compiled.training_loop import Dynamics


class NativeFeatures(NamedTuple):
    """What the native loop works on where a feature map stands between the observation and the rule.

    Attributes:
        world: the environment.
        codes: the fitted map, as its sample function takes it.
        samples: the newest observations, a ring, float32 [W, O].
        counts: observations seen first, int64.
        shift: what is subtracted from an observation, float64 [O].
        scale: by what it is then divided, float64 [O].
        point: the result, float64 [O].
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


class TableFeatures(NamedTuple):
    """What the native loop works on where each state of a table is a feature of its own: 1 in the state, else 0.

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


def native_world(env: gym.Env[Any, Any], encoder: Encoder) -> tuple[Dynamics, Any]:
    """A native environment behind an encoder: its dynamics as a rule takes them, and their parameters."""
    if isinstance(env, TableEnv):
        if encoder.kind == "index":
            return TABLE_DYNAMICS, env.table.arrays
        now, after = (Active(np.zeros(1, np.int64), np.ones(1)) for _ in range(2))
        return TABLE_FEATURE_DYNAMICS, TableFeatures(env.table.arrays, np.array([max(env.state, 0), 0]), now, after)
    assert isinstance(env, NativeEnv)
    assert isinstance(encoder, FeatureEncoder)
    active = (encoder.new_active(), encoder.new_active()) if isinstance(encoder, ActiveFeatures) else (None, None)
    features = NativeFeatures(
        env.world, encoder.codes, encoder.samples, encoder.counts, encoder.shift, encoder.scale,
        np.zeros(encoder.view.size), *active,
    )  # fmt: skip
    return feature_dynamics(env.dynamics, encoder.row, encoder.kind == "index"), features


def why_not_encoded(env: gym.Env[Any, Any], encoder: Encoder, owner: str, name: str) -> str:
    """Why an agent's rule has no native loop behind its encoder; empty where it has.

    Args:
        env: the environment, a native one.
        encoder: the agent's.
        owner: the agent, for the words.
        name: the environment, for the words.
    """
    if encoder.why_not_compiled:
        return encoder.why_not_compiled
    if isinstance(env, TableEnv) and isinstance(encoder, FeatureEncoder):
        return f"{name} has numbered states and {owner} takes vectors"
    return ""


def state_of(env: gym.Env[Any, Any], parameters: Any, number: int) -> int:
    """The state of a table environment after a chunk; ``number`` where states are numbers."""
    return int(parameters.state[0]) if isinstance(parameters, TableFeatures) and number >= 0 else number


@cache
def feature_dynamics(native: NativeDynamics, row: Callable[..., Any], numbered: bool) -> Dynamics:
    """The dynamics behind a feature map: states are its labels (``numbered``), or its active features."""
    inner = vector_dynamics(native)
    inner_reset, inner_step, inner_advance = inner.reset, inner.step, inner.advance_state
    joined = as_these(row, inner_reset, inner_step)

    @in_place
    def standardise(features: NativeFeatures, obs: NDArray[np.float32]) -> None:
        for i in range(obs.shape[0]):
            features.point[i] = (obs[i] - features.shift[i]) / features.scale[i]

    @joined
    def label(features: NativeFeatures, obs: NDArray[np.float32]) -> int:
        standardise(features, obs)
        return row(features.codes, features.point)

    @in_place
    def remember(features: NativeFeatures) -> None:
        place = features.counts[0] % features.samples.shape[0]
        for i in range(features.samples.shape[1]):
            features.samples[place, i] = features.world.next_obs[i]
        features.counts[0] += 1

    @joined
    def reset_label(features: NativeFeatures, rng: NDArray[np.uint64]) -> int:
        inner_reset(features.world, rng)
        return label(features, features.world.obs)

    @joined
    def step_label(
        features: NativeFeatures, state: int, action: Any, rng: NDArray[np.uint64]
    ) -> tuple[int, float, bool]:
        reward, terminated = inner_step(features.world, action, rng)
        remember(features)
        return label(features, features.world.next_obs), reward, terminated

    @joined
    def resume_label(features: NativeFeatures, running: int) -> int:
        return label(features, features.world.obs)

    @joined
    def advance_label(features: NativeFeatures, state: int) -> int:
        inner_advance(features.world)
        return state

    @as_these(row)
    def fill(features: NativeFeatures, obs: NDArray[np.float32], active: Active) -> None:
        standardise(features, obs)
        row(features.codes, features.point, active.number, active.value)

    @compiled
    def buffers(features: NativeFeatures) -> tuple[Active, Active]:
        fill(features, features.world.obs, features.active)
        return features.active, features.next_active

    @joined
    def reset_active(features: NativeFeatures, rng: NDArray[np.uint64]) -> None:
        inner_reset(features.world, rng)
        fill(features, features.world.obs, features.active)

    @joined
    def step_active(features: NativeFeatures, action: Any, rng: NDArray[np.uint64]) -> tuple[float, bool]:
        reward, terminated = inner_step(features.world, action, rng)
        remember(features)
        fill(features, features.world.next_obs, features.next_active)
        return reward, terminated

    @joined
    def advance_active(features: NativeFeatures) -> None:
        inner_advance(features.world)
        copy_active(features.next_active, features.active)

    if numbered:
        return Dynamics(reset_label, step_label, resume_label, advance_label, not native.continuous)
    return Dynamics(
        reset_active, step_active, advance_state=advance_active, numbered_actions=not native.continuous, buffers=buffers
    )


@in_place
def copy_active(source: Active, target: Active) -> None:
    """Copy active features."""
    for k in range(source.number.shape[0]):
        target.number[k], target.value[k] = source.number[k], source.value[k]


@compiled
def _table_buffers(features: TableFeatures) -> tuple[Active, Active]:
    features.active.number[0] = features.state[0]
    return features.active, features.next_active


@in_place
def _table_reset(features: TableFeatures, rng: NDArray[np.uint64]) -> None:
    features.state[0] = reset_table(features.table, rng)
    features.active.number[0] = features.state[0]


@in_place
def _table_step(features: TableFeatures, action: int, rng: NDArray[np.uint64]) -> tuple[float, bool]:
    features.state[1], reward, terminated = step_table(features.table, features.state[0], action, rng)
    features.next_active.number[0] = features.state[1]
    return reward, terminated


@in_place
def _table_advance(features: TableFeatures) -> None:
    features.state[0] = features.state[1]
    features.active.number[0] = features.state[0]


TABLE_FEATURE_DYNAMICS = Dynamics(_table_reset, _table_step, advance_state=_table_advance, buffers=_table_buffers)
