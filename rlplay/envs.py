"""The environments under a name of ours: ``import rlplay.envs`` registers them in Gymnasium; see `rlplay.own`."""

from __future__ import annotations

from rlplay import own

own.take("envs", globals())
