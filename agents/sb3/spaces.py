"""Which spaces Stable-Baselines3 learns in, which policy fits them, and what it does not respect of an environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

from rlplay.extend import SpaceError

CONTINUOUS, DISCRETE = ("SAC", "TD3", "DDPG", "TQC", "CrossQ"), ("DQN", "QRDQN")
_WIDER = "Declare it without dtype=, which is int64"
_SMALLEST_PICTURE = 36  # height and width from which its convolutions (Mnih et al. 2015) fit


def require_spaces(algorithm: str, observations: gym.Space[Any], actions: gym.Space[Any]) -> None:
    """Stop where an algorithm does not take these spaces.

    Raises:
        SpaceError: names the space, the part of it, and what fits.

    Example:
        >>> require_spaces("DQN", spaces.Discrete(4), spaces.Discrete(2))
        >>> require_spaces("PPO", spaces.Dict(a=spaces.Discrete(2), b=spaces.Text(9)), spaces.Discrete(2))
        Traceback (most recent call last):
            ...
        rlplay.errors.SpaceError: Stable-Baselines3 takes no Text(...) as observation['b']. Leave it out: ...
    """
    _require_actions(algorithm, actions)
    if not isinstance(observations, spaces.Dict):
        why = _unfit(observations)
        if why:
            raise SpaceError(f"Stable-Baselines3 takes no {_shown(observations)} as observations{why[0]}", why[1])
        return
    found = {key: _unfit(part) or _too_small(part) for key, part in observations.spaces.items()}
    fit = [key for key, why in found.items() if not why]
    for key, why in found.items():
        if why:
            leave = f"Leave it out: gymnasium.wrappers.FilterObservation(env, {fit})" if fit else why[1]
            raise SpaceError(
                f"Stable-Baselines3 takes no {_shown(observations[key])} as observation[{key!r}]{why[0]}", leave
            )


def _shown(space: gym.Space[Any]) -> str:
    """A space in one line."""
    return " ".join(str(space).split())


def _others(actions: gym.Space[Any]) -> str:
    """The way out where an algorithm does not take actions: algorithms that do."""
    if isinstance(actions, spaces.Box):
        bounded = np.isfinite(actions.low).all() and np.isfinite(actions.high).all()
        return "Take SAC, TD3, PPO or A2C" if bounded else "Bound them, and take an algorithm for actions of a Box"
    if isinstance(actions, spaces.Discrete):
        return "Take DQN, PPO or A2C"
    if isinstance(actions, spaces.MultiDiscrete | spaces.MultiBinary):
        return "Take PPO or A2C"
    return "Flatten it: one Discrete or Box"


def _require_actions(name: str, actions: gym.Space[Any]) -> None:
    shown = _shown(actions)
    if name in DISCRETE and not isinstance(actions, spaces.Discrete):
        raise SpaceError(f"{name} needs Discrete actions and {shown} is not", _others(actions))
    if name in CONTINUOUS and not isinstance(actions, spaces.Box):
        raise SpaceError(f"{name} needs Box actions and {shown} is not", _others(actions))
    if not isinstance(actions, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise SpaceError(f"Stable-Baselines3 takes no {shown} as actions", _others(actions))
    if isinstance(actions, spaces.Discrete | spaces.MultiDiscrete) and np.any(actions.start != 0):
        raise SpaceError(f"Stable-Baselines3 counts actions from 0 and {shown} does not", "Wrap it so that it does")
    if isinstance(actions, spaces.MultiDiscrete | spaces.MultiBinary) and len(actions.shape) != 1:
        raise SpaceError(f"Stable-Baselines3 takes no {shown} as actions: it has several axes", "Wrap it: one axis")
    if isinstance(actions, spaces.Box) and not (np.isfinite(actions.low).all() and np.isfinite(actions.high).all()):
        raise SpaceError(
            f"{name} needs bounded actions and {shown} is not",
            "Wrap it: gymnasium.wrappers.TransformAction(env, lambda action: action, Box(-1.0, 1.0, shape))",
        )
    if overflowing := _overflows(actions):
        raise SpaceError(f"Stable-Baselines3 takes no {shown} as actions{overflowing}", _WIDER)
    if name in ("TD3", "DDPG") and actions.dtype is not None and actions.dtype.kind != "f":
        raise SpaceError(f"{name} needs actions that are floats and {shown} is not", "Take SAC, PPO or A2C")


def _unfit(space: gym.Space[Any]) -> tuple[str, str] | None:
    """Why a space cannot be observed, and the way out; None where it can."""
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete) and np.any(space.start != 0):
        return ": it counts from 0", "Subtract the start: gymnasium.wrappers.TransformObservation"
    if isinstance(space, spaces.MultiDiscrete) and len(space.shape) != 1:
        return ": it has several axes", "Flatten it: gymnasium.wrappers.FlattenObservation"
    if overflowing := _overflows(space):
        return overflowing, _WIDER
    if isinstance(space, spaces.Box) and not space.shape:
        return ": it has no axis", "Make it one: gymnasium.wrappers.ReshapeObservation(env, (1,))"
    if isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        return None
    if isinstance(space, spaces.Tuple | spaces.Dict) and _flattens(space):
        return "", "Take a tabular agent, or flatten it: gymnasium.wrappers.FlattenObservation"
    return "", "It takes Box, Discrete, MultiDiscrete, MultiBinary, and a Dict of these: wrap it so that it is one"


def _overflows(space: gym.Space[Any]) -> str:
    """Why the sizes of the parts of MultiDiscrete cannot be added up in its own type, as Stable-Baselines3 does."""
    if not isinstance(space, spaces.MultiDiscrete) or int(space.nvec.astype(int).sum()) <= np.iinfo(space.dtype).max:
        return ""
    return f": its {int(space.nvec.astype(int).sum())} values are more than {space.dtype} can count"


def _flattens(space: gym.Space[Any]) -> bool:
    """Whether Gymnasium makes one Box of it."""
    if isinstance(space, spaces.Tuple | spaces.Dict):
        return all(map(_flattens, space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces))
    return isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)


def _too_small(space: gym.Space[Any]) -> tuple[str, str] | None:
    """Why a picture is too small for the convolutions that Stable-Baselines3 lays over it; None where it is not."""
    if not is_image_space(space) or min(_sides(space)) >= _SMALLEST_PICTURE:
        return None
    height, width = _sides(space)
    return (
        f": its convolutions need {_SMALLEST_PICTURE} x {_SMALLEST_PICTURE}, not {height} x {width}",
        "Enlarge it: gymnasium.wrappers.ResizeObservation",
    )


def _sides(space: Any) -> tuple[int, int]:
    """Height and width of a picture."""
    first = space.shape.index(min(space.shape)) == 0
    return (space.shape[1], space.shape[2]) if first else (space.shape[0], space.shape[1])


def policy_for(observations: gym.Space[Any]) -> str:
    """The kind of policy by the observations: convolutions over pictures that are large enough for them.

    Example:
        >>> policy_for(spaces.Box(0, 255, (84, 84, 3), np.uint8)), policy_for(spaces.Box(0, 255, (7, 7, 3), np.uint8))
        ('CnnPolicy', 'MlpPolicy')
    """
    if isinstance(observations, spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if is_image_space(observations) and not _too_small(observations) else "MlpPolicy"
