"""The episodes in which a person acts: seed and actions, by which they replay."""

from __future__ import annotations

from typing import Any

from rlplay.environments.episode import Episode, EpisodeDigest
from rlplay.environments.make import reference
from rlplay.transition import Transition


class Demonstrations:
    """Seed and actions of the episodes of a session in which a person acts.

    Attributes:
        episodes: complete ones and the running one last; without those in which a person changed the world.
        running: the running episode, whoever acts; None before the first step.

    Example:
        >>> Demonstrations().episodes
        []
    """

    def __init__(self) -> None:
        self.episodes: list[Episode] = []
        self.running: Episode | None = None
        self._digest, self._by_you = EpisodeDigest(), 0
        self._spoiled = False  # whether the running episode would not replay

    def add(self, transition: Transition, session: Any) -> None:
        """Keep a step that was taken in a session."""
        if session.position.length == 1:
            self._by_you, self._spoiled = 0, session.touched
            self.running, self._digest = Episode(reference(session.env), session.position.seed), EpisodeDigest()
        running = self.running
        if self._spoiled or running is None:
            return
        self._by_you += session.driving
        running.actions.append(transition.action)
        running.episode_return += transition.reward
        self._digest.add(transition)
        if not self._by_you:
            return
        if not self.episodes or self.episodes[-1] is not running:
            self.episodes.append(running)
        others = len(running.actions) - self._by_you
        helper = session.agent.id if session.agent is not None else "another"
        running.player = "you" if not others else f"you and {helper}"
        running.digest = self._digest.hex()

    def spoil(self) -> None:
        """The world was changed: seed and actions would play another episode."""
        self._spoiled = True
        if self.episodes and self.episodes[-1] is self.running:
            self.episodes.pop()
