"""Whose dynamics an environment runs: its own ``step`` in Python, or native code that gives the same."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from rlplay import registry
from rlplay.compiled.native import NativeEnv, differs_from_dynamics, same_numbers
from rlplay.compiled.table import TableEnv, agreement, changing_wrapper, has_table, table_of
from rlplay.environments.reference import EnvReference, remember, remembered
from rlplay.errors import SpaceError, UsageError, warn_once

DynamicsChoice = Literal["auto", "native", "gymnasium"]

_same: dict[tuple[type, str], bool] = {}  # whether a native version gave an environment's own numbers
_in_place_of: WeakKeyDictionary[gym.Env[Any, Any], frozenset[str]] = WeakKeyDictionary()  # the attributes of another

# What runs where a table does, by what `agreement` found.
_BY_TABLE = {"exact": "native, the same numbers as Gymnasium's", "law": "native, drawn from its table"}


def once_more(env: gym.Env[Any, Any], ref: EnvReference) -> TableEnv | None:
    """The same environment over the same table, which nothing changes; None for one that is made again otherwise."""
    if type(env) is not TableEnv or ref.maker is not None or ref.dynamics not in _BY_TABLE.values():
        return None
    spaces = copy.deepcopy((env.observation_space, env.action_space))
    made = TableEnv(env.table, *spaces, env.max_episode_steps, env.spec)
    remember(made, ref)
    return made


def with_dynamics(
    made: gym.Env[Any, Any], ref: EnvReference, dynamics: DynamicsChoice, spec: EnvSpec
) -> gym.Env[Any, Any]:
    """The environment that runs the dynamics which are asked for, in place of one that Gymnasium made; remembered.

    Args:
        made: by Gymnasium; what takes its place closes it.
        ref: its reference.
        dynamics: see `rlplay.make`.
        spec: by which it was made.

    Raises:
        SpaceError: native dynamics were asked for and there are none.
    """
    why_not = _no_native(made, ref, spec) if dynamics != "gymnasium" else "Gymnasium's dynamics were asked for"
    version = native_version(made)
    limit = (made.spec.max_episode_steps if made.spec else None) or 0
    own = made.unwrapped
    if not why_not and isinstance(own, NativeEnv | TableEnv):
        check_native(own)
        own.max_episode_steps = limit or own.max_episode_steps
        own.spec = made.spec
        remember(own, replace(ref, dynamics="native, its own"))
        return own
    if not why_not and version is not None:
        ours = version.from_reference(made)
        asked = (type(own), repr((made.spec and made.spec.kwargs, vars(type(own)))))
        if ref.unsaved:  # what it does may depend on them
            _same.pop(asked, None)
        if asked not in _same:  # once a process: agents make many of a kind
            _same[asked] = same_numbers(made, ours)
        if _same[asked]:
            words = "native, the same numbers as Gymnasium's" + ("" if version.exact else ", but for a last digit")
            remember(ours, replace(ref, dynamics=words, exact=version.exact))
            _in_place_of[ours] = _attributes(own) - vars(ours).keys()
            made.close()
            return ours
        why_not = "its native version does not do what it does with these arguments"
    elif not why_not:
        table = table_of(made)
        agrees = agreement(made, table, thorough=not _does_what_its_table_says(made))
        if agrees == "none":
            why_not = "its transition table does not describe what it does"
        else:
            native = TableEnv(table, made.observation_space, made.action_space, limit, made.spec)
            remember(native, replace(ref, dynamics=_BY_TABLE[agrees], exact=agrees == "exact"))
            _in_place_of[native] = _attributes(own) - vars(native).keys()
            made.close()
            return native
    if dynamics == "native":
        made.close()
        raise SpaceError(f"{ref.id} has no native dynamics: {why_not}", "Take dynamics='auto' or 'gymnasium'")
    remember(made, replace(ref, why_not_native=why_not))
    return made


def _attributes(env: gym.Env[Any, Any]) -> frozenset[str]:
    """The attributes of an environment that users set; Gymnasium itself sets the others, its generator for one."""
    return frozenset(name for name in vars(env) if not name.startswith("_"))


def native_version(env: gym.Env[Any, Any]) -> type[NativeEnv] | None:
    """The native version of an environment's class, under whatever id it was registered; None for none.

    Example:
        >>> native_version(gym.make("CartPole-v1")).__name__, native_version(gym.make("FrozenLake-v1"))
        ('CartPoleEnv', None)
    """
    cls = type(env.unwrapped)
    versions: dict[str, type[NativeEnv]] = registry.recipes("NATIVE_VERSIONS")
    for env_id, version in versions.items():
        if getattr(gym.registry.get(env_id), "entry_point", "") == f"{cls.__module__}:{cls.__qualname__}":
            return version
    return None


def check_native(env: gym.Env[Any, Any]) -> None:
    """Refuse a class with native dynamics whose own ``step`` or ``reset`` does something else.

    Raises:
        UsageError: native loops would never call it.
    """
    if isinstance(env, NativeEnv) and _foreign_method(env) and differs_from_dynamics(env):
        cls, name = type(env).__name__, _foreign_method(env)
        raise UsageError(
            f"{cls}.{name} does something else than the dynamics of {cls}, which native code runs in its place",
            "Change the dynamics (NativeDynamics), or leave the class as it is and put a gymnasium.Wrapper around it",
        )


def say_what_has_no_effect(env: gym.Env[Any, Any]) -> None:
    """Say which attributes of a Gymnasium environment were set on the native one that runs in its place."""
    names = sorted(_in_place_of.get(env, frozenset()) & vars(env).keys())
    if names:
        warn_once(
            f"{remembered(env)} runs in native code, where {', '.join(names)} set by hand has no effect. "
            "Set it in rlplay.make(..., dynamics='gymnasium')"
        )


def carry_over(env: gym.Env[Any, Any], made: gym.Env[Any, Any], **asked: Any) -> None:
    """Give an environment in native code that was made anew what was set by hand in the one it was made from.

    Args:
        env: the one.
        made: the new one.
        asked: what is other in it.

    Example:
        >>> import rlplay
        >>> env, made = rlplay.make("CartPole-v1"), rlplay.make("CartPole-v1")
        >>> env.world.parameters[0], env.max_episode_steps = 20.0, 9
        >>> carry_over(env, made)
        >>> float(made.world.parameters[0]), made.max_episode_steps
        (20.0, 9)
    """
    one, other = env.unwrapped, made.unwrapped
    if not (isinstance(one, NativeEnv) and type(one) is type(other)):
        return
    if set_by_hand(one):
        other.world.parameters[:] = one.world.parameters
    if "max_episode_steps" not in asked:
        other.max_episode_steps = one.max_episode_steps


def set_by_hand(env: NativeEnv) -> bool:
    """Whether the parameters of native code are not those that its constants make."""
    return not np.array_equal(env.world.parameters, env.parameters(), equal_nan=True)


def _does_what_its_table_says(env: gym.Env[Any, Any]) -> bool:
    """Whether an environment is one of Gymnasium's or ours, not of a class derived from them, nor changed by hand."""
    return _is_known(type(env.unwrapped)) and not _foreign_method(env)


