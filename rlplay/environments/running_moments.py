"""What wrappers learn of an environment while it is played: running means and deviations, carried along.

Gymnasium's `NormalizeObservation` and `NormalizeReward` keep a mean, a variance and a count of all steps so far, and so
do many wrappers of users' own. An environment that is made anew would begin without them: evaluations take them over,
and a file keeps those with which the running episode began, so that it can be played again to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import CheckpointError

_MOMENTS = ("mean", "var", "count")
_FLAG = "update_running_mean"  # Gymnasium's


def layers_with_moments(env: gym.Env[Any, Any] | None) -> dict[str, gym.Wrapper[Any, Any, Any, Any]]:
    """The wrappers that keep running moments, by their place (0 is the outermost) and class.

    Example:
        >>> list(layers_with_moments(gym.wrappers.NormalizeReward(gym.make("CartPole-v1"))))
        ['0:NormalizeReward']
    """
    found, place = {}, 0
    while isinstance(env, gym.Wrapper):
        if any(_is_moments(value) for value in vars(env).values()):
            found[f"{place}:{type(env).__name__}"] = env
        env, place = env.env, place + 1
    return found


def _is_moments(value: Any) -> bool:
    """Whether something is a `gymnasium.wrappers.utils.RunningMeanStd`, or of that shape."""
    return hasattr(value, "__dict__") and all(_is_number(vars(value).get(name)) for name in _MOMENTS)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.ndarray | np.number) and not isinstance(value, bool)


def moments_of(layers: Mapping[str, gym.Wrapper[Any, Any, Any, Any]]) -> dict[str, NDArray[Any]]:
    """What such wrappers have learned so far, as arrays: the moments, and the numbers beside them.

    Example:
        >>> env = gym.wrappers.NormalizeObservation(gym.make("CartPole-v1"))
        >>> _ = env.reset(seed=0)
        >>> {name: array.shape for name, array in moments_of(layers_with_moments(env)).items()}
        {'0:NormalizeObservation/obs_rms/mean': (4,), '0:NormalizeObservation/obs_rms/var': (4,), ...}
    """
    return {name: np.array(getattr(holder, key)) for name, holder, key in _places(layers)}


def _places(layers: Mapping[str, gym.Wrapper[Any, Any, Any, Any]]) -> Iterator[tuple[str, Any, str]]:
    """Where each number stands: its name, what holds it, its attribute. A wrapper's arguments are none of them."""
    for layer, wrapper in layers.items():
        arguments = getattr(wrapper, "_saved_kwargs", None) or {}
        for name, value in vars(wrapper).items():
            if _is_moments(value):
                yield from ((f"{layer}/{name}/{key}", value, key) for key in _MOMENTS)
            elif _is_number(value) and name not in arguments:
                yield f"{layer}/{name}", wrapper, name


def put_moments(layers: Mapping[str, gym.Wrapper[Any, Any, Any, Any]], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Go on from what `moments_of` gave; what is in one of the two alone is left as it is.

    Raises:
        CheckpointError: moments of another shape, or that cannot be.
    """
    for name, holder, key in _places(layers):
        if name not in arrays:
            continue
        own, found = getattr(holder, key), arrays[name]
        if np.shape(own) != found.shape or found.dtype.kind not in "iuf":
            raise CheckpointError(f"{name} is {found.dtype} of shape {found.shape}, and here of {np.shape(own)}")
        if not np.isfinite(found).all() or (key in ("var", "count") and (found < 0).any()):
            raise CheckpointError(f"{name} holds numbers that no {key} can be: refused")
        setattr(holder, key, found.copy() if isinstance(own, np.ndarray) else type(own)(found.item()))


def learned(env: gym.Env[Any, Any] | None) -> dict[str, NDArray[Any]]:
    """What the wrappers of an environment have learned, also of one that a loaded agent does not have."""
    return env.moments if isinstance(env, NoEnvironment) else moments_of(layers_with_moments(env))


def learn_from(env: gym.Env[Any, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Let the wrappers of an environment know what `learned` gave, also of one that a loaded agent does not have."""
    if isinstance(env, NoEnvironment):
        env.moments = arrays
    put_moments(layers_with_moments(env), arrays)


def take_over(env: gym.Env[Any, Any] | None, made: gym.Env[Any, Any]) -> None:
    """Put what the wrappers of an environment have learned into those of one that was made anew.

    Example:
        >>> env, made = (gym.wrappers.NormalizeObservation(gym.make("CartPole-v1")) for _ in range(2))
        >>> _ = env.reset(seed=0)
        >>> take_over(env, made)
        >>> bool((made.obs_rms.mean == env.obs_rms.mean).all())
        True
    """
    if found := learned(env):
        put_moments(layers_with_moments(made), found)


def go_on_from(env: gym.Env[Any, Any] | None, given: gym.Env[Any, Any]) -> None:
    """The same for an environment that was given, unless its own wrappers have learned something already."""
    own = moments_of(layers_with_moments(given))
    if all(count < 1.0 for name, count in own.items() if name.endswith("/count")):
        take_over(env, given)


@contextmanager
def held(env: gym.Env[Any, Any]) -> Iterator[None]:
    """While this lasts, Gymnasium's wrappers use their moments and learn nothing.

    Example:
        >>> env = gym.wrappers.NormalizeObservation(gym.make("CartPole-v1"))
        >>> with held(env):
        ...     _ = env.reset(seed=0)
        >>> env.obs_rms.count
        0.0001
    """
    learning = [one for one in layers_with_moments(env).values() if getattr(one, _FLAG, None) is True]
    for one in learning:
        setattr(one, _FLAG, False)
    try:
        yield
    finally:
        for one in learning:
            setattr(one, _FLAG, True)
