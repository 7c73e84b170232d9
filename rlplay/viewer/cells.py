"""A click into the picture of a grid: its cell becomes a wall, floor, or pays for being entered."""

from __future__ import annotations

from typing import Any

from rlplay.errors import RlplayError
from rlplay.spaces.finite import FiniteSpace
from rlplay.viewer.cell_marks import FLOOR, GOAL, SHUT, START, WALL, pay_of
from rlplay.viewer.maps import state_grid

_NEXT = {"+": "-", "-": ""}  # what the right button makes of a cell; of every other one +


def cell_at(session: Any, across: float, down: float) -> tuple[int, int] | None:
    """Row and column under a place of the picture, given as shares of its width and height; None for no grid."""
    rows = session.world.rows
    if rows is None:
        return None
    return min(int(down * len(rows)), len(rows) - 1), min(int(across * len(rows[0])), len(rows[0]) - 1)


def change_cell(session: Any, cell: tuple[int, int], button: int) -> str:
    """The left button (1) puts or takes a wall, the right one (3) goes through what a cell pays; returns the words.

    Example:
        >>> from rlplay import make
        >>> from rlplay.viewer.session import Session
        >>> env = make("FrozenLake-v1", render_mode="rgb_array", is_slippery=False, dynamics="gymnasium")
        >>> change_cell(Session(env, None, "play"), (0, 1), 1)
        'row 1, column 2: a wall. This run is marked as touched by hand'
        >>> env.unwrapped.P[0][2]  # to the right, against the wall
        [(1.0, 0, 0.0, False)]
    """
    row, column = cell
    now, before = session.world.rows[row][column], session.first_world.rows[row][column]
    if now in (START, GOAL):
        return "starts and goals stay where they are"
    if now == SHUT:
        return "no move leads into that cell"
    wanted = ("" if now == WALL else WALL) if button == 1 else _NEXT.get(now, "+")
    if wanted == WALL and _stands(session, row, column):
        return "no wall where the agent stands"
    pays = pay_of(session.env)
    told = {WALL: "a wall", "": "floor", "+": f"{pays:+g} for entering", "-": f"{-pays:+g} for entering"}[wanted]
    if not wanted:  # as it was; bare where the map itself had a wall there
        wanted = FLOOR if before in (WALL, "+", "-") else before
        told = "floor" if wanted == FLOOR else "as it was"
    try:
        session.change(session.world.with_cell(row, column, wanted))
    except RlplayError as error:
        return str(error.cause)
    return f"row {row + 1}, column {column + 1}: {told}. This run is marked as touched by hand"


def _stands(session: Any, row: int, column: int) -> bool:
    """Whether the agent is in that cell."""
    here = session.observation
    if here is None:
        return False
    state = FiniteSpace(session.env.observation_space).index(here)
    return bool(state_grid(session.env, here)[row, column] == state)
