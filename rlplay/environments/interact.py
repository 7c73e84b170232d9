"""The stepwise driver: one generator of Transitions over any Gymnasium environment.

Training, evaluation, recording and the window all consume `interact`; to pause is simply not to ask for the next step.
What the environment returns is checked here, once: a NaN, a wrong shape or an exception stops with its name and step.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.environments.make import reference, time_limit
from rlplay.environments.no_environment import NoEnvironment
from rlplay.environments.running_moments import layers_with_moments, moments_of
from rlplay.errors import EnvironmentFault, RlplayError, SpaceError, UsageError, warn
from rlplay.spaces.actions import as_played
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.spaces.observations import observation_digest
from rlplay.transition import Transition

# Actions of one episode that are remembered; a longer one is resumed at its end (continuing tasks).
LONGEST_RECORD = 1_000_000
_FLOATS = (np.float32, np.float64)  # that are compared with their bounds in native code
_ENDLESS_HINT = 100_000  # steps without an end after which a time limit is suggested


@dataclass
class Position:
    """Where a run stands in its environment; seed and actions are enough to stand there again.

    Attributes:
        obs: the current observation, None between episodes.
        info: what the environment said beside it.
        seed: seed of the running episode.
        length: its steps so far.
        episode_return: its undiscounted return so far.
        actions: its actions so far; None where they were not recorded (compiled driver, very long episodes).
        moments: what the wrappers around the environment had learned when it began, see `moments_of`.
        last_step: the newest step that was taken in Python, also of the episode before; None where there is none.

    Example:
        >>> Position().obs, Position(seed=3).seed
        (None, 3)
    """

    obs: Any = None
    info: dict[str, Any] = field(default_factory=dict)
    seed: int = -1
    length: int = 0
    episode_return: float = 0.0
    actions: list[Any] | None = field(default_factory=list)
    moments: dict[str, NDArray[Any]] = field(default_factory=dict)
    last_step: Transition | None = None

    def clear(self) -> None:
        """Stand between episodes."""
        self.obs, self.info = None, {}


class RunningEnv(NamedTuple):
    """One environment of a run, where the run stands in it, and the stream of its episodes' seeds.

    Example:
        >>> from agents import QLearning
        >>> running = QLearning("FrozenLake-v1", seed=0).running_envs()[0]
        >>> running.position.length, running.seeds.shape
        (0, (4,))
    """

    env: gym.Env[Any, Any]
    position: Position
    seeds: NDArray[np.uint64]


def interact(
    env: gym.Env[Any, Any],
    act: Callable[[Any], Any],
    next_seed: Callable[[], int],
    position: Position | None = None,
) -> Iterator[Transition]:
    """Play for ever, episode after episode, one Transition a step.

    Args:
        env: any Gymnasium environment.
        act: the action for an observation.
        next_seed: the seed of the next episode; called when an episode begins.
        position: where to go on; it is kept up to date, so that a run can be saved at any step.

    Raises:
        EnvironmentFault: the environment raised, or returned a reward or observation that cannot be.

    Example:
        >>> from itertools import islice
        >>> import rlplay
        >>> env = rlplay.make("CliffWalking-v1")
        >>> [(step.obs, step.next_obs) for step in islice(interact(env, lambda obs: 0, lambda: 0), 3)]  # always up
        [(36, 24), (24, 12), (12, 0)]
    """
    position = Position() if position is None else position
    check = ObservationCheck(env)
    while True:
        if position.obs is None:
            begin_episode(env, position, next_seed(), check)
        yield take_step(env, position, act(position.obs), check)


def take_step(env: gym.Env[Any, Any], position: Position, action: Any, check: ObservationCheck) -> Transition:
    """One step from where the run stands, checked; the position moves with it.

    Raises:
        EnvironmentFault: the environment raised, or returned a reward or observation that cannot be.

    Example:
        >>> import rlplay
        >>> env, position = rlplay.make("CliffWalking-v1"), Position()
        >>> check = ObservationCheck(env)
        >>> begin_episode(env, position, 0, check)
        >>> take_step(env, position, 0, check).reward, position.obs, position.length
        (-1.0, 24, 1)
    """
    obs = position.obs
    handed = action
    if type(action) is not int:
        handed = as_played(check.action_space, action)
        action = handed if type(handed) is int else action  # an array is handed as a copy: the environment may write it
    try:
        next_obs, reward, terminated, truncated, info = env.step(handed)
    except Exception as error:
        if getattr(env, "is_remote", False):  # a worker has said which environment, where and how
            raise
        raise _fault(env, f"raised {_name(error)} in step {position.length + 1}", position) from error
    if type(reward) is np.float64:
        reward = float(reward)
    if type(reward) is not float or not math.isfinite(reward):
        reward = _check_reward(env, reward, position)
    if not isinstance(info, dict):
        raise _fault(env, f"gave {_brief(info)} as info, not a dictionary, in step {position.length + 1}", position)
    if type(terminated) is not bool or type(truncated) is not bool:
        terminated = _check_flag(env, terminated, "terminated", position)
        truncated = _check_flag(env, truncated, "truncated", position)
    next_obs = check(next_obs, position)
    position.length += 1
    position.episode_return += info.get("extrinsic_reward", reward)  # without a bonus
    if position.actions is not None:
        if position.length <= LONGEST_RECORD:
            position.actions.append(action)
        else:
            position.actions = None
    if terminated or truncated:
        position.obs = None
    else:
        position.obs, position.info = next_obs, info
        if position.length == _ENDLESS_HINT and not _has_limit(env):
            warn(
                f"an episode of {_id(env)} has not ended after {_ENDLESS_HINT:,} steps and has no time limit: "
                "make it with max_episode_steps=... if it should end"
            )
    position.last_step = Transition(obs, action, reward, next_obs, terminated, truncated, info)
    return position.last_step


def begin_episode(
    env: gym.Env[Any, Any], position: Position, seed: int | None, check: ObservationCheck,
    options: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Reset the environment with a seed, or with none, and stand at its first observation.

    Example:
        >>> import rlplay
        >>> env, position = rlplay.make("FrozenLake-v1"), Position()
        >>> begin_episode(env, position, 5, ObservationCheck(env))
        >>> position.obs, position.seed
        (0, 5)
    """
    position.clear()
    position.length, position.episode_return, position.actions = 0, 0.0, []
    seed = None if seed is None else int(seed)
    position.seed = -1 if seed is None else seed
    position.moments = moments_of(check.with_moments)
    try:
        obs, info = env.reset(seed=seed, options=options) if options else env.reset(seed=seed)
    except Exception as error:
        if getattr(env, "is_remote", False) or isinstance(error, UsageError):  # a memory that cannot be fitted
            raise
        if isinstance(getattr(env, "unwrapped", env), NoEnvironment):
            raise
        raise _fault(env, f"raised {_name(error)} in reset", position) from error
    if not isinstance(info, dict):
        raise _fault(env, f"gave {_brief(info)} as info, not a dictionary, in reset", position)
    position.obs, position.info = check(obs, position), info


