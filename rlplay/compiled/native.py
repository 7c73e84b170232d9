"""Environments with a vector state in native code: pure functions over flat arrays, behind Gymnasium's interface.

The state is float64 and the observation float32, as Gymnasium's classic control has them, in both drivers.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import as_these, compiled, in_place
from rlplay.compiled.compiled_env import CompiledEnv, ReadOnly
from rlplay.compiled.training_loop import Dynamics
from rlplay.errors import EnvironmentFault, SpaceError, UsageError, unknown
from rlplay.spaces.finite import FiniteSpace
from rlplay.storage.checkpoint import copy_into
from rlplay.storage.ranges import COUNT, Span, check_ranges


class NativeDynamics(NamedTuple):
    """An environment with a vector state as compiled functions; ``parameters`` is a float64 array of constants.

    Attributes:
        reset: ``reset(parameters, state, rng)`` fills the state of an episode's start, float64 [D].
        step: ``step(parameters, state, action, rng) -> (reward, terminated)`` moves the state in place.
        observe: ``observe(parameters, state, obs)`` fills the observation, float32 [O].
        continuous: whether actions are float32 [A] within the bounds of the action space; else they are numbers.

    Example:
        >>> from envs.cart_pole import CartPoleEnv
        >>> CartPoleEnv.dynamics._fields, CartPoleEnv.dynamics.continuous
        (('reset', 'step', 'observe', 'continuous'), False)
    """

    reset: Callable[..., None]
    step: Callable[..., tuple[float, bool]]
    observe: Callable[..., None]
    continuous: bool = False


class World(NamedTuple):
    """What the native loop works on where observations are vectors.

    Attributes:
        parameters, state: of the environment.
        obs, next_obs: observations before and after a step, float32 [O].
        action: buffer of a continuous action, float32 [A], and its bounds low and high; empty for numbered ones.
    """

    parameters: NDArray[np.float64]
    state: NDArray[np.float64]
    obs: NDArray[np.float32]
    next_obs: NDArray[np.float32]
    action: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]


@compiled
def _buffers(world: World) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return world.obs, world.next_obs


@in_place
def _advance(world: World) -> None:
    for i in range(world.obs.shape[0]):
        world.obs[i] = world.next_obs[i]


@cache
def vector_dynamics(native: NativeDynamics) -> Dynamics:
    """The dynamics as the native loop takes them: observations lie in the buffers of a `World`."""
    native_reset, native_step, native_observe, continuous = native
    joined = as_these(native_reset, native_step, native_observe)

    @joined
    def reset(world: World, rng: NDArray[np.uint64]) -> None:
        native_reset(world.parameters, world.state, rng)
        native_observe(world.parameters, world.state, world.obs)

    @joined
    def numbered_step(world: World, action: int, rng: NDArray[np.uint64]) -> tuple[float, bool]:
        reward, terminated = native_step(world.parameters, world.state, action, rng)
        native_observe(world.parameters, world.state, world.next_obs)
        return reward, terminated

    @joined
    def bounded_step(world: World, action: NDArray[np.float32], rng: NDArray[np.uint64]) -> tuple[float, bool]:
        for i in range(world.action.shape[0]):
            world.action[i] = min(max(action[i], world.low[i]), world.high[i])
        reward, terminated = native_step(world.parameters, world.state, world.action, rng)
        native_observe(world.parameters, world.state, world.next_obs)
        return reward, terminated

    step = bounded_step if continuous else numbered_step
    return Dynamics(reset, step, advance_state=_advance, numbered_actions=not continuous, buffers=_buffers)


@cache
def single_step(native: NativeDynamics) -> Callable[..., tuple[float, bool, bool]]:
    """One step from Python: ``step(parameters, state, obs, action, rng) -> (reward, terminated, finite)``."""
    native_step, native_observe = native.step, native.observe

    @as_these(native_step, native_observe)
    def step(
        parameters: NDArray[np.float64],
        state: NDArray[np.float64],
        obs: NDArray[np.float32],
        action: Any,
        rng: NDArray[np.uint64],
    ) -> tuple[float, bool, bool]:
        reward, terminated = native_step(parameters, state, action, rng)
        native_observe(parameters, state, obs)
        finite = math.isfinite(reward)
        for i in range(obs.shape[0]):
            finite = finite and math.isfinite(obs[i])
        return reward, terminated, finite

    return step


def _constant(name: str) -> ReadOnly:
    return ReadOnly(lambda env: env.constants[name], name)


class NativeEnv(CompiledEnv):
    """A Gymnasium environment stepped in compiled code.

    A subclass says what it is: `dynamics`, `state_size`, its spaces, and its constants with their defaults, which are
    keyword arguments of the environment and reach the functions as ``parameters``, in that order. Each is an attribute
    too, read only.

    Attributes:
        dynamics: its functions.
        state_size: length of its state.
        state_range: the least and the greatest number of a state whose functions use it as an index; else None.
        constants: name and value of each constant.
        exact: for the native version of another environment, whether every number is that one's to the bit.
        world: parameters, state and observations, shared with the native loop.
        max_episode_steps: time limit in steps, 0 for none; an id's own limit stands above it.
        elapsed: steps of this episode so far; -1 before the first reset.

    Raises:
        UsageError: a constant that does not exist, or is no finite number.
        SpaceError: an action space that the dynamics do not take.

    Example:
        >>> from envs.cart_pole import CartPoleEnv
        >>> env = CartPoleEnv()  # a subclass
        >>> obs, _ = env.reset(seed=0)
        >>> obs.shape, env.step(1)[1:4]
        ((4,), (1.0, False, False))
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own convention
    dynamics: ClassVar[NativeDynamics]
    state_size: ClassVar[int]
    state_range: ClassVar[Span | None] = None
    constants: Mapping[str, float] = {}
    max_episode_steps: int = 0
    exact: ClassVar[bool] = True

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in cls.constants:
            if not hasattr(cls, name):
                setattr(cls, name, _constant(name))

    def __init__(self, *, render_mode: str | None = None, **constants: float) -> None:
        name = type(self).__name__
        for key, value in constants.items():
            if key not in self.constants:
                raise unknown(f"argument of {name}", key, self.constants)
            if not isinstance(value, int | float | np.number | np.bool_) or not math.isfinite(value):
                raise UsageError(f"{name}: {key}={value!r} is not a finite number")
        self.render_mode = render_mode
        self.constants = {key: float(constants.get(key, value)) for key, value in self.constants.items()}
        self.observation_space, self.action_space = self.spaces()
        self.rng, self.elapsed, self._over = np.zeros(4, np.uint64), -1, False
        shape = self.observation_space.shape
        if shape is None or len(shape) != 1 or self.observation_space.dtype != np.float32:
            raise SpaceError(f"{name} has observations {self.observation_space}; native ones are float32 vectors")
        buffers = np.zeros((2, *shape), np.float32)
        self.world = World(self.parameters(), np.zeros(self.state_size), *buffers, *self._bounds())
        self._step = single_step(self.dynamics)

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """Observation and action space; by default copies of the class's."""
        return copy.deepcopy(type(self).observation_space), copy.deepcopy(type(self).action_space)

    def parameters(self) -> NDArray[np.float64]:
        """What the functions are given: by default the constants in their order, float64 [P]."""
        return np.array(list(self.constants.values()), dtype=np.float64)

    @classmethod
    def from_reference(cls, env: gym.Env[Any, Any]) -> Self:
        """The native version of an environment that has the constants as attributes."""
        plain = env.unwrapped
        names = {name: name if hasattr(plain, name) else f"_{name}" for name in cls.constants}
        native = cls(**{name: getattr(plain, attribute) for name, attribute in names.items()})
        native.spec, native.observation_space, native.action_space = env.spec, env.observation_space, env.action_space
        native.max_episode_steps = (env.spec.max_episode_steps if env.spec else None) or 0
        return native

    def _bounds(self) -> tuple[NDArray[np.float32], ...]:
        """A buffer of an action, and its bounds."""
        space, name = self.action_space, type(self).__name__
        if not self.dynamics.continuous:
            if not isinstance(space, gym.spaces.Discrete):
                raise SpaceError(f"{name} has actions {space} and dynamics that take numbers (continuous=False)")
            self._actions = FiniteSpace(space)
            return tuple(np.zeros((3, 0), np.float32))
        if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1:
            raise SpaceError(f"{name} has actions {space} and dynamics that take vectors (continuous=True)")
        return np.zeros(space.shape, np.float32), space.low.astype(np.float32), space.high.astype(np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: puts the environment's generator into the state of ``numpy.random.PCG64(seed)``.
            options: ``{"state": [...]}`` begins in that state, float64 [D].
        """
        world = self.world
        if seed is not None and (not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32):
            raise UsageError(f"seed={seed!r} is not a whole number from 0 to 2^32 - 1")
        self.seed_generator(seed)
        self.dynamics.reset(world.parameters, world.state, self.rng)
        if options:
            world.state[:] = self._given_state(options)
        self.dynamics.observe(world.parameters, world.state, world.obs)
        self.elapsed, self._over = 0, False
        if self.render_mode == "human":
            self.render()
        return world.obs.copy(), {}

    def _given_state(self, options: dict[str, Any]) -> NDArray[np.float64]:
        """The state that is asked for."""
        name = type(self).__name__
        if set(options) != {"state"}:
            raise UsageError(f"{name} knows the reset option 'state', not {', '.join(map(repr, options))}")
        state = np.asarray(options["state"], np.float64)
        if state.shape != (self.state_size,) or not np.isfinite(state).all():
            raise UsageError(f"{name}: the state {options['state']!r} is not {self.state_size} finite numbers")
        if self.state_range is not None and not set(state.tolist()) <= set(
            range(self.state_range[0], self.state_range[1] + 1)
        ):
            raise UsageError(
                f"{name} has no state {options['state']!r}", "Its states are {} to {}".format(*self.state_range)
            )
        return state

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step.

        Raises:
            SpaceError: an action outside the space.
            EnvironmentFault: a step before the first reset or after the end, or numbers that are not finite.
        """
        world = self.world
        taken = self._bounded(action) if self.dynamics.continuous else self._actions.index(action)
        if self.elapsed < 0 or self._over:
            when = "before reset()" if self.elapsed < 0 else "after the episode had ended"
            raise EnvironmentFault(f"step() was called {when}", "Call env.reset() first")
        reward, self._over, finite = self._step(world.parameters, world.state, world.obs, taken, self.rng)
        self.elapsed += 1
        if not finite:
            raise EnvironmentFault(
                f"{type(self).__name__} gave reward {reward:g} and observation {world.obs} in step {self.elapsed}, "
                f"from action {action}"
            )
        if self.render_mode == "human":
            self.render()
        return world.obs.copy(), reward, self._over, 0 < self.max_episode_steps <= self.elapsed, {}

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

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Take a state, for a picture of it."""
        self.world.state[:], self.elapsed = state, max(self.elapsed, 0)

    def observation(self) -> NDArray[np.float32]:
        """What the agent sees now."""
        return self.world.obs.copy()

    def state_arrays(self) -> dict[str, NDArray[Any]]:
        """Where the episode stands, as arrays for a file."""
        return {"state": self.world.state, "elapsed": np.array([self.elapsed]), "rng": self.rng}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Go on from there; returns the observation.

        Raises:
            CheckpointError: another shape or type, or a state that this world cannot be in.
        """
        elapsed = np.zeros(1, np.int64)
        check_ranges(arrays, {"elapsed": COUNT, **({} if self.state_range is None else {"state": self.state_range})})
        for name, target in (("state", self.world.state), ("rng", self.rng), ("elapsed", elapsed)):
            copy_into(name, arrays, target)
        self.elapsed = int(elapsed[0])
        self.dynamics.observe(self.world.parameters, self.world.state, self.world.obs)
        self._over = False
        return self.world.obs.copy()


def same_numbers(env: gym.Env[Any, Any], native: NativeEnv, steps: int = 300) -> bool:
    """Whether a native version gives an environment's observations, rewards and endings to the bit, at random play."""
    ended, episode, native = True, 0, _apart(native)
    env.action_space.seed(0)
    for _ in range(steps):
        if ended:
            pair = [one.reset(seed=episode)[0] for one in (env, native)]
            if not np.array_equal(*pair):
                return False
            episode += 1
        action = env.action_space.sample()
        mine, theirs = native.step(action), env.step(action)
        if not np.array_equal(mine[0], theirs[0]) or mine[1:4] != theirs[1:4]:
            return False
        ended = bool(theirs[2] or theirs[3])
    return True


def differs_from_dynamics(env: NativeEnv, steps: int = 300) -> bool:
    """Whether ``reset`` and ``step`` of its class do something else than its dynamics, at random play; it stays."""
    one, other = _apart(env), _apart(env)
    choices, ended, episode = copy.deepcopy(env.action_space), True, 0
    choices.seed(0)
    for _ in range(steps):
        if ended:
            if not np.array_equal(one.reset(seed=episode)[0], NativeEnv.reset(other, seed=episode)[0]):
                return True
            episode += 1
        action = choices.sample()
        mine, theirs = one.step(action), NativeEnv.step(other, action)
        if not np.array_equal(mine[0], theirs[0]) or mine[1:4] != theirs[1:4]:
            return True
        ended = bool(theirs[2] or theirs[3])
    return False


def _apart(env: NativeEnv) -> NativeEnv:
    """A copy with a state and random numbers of its own."""
    made = copy.copy(env)
    made.world, made.rng = World._make(part.copy() for part in env.world), env.rng.copy()
    return made
