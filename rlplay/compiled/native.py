"""Environments with a vector state in native code: pure functions over flat arrays, behind Gymnasium's interface.

The state is float64 and the observation float32, as Gymnasium's classic control has them, in both drivers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.compiled.loops import Dynamics
from rlplay.compiled.pcg64 import reseed
from rlplay.errors import EnvironmentFault, SpaceError
from rlplay.spaces import FiniteSpace


class NativeDynamics(NamedTuple):
    """An environment with a vector state as compiled functions; ``parameters`` is a float64 array of constants.

    Attributes:
        reset: ``reset(parameters, state, rng)`` fills the state of an episode's start, float64 [D].
        step: ``step(parameters, state, action, rng) -> (reward, terminated)`` moves the state in place.
        observe: ``observe(parameters, state, obs)`` fills the observation, float32 [O].
        continuous: whether actions are float32 [A] within the bounds of the action space; else they are numbers.
    """

    reset: Callable[..., None]
    step: Callable[..., tuple[float, bool]]
    observe: Callable[..., None]
    continuous: bool = False


class Twin(NamedTuple):
    """The native twin of a Gymnasium environment.

    Attributes:
        dynamics: its functions.
        state_size: length of its state.
        parameters: the constants of an instance (read from ``env.unwrapped``), float64 [P].
        exact: whether every number is the environment's own to the bit.
    """

    dynamics: NativeDynamics
    state_size: int
    parameters: Callable[[Any], NDArray[np.float64]]
    exact: bool = True


class World(NamedTuple):
    """What the native loop works on where observations are vectors.

    Attributes:
        parameters, state: of the environment.
        obs, next_obs: observations before and after a step, float32 [O].
        action: room for a continuous action, float32 [A], and its bounds low and high; empty for numbered ones.
    """

    parameters: NDArray[np.float64]
    state: NDArray[np.float64]
    obs: NDArray[np.float32]
    next_obs: NDArray[np.float32]
    action: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]


@compiled
def _stand(world: World, running: int) -> NDArray[np.float32]:
    return world.obs


@compiled
def _settle(world: World, next_obs: NDArray[np.float32]) -> NDArray[np.float32]:
    world.obs[:] = next_obs
    return world.obs


@compiled
def _running(obs: NDArray[np.float32]) -> int:
    return 0


@cache
def vector_dynamics(native: NativeDynamics) -> Dynamics:
    """The dynamics as the native loop takes them: observations are vectors."""
    native_reset, native_step, native_observe, continuous = native

    @compiled
    def numbered_step(world: World, action: int, rng: NDArray[np.uint64]) -> tuple[float, bool]:
        return native_step(world.parameters, world.state, action, rng)

    @compiled
    def bounded_step(world: World, action: NDArray[np.float32], rng: NDArray[np.uint64]) -> tuple[float, bool]:
        for i in range(world.action.shape[0]):
            world.action[i] = min(max(action[i], world.low[i]), world.high[i])
        return native_step(world.parameters, world.state, world.action, rng)

    take = bounded_step if continuous else numbered_step

    @compiled
    def reset(world: World, rng: NDArray[np.uint64]) -> NDArray[np.float32]:
        native_reset(world.parameters, world.state, rng)
        native_observe(world.parameters, world.state, world.obs)
        return world.obs

    @compiled
    def step(
        world: World, obs: NDArray[np.float32], action: Any, rng: NDArray[np.uint64]
    ) -> tuple[NDArray[np.float32], float, bool]:
        reward, terminated = take(world, action, rng)
        native_observe(world.parameters, world.state, world.next_obs)
        return world.next_obs, reward, terminated

    return Dynamics(reset, step, _stand, _settle, _running, not continuous)


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
    return Dynamics(reset, step, stand, settle_vector, _running, not native.continuous)


class NativeEnv(gym.Env[Any, Any]):
    """A twin stepped in compiled code.

    Attributes:
        dynamics: its functions.
        world: parameters, state and observations, shared with the native loop.
        rng: the state of the environment's generator, shape [4], uint64.
        max_episode_steps: time limit in steps, 0 for none.
        elapsed: steps of this episode so far; -1 before the first reset.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own convention

    def __init__(self, twin: Twin, env: gym.Env[Any, Any], max_episode_steps: int = 0) -> None:
        self.dynamics, self.spec, self.max_episode_steps = twin.dynamics, env.spec, max_episode_steps
        self.observation_space, self.action_space = env.observation_space, env.action_space
        shape = self.observation_space.shape
        assert shape is not None
        self.world = World(
            twin.parameters(env.unwrapped),
            np.zeros(twin.state_size),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.float32),
            *self._bounds(),
        )
        self.rng, self.elapsed = np.zeros(4, np.uint64), -1

    def _bounds(self) -> tuple[NDArray[np.float32], ...]:
        """Room for an action and its bounds."""
        space = self.action_space
        if not self.dynamics.continuous:
            self._actions = FiniteSpace(space)
            return tuple(np.zeros((3, 0), np.float32))
        assert isinstance(space, gym.spaces.Box)
        return np.zeros(space.shape, np.float32), space.low.astype(np.float32), space.high.astype(np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode: the same state as the environment's own reset with that seed."""
        if seed is not None:
            reseed(self.rng, seed)
        elif not self.rng.any():
            reseed(self.rng, int(np.random.SeedSequence().generate_state(1)[0]))
        self.dynamics.reset(self.world.parameters, self.world.state, self.rng)
        self.dynamics.observe(self.world.parameters, self.world.state, self.world.obs)
        self.elapsed = 0
        return self.world.obs.copy(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step.

        Raises:
            SpaceError: an action outside the space.
            EnvironmentFault: a step before the first reset.
        """
        world = self.world
        taken = self._bounded(action) if self.dynamics.continuous else self._actions.index(action)
        if self.elapsed < 0:
            raise EnvironmentFault("step() was called before reset()", "Call env.reset() first")
        reward, terminated = self.dynamics.step(world.parameters, world.state, taken, self.rng)
        self.dynamics.observe(world.parameters, world.state, world.obs)
        self.elapsed += 1
        return world.obs.copy(), reward, terminated, 0 < self.max_episode_steps <= self.elapsed, {}

    def _bounded(self, action: Any) -> NDArray[np.float32]:
        """A continuous action within the bounds."""
        world = self.world
        try:
            given = np.asarray(action, np.float32)
        except (TypeError, ValueError):
            given = np.zeros(0, np.float32)
        if given.shape != world.action.shape or not np.isfinite(given).all():
            raise SpaceError(f"action {action!r} is not in {self.action_space}")
        return np.minimum(np.maximum(given, world.low, out=world.action), world.high, out=world.action)

    def observation(self) -> NDArray[np.float32]:
        """What the agent sees now."""
        return self.world.obs.copy()

    def standing(self) -> dict[str, NDArray[Any]]:
        """Where the episode stands, as arrays for a file."""
        return {"state": self.world.state, "elapsed": np.array([self.elapsed]), "rng": self.rng}

    def stand(self, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Stand there again; returns the observation."""
        self.world.state[:], self.rng[:], self.elapsed = arrays["state"], arrays["rng"], int(arrays["elapsed"][0])
        self.dynamics.observe(self.world.parameters, self.world.state, self.world.obs)
        return self.world.obs.copy()


def same_numbers(env: gym.Env[Any, Any], twin: NativeEnv, steps: int = 300) -> bool:
    """Whether a twin gives the environment's own observations, rewards and endings to the bit, on random actions."""
    ended, episode, twin = True, 0, copy.copy(twin)
    env.action_space.seed(0)
    for _ in range(steps):
        if ended:
            pair = [one.reset(seed=episode)[0] for one in (env, twin)]
            if not np.array_equal(*pair):
                return False
            episode += 1
        action = env.action_space.sample()
        mine, theirs = twin.step(action), env.step(action)
        if not np.array_equal(mine[0], theirs[0]) or mine[1:4] != theirs[1:4]:
            return False
        ended = bool(theirs[2] or theirs[3])
    return True
