"""The figures of Sutton & Barto, chapters 2, 4 to 8 and 13, computed with these agents: ``rlplay figure``.

One file a chapter; a figure is a function that returns its curves and its table. What they share is here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rlplay.extend import Agent, EpisodeLog, FinishedEpisode, advance_compiled


def play_episodes(agent: Agent, episodes: int, at_once: int = 4096) -> list[FinishedEpisode]:
    """Learn natively until at least so many more episodes are finished, so many steps at once.

    Returns:
        The rows of these episodes that are kept: all of the first 10,000, then fewer.
    """
    rows: list[FinishedEpisode] = []
    agent.horizon, target = agent.horizon or 1, agent.statistics.episodes + episodes
    while agent.statistics.episodes < target:
        advance_compiled(agent, at_once)
        rows += agent.statistics.take_new()
    return rows[:episodes]


def after_each_episode(agent: Agent, episodes: int, measure: Callable[[], Any]) -> list[Any]:
    """Learn natively; a measurement after each of so many episodes."""
    episode, length, timestep, count = np.zeros((4, 1), np.int64)
    agent.episode_log = EpisodeLog(episode, np.zeros(1), length, timestep, count)
    agent.horizon = agent.horizon or 1
    found = []
    for _ in range(episodes):
        advance_compiled(agent, 2**40)  # the log is full after one episode
        found.append(measure())
    return found
