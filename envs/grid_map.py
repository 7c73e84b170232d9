"""Grid maps as text, and the exact transition table of the world they draw.

A map is a header of ``key: value`` lines, an empty line, and rows of characters. Lines that start with ``;`` are
comments. Characters:

    .  floor    #  wall    S  start    G  goal, ends the episode    H  hole, ends the episode
    C  cliff, costs 100 and leads back to the start    ~  slippery floor

Header keys, all optional:

    title, source   words for people
    moves           4 (up, right, down, left) or 8 (diagonals too)
    step reward     reward of a step, -1 by default
    goal reward     reward of entering a goal, the step reward by default
    bump reward     reward of a move against a wall or the edge, the step reward by default
    slip            probability that a move from slippery floor goes off to one of its sides, 0.2 by default
    wind            cells by which each column pushes up
    cell X          a character of your own: wall, start, terminal, goal (looks like one), restart,
                    reward=NUMBER (on entering), slip=NUMBER,
                    jump=Y (every move from X leads to the cell marked Y and pays X's reward)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import BYTES_OF_AN_OUTCOME, TransitionTable, UsageError, counted, require_memory, unknown

MAPS = Path(__file__).parent / "maps"
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))
MOVE_NAMES = ("up", "right", "down", "left", "up-right", "down-right", "down-left", "up-left")
MOST_CELLS = 4_000_000  # of a map
_HEADER = ("title", "source", "moves", "step reward", "goal reward", "bump reward", "slip", "wind")


@dataclass(frozen=True)
class Cell:
    """What one character of a map means."""

    wall: bool = False
    start: bool = False
    terminal: bool = False
    goal: bool = False
    restart: bool = False
    reward: float | None = None
    slip: float = 0.0
    jump: str = ""


@dataclass(frozen=True)
class GridMap:
    """A parsed map.

    Attributes:
        name: its name or path.
        rows: the characters, all rows of one length.
        cells: the meaning of each character.
        moves: 4 or 8.
        step_reward: reward of a step.
        bump_reward: reward of a move against a wall or the edge.
        wind: cells by which each column pushes up.
        title: words for people.
    """

    name: str
    rows: tuple[str, ...]
    cells: dict[str, Cell]
    moves: int = 4
    step_reward: float = -1.0
    bump_reward: float = -1.0
    wind: tuple[int, ...] = ()
    title: str = ""
    starts: tuple[int, ...] = field(default=())

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.rows), len(self.rows[0])

    def cell(self, row: int, column: int) -> Cell:
        """The meaning of the cell at a place."""
        return self.cells[self.rows[row][column]]

    def each(self, told: Callable[[Cell], Any], dtype: type) -> NDArray[Any]:
        """What is told of each cell, an array [rows * columns], row by row from the top left."""
        by_code: NDArray[Any] = np.zeros(max(map(ord, self.cells)) + 1, dtype)
        for character in set().union(*self.rows):
            by_code[ord(character)] = told(self.cells[character])
        return by_code[self._codes]

    @cached_property
    def _codes(self) -> NDArray[np.uint32]:
        """Unicode's number of each cell's character."""
        return np.frombuffer("".join(self.rows).encode("utf-32-le"), np.uint32)

    def place(self, character: str) -> int:
        """The number of the first cell with a character."""
        row = next(i for i, line in enumerate(self.rows) if character in line)
        return row * self.shape[1] + self.rows[row].index(character)


def map_names() -> list[str]:
    """The names of the maps that are shipped."""
    return sorted(path.stem for path in MAPS.glob("*.txt"))


def read_map(name: str) -> GridMap:
    """A shipped map by name, or a map in a file.

    Raises:
        UsageError: no such map, or a line that cannot be understood; named with its number.
    """
    path = MAPS / f"{name}.txt"
    if name not in map_names():
        path = Path(name)
        if not path.is_file():
            raise unknown("map", name, map_names(), f"Shipped: {', '.join(map_names())}; or give a text file's path")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"map {name} cannot be read: {error}") from error
    return parse_map(text, name)


def parse_map(text: str, name: str = "map") -> GridMap:
    """A map from its text; see the module's description.

    Raises:
        UsageError: a line that cannot be understood; named with its number.
    """
    header: dict[str, str] = {}
    custom: dict[str, str] = {}
    rows: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(";") or (not line.strip() and not rows):
            continue
        key, colon, value = line.partition(":")
        if colon and not rows:
            if key.startswith("cell ") and len(key) == 6:
                custom[key[5]] = value.strip()
            elif key.strip() in _HEADER:
                header[key.strip()] = value.strip()
            else:
                raise unknown(f"key in line {number} of map {name}", key.strip(), [*_HEADER, "cell X"])
        elif line.strip():
            rows.append(line.rstrip())
    if not rows:
        raise UsageError(f"map {name} has no rows", "Write the grid below the header, one character a cell")
    if len(rows) * (longest := max(len(row) for row in rows)) > MOST_CELLS:
        raise UsageError(
            f"map {name} has {len(rows):,} rows of {longest:,} cells, more than {MOST_CELLS:,} together",
            "Take a smaller one",
        )
    step = _number(name, "step reward", header.get("step reward", "-1"))
    goal = _number(name, "goal reward", header["goal reward"]) if "goal reward" in header else None
    slip = _probability(name, "slip", header.get("slip", "0.2"))
    cells = {
        ".": Cell(),
        "#": Cell(wall=True),
        "S": Cell(start=True),
        "G": Cell(terminal=True, goal=True, reward=goal),
        "H": Cell(terminal=True),
        "C": Cell(restart=True, reward=-100.0),
        "~": Cell(slip=slip),
    }
    cells.update({character: _cell(name, character, words) for character, words in custom.items()})
    width = max(len(row) for row in rows)
    grid = tuple(row.ljust(width, "#") for row in rows)
    moves = header.get("moves", "4")
    if moves not in ("4", "8"):
        raise UsageError(f"map {name}: moves {moves!r} is not 4 or 8")
    wind = tuple(int(_number(name, "wind", part)) for part in header.get("wind", "").split())
    if wind and len(wind) != width:
        raise UsageError(f"map {name}: wind has {counted(len(wind), 'number')} for {counted(width, 'column')}")
    bump = _number(name, "bump reward", header["bump reward"]) if "bump reward" in header else step
    parsed = GridMap(name, grid, cells, int(moves), step, bump, wind, header.get("title", name))
    return replace(parsed, starts=_starts(parsed))


def with_rows(grid: GridMap, rows: tuple[str, ...]) -> GridMap:
    """The same map with other cells; + and - are floor that pays 10 and -10, where the map has no such characters.

    Raises:
        UsageError: a character that means nothing, or no start.

    Example:
        >>> with_rows(parse_map("S.G"), ("S+G",)).cell(0, 1).reward
        10.0
    """
    cells = {"+": Cell(reward=10.0), "-": Cell(reward=-10.0), **grid.cells}
    changed = GridMap(grid.name, rows, cells, grid.moves, grid.step_reward, grid.bump_reward, grid.wind, grid.title)
    return replace(changed, starts=_starts(changed))


def _starts(grid: GridMap) -> tuple[int, ...]:
    jumps = {cell.jump for cell in grid.cells.values() if cell.jump}
    for row, line in enumerate(grid.rows):
        for character in sorted(set(line) - grid.cells.keys(), key=line.index):
            if character not in jumps:
                raise UsageError(
                    f"map {grid.name}: row {row + 1} has {character!r}, which means nothing",
                    f"Known: {' '.join(grid.cells)}; or say it in the header: cell {character}: reward=1",
                )
            grid.cells[character] = Cell()
    starts = np.flatnonzero(grid.each(lambda cell: cell.start, np.bool_)).tolist()
    if not starts:
        raise UsageError(f"map {grid.name} has no start", "Put an S somewhere")
    for target in jumps:
        if sum(line.count(target) for line in grid.rows) != 1:
            raise UsageError(f"map {grid.name}: jump={target} needs exactly one cell {target!r} in the grid")
    return tuple(starts)


def _cell(name: str, character: str, words: str) -> Cell:
    cell = Cell()
    for word in words.replace(",", " ").split():
        key, equals, value = word.partition("=")
        if key in ("wall", "start", "terminal", "goal", "restart") and not equals:
            cell = replace(cell, **{key: True})  # type: ignore[arg-type]
        elif key == "reward":
            cell = replace(cell, reward=_number(name, f"cell {character}", value))
        elif key == "slip":
            cell = replace(cell, slip=_probability(name, f"cell {character}", value))
        elif key == "jump" and len(value) == 1:
            cell = replace(cell, jump=value)
        else:
            raise unknown(
                f"word for cell {character} of map {name}",
                word,
                ["wall", "start", "terminal", "goal", "restart", "reward=NUMBER", "slip=NUMBER", "jump=CHARACTER"],
            )
    return cell


def _number(name: str, key: str, text: str) -> float:
    try:
        number = float(text)
        if math.isfinite(number):
            return number
    except ValueError:
        pass
    raise UsageError(f"map {name}: {key} {text!r} is not a finite number")


def _probability(name: str, key: str, text: str) -> float:
    number = _number(name, key, text)
    if not 0 <= number <= 1:
        raise UsageError(f"map {name}: {key} {text!r} is not a probability in [0, 1]")
    return number


def start_distribution(grid: GridMap) -> NDArray[np.float64]:
    """Probability of each first state, shape [rows * columns]."""
    start = np.zeros(grid.shape[0] * grid.shape[1])
    start[list(grid.starts)] = 1.0 / len(grid.starts)
    return start


def transition_table(grid: GridMap) -> TransitionTable:
    """The exact table of a map: the move itself, then off to its left and right; each start where a cell leads back.

    Raises:
        UsageError: this machine has not the memory for it.

    Example:
        >>> transition_table(parse_map("S~G")).outcomes()[1][0]  # up: the edge holds, or off to one of the sides
        [(0.8, 1, -1.0, False), (0.1, 0, -1.0, False), (0.1, 2, -1.0, True)]
    """
    cells, here = grid.shape[0] * grid.shape[1], np.arange(grid.shape[0] * grid.shape[1])
    over = grid.each(lambda cell: cell.wall or cell.terminal, np.bool_)
    jumping = grid.each(lambda cell: bool(cell.jump), np.bool_) & ~over
    slip = np.where(over | jumping, 0.0, grid.each(lambda cell: cell.slip, np.float64))
    slipping = np.flatnonzero(slip)
    arrivals = [_arrivals(grid, action) for action in range(grid.moves)]
    width = max(int(_outcomes_of(grid, arrivals, a, slipping, over | jumping).max()) for a in range(grid.moves))
    require_memory(
        f"map {grid.name}: its table of {cells:,} states, {grid.moves} actions and {width:,} outcomes",
        cells * grid.moves * width, "Take a smaller map, or fewer starts", itemsize=BYTES_OF_AN_OUTCOME,
    )  # fmt: skip
    shape = cells, grid.moves, width
    probability, reward = np.zeros(shape), np.zeros(shape)
    next_state, terminated = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    flat = [array.reshape(-1) for array in (probability, next_state, reward, terminated)]
    moving = np.flatnonzero(~(over | jumping))
    for action in range(grid.moves):
        used = np.zeros(cells, np.int64)  # outcomes of each state so far
        left, right = _sides(action, grid.moves) if slipping.size else (action, action)
        for move, states, chance in (
            (action, moving, 1 - slip), (left, slipping, slip / 2), (right, slipping, slip / 2)
        ):  # fmt: skip
            target, gained, ends, back = arrivals[move]
            for sent_back in (False, True):
                at, many = states[back[states] == sent_back], len(grid.starts) if sent_back else 1
                place = ((at * grid.moves + action) * width + used[at])[:, None] + np.arange(many)  # [N, outcomes]
                reached = np.array(grid.starts) if sent_back else target[at, None]
                told = chance[at, None] / many, reached, gained[at, None], ends[at, None] & (not sent_back)
                for array, values in zip(flat, told, strict=True):
                    array[place] = values
                used[at] += many
    probability[over | jumping, :, 0] = 1.0
    next_state[over, :, 0], terminated[over, :, 0] = here[over, None], True
    landing = grid.each(lambda cell: grid.place(cell.jump) if cell.jump else 0, np.int64)
    paid = grid.each(lambda cell: grid.step_reward if cell.reward is None else cell.reward, np.float64)
    next_state[jumping, :, 0], reward[jumping, :, 0] = landing[jumping, None], paid[jumping, None]
    return TransitionTable.of(probability, next_state, reward, terminated, start_distribution(grid))


class _Arrivals(NamedTuple):
    """Where one move leads from each cell, arrays [S]: the cell, the reward, whether it ends, whether it leads back."""

    target: NDArray[np.int64]
    reward: NDArray[np.float64]
    ends: NDArray[np.bool_]
    back: NDArray[np.bool_]


def _outcomes_of(
    grid: GridMap, arrivals: list[_Arrivals], action: int, slipping: NDArray[np.int64], still: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """How many outcomes an action has in each state, int64 [S]."""
    many = [np.where(one.back, len(grid.starts), 1) for one in arrivals]
    found = np.where(still, 1, many[action])
    for side in _sides(action, grid.moves) if slipping.size else ():
        found[slipping] += many[side][slipping]
    return found


def _sides(action: int, moves: int) -> tuple[int, int]:
    """The two moves at right angles to a move."""
    down, right = MOVES[action]
    sides = ((-right, down), (right, -down))
    first, second = (MOVES.index(side) for side in sides)
    assert max(first, second) < moves
    return first, second


def _arrivals(grid: GridMap, action: int) -> _Arrivals:
    """Where a move leads from each cell."""
    target = _blown(grid, action)
    bumped = target == np.arange(len(target))
    own = grid.each(lambda cell: cell.reward is not None and not cell.jump, np.bool_)[target] & ~bumped
    paid = grid.each(lambda cell: cell.reward or 0.0, np.float64)[target]
    reward = np.where(own, paid, np.where(bumped, grid.bump_reward, grid.step_reward))
    return _Arrivals(
        target,
        reward,
        grid.each(lambda cell: cell.terminal, np.bool_)[target],
        grid.each(lambda cell: cell.restart, np.bool_)[target],
    )


def _blown(grid: GridMap, action: int) -> NDArray[np.int64]:
    """The cell after a move and the wind of the column it began in, int64 [S]; walls stop both, the edge holds."""
    rows, columns = grid.shape
    down, right = MOVES[action]
    wind = np.minimum(grid.wind or [0] * columns, rows + 1)  # more leads to the edge too
    above = max(int(wind.max()), 0) + 1  # rows above the map that a move can be blown to
    walls = np.pad(grid.each(lambda cell: cell.wall, np.bool_).reshape(rows, columns), ((above, 1), (1, 1)))
    row, column = np.indices((rows, columns))
    into_wall = walls[row + down + above, column + right + 1]
    to_row, to_column = np.where(into_wall, row, row + down), np.where(into_wall, column, column + right)
    going = np.ones((rows, columns), np.bool_)
    for k in range(above - 1):
        going &= (k < wind) & ~walls[to_row - 1 + above, to_column + 1]
        to_row -= going
    to_row, to_column = np.clip(to_row, 0, rows - 1), np.clip(to_column, 0, columns - 1)
    into_wall = walls[to_row + above, to_column + 1]
    return np.where(into_wall, row * columns + column, to_row * columns + to_column).ravel()
