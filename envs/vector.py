"""Vector entry points for ``gym.make_vec``: many copies of an environment, stepped in one native call.

``envs.vector:CartPoleVectorEnv`` is `NativeVectorEnv` of ``CartPoleEnv``, and so for every environment in `envs` whose
state native code keeps.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial

from rlplay.extend import NativeVectorEnv

from .names import GYMNASIUM_ENVS, NOT_BATCHED, OWN_ENVS

_PLACES = {
    place.partition(":")[2].removesuffix("Env") + "VectorEnv": place
    for env_id, (place, _) in {**OWN_ENVS, **GYMNASIUM_ENVS}.items()
    if env_id not in NOT_BATCHED
}


def __getattr__(name: str) -> Callable[..., NativeVectorEnv]:
    if name not in _PLACES:
        raise AttributeError(f"module 'envs.vector' has no vector environment {name!r}; it has {', '.join(_PLACES)}")
    module, _, cls = _PLACES[name].partition(":")
    return partial(NativeVectorEnv, getattr(importlib.import_module(module), cls))