def _foreign_method(env: gym.Env[Any, Any]) -> str:
    """Which of ``step`` and ``reset`` is not Gymnasium's or ours, in a class or set by hand; empty for none."""
    plain = env.unwrapped
    return next((name for name in ("step", "reset") if not _is_known(getattr(plain, name))), "")


def _is_known(what: Any) -> bool:
    return str(getattr(what, "__module__", "")).partition(".")[0] in ("gymnasium", "envs", "rlplay")


def _no_native(made: gym.Env[Any, Any], ref: EnvReference, spec: EnvSpec) -> str:
    """Why an environment cannot run natively; empty where it can."""
    if made.render_mode:
        return "it is rendered"
    if spec.additional_wrappers or changing_wrapper(made):
        return "its id adds wrappers of its own"
    for name, words in registry.recipes("NOT_THE_TABLE").get(ref.id, {}).items():
        if ref.kwargs.get(name):
            return words
    if isinstance(made.unwrapped, NativeEnv | TableEnv):
        return ""
    if native_version(made):
        foreign = _foreign_method(made)
        return f"the method {foreign} of its class was set by hand" if foreign else ""
    if not has_table(made):
        return "it has no native version and no transition table (env.unwrapped.P)"
    try:
        table_of(made)
    except SpaceError as error:
        return error.cause
    return ""
