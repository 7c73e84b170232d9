"""The agents: ``from agents import QLearning``. Each is one file that reads as the textbook's box."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "ExpectedSarsa": "expected_sarsa",
    "FittedQ": "fitted_q",
    "QLearning": "q_learning",
    "Reinforce": "reinforce",
    "SB3": "sb3",
    "Sarsa": "sarsa",
    "ValueIteration": "value_iteration",
}

if TYPE_CHECKING:
    from agents.expected_sarsa import ExpectedSarsa as ExpectedSarsa
    from agents.fitted_q import FittedQ as FittedQ
    from agents.q_learning import QLearning as QLearning
    from agents.reinforce import Reinforce as Reinforce
    from agents.sarsa import Sarsa as Sarsa
    from agents.sb3 import SB3 as SB3
    from agents.value_iteration import ValueIteration as ValueIteration

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agents' has no agent {name!r}; it has {', '.join(_HOMES)}")
    return getattr(importlib.import_module(f"agents.{_HOMES[name]}"), name)
