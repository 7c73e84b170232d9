"""Whose dynamics an environment runs: its own ``step`` in Python, or native code that gives the same."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Literal

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from rlplay import registry
from rlplay.compiled.native import NativeEnv, same_numbers
from rlplay.compiled.table import TableEnv, agreement, changing_wrapper, has_table, table_of
from rlplay.environments.reference import EnvReference, remember
from rlplay.errors import SpaceError

DynamicsChoice = Literal["auto", "native", "gymnasium"]

_same: dict[tuple[type, str, str], bool] = {}  # whether a native version gave an environment's own numbers

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
    version: type[NativeEnv] | None = registry.recipes("NATIVE_VERSIONS").get(ref.id)
    limit = (made.spec.max_episode_steps if made.spec else None) or 0
    own = made.unwrapped
    if not why_not and isinstance(own, NativeEnv | TableEnv):
        own.max_episode_steps = limit or own.max_episode_steps
        own.spec = made.spec
        remember(own, replace(ref, dynamics="native, its own"))
        return own
    if not why_not and version is not None:
        ours = version.from_reference(made)
        asked = (type(made.unwrapped), ref.id, repr(ref.kwargs))
        if ref.unsaved:  # what it does may depend on them
            _same.pop(asked, None)
        if asked not in _same:  # once a process: agents make many of a kind
            _same[asked] = same_numbers(made, ours)
        if _same[asked]:
            words = "native, the same numbers as Gymnasium's" + ("" if version.exact else ", but for a last digit")
            remember(ours, replace(ref, dynamics=words, exact=version.exact))
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
            made.close()
            return native
    if dynamics == "native":
        made.close()
        raise SpaceError(f"{ref.id} has no native dynamics: {why_not}", "Take dynamics='auto' or 'gymnasium'")
    remember(made, replace(ref, why_not_native=why_not))
    return made


def _does_what_its_table_says(env: gym.Env[Any, Any]) -> bool:
    """Whether an environment is one of Gymnasium's or ours, not of a class derived from them."""
    plain = env.unwrapped
    root = type(plain).__module__.partition(".")[0]
    return root in ("gymnasium", "envs", "rlplay") and not {"step", "reset"} & vars(plain).keys()


def _no_native(made: gym.Env[Any, Any], ref: EnvReference, spec: EnvSpec) -> str:
    """Why an environment cannot run natively; empty where it can."""
    if made.render_mode:
        return "it is rendered"
    if spec.additional_wrappers or changing_wrapper(made):
        return "its id adds wrappers of its own"
    for name, words in registry.recipes("NOT_THE_TABLE").get(ref.id, {}).items():
        if ref.kwargs.get(name):
            return words
    if ref.id in registry.recipes("NATIVE_VERSIONS") or isinstance(made.unwrapped, NativeEnv | TableEnv):
        return ""
    if not has_table(made):
        return "it has no native version and no transition table (env.unwrapped.P)"
    try:
        table_of(made)
    except SpaceError as error:
        return error.cause
    return ""
