"""Players who take their steps by one clock, and what was: all of them shown again at the same step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pygame

from rlplay.viewer.pointer import Pointer
from rlplay.viewer.session import Session
from rlplay.viewer.state import ViewState


@dataclass
class Contestant:
    """One of several players.

    Attributes:
        name: for people.
        session: its own environment, and who acts in it.
        returns: of its finished episodes, in the order of the seeds.
        course: the return so far after each step of the running episode, from 0 at its start.
    """

    name: str
    session: Session
    returns: list[float] = field(default_factory=list)
    course: list[float] = field(default_factory=lambda: [0.0])


class Together(ABC):
    """Players by one clock. A tick of it is a place in the history of each; ticks keep their numbers for good.

    Args:
        contestants: the players.
        closable: whether Escape closes it: what if within a session.

    Attributes:
        message: what a player could not do, for the window to say.
        pointer: what the mouse points at and scrolls.

    Example:
        >>> from rlplay import make
        >>> from rlplay.viewer.compare import Comparison, random_player
        >>> envs = [make("FrozenLake-v1", render_mode="rgb_array", dynamics="gymnasium") for _ in range(2)]
        >>> pair = Comparison([Contestant("one", Session(env, None, policy=random_player(env))) for env in envs])
        >>> _ = pair.step()
        >>> pair.oldest, pair.newest, [one.position.length for one in pair.at(0)]
        (0, 1, [0, 0])
    """

    def __init__(self, contestants: Sequence[Contestant], *, closable: bool = False) -> None:
        self.contestants, self.closable, self.message = list(contestants), closable, ""
        self.pointer = Pointer()
        self._ticks: deque[tuple[int, ...]] = deque()
        self._dropped = 0  # ticks before the oldest
        self._ends: deque[int] = deque()

    @property
    def driver(self) -> Session | None:
        """The session in which a person acts; None where nobody does."""
        return next((one.session for one in self.contestants if one.session.driving), None)

    @property
    def ended(self) -> bool:
        """Whether all have finished the running episode."""
        return all(one.session.ended for one in self.contestants)

    @abstractmethod
    def step(self) -> bool:
        """One step of everybody; False where nothing is to do."""

    @abstractmethod
    def again(self) -> None:
        """The same episodes from their start."""

    @abstractmethod
    def following(self) -> None:
        """The next episodes."""

    @abstractmethod
    def draw(self, surface: pygame.Surface, state: ViewState, notice: str = "") -> None:
        """Draw the whole window."""

    # What was.

    @property
    def oldest(self) -> int:
        """The first tick that can be shown."""
        return self._dropped

    @property
    def newest(self) -> int:
        """The last tick: now."""
        return self._dropped + max(len(self._ticks) - 1, 0)

    def note(self) -> None:
        """The clock has ticked: where everybody stands is kept."""
        self._ticks.append(tuple(max(one.session.history.newest, 0) for one in self.contestants))
        if self.ended:
            self._ends.append(self.newest)
        oldest = [one.session.history.oldest for one in self.contestants]
        while any(place < first for place, first in zip(self._ticks[0], oldest, strict=True)):
            self._ticks.popleft()
            self._dropped += 1
        while self._ends and self._ends[0] < self._dropped:
            self._ends.popleft()

    def at(self, tick: int | None, seconds: float = float("inf")) -> list[Any]:
        """Everybody's session as it was at a tick; None for now.

        Args:
            tick: from `oldest` to `newest`.
            seconds: how long each episode may be played again; a later call goes on with it.
        """
        sessions = [one.session for one in self.contestants]
        if tick is None or tick >= self.newest:
            return sessions
        places = self._ticks[tick - self._dropped]
        share = seconds / len(sessions)
        return [session.at(place, share) for session, place in zip(sessions, places, strict=True)]

    def courses(self, tick: int | None) -> list[list[float]]:
        """The return so far of everybody after each step of the episode that runs at a tick; None for now.

        They begin together: where the episode begins, or where futures part.
        """
        if tick is None or tick >= self.newest:
            return [one.course for one in self.contestants]
        found = []
        for one, place in zip(self.contestants, self._ticks[tick - self._dropped], strict=True):
            history = one.session.history
            first = max(place - history[place].length, history.oldest)
            while history[first].episode is not history[place].episode:  # it began within an episode
                first += 1
            found.append([history[k].episode_return for k in range(first, place + 1)])
        return found

    # What the timeline marks.

    def ends(self) -> list[int]:
        """The ticks at which everybody had finished."""
        return list(self._ends)

    def by_you(self) -> list[int]:
        """No steps are marked as a person's: a tick is everybody's."""
        return []

    def close(self) -> None:
        """Close the environments, also those in which the past was played again."""
        for one in self.contestants:
            one.session.env.close()
            if (twin := one.session.made_twin) is not None:
                twin.env.close()
