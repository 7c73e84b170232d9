"""What environments share that are given by their transition table: Gymnasium's interface over the table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.table import TransitionTable
from rlplay.errors import EnvironmentFault, SpaceError


class Pictured(gym.Env[Any, Any], ABC):
    """A world that is drawn by a picture of its own: the render modes, at one place.

    Attributes:
        s: the state; -1 before the first reset.
        last_action: the action that led there.
        render_mode: ``rgb_array``, ``human``, ``ansi`` or None.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human", "ansi"], "render_fps": 4}  # noqa: RUF012
    s: int
    last_action: int | None

    def __init__(self, render_mode: str | None = None) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise SpaceError(f"render_mode={render_mode!r} is not one of {', '.join(self.metadata['render_modes'])}")
        self.render_mode = render_mode
        self.s, self.last_action = -1, None
        self._window: Any = None

    @abstractmethod
    def picture(self) -> Any:
        """The world as it stands, as a pygame surface."""

    def text(self) -> str:
        """The world as it stands, in a line."""
        return f"state {self.s} of {self.observation_space}"

    def render(self) -> NDArray[np.uint8] | str | None:
        """The world as an image [H, W, 3], as text, or in a window."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; make the environment with one")
            return None
        if self.render_mode == "ansi":
            return self.text()
        from envs import drawing

        surface = self.picture()
        if self.render_mode == "human":
            title = self.spec.id if self.spec else type(self).__name__
            self._window = drawing.show(self._window, surface, title, self.metadata["render_fps"])
            return None
        return drawing.pixels(surface)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            from envs import drawing

            drawing.close()
            self._window = None


class TableWorld(Pictured):
    """A finite world stepped through its transition table, with the very random numbers of Gymnasium's toy-text.

    One random number is drawn a reset and one a step, so the same seed gives the same episode natively.

    Attributes:
        transition_table: the exact model.
    """

    def __init__(self, table: TransitionTable, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.transition_table = table
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
        self.s, self.last_action = int(np.argmax(start > self.np_random.random())), None
        if self.render_mode == "human":
            self.render()
        return self.s, self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step.

        Raises:
            SpaceError: an action outside the space, or one that may not be taken in this state.
            EnvironmentFault: a step before the first reset.
        """
        if not self.action_space.contains(action):
            raise SpaceError(f"action {action!r} is not in {self.action_space}")
        if self.s < 0:
            raise EnvironmentFault("step() was called before reset()", "Call env.reset() first")
        table, action = self.transition_table, int(action)
        if table.masks is not None and not table.masks[self.s, action]:
            allowed = np.flatnonzero(table.masks[self.s])
            raise SpaceError(
                f"action {action} may not be taken in state {self.s}: {allowed.min()} to {allowed.max()} may"
            )
        arrays, here = table.arrays, (self.s, action)
        outcome = (*here, int(np.argmax(arrays.cumulative[here] > self.np_random.random())))
        self.s, self.last_action = int(arrays.next_state[outcome]), action
        if self.render_mode == "human":
            self.render()
        return self.s, float(arrays.reward[outcome]), bool(arrays.terminated[outcome]), False, self._info()

    def _info(self) -> dict[str, Any]:
        masks = self.transition_table.masks
        return {} if masks is None else {"action_mask": masks[self.s].astype(np.int8)}
