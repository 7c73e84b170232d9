"""What environments share that are given by their transition table: Gymnasium's interface over the table."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import EnvironmentFault, SpaceError, TransitionTable

from .pictured import Pictured


class TableWorld(Pictured):
    """A finite world stepped through its transition table, with the very random numbers of Gymnasium's toy-text.

    One random number is drawn a reset and one a step, so the same seed gives the same episode natively.

    Attributes:
        transition_table: the exact model.
        s: the state; -1 before the first reset.
        last_action: the action that led there.
    """

    def __init__(self, table: TransitionTable, render_mode: str | None = None, **size: int | None) -> None:
        super().__init__(render_mode, **size)
        self.transition_table = table
        self.s, self._over = -1, False
        self.last_action: int | None = None
        self.observation_space = gym.spaces.Discrete(table.n_states)
        self.action_space = gym.spaces.Discrete(table.n_actions)

    @cached_property
    def P(self) -> dict[int, dict[int, list[tuple[float, int, float, bool]]]]:  # noqa: N802 - Gymnasium's name
        """The table as Gymnasium writes it: ``P[state][action]``, a list of (probability, next_state, reward, ends)."""
        return self.transition_table.outcomes()

    @property
    def initial_state_distrib(self) -> NDArray[np.float64]:
        """Probability of each first state [S]."""
        return self.transition_table.start

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        start = self.transition_table.arrays.start_cumulative
        self.s, self.last_action, self._over = int(np.argmax(start > self.np_random.random())), None, False
        if self.render_mode == "human":
            self.render()
        return self.s, self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step.

        Raises:
            SpaceError: an action outside the space.
            EnvironmentFault: a step before the first reset, or after the end.
        """
        if not self.action_space.contains(action):
            raise SpaceError(f"action {action!r} is not in {self.action_space}")
        if self.s < 0 or self._over:
            when = "before reset()" if self.s < 0 else "after the episode had ended"
            raise EnvironmentFault(f"step() was called {when}", "Call env.reset() first")
        table, action = self.transition_table, int(action)
        arrays, here = table.arrays, (self.s, action)
        outcome = (*here, int(np.argmax(arrays.cumulative[here] > self.np_random.random())))
        self.s, self.last_action, self._over = int(arrays.next_state[outcome]), action, bool(arrays.terminated[outcome])
        if self.render_mode == "human":
            self.render()
        return self.s, float(arrays.reward[outcome]), self._over, False, self._info()

    def set_state(self, state: int) -> None:
        """Take a state, for a picture of it."""
        self.s, self.last_action = int(state), None

    def text(self) -> str:
        """The state."""
        return f"state {self.s} of {self.observation_space}"

    def _info(self) -> dict[str, Any]:
        return {}


class MaskedTableWorld(TableWorld):
    """A table world in which not every action may be taken everywhere; the others have an outcome all the same."""

    def action_masks(self) -> NDArray[np.bool_]:
        """Which actions may be taken now, bool [A]."""
        masks = self.transition_table.masks
        assert masks is not None
        return masks[self.s].copy()

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self.action_masks().astype(np.int8)}
