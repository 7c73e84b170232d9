"""The agents under a name of ours: ``from rlplay.agents import QLearning``; see `rlplay.own`."""

from __future__ import annotations

from rlplay import own

own.take("agents", globals())
