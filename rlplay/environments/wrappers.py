"""Wrappers by name, as RL Zoo writes them, the last frames as one observation, and observations without some parts.

A wrapper is ``module.Class``, or ``{module.Class: {argument: value}}``; several are a list, the innermost first. What
a file names is taken only where it is one of `TRUSTED`: any other is imported because a user typed it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rlplay import registry
from rlplay.environments.packages import import_typed
from rlplay.errors import RlplayError, UsageError, unknown, warn_once
from rlplay.spaces.observations import channels_first

Wrappers = str | dict[str, Any] | list[Any]

_GYMNASIUM = (
    "AtariPreprocessing", "ClipAction", "ClipReward", "DtypeObservation", "FilterObservation", "FlattenObservation",
    "FrameStackObservation", "GrayscaleObservation", "MaxAndSkipObservation", "NormalizeObservation", "NormalizeReward",
    "RescaleAction", "RescaleObservation", "ReshapeObservation", "ResizeObservation", "StickyAction",
    "TimeAwareObservation", "TimeLimit",
)  # fmt: skip
_SB3 = (
    "AtariWrapper",
    "ClipRewardEnv",
    "EpisodicLifeEnv",
    "FireResetEnv",
    "MaxAndSkipEnv",
    "NoopResetEnv",
    "WarpFrame",
)
# What a file may name: they change what an agent sees, does and is paid, and neither write nor run anything.
TRUSTED = frozenset(
    [f"gymnasium.wrappers.{name}" for name in _GYMNASIUM]
    + [f"stable_baselines3.common.atari_wrappers.{name}" for name in _SB3]
    + [f"{__name__}.HideNumbers"]
)
LONGEST_STACK = 1000


def listed(given: Wrappers | type | Iterable[Any] | None) -> list[Any]:
    """Wrappers as a file holds them: a list of names, or ``{name: arguments}``.

    Args:
        given: a name, a dictionary of names and their arguments, a class, or a list of these.

    Raises:
        UsageError: something else, or a class that cannot be found again by its name.

    Example:
        >>> listed("gymnasium.wrappers.ClipReward"), listed({"gymnasium.wrappers.ResizeObservation": {"shape": [8, 8]}})
        (['gymnasium.wrappers.ClipReward'], [{'gymnasium.wrappers.ResizeObservation': {'shape': [8, 8]}}])
    """
    if given is None:
        return []
    if isinstance(given, dict):
        return [one for name, arguments in given.items() for one in _one(name, arguments)]
    if isinstance(given, str | type):
        return _one(given, {})
    if not isinstance(given, list | tuple):
        raise UsageError(f"wrapper={given!r} is neither a name nor a list of names", _HOW)
    return [one for part in given for one in listed(part)]


_MOVED = "gymnasium.wrappers."
_HOW = "Write module.Class, or {module.Class: {argument: value}}; for anything else give a function that makes it all"


def _one(name: Any, arguments: Any) -> list[Any]:
    if isinstance(name, type):
        found = f"{name.__module__}.{name.__qualname__}"
        if name.__module__ == "__main__" or "<locals>" in found:
            raise UsageError(f"the wrapper {name.__qualname__} is in no module by which it can be found again", _HOW)
        name = found
    if not isinstance(name, str) or not isinstance(arguments, dict | None):
        raise UsageError(f"the wrapper {name!r} with {arguments!r} is not a name and its arguments", _HOW)
    given, name = name, name.strip().replace(":", ".")
    if "." not in name or not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"the wrapper {given!r} is no module.Class", _HOW)
    if name.startswith(_MOVED):  # Gymnasium has moved its files, not its names
        name = _MOVED + name.rpartition(".")[2]
    try:
        arguments = json.loads(json.dumps(arguments or {}, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(f"the arguments of the wrapper {name} are not plain values: {_plain(error)}", _HOW) from error
    return [{name: arguments} if arguments else name]


def names_of(given: Wrappers | None) -> list[str]:
    """The names of wrappers, without their arguments."""
    return [one if isinstance(one, str) else next(iter(one)) for one in listed(given)]


def untrusted(given: Wrappers | None) -> list[str]:
    """The wrappers that a file may not name, because making them would import what the file asks for.

    Example:
        >>> untrusted(["gymnasium.wrappers.ClipReward", "minigrid.wrappers.FlatObsWrapper"])
        ['minigrid.wrappers.FlatObsWrapper']
    """
    return [name for name in names_of(given) if name not in TRUSTED]


def wrapped(env: gym.Env[Any, Any], wrappers: Wrappers | None, frame_stack: int | None = None) -> gym.Env[Any, Any]:
    """An environment in wrappers that are named, then in a stack of its last frames.

    Raises:
        UsageError: a wrapper cannot be found, is none, or cannot be made with its arguments.

    Example:
        >>> env = wrapped(gym.make("CartPole-v1"), "gymnasium.wrappers.TimeAwareObservation", 2)
        >>> env.observation_space.shape
        (10,)
    """
    for one in listed(wrappers):
        name, arguments = (one, {}) if isinstance(one, str) else next(iter(one.items()))
        cls = _wrapper_class(name)
        shown = f"the wrapper {name}{f' with {arguments}' if arguments else ''}"
        try:
            env = cls(env, **{key: _as_tuples(value) for key, value in arguments.items()})
        except RlplayError:
            raise
        except ImportError as error:
            raise UsageError(f"{shown} needs a package that is missing: {_plain(error)}") from error
        except Exception as error:  # whatever it checks
            raise UsageError(
                f"{shown} does not fit {_named(env)} with observations {env.observation_space}: {_plain(error)}"
            ) from error
    return env if frame_stack is None else FrameStack(without_text(env), frame_stack)


def _as_tuples(value: Any) -> Any:
    """Lists as tuples: YAML and JSON have only lists, and Gymnasium's wrappers take shapes as tuples."""
    return tuple(_as_tuples(part) for part in value) if isinstance(value, list) else value


