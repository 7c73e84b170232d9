"""The environments: ``import envs`` registers them in Gymnasium, for ``gym.make`` and ``gym.make_vec``.

``import rlplay.envs`` is the same, also where another distribution has installed an ``envs``.
"""

from __future__ import annotations

from .names import GYMNASIUM_ENVS as GYMNASIUM_ENVS
from .names import NOT_BATCHED as NOT_BATCHED
from .names import OWN_ENVS as OWN_ENVS
