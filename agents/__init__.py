"""The agents: ``from agents import QLearning``. Each is one file that reads as the textbook's box.

``from rlplay.agents import QLearning`` is the same, also where another distribution has installed an ``agents``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .names import *  # noqa: F403
else:
    from .names import __all__, __getattr__  # noqa: F401 - the module's own
