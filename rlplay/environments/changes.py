"""What was changed by hand in the environment of an agent: it reaches what is made anew from it, or is said.

Evaluations, files and further environments have an agent's environment as its id makes it, or as it was when it was
given. The constants and the time limit of native code are carried over to what is made anew; of any other change it
is said once where it has no effect, and the way out.
"""

from __future__ import annotations

from functools import reduce
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary
from zlib import crc32

import gymnasium as gym
import numpy as np

from rlplay.compiled.native import NativeEnv
from rlplay.compiled.table import TableEnv
from rlplay.environments.dynamics import say_what_has_no_effect, set_by_hand
from rlplay.environments.make import made_again, reference, take_apart_again, taken_apart
from rlplay.environments.rebuild import difference, look_of, moving_attributes
from rlplay.errors import RlplayError, warn_once

Env = gym.Env[Any, Any]

# What an environment looks like that its reference makes; once it was learned in, what it looked like then.
_looks: WeakKeyDictionary[Env, dict[str, Any]] = WeakKeyDictionary()
_moving: WeakKeyDictionary[Env, set[str]] = WeakKeyDictionary()  # the attributes that a few steps change
_tables: WeakKeyDictionary[Env, int] = WeakKeyDictionary()  # what the arrays of a transition table came to
_LARGEST_TABLE = 2**24  # bytes that are gone through before each run
_given: WeakKeyDictionary[Env, ReferenceType[Env]] = WeakKeyDictionary()  # by the native one that runs in its place


def note(env: Env) -> None:
    """Keep what an environment looks like: what differs from then on was changed by hand."""
    own = env.unwrapped
    if isinstance(own, TableEnv) and own not in _tables:
        note_table(own)
    if isinstance(env, NativeEnv | TableEnv):
        return
    try:
        _looks[env] = look_of(env)
    except Exception:  # of whatever its class is made: then nothing is known
        forget(env)


def note_table(env: TableEnv) -> None:
    """Take the transition table of an environment as it is now for what it should be."""
    _tables[env] = _sum_of(env)


def note_given(env: Env) -> None:
    """Keep what an instance that a user gives should look like: as its reference makes it."""
    if isinstance(env, NativeEnv | TableEnv):
        return
    if taken_apart(env):
        if changed_by_hand(env):  # given again: its reference is of what it is now
            take_apart_again(env)
        note(env)
    elif env not in _looks:
        try:
            again = made_again(env)
        except RlplayError:  # then nothing can differ from it
            return
        note(again)
        if again in _looks:
            _looks[env] = _looks[again]
        again.close()


def note_twin(env: Env, native: Env) -> None:
    """Keep which instance was given, in whose place a native environment runs."""
    _given[native] = ReferenceType(env)


def forget(env: Env) -> None:
    """What changes from now on is not by hand: an agent learns in the environment."""
    _looks.pop(env, None)


def changed_by_hand(env: Env) -> str:
    """What is other in an environment than it was, in words; empty for nothing, or where that is not known.

    What a few steps change does not count.

    Example:
        >>> import rlplay
        >>> env = rlplay.make("CartPole-v1", dynamics="gymnasium")
        >>> note(env)
        >>> _, env.unwrapped.gravity = env.reset(), 20.0
        >>> changed_by_hand(env)
        'CartPoleEnv.gravity is 20.0 now, and 9.8 before'
    """
    before = _looks.get(env)
    if before is None:
        return ""
    try:
        return difference(look_of(env), before, lambda: _moving_of(env), ("now", "before"))
    except Exception:  # it cannot be made anew, so that nothing can differ from it; or cannot be compared
        return ""


def _sum_of(env: TableEnv) -> int:
    """A number that is another where one of a table's numbers is; 0 for large tables, which are not gone through."""
    arrays = env.table.arrays
    if sum(array.nbytes for array in arrays) > _LARGEST_TABLE:
        return 0
    return reduce(lambda so_far, array: crc32(np.ascontiguousarray(array).data, so_far), arrays, 0)


def _moving_of(env: Env) -> set[str]:
    if env not in _moving:
        _moving[env] = moving_attributes(lambda: made_again(env))
    return _moving[env]


def say_changes(env: Env) -> None:
    """Say what was changed by hand and is not seen: by native code, evaluations, files or further environments.

    Args:
        env: the environment of an agent that begins to learn, or is evaluated.
    """
    say_what_has_no_effect(env)
    own = env.unwrapped
    if isinstance(own, NativeEnv) and set_by_hand(own):
        ref, name = reference(env), next(iter(own.constants), "name")
        warn_once(
            f"world.parameters of {ref} were set by hand: agents learn and are evaluated so, and files do not hold "
            f"them. Give arguments: rlplay.make({ref.id!r}, {name}=...)"
        )
    if isinstance(own, TableEnv) and own in _tables and _sum_of(own) != _tables[own]:
        warn_once(
            f"the transition table of {reference(env)} was changed by hand: agents learn and are evaluated so, and "
            "files do not hold it. Give a function that makes it so: agent.set_env(make_env)"
        )
    given = _given[env]() if env in _given else None
    if given is not None and (changed := changed_by_hand(given)):
        warn_once(
            f"{reference(env)} is learned in native code as it was given, and has changed since: {changed}. "
            "Give it again: agent.set_env(env)"
        )
    if changed := changed_by_hand(env):
        warn_once(
            f"{reference(env)} has changed since it was made: {changed}. Evaluations, files and further environments "
            "have it as it was. Give a function that makes it so: agent.set_env(make_env)"
        )
