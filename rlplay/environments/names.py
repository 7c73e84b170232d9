"""What an environment's id, its arguments and a wrapper's name stand for."""

from __future__ import annotations

import inspect
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from rlplay import registry
from rlplay.environments.packages import import_typed, of_others, of_package, registered_by
from rlplay.environments.rebuild import WAY_OUT
from rlplay.environments.reference import same_in_a_file
from rlplay.errors import UnknownNameError, UsageError, counted, one_line, unknown

_MOST_CELLS = 250_000  # of a map among the arguments; Gymnasium fills the table of a larger one for minutes
_LARGER_MAPS = "Take a smaller map, or rlplay/GridWorld-v0 with map=FILE, whose maps may have millions"


def check_arguments(kwargs: Any) -> None:
    """Refuse arguments of an environment, typed or in a file, that are none, or of a name that `make` itself reads.

    Raises:
        UsageError: names the argument.

    Example:
        >>> check_arguments({"dynamics": "native"})
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: 'dynamics' is no argument of an environment, but of how it is made. Leave ...
    """
    if not isinstance(kwargs, dict) or not all(isinstance(name, str) for name in kwargs):
        raise UsageError(f"the arguments of the environment, {kwargs!r:.60}, are no names and values")
    for name in ("env", "dynamics"):
        if name in kwargs:
            raise UsageError(
                f"{name!r} is no argument of an environment, but of how it is made",
                f"Leave it out; on the command line there is --{name}",
            )


def check_values(name: str, spec: EnvSpec, kwargs: dict[str, Any]) -> None:
    """Refuse a map that is too large, and a text where an environment takes yes or no: any text would count as yes.

    Raises:
        UsageError: names the argument.

    Example:
        >>> check_values("FrozenLake-v1", gym.spec("FrozenLake-v1"), {"is_slippery": "no"})
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: FrozenLake-v1: is_slippery='no' is neither true nor false. Write is_slippery:true ...
    """
    if isinstance(desc := kwargs.get("desc"), list | tuple) and (cells := sum(map(_length, desc))) > _MOST_CELLS:
        raise UsageError(f"{name}: desc has {counted(cells, 'cell')}, more than {_MOST_CELLS:,}", _LARGER_MAPS)
    texts = [key for key, value in kwargs.items() if isinstance(value, str)]
    if not texts:
        return
    point: Any = spec.entry_point
    try:
        parameters = inspect.signature(load_env_creator(point) if isinstance(point, str) else point).parameters
    except (ImportError, AttributeError, TypeError, ValueError):  # said when it is made
        return
    for key in texts:
        flag = key in parameters and isinstance(parameters[key].default, bool)
        if flag and parameters[key].annotation in (inspect.Parameter.empty, bool, "bool"):
            raise UsageError(f"{name}: {key}={kwargs[key]!r} is neither true nor false", f"Write {key}:true or false")


def kwargs_of(spec: EnvSpec) -> dict[str, Any]:
    """The arguments of an instance's spec that its id does not give already; not the render mode.

    Example:
        >>> kwargs_of(gym.make("FrozenLake-v1", is_slippery=False).spec)  # map_name="4x4" is of the id
        {'is_slippery': False}
    """
    registered = gym.registry.get(spec.id)
    usual = {} if registered is None else registered.kwargs
    return {
        key: value
        for key, value in spec.kwargs.items()
        if key != "render_mode" and not (key in usual and same_in_a_file(value, usual[key]))
    }


# Wrappers of Gymnasium's that a file may name: they take plain numbers and words, and write nothing.
_WRAPPERS_IN_FILES = (
    "AtariPreprocessing", "ClipAction", "ClipReward", "DelayObservation", "DiscretizeAction", "DiscretizeObservation",
    "FilterObservation", "FlattenObservation", "FrameStackObservation", "GrayscaleObservation",
    "MaxAndSkipObservation", "NormalizeObservation", "NormalizeReward", "RecordEpisodeStatistics", "RepeatAction",
    "RescaleAction", "RescaleObservation", "ReshapeObservation", "ResizeObservation", "StickyAction",
    "TimeAwareObservation", "TimeLimit",
)  # fmt: skip


