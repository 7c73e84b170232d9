"""What a person can do in an environment: its single actions, or pushes along the axes of continuous ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.viewer.maps import action_names

_MOST = 20  # keys that a person can tell apart
# Keys of the axes of a continuous action, the negative one and the positive one.
_PAIRS = (("left", "right"), ("down", "up"), ("a", "d"), ("s", "w"), ("j", "l"), ("k", "i"), ("f", "h"), ("g", "t"))
_LARGEST_PUSH = 1e6  # of an axis without bounds
_IDLE = ("no push", "no torque", "noop", "no-op", "nothing", "idle", "stay")


class Axis(NamedTuple):
    """One number of a continuous action that keys push.

    Attributes:
        number: which, in the flattened action.
        low, middle, high: pushed one way, left alone, pushed the other way.
        negative, positive: the keys; empty where it is not pushed that way.
    """

    number: int
    low: float
    middle: float
    high: float
    negative: str
    positive: str


def axes(space: gym.Space[Any]) -> list[Axis]:
    """The numbers of a continuous action with the keys that push them; none where keys do not suffice.

    A number whose bounds lie on both sides of 0 has two keys; one that is never negative has one.

    Example:
        >>> [(axis.negative, axis.positive) for axis in axes(gym.spaces.Box(-1, 1, (2,)))]
        [('left', 'right'), ('down', 'up')]
        >>> steering_gas_brake = gym.spaces.Box(np.array([-1, 0, 0]), np.array([1, 1, 1]))
        >>> [(axis.negative, axis.positive) for axis in axes(steering_gas_brake)]
        [('left', 'right'), ('', 'up'), ('', 'down')]
    """
    if not isinstance(space, gym.spaces.Box) or space.dtype.kind != "f":
        return []
    low, high = (np.clip(bound.ravel().astype(np.float64), -_LARGEST_PUSH, _LARGEST_PUSH)
                 for bound in (space.low, space.high))  # fmt: skip
    pairs, spare, found = list(_PAIRS), "", []
    for index in range(low.size):
        middle = float(np.clip(0.0, low[index], high[index]))
        both = low[index] < middle < high[index]
        if both or not spare:
            if not pairs:
                return []
            negative, positive = pairs.pop(0)
        if not both:
            key, spare = (spare, "") if spare else (positive, negative)
            negative, positive = ("", key) if high[index] > middle else (key, "")
        found.append(Axis(index, float(low[index]), middle, float(high[index]), negative, positive))
    return found


def pushed(space: gym.Space[Any], shares: NDArray[np.float64]) -> NDArray[Any]:
    """The continuous action of axes pushed by shares from -1 to 1, [A].

    Example:
        >>> pushed(gym.spaces.Box(-2.0, 2.0, (1,)), np.array([0.5])).tolist()
        [1.0]
    """
    assert isinstance(space, gym.spaces.Box)
    action = np.clip(np.zeros(space.shape), space.low, space.high)
    flat = action.reshape(-1)
    for axis, share in zip(axes(space), shares, strict=True):
        end = axis.high if share > 0 else axis.low
        flat[axis.number] = axis.middle + abs(share) * (end - axis.middle)
    return action.astype(space.dtype)


def choices(env: gym.Env[Any, Any]) -> list[tuple[str, Any]]:
    """Name and action of each choice; empty where there are too many or none that keys could tell.

    A continuous action is pushed to its lowest or highest along an axis, or left in the middle.
    """
    space = env.action_space
    if is_finite(space):
        numbering = FiniteSpace(space)
        if numbering.n > _MOST:
            return []
        return [(name, numbering.value(a)) for a, name in enumerate(action_names(env))]
    found: list[tuple[str, Any]] = []
    for number, (_, axis, share) in enumerate(keys_of_axes(space)):
        shares = np.zeros(len(axes(space)))
        if not number:
            found.append(("no push", pushed(space, shares)))
        shares[axis] = share
        end = axes(space)[axis].positive if share > 0 else axes(space)[axis].negative
        name = end if end in ("left", "right", "down", "up") else f"number {axis + 1} {'up' if share > 0 else 'down'}"
        found.append((name, pushed(space, shares)))
    return found


def keys_of_axes(space: gym.Space[Any]) -> list[tuple[str, int, float]]:
    """Each key that pushes a continuous action: the key, the axis, and the share -1 or 1."""
    return [
        (key, number, share)
        for number, axis in enumerate(axes(space))
        for key, share in ((axis.negative, -1.0), (axis.positive, 1.0))
        if key
    ]


def idle_choice(found: list[tuple[str, Any]]) -> Any:
    """The choice that leaves things alone; None where there is none."""
    return next((action for name, action in found if name.casefold() in _IDLE), None)
