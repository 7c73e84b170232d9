"""What if: from one place of a session the other actions, one after another, each beside the agent's own."""

from __future__ import annotations

from rlplay.viewer.compare import Comparison, what_if
from rlplay.viewer.display import pygame_kept
from rlplay.viewer.session import Session
from rlplay.viewer.state import ViewState


class Branch:
    """The place where futures part, and which other action is tried there.

    Args:
        session: an agent's.
        state: of the window as it was; the place it shows is where the futures part.

    Example:
        >>> from agents import QLearning
        >>> from rlplay import make
        >>> agent = QLearning("FrozenLake-v1", seed=0).learn(500)
        >>> session = Session(make("FrozenLake-v1", render_mode="rgb_array", dynamics="gymnasium"), agent, seed=0)
        >>> [one.name for one in Branch(session, ViewState()).turn(1).contestants]
        ['as it decides: left', 'instead: down']
    """

    def __init__(self, session: Session, state: ViewState) -> None:
        self.session, self.state, self._choice = session, state, -1

    def turn(self, by: int) -> Comparison:
        """The next other action, or the one before: never the one that the agent takes itself.

        Raises:
            UsageError: the place cannot be played again exactly, or there is no other action.
        """
        choices = self.session.choices
        while True:
            self._choice = (self._choice + by) % len(choices)
            found = what_if(self.session, self.state.place, self._choice)
            if not found.contestants[0].name.endswith(f": {choices[self._choice][0]}") or len(choices) == 1:
                return found
            with pygame_kept():
                found.close()
