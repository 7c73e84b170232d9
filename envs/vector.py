"""Vector entry points for ``gym.make_vec``: many copies of an environment side by side.

``envs.vector:CartPoleVectorEnv`` is `NativeVectorEnv` of ``CartPoleEnv``, stepped in one native call, and so for every
environment in `envs` whose state native code keeps; the others are stepped one after the other.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode

from rlplay.extend import NativeVectorEnv, make_vec

from .names import GYMNASIUM_ENVS, NOT_BATCHED, OWN_ENVS

_IDS = {
    place.partition(":")[2].removesuffix("Env") + "VectorEnv": (env_id, place)
    for env_id, (place, _) in {**OWN_ENVS, **GYMNASIUM_ENVS}.items()
}


def __getattr__(name: str) -> Callable[..., gym.vector.VectorEnv[Any, Any, Any]]:
    if name not in _IDS:
        raise AttributeError(f"module 'envs.vector' has no vector environment {name!r}; it has {', '.join(_IDS)}")
    env_id, place = _IDS[name]
    if env_id in NOT_BATCHED:
        return partial(make_vec, env_id, autoreset_mode=AutoresetMode.NEXT_STEP)  # Gymnasium's default
    module, _, cls = place.partition(":")
    return partial(NativeVectorEnv, getattr(importlib.import_module(module), cls))
