"""Environments that are given ready made, and the native code that runs in place of their own steps.

An instance of an id that runs natively runs so too, where nothing can tell the two apart: its wrappers only limit or
check, it was neither used nor changed, and it is not drawn. Else its own steps run in Python, and that is said once,
with the way to native code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from rlplay import registry
from rlplay.compiled.native import NativeEnv
from rlplay.compiled.table import TableEnv, TransitionTable, has_table, table_of
from rlplay.environments.changes import note, note_given, note_twin
from rlplay.environments.dynamics import check_native, native_version, with_dynamics
from rlplay.environments.make import EnvLike, make, reference, remake, time_limit
from rlplay.environments.names import kwargs_of
from rlplay.environments.rebuild import difference, look_of
from rlplay.environments.reference import EnvReference, remember, remembered, shortened
from rlplay.errors import RlplayError, warn_once

_LIMITING = (TimeLimit, OrderEnforcing, PassiveEnvChecker)  # wrappers that native code takes over, or does not need


def make_to_learn_in(env: EnvLike) -> gym.Env[Any, Any]:
    """The environment that an agent learns in, from what a user gives: `make`, and native code for instances too.

    Args:
        env: as in `make`. Where native code takes the place of an instance, or of what a function gives, the instance
            stays as it was given.

    Raises:
        UnknownNameError, UsageError: as in `make`.

    Example:
        >>> print(make_to_learn_in(gym.make("FrozenLake-v1", is_slippery=False)))
        <TableEnv<FrozenLake-v1>>
        >>> print(make_to_learn_in(gym.wrappers.ClipReward(gym.make("FrozenLake-v1"), 0, 1)))
        <ClipReward<TimeLimit<OrderEnforcing<PassiveEnvChecker<FrozenLakeEnv<FrozenLake-v1>>>>>>
    """
    made = make(env)
    check_native(made)
    note_given(made) if made is env else note(made)
    if isinstance(env, str) or isinstance(made, NativeEnv | TableEnv):
        return made
    native = _in_place_of(made)
    if native is None:
        return made
    if not isinstance(env, gym.Env | EnvSpec):  # each call of a function may make another world
        again = reference(made).maker or partial(remake, reference(made))
        remember(native, replace(reference(native), maker=partial(_again, again)))
    if made is env:
        note_twin(env, native)
    return native


def why_not_native(env: gym.Env[Any, Any]) -> str:
    """Why an environment is not stepped in native code, and the way to it, in words; empty where it is.

    Example:
        >>> why_not_native(make("CartPole-v1")), why_not_native(make("CartPole-v1", dynamics="gymnasium"))
        ('', "CartPole-v1 has no compiled dynamics: Gymnasium's dynamics were asked for")
    """
    if isinstance(env, NativeEnv | TableEnv):
        return ""
    ref = reference(env)
    name = ref.id or "an environment given as an instance"
    if isinstance(env.unwrapped, NativeEnv | TableEnv) or ref.kwargs.keys() & {"memory", "wrapper", "frame_stack"}:
        return f"the wrapper {type(env).__name__} around {name} is Python"
    why = ref.why_not_native or "give an id whose environment has a native version or a transition table"
    return f"{name} has no compiled dynamics: {why}"


def _again(maker: Callable[..., gym.Env[Any, Any]], **kwargs: Any) -> gym.Env[Any, Any]:
    """What a function makes once more, natively unless it is drawn or Gymnasium's dynamics are asked for."""
    made = maker(**kwargs)
    plain = kwargs.get("dynamics") == "gymnasium" or kwargs.get("render_mode")
    return made if plain else make_to_learn_in(made)


def _in_place_of(env: gym.Env[Any, Any]) -> gym.Env[Any, Any] | None:
    """The native environment that gives the numbers of an instance; None where there is none, said and remembered."""
    ref = reference(env)
    if ref.why_not_native:  # `make` has decided, or this was asked before
        return None
    native, why, way = _native_or_why(env, ref)
    if native is None:
        remember(env, replace(ref, why_not_native=f"{why}. {way}" if way else why))
        if way:
            name = str(ref) if ref.id else type(env.unwrapped).__name__
            warn_once(f"{name} is stepped in Python: {why}. {way}")
    return native