def gymnasium_wrapper(name: str) -> type[gym.Wrapper[Any, Any, Any, Any]] | None:
    """The wrapper of Gymnasium's that a file names as ``module:Class``; None for any other. Nothing is imported for it.

    Example:
        >>> gymnasium_wrapper("gymnasium.wrappers.common:TimeLimit").__name__
        'TimeLimit'
        >>> gymnasium_wrapper("os:system") is None
        True
    """
    module, _, cls = name.partition(":")
    if cls not in _WRAPPERS_IN_FILES or not f"{module}.".startswith("gymnasium.wrappers."):
        return None
    found: Any = getattr(gym.wrappers, cls, None)
    return found


def wrap_by_name(env: gym.Env[Any, Any], name: str, kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
    """An environment within a wrapper that a file names.

    Raises:
        UsageError: no wrapper that a file may name, or arguments that it does not take.

    Example:
        >>> limit = {"max_episode_steps": 3}
        >>> wrap_by_name(gym.make("CartPole-v1").unwrapped, "gymnasium.wrappers.common:TimeLimit", limit).class_name()
        'TimeLimit'
    """
    cls: Any = gymnasium_wrapper(name)
    if cls is None:
        raise UsageError(f"{name} is no wrapper of Gymnasium's that a file may name", WAY_OUT)
    try:
        wrapped: gym.Env[Any, Any] = cls(env, **kwargs)
    except (TypeError, ValueError, AssertionError, KeyError) as error:
        raise UsageError(f"the wrapper {cls.__name__} does not take these arguments: {one_line(error)}") from error
    return wrapped


def known_env_ids() -> list[str]:
    """Every environment id that can be named: Gymnasium's registry and what plug-ins offer."""
    return sorted({*gym.registry, *registry.env_ids()})


def spec_of(env: str) -> EnvSpec:
    """The specification of an id, of ``module:id`` or of ``package.module:Class``; imports its plug-in or module.

    Raises:
        UnknownNameError: no such environment; names the nearest.
        UsageError: the class is no environment.

    Example:
        >>> spec_of("CartPole-v1").max_episode_steps
        500
    """
    if ":" in env:
        return _typed(env)
    if env not in gym.registry:
        entry_point = registry.load_environment(env)
        if entry_point and env not in gym.registry:
            gym.register(env, entry_point=entry_point)
    if env not in gym.registry:
        if packaged := of_package(env):
            raise UnknownNameError(f"unknown environment {env!r}", packaged)
        newest = [i for i in gym.registry if i.rpartition("-v")[0] == env]
        if newest:
            raise unknown("environment", env, newest, f"Give the version: {', '.join(newest)}")
        raise unknown(
            "environment",
            env,
            known_env_ids(),
            of_others(env) or "See `rlplay list envs`, or give your own as package.module:Class",
        )
    return gym.registry[env]


def _typed(env: str) -> EnvSpec:
    """What is behind ``package.module:Class``, which must be a gymnasium.Env, or ``module:id``, which it registers."""
    module_name, _, name = env.partition(":")
    module = import_typed(module_name, f"environment {env!r}")
    found: Any = getattr(module, name, None)
    if found is None and (name in gym.registry or not name.isidentifier()):
        return registered_by(module, name)
    if found is None:
        classes = [n for n, c in vars(module).items() if isinstance(c, type) and issubclass(c, gym.Env)]
        raise unknown(f"environment class in {module_name}", name, classes)
    if not (isinstance(found, type) and issubclass(found, gym.Env)):
        raise UsageError(f"{env} is not a gymnasium.Env", "Derive the class from gymnasium.Env")
    maker: Any = found
    return EnvSpec(id=env, entry_point=maker)


def _length(row: Any) -> int:
    return len(row) if isinstance(row, str | list | tuple) else 1
