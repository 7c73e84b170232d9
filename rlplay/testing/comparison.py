"""Whether two agents are the same to the bit."""

from __future__ import annotations

import json
from typing import Any

from rlplay.agent import saving
from rlplay.agent.base import Agent


def fingerprint(agent: Agent) -> dict[str, Any]:
    """Everything that is equal in two runs that are equal to the bit: arrays as bytes, and the manifest's state.

    Example:
        >>> from agents import QLearning
        >>> found = fingerprint(QLearning("FrozenLake-v1", seed=0))
        >>> found["seed"], len(found["agent/q"])  # 16 · 4 numbers of 8 bytes
        ('0', 512)
    """
    manifest, arrays = saving.pack(agent)
    kept = (
        "agent", "hyperparameters", "seed", "num_timesteps", "horizon", "next_action", "statistics", "extra", "models",
    )  # fmt: skip
    state: dict[str, Any] = {
        name: array.tobytes()
        for name, array in arrays.items()
        if name.startswith(("agent/", "models/")) or name.endswith("/seeds")
    }
    state.update({key: json.dumps(manifest[key], sort_keys=True) for key in kept})
    envs = [{k: v for k, v in one.items() if k != "recorded"} for one in manifest["lanes"]]
    state["running environments"] = json.dumps(envs, sort_keys=True)
    return state


def differences(first: Agent, second: Agent) -> list[str]:
    """The names of what differs between two agents; empty for the same bits.

    Example:
        >>> from agents import QLearning
        >>> first, second = (QLearning("FrozenLake-v1", seed=0) for _ in range(2))
        >>> differences(first, second), differences(first, second.learn(100))[:2]
        ([], ['agent/exploration', 'horizon'])
    """
    a, b = fingerprint(first), fingerprint(second)
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))