def go_on_from(env: gym.Env[Any, Any], position: Position, check: ObservationCheck) -> None:
    """Bring an environment to where a run stands, by the seed and the actions of the episode.

    Where the environment gives something else there, it is said, and the run stands between episodes.

    Example:
        >>> import rlplay
        >>> env, position = rlplay.make("CliffWalking-v1"), Position(obs=24, seed=0, length=1, actions=[0])
        >>> go_on_from(env, position, ObservationCheck(env))
        >>> env.step(0)[0]
        12
    """
    if position.obs is None:
        return
    replayed = Position()
    begin_episode(env, replayed, position.seed, check)
    for action in position.actions or []:
        if replayed.obs is not None:
            take_step(env, replayed, action, check)
    same = observation_digest(replayed.obs) == observation_digest(position.obs)
    if position.actions is None or replayed.length != position.length or not same:
        warn(
            f"the episode with seed {position.seed} of {_id(env)} cannot be replayed: the run goes on with the next "
            "episode"
        )
        position.clear()


@compiled
def _where_it_lies(obs: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> int:
    """0 within the bounds, 1 outside, 2 where a number is NaN or infinite; all [D]. Cheaper than NumPy's checks."""
    outside = 0
    for i in range(obs.shape[0]):
        if not math.isfinite(obs[i]):
            return 2
        if obs[i] < low[i] or obs[i] > high[i]:
            outside = 1
    return outside


class ObservationCheck:
    """Checks an observation against its space and returns a copy that the environment cannot change any more.

    Attributes:
        action_space: of the environment.
        with_moments: its wrappers that learn while it is played, see `layers_with_moments`.

    Example:
        >>> import rlplay
        >>> check = ObservationCheck(rlplay.make("FrozenLake-v1"))
        >>> check(3, Position())
        3
        >>> check(16, Position(seed=0))
        Traceback (most recent call last):
            ...
        rlplay.errors.EnvironmentFault: FrozenLake-v1 gave observation 16, which is not in Discrete(16), ...
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self._env, self._space, self.action_space = env, env.observation_space, env.action_space
        self.with_moments = layers_with_moments(env)
        self._n = int(self._space.n) if isinstance(self._space, spaces.Discrete) else 0
        self._start = int(self._space.start) if isinstance(self._space, spaces.Discrete) else 0
        self._numbering = FiniteSpace(self._space) if is_finite(self._space) else None
        self._warned = False
        self._bounds: tuple[NDArray[Any], NDArray[Any]] | None = None
        if isinstance(self._space, spaces.Box) and self._space.dtype in _FLOATS and len(self._space.shape) == 1:
            self._bounds = np.ascontiguousarray(self._space.low), np.ascontiguousarray(self._space.high)

    def __call__(self, obs: Any, position: Position) -> Any:
        """The observation as the agent may keep it; an EnvironmentFault where it cannot be."""
        if self._n:
            if isinstance(obs, int | np.integer) and 0 <= obs - self._start < self._n:
                return int(obs)
            if isinstance(obs, np.ndarray) and obs.shape == () and self._space.contains(obs.item()):
                return obs.item()
            raise _fault(self._env, f"gave observation {obs!r}, which is not in {self._space},", position)
        if isinstance(self._space, spaces.Box):
            if self._bounds is not None and type(obs) is np.ndarray and obs.dtype == self._space.dtype:
                low, high = self._bounds
                if obs.shape == low.shape:
                    obs = obs.copy()
                    if _where_it_lies(obs, low, high) <= self._warned:  # outside is said once
                        return obs
            return self._box(self._space, obs, position)
        if self._numbering is not None:
            try:
                return self._numbering.value(self._numbering.index(obs))
            except SpaceError as error:
                raise _fault(self._env, f"gave an observation that cannot be ({error.cause})", position) from error
        if not self._space.contains(obs):
            raise _fault(self._env, f"gave observation {obs!r}, which is not in {self._space},", position)
        return copy.deepcopy(obs)

    def _box(self, space: spaces.Box, obs: Any, position: Position) -> Any:
        try:
            given = np.asarray(obs)
            with np.errstate(all="ignore"):  # what does not fit is said below
                array = given.astype(space.dtype)
        except (TypeError, ValueError, OverflowError) as error:
            raise _fault(self._env, f"gave an observation of type {type(obs).__name__}", position) from error
        if array.shape != space.shape:
            raise _fault(self._env, f"gave an observation of shape {array.shape}, not {space.shape},", position)
        if space.dtype.kind in "iub" and given.dtype != space.dtype and (array != given).any():
            number = given[tuple(np.argwhere(array != given)[0])]
            raise _fault(self._env, f"gave {number} in the observation, which {space.dtype} cannot hold,", position)
        if not np.isfinite(array).all():
            where = np.argwhere(~np.isfinite(array))[0].tolist()
            raise _fault(self._env, f"gave {array[tuple(where)]} in the observation at {where}", position)
        if not self._warned and not space.contains(array):
            self._warned = True
            warn(
                f"{_id(self._env)} gave an observation outside its space {space} {_when(position)} of the "
                f"episode with seed {position.seed}; said once"
            )
        return array


def _check_reward(env: gym.Env[Any, Any], reward: Any, position: Position) -> float:
    """A number, or an array of one, as formulas over observations of one number give it."""
    number = math.inf
    if isinstance(reward, np.ndarray) and reward.size == 1 and reward.dtype.kind in "fiub":
        reward = reward.item()
    if isinstance(reward, int | float | np.integer | np.floating | np.bool_):
        with contextlib.suppress(OverflowError):  # a whole number of more than 308 digits
            number = float(reward)
        if math.isfinite(number):
            return number
        raise _fault(env, f"gave reward {number} in step {position.length + 1}", position)
    raise _fault(
        env, f"gave reward {reward!r} ({type(reward).__name__}, not a number) in step {position.length + 1}", position
    )


def _check_flag(env: gym.Env[Any, Any], flag: Any, name: str, position: Position) -> bool:
    """True or False, or 1 or 0 of whatever type; a text such as "False" would count as True."""
    if isinstance(flag, bool | np.bool_ | int | np.integer) and flag in (0, 1):
        return bool(flag)
    if isinstance(flag, np.ndarray) and flag.size == 1 and flag.dtype == np.bool_:
        return bool(flag.item())
    raise _fault(
        env,
        f"gave {name}={flag!r:.80} ({type(flag).__name__}, not True or False) in step {position.length + 1}",
        position,
    )


def _fault(env: gym.Env[Any, Any], what: str, position: Position) -> RlplayError:
    said = " in step" in what or " in reset" in what
    after = "" if said else f" {_when(position)}"
    episode = f"the episode with seed {position.seed}" if position.seed >= 0 else "an episode without a seed of its own"
    return EnvironmentFault(
        f"{_id(env)} {what}{after} of {episode}",
        "Everything before this step is unharmed; mend the environment and resume",
    )


def _when(position: Position) -> str:
    return "in reset" if position.obs is None else f"in step {position.length + 1}"


def _id(env: gym.Env[Any, Any]) -> str:
    return reference(env).id or type(env.unwrapped).__name__


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"a {type(value).__name__}"


def _name(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _has_limit(env: gym.Env[Any, Any]) -> bool:
    return time_limit(env) > 0
