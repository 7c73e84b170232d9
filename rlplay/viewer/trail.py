"""The observations of an episode so far, for traces."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

LENGTH = 240  # observations that are kept


class Trail:
    """The last observations of an episode, the newest last; at most 240.

    Example:
        >>> trail = Trail()
        >>> for length in range(3):
        ...     trail.follow(episode=7, length=length, observation=10 * length)
        >>> list(trail)
        [0, 10, 20]
        >>> trail.follow(episode=8, length=0, observation=5)  # another episode
        >>> list(trail)
        [5]
    """

    def __init__(self) -> None:
        self._observations: deque[Any] = deque(maxlen=LENGTH)
        self._at: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._observations)

    def __len__(self) -> int:
        return len(self._observations)

    def follow(self, episode: int, length: int, observation: Any) -> None:
        """Add the observation after so many steps of an episode, which any number tells from others; None: none yet."""
        if (episode, length) == self._at:
            return
        if self._at is None or episode != self._at[0] or length < self._at[1]:
            self._observations.clear()
        self._at = (episode, length)
        if observation is not None:
            self._observations.append(observation)
