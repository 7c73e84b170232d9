"""What a person can do in an environment: its single actions, or pushes along the axes of continuous ones."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.viewer.maps import action_names

_MOST = 20  # keys that a person can tell apart
_AXES = (("left", "right"), ("down", "up"))


def choices(env: gym.Env[Any, Any]) -> list[tuple[str, Any]]:
    """Name and action of each choice; empty where there are too many or none that keys could tell.

    A continuous action of one or two numbers is pushed to its lowest or highest along an axis, or left in the middle.
    """
    space = env.action_space
    if is_finite(space):
        numbering = FiniteSpace(space)
        if numbering.n > _MOST:
            return []
        return [(name, numbering.value(a)) for a, name in enumerate(action_names(env))]
    if not isinstance(space, gym.spaces.Box) or space.shape not in ((1,), (2,)):
        return []
    low, high = (np.clip(bound, -1e6, 1e6) for bound in (space.low, space.high))
    middle = ((low + high) / 2).astype(space.dtype)
    found = [("no push", middle)]
    for axis, (negative, positive) in zip(range(len(middle)), _AXES, strict=False):
        for name, bound in ((negative, low), (positive, high)):
            action = middle.copy()
            action[axis] = bound[axis]
            found.append((name, action))
    return found
