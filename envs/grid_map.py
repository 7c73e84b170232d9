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
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import UsageError, unknown

MAPS = Path(__file__).parent / "maps"
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))
MOVE_NAMES = ("up", "right", "down", "left", "up-right", "down-right", "down-left", "up-left")
MOST_CELLS = 250_000  # of a map; the table of a larger one takes minutes and gigabytes to fill
_HEADER = ("title", "source", "moves", "step reward", "goal reward", "bump reward", "slip", "wind")

Outcome = tuple[float, int, float, bool]


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

    def state(self, row: int, column: int) -> int:
        """The number of a cell: row by row from the top left."""
        return row * self.shape[1] + column


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
        raise UsageError(f"map {name}: wind has {len(wind)} numbers for {width} columns")
    bump = _number(name, "bump reward", header["bump reward"]) if "bump reward" in header else step
    parsed = GridMap(name, grid, cells, int(moves), step, bump, wind, header.get("title", name))
    return replace(parsed, starts=_starts(parsed))


def _starts(grid: GridMap) -> tuple[int, ...]:
    starts, jumps = [], {cell.jump for cell in grid.cells.values() if cell.jump}
    for row, line in enumerate(grid.rows):
        for column, character in enumerate(line):
            if character not in grid.cells:
                if character not in jumps:
                    raise UsageError(
                        f"map {grid.name}: row {row + 1} has {character!r}, which means nothing",
                        f"Known: {' '.join(grid.cells)}; or say it in the header: cell {character}: reward=1",
                    )
                grid.cells[character] = Cell()
            if grid.cells[character].start:
                starts.append(grid.state(row, column))
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


def transitions(grid: GridMap) -> dict[int, dict[int, list[Outcome]]]:
    """The exact table of a map: ``P[state][action]`` is a list of (probability, next_state, reward, terminated)."""
    rows, columns = grid.shape
    return {
        grid.state(row, column): {action: _outcomes(grid, row, column, action) for action in range(grid.moves)}
        for row in range(rows)
        for column in range(columns)
    }


def start_distribution(grid: GridMap) -> NDArray[np.float64]:
    """Probability of each first state, shape [rows * columns]."""
    start = np.zeros(grid.shape[0] * grid.shape[1])
    start[list(grid.starts)] = 1.0 / len(grid.starts)
    return start


def _outcomes(grid: GridMap, row: int, column: int, action: int) -> list[Outcome]:
    cell, here = grid.cell(row, column), grid.state(row, column)
    if cell.wall or cell.terminal:
        return [(1.0, here, 0.0, True)]
    if cell.jump:
        line = next(i for i, text in enumerate(grid.rows) if cell.jump in text)
        target = grid.state(line, grid.rows[line].index(cell.jump))
        return [(1.0, target, cell.reward if cell.reward is not None else grid.step_reward, False)]
    if not cell.slip:
        return _arrivals(grid, row, column, action, 1.0)
    left, right = _sides(action, grid.moves)
    outcomes: list[Outcome] = []
    for chosen, probability in ((action, 1 - cell.slip), (left, cell.slip / 2), (right, cell.slip / 2)):
        outcomes += _arrivals(grid, row, column, chosen, probability)
    return outcomes


def _sides(action: int, moves: int) -> tuple[int, int]:
    """The two moves at right angles to a move."""
    down, right = MOVES[action]
    sides = ((-right, down), (right, -down))
    first, second = (MOVES.index(side) for side in sides)
    assert max(first, second) < moves
    return first, second


def _arrivals(grid: GridMap, row: int, column: int, action: int, probability: float) -> list[Outcome]:
    """Where one move leads: the place, or each start when the cell sends back there."""
    to_row, to_column = _blown(grid, row, column, action)
    cell = grid.cell(to_row, to_column)
    bumped = (to_row, to_column) == (row, column)
    if bumped or cell.reward is None or cell.jump:
        reward = grid.bump_reward if bumped else grid.step_reward
    else:
        reward = cell.reward
    if cell.restart:
        return [(probability / len(grid.starts), start, reward, False) for start in grid.starts]
    return [(probability, grid.state(to_row, to_column), reward, cell.terminal)]


def _blown(grid: GridMap, row: int, column: int, action: int) -> tuple[int, int]:
    """The place after a move and the wind of the column it began in; walls stop both, the edge holds."""
    rows, columns = grid.shape
    down, right = MOVES[action]

    def is_wall(at_row: int, at_column: int) -> bool:
        inside = 0 <= at_row < rows and 0 <= at_column < columns
        return inside and grid.cell(at_row, at_column).wall

    to_row, to_column = row + down, column + right
    if is_wall(to_row, to_column):
        to_row, to_column = row, column
    for _ in range(grid.wind[column] if grid.wind else 0):
        if is_wall(to_row - 1, to_column):
            break
        to_row -= 1
    to_row, to_column = min(max(to_row, 0), rows - 1), min(max(to_column, 0), columns - 1)
    return (row, column) if is_wall(to_row, to_column) else (to_row, to_column)
