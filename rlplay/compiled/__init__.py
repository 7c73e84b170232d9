"""The native engine: rules and environments as plain functions, compiled by numba, cached on disk.

* ``cache``: the decorators ``@compiled`` and ``@in_place``, and where machine code is kept.
* ``pcg64``: NumPy's random generator, bit for bit, for compiled code.
* ``native``: environments with a vector state: pure functions, and the same as a Gymnasium environment.
* ``mapped``: a feature map between an environment and a rule.
* ``table``: the dynamics of an environment given by a transition table, and the same as a Gymnasium environment.
* ``batch``: many environments side by side.
* ``loops``: the training loop that joins a learning rule and an environment's dynamics.

What an environment of your own needs can be imported from here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "NativeDynamics": "native",
    "NativeEnv": "native",
    "compiled": "cache",
    "in_place": "cache",
    "normal": "pcg64",
    "random": "pcg64",
}

if TYPE_CHECKING:
    from rlplay.compiled.cache import compiled as compiled
    from rlplay.compiled.cache import in_place as in_place
    from rlplay.compiled.native import NativeDynamics as NativeDynamics
    from rlplay.compiled.native import NativeEnv as NativeEnv
    from rlplay.compiled.pcg64 import normal as normal
    from rlplay.compiled.pcg64 import random as random


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rlplay.compiled' has no attribute {name!r}")
    return getattr(importlib.import_module(f"rlplay.compiled.{home}"), name)
