"""Walls and rewards put by hand into a grid world that has a transition table ``P`` and no map of its own to change.

The table is written anew from the first one: a move that would enter a wall stays where it was and earns what most
moves earn; a move into a paying cell earns that instead.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.compiled.table import TableEnv, table_of
from rlplay.environments.changes import note_table
from rlplay.environments.make import reference
from rlplay.errors import UsageError

Outcomes = dict[int, dict[int, list[tuple[float, int, float, bool]]]]
WALL = "#"
START, GOAL, HOLE, FLOOR, SHUT = "S", "G", "H", ".", "x"


class _Kept(NamedTuple):
    """What a world was before a person changed it, and its cells now."""

    table: Outcomes
    grid: NDArray[np.int64]  # the state of each cell, [rows, columns]
    first: tuple[str, ...]
    rows: list[tuple[str, ...]]  # one entry: the cells now


_kept: WeakKeyDictionary[Any, _Kept | None] = WeakKeyDictionary()


def marked_rows(env: gym.Env[Any, Any]) -> tuple[str, ...] | None:
    """The cells of a grid world as characters, row by row; None where its states are not the cells of a grid.

    S starts, G and H end the episode (H is a hole), x is a cell into which no move leads, . is floor; marks are # + -.

    Example:
        >>> import rlplay
        >>> marked_rows(rlplay.make("CliffWalking-v1", dynamics="gymnasium"))[-1]
        'SxxxxxxxxxxG'
        >>> marked_rows(rlplay.make("Taxi-v4", dynamics="gymnasium"))
    """
    kept = _world_of(env)
    return kept.rows[0] if kept is not None else None


def mark_rows(env: gym.Env[Any, Any], rows: tuple[str, ...]) -> None:
    """Give a grid world these cells, of the shape that `marked_rows` has.

    Raises:
        UsageError: a cell into which no move leads is to be something else, or a start or end is moved.

    Example:
        >>> import rlplay
        >>> env = rlplay.make("FrozenLake-v1", is_slippery=False, dynamics="gymnasium")
        >>> mark_rows(env, ("S#..", *marked_rows(env)[1:]))
        >>> env.unwrapped.P[0][2]  # to the right, against the wall
        [(1.0, 0, 0.0, False)]
    """
    kept, plain = _world_of(env), _source(env)
    assert kept is not None
    for row, (cells, first) in enumerate(zip(rows, kept.first, strict=True)):
        for column, (cell, before) in enumerate(zip(cells, first, strict=True)):
            if cell != before and before in (START, SHUT):
                what = "a start" if before == START else "a cell into which no move leads"
                raise UsageError(f"row {row + 1}, column {column + 1} is {what}, and stays what it is")
    characters = dict(zip(kept.grid.ravel().tolist(), "".join(rows), strict=True))
    usual, pays = _usual_reward(kept.table), pay_of(env)
    plain.P = {
        state: {
            action: [_changed(state, outcome, characters, usual, pays) for outcome in outcomes]
            for action, outcomes in actions.items()
        }
        for state, actions in kept.table.items()
    }
    kept.rows[0] = rows
    if isinstance(own := env.unwrapped, TableEnv):  # native dynamics read the table
        own.table = table_of(plain)
        note_table(own)


def wall_states(env: gym.Env[Any, Any]) -> list[int]:
    """The states whose cells are walls by hand."""
    kept = _world_of(env)
    if kept is None:
        return []
    walls = np.array([list(row) for row in kept.rows[0]]) == WALL
    return [int(state) for state in kept.grid[walls]]


def pay_of(env: gym.Env[Any, Any]) -> float:
    """What a cell pays that is marked: 1 in a world of rewards up to 1, else 10."""
    kept = _world_of(env)
    if kept is None:
        return 10.0
    largest = max(abs(r) for actions in kept.table.values() for some in actions.values() for _, _, r, _ in some)
    return 1.0 if largest <= 1 else 10.0


def _changed(
    state: int, outcome: tuple[float, int, float, bool], characters: dict[int, str], usual: float, pays: float
) -> tuple[float, int, float, bool]:
    chance, after, _, ends = outcome
    mark = characters.get(after, FLOOR)
    if after == state or mark not in (WALL, "+", "-"):
        return outcome
    if mark == WALL:
        return chance, state, usual, False
    return chance, after, pays if mark == "+" else -pays, ends


def _usual_reward(table: Outcomes) -> float:
    """The reward of most moves."""
    rewards = Counter(float(r) for actions in table.values() for some in actions.values() for _, _, r, _ in some)
    return rewards.most_common(1)[0][0]


def _source(env: gym.Env[Any, Any]) -> Any:
    """The environment with ``P``: of a native twin the original from which its table was read."""
    plain: Any = env.unwrapped
    return getattr(plain, "original", plain)


def _world_of(env: gym.Env[Any, Any]) -> _Kept | None:
    plain = env.unwrapped
    if plain not in _kept:
        _kept[plain] = _read(env)
    return _kept[plain]


def _read(env: gym.Env[Any, Any]) -> _Kept | None:
    plain: Any = env.unwrapped
    source, lay = _source(env), registry.recipes("STATE_GRIDS").get(reference(env).id)
    table, start = getattr(source, "P", None), getattr(source, "initial_state_distrib", None)
    if not isinstance(table, dict) or start is None or "P" not in vars(source) or hasattr(plain, "set_rows"):
        return None
    own = getattr(plain, "state_grid", None)
    if lay is not None:
        grid = np.asarray(lay(env, 0))
    elif own is not None:
        grid = np.asarray(own(0))
    else:
        return None
    if sorted(grid.ravel().tolist()) != sorted(table):  # a state is more than a cell
        return None
    letters = getattr(source, "desc", None)
    holes = set(grid[np.asarray(letters) == b"H"].tolist()) if letters is not None else set()
    entered: dict[int, bool] = {}
    for state, actions in table.items():
        for outcomes in actions.values():
            for _, after, _, ends in outcomes:
                if after != state:
                    entered[after] = entered.get(after, False) or bool(ends)

    def character(state: int) -> str:
        if start[state] > 0:
            return START
        if state not in entered:
            return SHUT
        return HOLE if state in holes else GOAL if entered[state] else FLOOR

    rows = tuple("".join(character(int(state)) for state in row) for row in grid)
    return _Kept(table, grid, rows, [rows])
