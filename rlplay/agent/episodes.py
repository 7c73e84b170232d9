"""How long an episode can be, for agents that keep whole episodes."""

from __future__ import annotations

import gymnasium as gym

from rlplay.environments.make import reference
from rlplay.errors import EnvironmentFault
from rlplay.functional.episode_buffer import EpisodeBuffer

LONGEST_EPISODE = 2**14  # steps that are kept of an episode where the environment has no time limit


def longest_episode(env: gym.Env[object, object]) -> int:
    """The steps that an episode of an environment can have: its time limit, or `LONGEST_EPISODE`."""
    return (env.spec.max_episode_steps if env.spec else None) or LONGEST_EPISODE


def require_end(steps: EpisodeBuffer, env: gym.Env[object, object], owner: str) -> None:
    """Stop where an episode is longer than the steps that are kept.

    Raises:
        EnvironmentFault: names environment, steps and the way out.
    """
    if steps.overflow[0]:
        raise EnvironmentFault(
            f"an episode of {reference(env)} has not ended after {len(steps.state):,} steps, and {owner} learns only "
            "at the end",
            "Make it with max_episode_steps, raise epsilon, or take an agent that learns at each step (Sarsa)",
        )
