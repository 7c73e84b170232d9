"""Racetrack: drive around the turn as fast as possible, without leaving the track."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import TransitionTable, UsageError, counted, in_place, unknown

from .table_world import TableWorld

TRACKS = Path(__file__).parent / "tracks"
OFF, TRACK, START, FINISH = range(4)
_KINDS = {"#": OFF, ".": TRACK, "S": START, "F": FINISH}
_MOST_CELLS = 250_000  # of a track
_MOST_OUTCOMES = 50_000_000  # of all states and actions: 1.2 GB
_FASTEST = 4  # cells a step, in each direction
_SPEEDS = _FASTEST + 1


class RacetrackEnv(TableWorld):
    """A racetrack.

    ## Description
    A car on a grid goes up and right by its velocity, which each action changes by -1, 0 or 1 in both directions. Both
    velocities stay within 0 and 4, and are not both 0 except at the start. With probability ``slip`` an action changes
    nothing. A car that leaves the track is put back at the start, at rest.

    ## Action Space
    ``Discrete(9)``: (change up + 1) * 3 + (change right + 1); 4 changes nothing.

    ## Observation Space
    ``Discrete(cells * 25)``: number of the cell * 25 + velocity up * 5 + velocity right.

    ## Rewards
    -1 a step.

    ## Starting State
    A cell of the starting line, all equally likely, at rest.

    ## Episode End
    Terminated when the way of a step meets the finishing line. Truncated after 10,000 steps (``max_episode_steps``).

    ## Arguments
    ``track``: right-turn or wide-turn, or the path of a text file (# off, . track, S start, F finish);
    ``slip=0.1``.

    ## References
    Barto, Bradtke & Singh 1995; Sutton & Barto, Reinforcement Learning, 2nd edition, exercise 5.12, figure 5.5.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = RacetrackEnv("right-turn")
        >>> state, _ = env.reset(seed=0)
        >>> state % 25, env.step(4)[1]  # at rest
        (0, -1.0)
    """

    def __init__(
        self, track: str = "right-turn", slip: float = 0.1, render_mode: str | None = None, **size: int | None
    ) -> None:
        if not 0 <= slip <= 1:
            raise UsageError(f"Racetrack: slip={slip} is not a probability in [0, 1]")
        self.kinds = read_track(track)
        self.places = np.argwhere(self.kinds != OFF)
        super().__init__(_table(self.kinds, self.places, float(slip)), render_mode, **size)

    def place(self, state: int) -> tuple[int, int, int, int]:
        """Row, column, velocity up and velocity right of a state."""
        cell, velocity = divmod(state, _SPEEDS**2)
        row, column = self.places[cell].tolist()
        return (row, column, *divmod(velocity, _SPEEDS))

    def get_action_meanings(self) -> list[str]:
        """The change of velocity up and right."""
        return [f"{up:+d} {right:+d}".replace("+0", "0") for up in (-1, 0, 1) for right in (-1, 0, 1)]

    def state_grid(self, observation: Any) -> NDArray[np.int64]:
        """The track, at the velocity of now."""
        grid = np.full(self.kinds.shape, -1)
        grid[tuple(self.places.T)] = np.arange(len(self.places)) * _SPEEDS**2 + int(observation) % _SPEEDS**2
        return grid

    def picture(self) -> Any:
        """The track, the car and where its velocity leads."""
        from . import drawing as d

        size = max(480 // max(self.kinds.shape), 6)
        row, column, up, right = self.place(max(self.s, 0))
        return d.cells(self.kinds, [d.PAPER, d.COOL, d.WARM, d.GOOD], size, (row, column), (-up, right))


def read_track(name: str) -> NDArray[np.int64]:
    """A shipped track by name, or one in a text file: kinds of cells [R, C].

    Raises:
        UsageError: no such track, a character that means nothing, or no start or finish.
    """
    names = sorted(path.stem for path in TRACKS.glob("*.txt"))
    path = TRACKS / f"{name}.txt" if name in names else Path(name)
    if not path.is_file():
        raise unknown("track", name, names, f"Shipped: {', '.join(names)}; or give a text file's path")
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] in _KINDS]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"track {name} cannot be read: {error}") from error
    width = max((len(line) for line in lines), default=0)
    if len(lines) * width > _MOST_CELLS:
        raise UsageError(f"track {name} has {len(lines):,} rows of {width:,} cells, more than {_MOST_CELLS:,} together")
    kinds = np.zeros((len(lines), width), np.int64)
    for row, line in enumerate(lines):
        for column, character in enumerate(line.rstrip()):
            if character not in _KINDS:
                raise UsageError(f"track {name}: row {row + 1} has {character!r}", f"Known: {' '.join(_KINDS)}")
            kinds[row, column] = _KINDS[character]
    outcomes = (kinds != OFF).sum() * _SPEEDS**2 * 9 * 2 * (kinds == START).sum()
    if outcomes > _MOST_OUTCOMES:
        raise UsageError(
            f"track {name} has {counted(outcomes, 'outcome')} of all actions, more than {_MOST_OUTCOMES:,}",
            "Take a smaller one, with fewer starts",
        )
    for kind, word in ((START, "start (S)"), (FINISH, "finish (F)")):
        if not (kinds == kind).any():
            raise UsageError(f"track {name} has no {word}")
    return kinds


@in_place
def drive(kinds: NDArray[np.int64], row: int, column: int, up: int, right: int) -> tuple[int, int, int]:
    """Where one step leads, cell by cell along the straight line: what it meets (a kind of cell), row and column."""
    steps = max(up, right)
    for k in range(1, steps + 1):
        r, c = row - (2 * up * k + steps) // (2 * steps), column + (2 * right * k + steps) // (2 * steps)
        if r < 0 or c >= kinds.shape[1] or kinds[r, c] == 0:
            return 0, row, column
        if kinds[r, c] == 3:
            return 3, r, c
    return 1, row - up, column + right


@in_place
def _fill(
    kinds: NDArray[np.int64], places: NDArray[np.int64], number: NDArray[np.int64], starts: NDArray[np.int64],
    slip: float, probability: NDArray[np.float64], next_state: NDArray[np.int64], reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
) -> None:  # fmt: skip
    width = starts.shape[0]
    for s in range(probability.shape[0]):
        cell, velocity = s // 25, s % 25
        row, column = places[cell]
        up, right = velocity // 5, velocity % 5
        for action in range(9):
            if kinds[row, column] == 3:  # an end: nothing more to drive
                probability[s, action, 0], next_state[s, action, 0], terminated[s, action, 0] = 1.0, s, True
                continue
            for slips in range(2):
                chance = slip if slips else 1.0 - slip
                new_up = min(max(up + (0 if slips else action // 3 - 1), 0), 4)
                new_right = min(max(right + (0 if slips else action % 3 - 1), 0), 4)
                if new_up == 0 and new_right == 0 and kinds[row, column] != 2:
                    new_up, new_right = up, right
                met, r, c = drive(kinds, row, column, new_up, new_right)
                for k in range(width if met == 0 else 1):
                    place = slips * width + k
                    reward[s, action, place] = -1.0
                    if met == 0:
                        probability[s, action, place] = chance / width
                        next_state[s, action, place] = starts[k] * 25
                    else:
                        probability[s, action, place] = chance
                        next_state[s, action, place] = number[r, c] * 25 + new_up * 5 + new_right
                        terminated[s, action, place] = met == 3


def _table(kinds: NDArray[np.int64], places: NDArray[np.int64], slip: float) -> TransitionTable:
    number = np.full(kinds.shape, -1)
    number[tuple(places.T)] = np.arange(len(places))
    starts = number[kinds == START]
    shape = (len(places) * _SPEEDS**2, 9, 2 * len(starts))
    arrays = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape, np.bool_)
    _fill(kinds, places, number, starts, slip, *arrays)
    start = np.zeros(shape[0])
    start[starts * _SPEEDS**2] = 1 / len(starts)
    return TransitionTable.of(*arrays, start)
