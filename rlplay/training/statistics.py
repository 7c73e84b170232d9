"""Finished episodes, counted and remembered alike by both drivers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.training_loop import EpisodeLog, is_logged
from rlplay.storage.ranges import COUNT, check_number


class FinishedEpisode(NamedTuple):
    """One finished episode: its number from 0, undiscounted return, length in steps, and the step it ended at.

    Example:
        >>> FinishedEpisode(episode=0, episode_return=1.0, length=12, timestep=40).length
        12
    """

    episode: int
    episode_return: float
    length: int
    timestep: int


class EpisodeStatistics:
    """What is known of a run's episodes.

    Attributes:
        episodes: how many have finished.
        total_return: the sum of their returns.
        recent: the last 100 that were kept.
        successes: whether they ended with ``info["is_success"]``, of the last 100 whose environment said so. Native
            dynamics say nothing.
        seconds: when each of these was kept, in seconds since these statistics were begun; 0 where a file had them.
    """

    def __init__(self) -> None:
        self.episodes = 0
        self.total_return = 0.0
        self.recent: deque[FinishedEpisode] = deque(maxlen=100)
        self.seconds: deque[float] = deque(maxlen=100)
        self.successes: deque[bool] = deque(maxlen=100)
        self._begun = time.time()
        self._new: list[FinishedEpisode] = []

    def finish(self, episode_return: float, length: int, timestep: int, info: Mapping[str, Any] | None = None) -> None:
        """Count one finished episode (the stepwise driver); the info is that of its last step."""
        if is_logged(self.episodes):
            self.keep(FinishedEpisode(self.episodes, episode_return, length, timestep))
            if info and (success := info.get("is_success")) is not None:
                self.successes.append(bool(success))
        self.episodes += 1
        self.total_return += episode_return

    def take_log(self, log: EpisodeLog) -> None:
        """Remember the rows of a log and empty it (the compiled driver counts by itself)."""
        for row in range(int(log.rows[0])):
            self.keep(
                FinishedEpisode(
                    int(log.episode[row]), float(log.returns[row]), int(log.length[row]), int(log.timestep[row])
                )
            )
        log.rows[0] = 0

    def keep(self, row: FinishedEpisode) -> None:
        """Remember one kept row."""
        self.recent.append(row)
        self.seconds.append(round(time.time() - self._begun, 6))
        self._new.append(row)

    def take_new(self) -> list[FinishedEpisode]:
        """The rows kept since the last call."""
        rows, self._new = self._new, []
        return rows

    def forget_recent(self) -> None:
        """Forget the recent episodes, of which means are told: a run begins. What is counted stays."""
        for kept in (self.recent, self.seconds, self.successes):
            kept.clear()

    @property
    def mean_return(self) -> float:
        """Mean return of the recent episodes; NaN before the first."""
        return float(np.mean([row.episode_return for row in self.recent])) if self.recent else float("nan")

    @property
    def mean_length(self) -> float:
        """Mean length of the recent episodes in steps; NaN before the first."""
        return float(np.mean([row.length for row in self.recent])) if self.recent else float("nan")

    def metrics(self) -> dict[str, float]:
        """What the recent episodes say, by Stable-Baselines3's tags; what is not known yet is left out.

        Example:
            >>> statistics = EpisodeStatistics()
            >>> statistics.finish(-3.0, 4, 4, {"is_success": True})
            >>> statistics.metrics()
            {'rollout/ep_rew_mean': -3.0, 'rollout/ep_len_mean': 4.0, 'rollout/success_rate': 1.0}
        """
        told = {}
        if self.recent:
            told = {"rollout/ep_rew_mean": self.mean_return, "rollout/ep_len_mean": self.mean_length}
        if self.successes:
            told["rollout/success_rate"] = float(np.mean(self.successes))
        return told

    def state(self) -> dict[str, Any]:
        """Everything as JSON values."""
        known = {"successes": list(self.successes)} if self.successes else {}
        return {
            "episodes": self.episodes,
            "total_return": self.total_return,
            "recent": [list(row) for row in self.recent],
            **known,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave.

        Raises:
            CheckpointError: a count that is none.
        """
        self.episodes = check_number("statistics.episodes", state["episodes"], COUNT)
        self.total_return = float(state["total_return"])
        self.forget_recent()
        self._new.clear()
        self.successes.extend(bool(one) for one in state.get("successes", ()))
        for episode, episode_return, length, timestep in state["recent"]:
            counts = [check_number("statistics.recent", count, COUNT) for count in (episode, length, timestep)]
            self.seconds.append(0.0)
            self.recent.append(FinishedEpisode(counts[0], float(episode_return), *counts[1:]))


def bootstrap_interval(values: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over 10,000 fixed resamples (Efron 1979); the same on every call."""
    values = np.asarray(values, dtype=np.float64)
    resamples = np.random.default_rng(0).integers(len(values), size=(10_000, len(values)))
    low, high = np.quantile(values[resamples].mean(axis=1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