def _wrapper_class(name: str) -> Any:
    module_name, _, class_name = name.rpartition(".")
    module = import_typed(module_name, f"the wrapper {name}")
    try:
        found = getattr(module, class_name, None)
    except ImportError as error:
        raise UsageError(f"the wrapper {name} needs a package that is missing: {_plain(error)}") from error
    if found is None:
        there = [n for n, c in vars(module).items() if isinstance(c, type) and issubclass(c, gym.Wrapper)]
        raise unknown(f"wrapper of {module_name}", class_name, there)
    if not (isinstance(found, type) and issubclass(found, gym.Wrapper)):
        raise UsageError(f"{name} is not a gymnasium.Wrapper", "Derive the class from gymnasium.Wrapper")
    return found


class FrameStack(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """The last observations as one, the newest last; before the first there are zeros, as in Stable-Baselines3.

    Pictures are stacked along their channels, which are last or first (`channels_first`), grey ones without an axis of
    channels become (height, width, k), and vectors are put one behind the other. Parts of a Dict are stacked each.

    Args:
        env: an environment whose observations are a Box, or a Dict of them.
        stack_size: how many, 1 to 1000.

    Raises:
        UsageError: other observations, or another number.

    Example:
        >>> env = FrameStack(gym.make("CartPole-v1"), 2)
        >>> obs, _ = env.reset(seed=0)
        >>> obs.shape, obs[:4].tolist()
        ((8,), [0.0, 0.0, 0.0, 0.0])
    """

    def __init__(self, env: gym.Env[Any, Any], stack_size: int) -> None:
        if type(stack_size) is not int or not 1 <= stack_size <= LONGEST_STACK:
            raise UsageError(f"frame_stack={stack_size!r} is not a whole number from 1 to {LONGEST_STACK}")
        gym.utils.RecordConstructorArgs.__init__(self, stack_size=stack_size)
        gym.Wrapper.__init__(self, env)
        self.stack_size = stack_size
        self._last: deque[Any] = deque(maxlen=stack_size)
        self.observation_space = _stacked_space(env.observation_space, stack_size)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode with zeros before its first observation."""
        obs, info = self.env.reset(seed=seed, options=options)
        self._last.extend([_zeros(obs)] * self.stack_size)
        return self.observation(obs), info

    def observation(self, observation: Any) -> Any:
        """The stack with an observation added."""
        self._last.append(observation)
        return _stacked(list(self._last), self.env.observation_space)


# What leaves observations as they are, and may stand around a stack of pictures that is kept picture by picture.
_TRANSPARENT = (
    gym.wrappers.TimeLimit, gym.wrappers.OrderEnforcing, gym.wrappers.PassiveEnvChecker,
    gym.wrappers.RecordEpisodeStatistics, gym.RewardWrapper, gym.ActionWrapper,
)  # fmt: skip


def frames_of(env: gym.Env[Any, Any]) -> tuple[int, bool]:
    """How many of its last frames an observation is, and whether the first stands for those before an episode.

    Of `FrameStack` and Gymnasium's ``FrameStackObservation``, inside wrappers that leave observations as they are; 1
    and False for others.

    Example:
        >>> env = gym.make("CartPole-v1")
        >>> frames_of(env), frames_of(FrameStack(env, 3)), frames_of(gym.wrappers.FrameStackObservation(env, 2))
        ((1, False), (3, False), (2, True))
    """
    while isinstance(env, gym.Wrapper):
        if isinstance(env, FrameStack):
            return env.stack_size, False
        if isinstance(env, gym.wrappers.FrameStackObservation):
            return (
                (env.stack_size, env.padding_type == "reset") if env.padding_type in ("reset", "zero") else (1, False)
            )
        if not isinstance(env, _TRANSPARENT):
            return 1, False
        env = env.env
    return 1, False


def as_vec_frame_stack(env: gym.Env[Any, Any]) -> spaces.Space[Any] | None:
    """The space that VecFrameStack says for the observations of a `FrameStack`; None for other environments.

    The numbers lie alike; their bounds VecFrameStack repeats number by number, not frame by frame.

    Example:
        >>> space = as_vec_frame_stack(FrameStack(gym.make("CartPole-v1"), 2))
        >>> space.high[:2].tolist() == [space.high[0]] * 2
        True
    """
    while isinstance(env, _TRANSPARENT):
        env = env.env
    return _repeated(env.env.observation_space, env.stack_size) if isinstance(env, FrameStack) else None


def _repeated(space: spaces.Space[Any], count: int) -> spaces.Space[Any]:
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: _repeated(part, count) for key, part in space.items()})
    assert isinstance(space, spaces.Box)
    axis = 0 if channels_first(space) else -1
    low, high = (np.repeat(side, count, axis=axis) for side in (space.low, space.high))
    return spaces.Box(low, high, dtype=space.dtype.type)


def _joined(frames: list[NDArray[Any]], space: spaces.Space[Any]) -> NDArray[Any]:
    if frames[0].ndim == 2:
        return np.stack(frames, axis=-1)
    return np.concatenate(frames, axis=0 if channels_first(space) else -1)


def _stacked(frames: list[Any], space: spaces.Space[Any]) -> Any:
    if isinstance(space, spaces.Dict):
        return {key: _stacked([frame[key] for frame in frames], part) for key, part in space.items()}
    return _joined([np.asarray(frame) for frame in frames], space)


def _zeros(obs: Any) -> Any:
    return {key: _zeros(part) for key, part in obs.items()} if isinstance(obs, dict) else np.zeros_like(obs)


def _stacked_space(space: spaces.Space[Any], count: int) -> spaces.Space[Any]:
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: _stacked_space(part, count) for key, part in space.items()})
    if not isinstance(space, spaces.Box) or not space.shape:
        raise UsageError(
            f"frame_stack takes observations that are a Box, or a Dict of them, and {space} is neither",
            "Flatten them first: --wrapper gymnasium.wrappers.FlattenObservation",
        )
    low, high = (_joined([side] * count, space) for side in (space.low, space.high))
    return spaces.Box(
        np.minimum(low, 0).astype(space.dtype), np.maximum(high, 0).astype(space.dtype), dtype=space.dtype.type
    )


class HideNumbers(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Observations some of whose numbers read 0: what they tell must be remembered.

    Space and shape stay, so that an agent's file fits both. CartPole and Pendulum without velocities are native as
    ``rlplay/CartPoleNoVel-v1`` and ``rlplay/PendulumNoVel-v1``.

    Args:
        env: an environment whose observations are vectors.
        hidden: the numbers, by name (``rlplay show`` says them) or by place from 0.

    Raises:
        UsageError: other observations, or no such number.

    Example:
        >>> from rlplay import make
        >>> env = HideNumbers(make("CartPole-v1"), ["cart velocity", "pole velocity"])
        >>> env.reset(seed=0)[0][[1, 3]].tolist()
        [0.0, 0.0]
    """

    def __init__(self, env: gym.Env[Any, Any], hidden: Iterable[str | int]) -> None:
        space, given = env.observation_space, [hidden] if isinstance(hidden, str | int) else list(hidden)
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            raise UsageError(f"HideNumbers takes observations that are vectors, and {_named(env)} has {space}")
        names = registry.recipes("OBSERVATION_NAMES").get(env.spec.id if env.spec else "", [])
        places: list[Any] = [names.index(one) if one in names else one for one in given]
        for one in places:
            if isinstance(one, str):
                raise unknown(f"number of an observation of {_named(env)}", one, names, "Give its place from 0")
            if type(one) is not int or not 0 <= one < space.shape[0]:
                raise UsageError(
                    f"HideNumbers: hidden={one!r} is not a place from 0 to {space.shape[0] - 1} of an observation of "
                    f"{_named(env)}"
                )
        gym.utils.RecordConstructorArgs.__init__(self, hidden=given)
        gym.Wrapper.__init__(self, env)
        self._places = places
        low, high = space.low.copy(), space.high.copy()
        low[places], high[places] = np.minimum(low[places], 0), np.maximum(high[places], 0)
        self.observation_space = spaces.Box(low, high, dtype=space.dtype.type)

    def observation(self, observation: Any) -> Any:
        """The observation without what is hidden."""
        seen = np.array(observation)
        seen[self._places] = 0
        return seen


class WithoutText(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Observations without their texts, which no agent reads.

    Args:
        env: an environment whose observations are a Dict or a Tuple.

    Example:
        >>> class Told(gym.Env):
        ...     observation_space = spaces.Dict({"x": spaces.Box(0.0, 1.0, (2,)), "mission": spaces.Text(20)})
        ...     action_space = spaces.Discrete(2)
        >>> WithoutText(Told()).observation_space
        Dict('x': Box(0.0, 1.0, (2,), float32))
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        space = _untold_space(env.observation_space)
        assert space is not None  # `without_text` has looked
        self.observation_space = space

    def observation(self, observation: Any) -> Any:
        """The observation without its texts."""
        return _untold(self.env.observation_space, observation)


def without_text(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """The environment, in `WithoutText` where a Dict or Tuple of its observations has texts among other parts; said."""
    space = env.observation_space
    texts = _texts(space)
    if not texts or _untold_space(space) is None:
        return env
    words = f"observations of {_named(env)} have text, which no agent reads: left out are {', '.join(texts)}"
    warn_once(words)
    return WithoutText(env)


def _parts(space: Any) -> list[tuple[Any, spaces.Space[Any]]]:
    if isinstance(space, spaces.Dict):
        return list(space.spaces.items())
    return list(enumerate(space.spaces)) if isinstance(space, spaces.Tuple) else []


def _is_text(space: spaces.Space[Any]) -> bool:
    return space.dtype is not None and space.dtype.kind == "U"


def _texts(space: spaces.Space[Any], name: str = "") -> list[str]:
    if _is_text(space):
        return [name]
    return [text for key, part in _parts(space) for text in _texts(part, f"{name}.{key}" if name else str(key))]


def _untold_space(space: spaces.Space[Any]) -> spaces.Space[Any] | None:
    if _is_text(space):
        return None
    if not _parts(space):
        return space
    kept = [(key, part) for key, whole in _parts(space) if (part := _untold_space(whole)) is not None]
    if not kept:
        return None
    return spaces.Dict(dict(kept)) if isinstance(space, spaces.Dict) else spaces.Tuple([part for _, part in kept])


def _untold(space: spaces.Space[Any], obs: Any) -> Any:
    if not _parts(space):
        return obs
    kept = [(key, _untold(part, obs[key])) for key, part in _parts(space) if _untold_space(part) is not None]
    return dict(kept) if isinstance(space, spaces.Dict) else tuple(part for _, part in kept)


def _named(env: gym.Env[Any, Any]) -> str:
    return env.spec.id if env.spec else type(env.unwrapped).__name__


def _plain(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
