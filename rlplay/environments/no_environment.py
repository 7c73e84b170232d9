"""What stands in the place of an environment that a loaded agent does not have."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from numpy.typing import NDArray

from rlplay.errors import EnvironmentFault


class NoEnvironment(gym.Env[Any, Any]):
    """Stands where a loaded agent has no environment: it has spaces and cannot be stepped.

    Attributes:
        moments: what the wrappers of the environment had learned, for the one that is given later.

    Example:
        >>> env = NoEnvironment(gym.spaces.Discrete(3), gym.spaces.Discrete(2), "my_package:MyEnv")
        >>> env.reset()
        Traceback (most recent call last):
            ...
        rlplay.errors.EnvironmentFault: this agent was loaded without its environment (my_package:MyEnv). ...
    """

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any], wanted: str) -> None:
        self.observation_space, self.action_space, self.wanted = observation_space, action_space, wanted
        self.moments: dict[str, NDArray[Any]] = {}

    def reset(self, **_: Any) -> Any:
        """Say that there is nothing to reset."""
        raise EnvironmentFault(
            f"this agent was loaded without its environment ({self.wanted or 'which had no id'})",
            "Give it with load(path, env=...) or set_env(...)",
        )

    def step(self, action: Any) -> Any:
        """Say that there is nothing to step."""
        return self.reset()
