"""How long an episode can be, for agents that keep whole episodes."""

from __future__ import annotations

import gymnasium as gym

from rlplay.environments.make import reference, time_limit
from rlplay.errors import EnvironmentFault, require_memory
from rlplay.functional.episode_buffer import EpisodeBuffer

LONGEST_EPISODE = 2**14  # steps that are kept of an episode where the environment has no time limit


def longest_episode(env: gym.Env[object, object]) -> int:
    """The steps that an episode of an environment can have: its time limit, or `LONGEST_EPISODE`.

    Example:
        >>> longest_episode(gym.make("CartPole-v1"))
        500
    """
    return time_limit(env) or LONGEST_EPISODE


def require_steps_memory(owner: str, steps: int, width: int) -> None:
    """Refuse to keep whole episodes that this machine cannot hold, of ``width`` numbers a step.

    Raises:
        UsageError: says how much memory it would be.

    Example:
        >>> require_steps_memory("MyAgent", 500, 4)
    """
    require_memory(
        f"{owner}: an episode of {steps:,} steps", steps * width, "Make the environment with a lower max_episode_steps"
    )


def require_end(steps: EpisodeBuffer, env: gym.Env[object, object], owner: str) -> None:
    """Stop where an episode is longer than the steps that are kept.

    Raises:
        EnvironmentFault: names environment, steps and the way out.

    Example:
        >>> from rlplay.extend import keep_whole_step, new_episode_buffer
        >>> steps = new_episode_buffer(1)
        >>> [keep_whole_step(steps, 0, 0, 0.0) for _ in range(2)]
        [0, -1]
        >>> require_end(steps, gym.make("FrozenLake-v1"), "MyAgent")
        Traceback (most recent call last):
            ...
        rlplay.errors.EnvironmentFault: an episode of FrozenLake-v1 has not ended after 1 ...
    """
    if steps.overflow[0]:
        raise EnvironmentFault(
            f"an episode of {reference(env)} has not ended after {len(steps.state):,} steps, and {owner} learns only "
            "at the end",
            "Make it with max_episode_steps, raise epsilon, or take an agent that learns at each step (Sarsa)",
        )
