"""GridWorld: a world drawn as text, with walls, wind, cliffs, slippery floors and rewards of your own."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.toy_text.utils import categorical_sample
from numpy.typing import NDArray

from envs.grid_map import MOVE_NAMES, read_map, start_distribution, transitions
from rlplay.errors import EnvironmentFault, SpaceError


class GridWorldEnv(gym.Env[Any, Any]):
    """A grid read from a text map.

    ## Description
    An agent walks over a grid from a start to a goal. The map says where walls, cliffs, holes, slippery floors, wind
    and rewards are; `envs.grid_map` describes its format.

    ## Action Space
    ``Discrete(4)``: 0 up, 1 right, 2 down, 3 left; with king's moves ``Discrete(8)``: 4 up-right, 5 down-right,
    6 down-left, 7 up-left.

    ## Observation Space
    ``Discrete(rows * columns)``: the cell, ``row * columns + column`` from the top left.

    ## Rewards
    As the map says: the step reward (-1 by default), or the reward of the cell that is entered.

    ## Starting State
    One of the cells marked S, all equally likely.

    ## Episode End
    Terminated on a goal (G), a hole (H) or a cell of your own marked terminal. Truncated after 10,000 steps
    (``max_episode_steps``).

    ## Arguments
    ``map``: the name of a shipped map (maze, cliff, windy, windy-kings, four-rooms, jumps) or the path of a text file.

    ``env.unwrapped.P`` is the exact transition table and ``initial_state_distrib`` the distribution of first states,
    as in Gymnasium's toy-text environments; one random number is drawn a reset and one a step.

    ## References
    Sutton & Barto, Reinforcement Learning, 2nd edition, examples 3.5, 6.5 and 6.6; Sutton, Precup & Singh 1999.

    ## Version History
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human", "ansi"], "render_fps": 8}  # noqa: RUF012

    def __init__(self, map: str = "maze", render_mode: str | None = None, cell_size: int = 48) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise SpaceError(f"render_mode={render_mode!r} is not one of {', '.join(self.metadata['render_modes'])}")
        self.grid = read_map(map)
        self.shape = self.grid.shape
        self.P = transitions(self.grid)
        self.initial_state_distrib = start_distribution(self.grid)
        self.observation_space = gym.spaces.Discrete(self.shape[0] * self.shape[1])
        self.action_space = gym.spaces.Discrete(self.grid.moves)
        self.render_mode, self.cell_size = render_mode, cell_size
        self.s = -1
        self.last_action: int | None = None
        self._window: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Begin an episode at a start."""
        super().reset(seed=seed)
        self.s, self.last_action = int(categorical_sample(self.initial_state_distrib, self.np_random)), None
        if self.render_mode == "human":
            self.render()
        return self.s, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Walk one step.

        Raises:
            SpaceError: an action outside the space.
            EnvironmentFault: a step before the first reset.
        """
        if not self.action_space.contains(action):
            raise SpaceError(f"action {action!r} is not in {self.action_space}")
        if self.s < 0:
            raise EnvironmentFault("step() was called before reset()", "Call env.reset() first")
        outcomes = self.P[self.s][int(action)]
        _, self.s, reward, terminated = outcomes[categorical_sample([o[0] for o in outcomes], self.np_random)]
        self.last_action = int(action)
        if self.render_mode == "human":
            self.render()
        return self.s, reward, terminated, False, {}

    def render(self) -> NDArray[np.uint8] | str | None:
        """The grid as an image of shape [rows * cell_size, columns * cell_size, 3], as text, or in a window."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; make the environment with one")
            return None
        if self.render_mode == "ansi":
            columns = self.shape[1]
            lines = [list(row) for row in self.grid.rows]
            if self.s >= 0:
                lines[self.s // columns][self.s % columns] = "@"
            return "\n".join("".join(line) for line in lines)
        from envs import grid_drawing

        if self.render_mode == "human":
            self._window = grid_drawing.show(
                self._window, self.grid, self.s, self.cell_size, self.metadata["render_fps"]
            )
            return None
        return grid_drawing.image(self.grid, self.s, self.cell_size)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            from envs import grid_drawing

            grid_drawing.close()
            self._window = None

    def state_grid(self, observation: int) -> NDArray[np.int64]:
        """The number of the state in each cell, -1 for walls, shape [rows, columns]: how viewers lay out values."""
        numbers = np.arange(self.shape[0] * self.shape[1]).reshape(self.shape)
        walls = np.array([[self.grid.cells[c].wall for c in row] for row in self.grid.rows])
        return np.where(walls, -1, numbers)

    def get_action_meanings(self) -> list[str]:
        """The names of the actions."""
        return list(MOVE_NAMES[: self.grid.moves])
