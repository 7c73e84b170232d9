"""GridWorld: a world drawn as text, with walls, wind, cliffs, slippery floors and rewards of your own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import UsageError

from .grid_map import MOVE_NAMES, read_map, transition_table, with_rows
from .table_world import TableWorld

_LONGEST = 8192  # pixels of a side of a picture, where its cells have more than one


class GridWorldEnv(TableWorld):
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
    ``map``: the name of a shipped map (maze, cliff, windy, windy-kings, four-rooms, jumps, corners, dyna-maze,
    blocking-maze, blocking-maze-moved, shortcut-maze, shortcut-maze-open) or the path of a text file, of at most
    4,000,000 cells; their table takes 132 bytes a cell with 4 moves, 396 where a floor is slippery.

    ``env.unwrapped.P`` is the exact transition table and ``initial_state_distrib`` the distribution of first states,
    as in Gymnasium's toy-text environments; one random number is drawn a reset and one a step.

    ## References
    Sutton & Barto, Reinforcement Learning, 2nd edition, examples 3.5, 6.5 and 6.6; Sutton, Precup & Singh 1999.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = GridWorldEnv("cliff")
        >>> env.reset(seed=0)[0], env.step(0)[:3]  # up from the lower left corner of 4 · 12 cells
        (36, (24, -1.0, False))
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human", "ansi"], "render_fps": 8}  # noqa: RUF012

    def __init__(
        self, map: str = "maze", render_mode: str | None = None, cell_size: int = 48, **size: int | None
    ) -> None:
        self.grid, self.cell_size = read_map(map), cell_size
        self.shape = self.grid.shape
        super().__init__(transition_table(self.grid), render_mode, **size)

    def picture(self) -> Any:
        """The grid with the agent on it, a surface of columns * cell_size by rows * cell_size pixels.

        Cells of a large map are smaller, down to a pixel, so that no side has more than 8,192.
        """
        from . import grid_drawing

        return grid_drawing.draw(self.grid, self.s, min(self.cell_size, max(_LONGEST // max(self.shape), 1)))

    def set_rows(self, rows: Sequence[str]) -> None:
        """Other cells, by their characters, of the same shape: the table is made anew, and an episode goes on.

        Besides the map's own characters + and - stand for floor that pays 10 and -10 on entering.

        Raises:
            UsageError: another shape, a character that means nothing, or no start.

        Example:
            >>> env = GridWorldEnv("cliff")
            >>> rows = list(env.grid.rows)
            >>> rows[0] = "#" * 12
            >>> env.set_rows(rows)
            >>> env.P[12][0]  # up, against the new wall
            [(1.0, 12, -1.0, False)]
        """
        if (len(rows), *{len(row) for row in rows}) != (self.shape[0], self.shape[1]):
            raise UsageError(f"the map has {self.shape[0]} rows of {self.shape[1]} cells, and other rows were given")
        self.grid = with_rows(self.grid, tuple(rows))
        self.transition_table = transition_table(self.grid)
        self.__dict__.pop("P", None)

    def text(self) -> str:
        """The map with the agent as @."""
        lines = [list(row) for row in self.grid.rows]
        if self.s >= 0:
            lines[self.s // self.shape[1]][self.s % self.shape[1]] = "@"
        return "\n".join("".join(line) for line in lines)

    def state_grid(self, observation: int) -> NDArray[np.int64]:
        """The number of the state in each cell, -1 for walls, shape [rows, columns]: how viewers lay out values."""
        numbers = np.arange(self.shape[0] * self.shape[1]).reshape(self.shape)
        walls = self.grid.each(lambda cell: cell.wall, np.bool_)
        return np.where(walls.reshape(self.shape), -1, numbers)

    def get_action_meanings(self) -> list[str]:
        """The names of the actions."""
        return list(MOVE_NAMES[: self.grid.moves])
