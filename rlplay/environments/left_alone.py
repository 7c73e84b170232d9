"""Whether somebody else has played in an environment between two runs that learn in it.

``env.reset()`` after ``learn``, or Stable-Baselines3's ``evaluate_policy(model, model.get_env())``, plays in the very
environment in which the agent would go on. Its episode is over then: what the agent saw last and what the environment
shows next belong to different ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import gymnasium as gym

from rlplay.compiled.native import NativeEnv
from rlplay.compiled.table import TableEnv
from rlplay.environments.interact import RunningEnv
from rlplay.environments.rebuild import look_of, same

Env = gym.Env[Any, Any]


class _Left(NamedTuple):
    """Where a run left an environment: in which episode, after how many steps, and what its steps had changed."""

    seed: int | None
    length: int
    moved: dict[str, Any]


_left: WeakKeyDictionary[Env, _Left] = WeakKeyDictionary()


def looks_of(running: Sequence[RunningEnv]) -> list[dict[str, Any]]:
    """What steps may change in each environment, by name; of native ones the first stands for all.

    Example:
        >>> from agents import QLearning
        >>> sorted(looks_of(QLearning("FrozenLake-v1", seed=0).running_envs())[0])
        ['elapsed', 'rng']
    """
    return [_look(one.env) for one in running[: 1 if _is_native(running[0].env) else None]] if running else []


def leave(running: Sequence[RunningEnv], before: list[dict[str, Any]]) -> None:
    """A run ends: keep where it leaves its environments, and what it has changed in them since it began."""
    for (env, position, _), look, then in zip(running, looks_of(running), before, strict=False):
        moved = {name: value for name, value in look.items() if name not in then or not same(value, then[name])}
        _left[env] = _Left(position.seed, position.length, moved)


def led_on(env: Env) -> None:
    """An agent is loaded, and led to where it stood: where a run left its environment counts no more.

    Example:
        >>> from agents import QLearning
        >>> agent = QLearning("Taxi-v4", seed=0).learn(5)
        >>> _ = agent.env.reset()
        >>> led_on(agent.env)
        >>> left_alone(agent.running_envs())
        True
    """
    _left.pop(env, None)


def left_alone(running: Sequence[RunningEnv]) -> bool:
    """Whether each environment stands where the last run left it, in the middle of an episode or not.

    Example:
        >>> from agents import QLearning
        >>> agent = QLearning("Taxi-v4", seed=0).learn(5)
        >>> before = left_alone(agent.running_envs())
        >>> _ = agent.env.reset()
        >>> before, left_alone(agent.running_envs())
        (True, False)
    """
    for env, position, _ in running:
        left = _left.get(env)
        if left is None or position.obs is None or (position.seed, position.length) != left[:2]:
            continue  # nothing is known, or the agent itself was led on
        now = _look(env)
        if not all(name in now and same(now[name], value) for name, value in left.moved.items()):
            return False
    return True


def _is_native(env: Env) -> bool:
    return isinstance(env.unwrapped, NativeEnv | TableEnv)


def _look(env: Env) -> dict[str, Any]:
    own = env.unwrapped
    if isinstance(own, NativeEnv | TableEnv):
        return {"elapsed": own.elapsed, "rng": own.rng.copy()}  # a state that somebody sets is gone on from
    try:
        found = dict(look_of(env)["attributes"])
    except Exception:  # of whatever its class is made: then nothing is known
        return {}
    drawn = getattr(own, "_np_random", None)
    return {**found, "random numbers": repr(drawn.bit_generator.state)} if drawn is not None else found