def _native_or_why(env: gym.Env[Any, Any], ref: EnvReference) -> tuple[gym.Env[Any, Any] | None, str, str]:
    """The native environment in place of an instance; else why there is none, and the way to one if there is any."""
    own = env.unwrapped
    if not ref.id:
        return None, *_without_id(own)
    spec = gym.registry.get(ref.id)
    versions = ref.id in registry.recipes("NATIVE_VERSIONS") or native_version(env)
    if spec is None or not (versions or isinstance(own, NativeEnv | TableEnv) or has_table(env)):
        return None, "it has no native version and no transition table (env.unwrapped.P)", ""
    try:
        native, cls, new = _by_its_id(env, spec)
    except RlplayError as error:
        return None, f"it cannot be made by its id ({error.cause})", ""
    if not isinstance(native, NativeEnv | TableEnv):
        return None, reference(native).why_not_native, ""
    way, wrapper = f"Give {_said(reference(native))}", _python_wrapper(env)
    if env.render_mode:
        return None, f"render_mode={env.render_mode!r} draws its own steps", f"{way} for native code"
    if wrapper:
        return None, f"its wrapper {wrapper} is Python", f"{way} without {wrapper} for native code"
    if _used(env):
        return None, "it was reset or stepped before it was given", f"{way} or a new one for native code"
    if type(own) is not cls:
        return None, f"it is a {type(own).__name__}, not the {cls.__name__} of its id", f"{way} for native code"
    changed = difference(look_of(own), new) or _set_by_hand(env)
    if not changed and isinstance(native, TableEnv) and not _same_table(table_of(env), native.table):
        changed = "its transition table is not that of its id"
    return (None, changed, f"{way} for native code") if changed else (native, "", "")


def _by_its_id(env: gym.Env[Any, Any], spec: EnvSpec) -> tuple[gym.Env[Any, Any], type, dict[str, Any]]:
    """What an instance's id gives, with its arguments and limit; class and look of a new instance without wrappers."""
    own, limit = env.unwrapped, time_limit(env)
    limits = {"max_episode_steps": limit or -1}
    made_here = remembered(own) if isinstance(own, NativeEnv | TableEnv) else None
    if made_here is not None:
        native = new = remake(made_here)
    else:
        given = limits if limit != (spec.max_episode_steps or 0) else {}
        new = make(spec.id, dynamics="gymnasium", **{**kwargs_of(own.spec or spec), **given})
    cls, look = type(new.unwrapped), look_of(new.unwrapped)
    if made_here is None:
        native = with_dynamics(new, replace(reference(new), why_not_native=""), "auto", spec)
    elif limit != time_limit(native):
        native = remake(made_here, **limits)
    return native, cls, look


def _python_wrapper(env: gym.Env[Any, Any]) -> str:
    """The name of the outermost wrapper that does more than to limit or to check; empty for none."""
    while isinstance(env, gym.Wrapper):
        if type(env) not in _LIMITING:
            return type(env).__name__
        env = env.env
    return ""


def _used(env: gym.Env[Any, Any]) -> bool:
    """Whether an environment was reset or stepped, as far as it or its wrappers know."""
    while isinstance(env, gym.Wrapper):
        if getattr(env, "_elapsed_steps", None) is not None or getattr(env, "_has_reset", False):
            return True
        env = env.env
    return getattr(env, "_np_random", None) is not None


def _set_by_hand(env: gym.Env[Any, Any]) -> str:
    """What was set by hand in the wrappers of an environment, in words; empty for nothing."""
    while isinstance(env, gym.Wrapper):
        for name, value in vars(env).items():
            if callable(value) or (name in ("_observation_space", "_action_space") and value is not None):
                return f"{type(env).__name__}.{name.removeprefix('_')} was set by hand"
        env = env.env
    return ""


def _same_table(one: TransitionTable, other: TransitionTable) -> bool:
    everywhere = np.ones(0)
    mine, theirs = (
        [*table.arrays, table.probability, table.start, everywhere if table.masks is None else table.masks]
        for table in (one, other)
    )
    return all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))


def _without_id(own: gym.Env[Any, Any]) -> tuple[str, str]:
    """Why an environment that was not made by an id has no native code, and the way to it."""
    cls = type(own)
    for base in cls.__mro__:
        for env_id in registry.recipes("NATIVE_VERSIONS"):
            if getattr(gym.registry.get(env_id), "entry_point", "") != f"{base.__module__}:{base.__qualname__}":
                continue
            if base is cls:
                return "it was made without its id", f"Give the id {env_id!r} for native code"
            return f"{cls.__name__} is derived from {base.__name__}", f"Native code is that of the id {env_id!r}"
    if not has_table(own):
        return "it has no native version and no transition table (env.unwrapped.P)", ""
    if cls.__module__ == "__main__" or "." in cls.__qualname__:
        return "it was made without an id", "Register it (gymnasium.register) and give its id for native code"
    return "it was made without an id", f"Give its class as '{cls.__module__}:{cls.__qualname__}' for native code"


def _said(ref: EnvReference) -> str:
    """What a user writes to get the environment by its id."""
    given = [f"{key}={shortened(value)}" for key, value in ref.kwargs.items()] + [f"{key}=..." for key in ref.unsaved]
    return f"rlplay.make({ref.id!r}, {', '.join(given)})" if given else f"the id {ref.id!r}"
