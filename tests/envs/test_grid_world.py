from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import QLearning
from envs.grid_map import MOVES, map_names, parse_map, read_map, transition_table
from rlplay import load, make
from rlplay.compiled.table import agreement, table_from, table_of
from rlplay.environments.make import make_anew
from rlplay.errors import EnvironmentFault, SpaceError, UsageError


def transitions(grid):
    """The table of a map as Gymnasium writes it."""
    return transition_table(grid).outcomes()


@pytest.mark.parametrize("name", map_names())
@pytest.mark.parametrize("mode", [None, "rgb_array", "ansi"])
def test_checkers(name, mode):
    from stable_baselines3.common.env_checker import check_env as check_for_sb3

    env = gym.make("rlplay/GridWorld-v0", map=name, render_mode=mode)
    check_env(env.unwrapped)
    check_for_sb3(env.unwrapped)


@pytest.mark.parametrize("name", map_names())
def test_the_table_is_what_the_environment_does(name):
    env = gym.make("rlplay/GridWorld-v0", map=name, max_episode_steps=50)
    assert agreement(env, table_of(env), steps=2000) == "exact"


def test_walls_edges_and_bumps():
    grid = parse_map("bump reward: -5\n\nS#\n.G")
    p = transitions(grid)
    assert p[0][1] == [(1.0, 0, -5.0, False)]  # right into the wall
    assert p[0][0] == [(1.0, 0, -5.0, False)]  # up over the edge
    assert p[0][2] == [(1.0, 2, -1.0, False)]
    assert p[2][1] == [(1.0, 3, -1.0, True)]
    assert p[3][0] == [(1.0, 3, 0.0, True)]  # goals absorb


def test_cliff_leads_back_to_all_starts():
    p = transitions(parse_map("S.S\nCCC"))
    assert p[1][2] == [(0.5, 0, -100.0, False), (0.5, 2, -100.0, False)]


def test_slippery_floor_goes_to_the_sides():
    p = transitions(parse_map("slip: 0.5\n\n...\nS~.\n..."))
    assert p[4][0] == [(0.5, 1, -1.0, False), (0.25, 3, -1.0, False), (0.25, 5, -1.0, False)]


def test_wind_pushes_by_the_column_in_which_the_move_began():
    p = transitions(read_map("windy"))
    column = 3 * 10 + 6  # row 3, column 6: wind 2
    assert p[column][1][0][1] == 1 * 10 + 7
    assert p[0 * 10 + 6][2][0][1] == 6  # at the top edge the wind holds against a move down


def test_walls_stop_the_wind():
    p = transitions(parse_map("wind: 2 2\n\n#.\n..\nS."))
    assert p[4][1][0][1] == 1  # right, then two up
    assert p[4][0][0][1] == 2  # up, and the wall above stops the wind


def test_jumps_and_own_cells():
    p = transitions(parse_map("cell A: jump=a reward=10\ncell T: terminal reward=3\n\nSA\naT"))
    assert {tuple(p[1][a][0]) for a in range(4)} == {(10.0 / 10, 2, 10.0, False)}
    assert p[2][1] == [(1.0, 3, 3.0, True)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("S.#~GCH", min_size=3, max_size=6), min_size=2, max_size=5), st.integers(0, 2), st.booleans())
def test_any_map_gives_a_proper_table(rows, wind, kings):
    width = max(map(len, rows))
    text = f"moves: {8 if kings else 4}\nwind: {' '.join([str(wind)] * width)}\n\n" + "\n".join(["S", *rows])
    grid = parse_map(text) if width >= 1 else None
    assert grid is not None
    cells = grid.shape[0] * grid.shape[1]
    for outcomes_by_action in transitions(grid).values():
        for outcomes in outcomes_by_action.values():
            assert sum(o[0] for o in outcomes) == pytest.approx(1)
            assert all(0 <= o[1] < cells and np.isfinite(o[2]) for o in outcomes)
            for o in outcomes:
                row, column = divmod(o[1], grid.shape[1])
                standing = grid.cell(row, column)
                assert not standing.restart
    assert len(MOVES) == 8


def one_by_one(grid):
    """The table of a map cell by cell, as the module says it, for `table_from`."""
    rows, columns = grid.shape

    def is_wall(row, column):
        return 0 <= row < rows and 0 <= column < columns and grid.cell(row, column).wall

    def arrivals(row, column, action, probability):
        to_row, to_column = row + MOVES[action][0], column + MOVES[action][1]
        if is_wall(to_row, to_column):
            to_row, to_column = row, column
        for _ in range(grid.wind[column] if grid.wind else 0):
            if is_wall(to_row - 1, to_column):
                break
            to_row -= 1
        to_row, to_column = min(max(to_row, 0), rows - 1), min(max(to_column, 0), columns - 1)
        if is_wall(to_row, to_column):
            to_row, to_column = row, column
        cell, bumped = grid.cell(to_row, to_column), (to_row, to_column) == (row, column)
        reward = grid.bump_reward if bumped else grid.step_reward
        if not bumped and cell.reward is not None and not cell.jump:
            reward = cell.reward
        if cell.restart:
            return [(probability / len(grid.starts), start, reward, False) for start in grid.starts]
        return [(probability, to_row * columns + to_column, reward, cell.terminal)]

    def outcomes(state, action):
        row, column = divmod(state, columns)
        cell = grid.cell(row, column)
        if cell.wall or cell.terminal:
            return [(1.0, state, 0.0, True)]
        if cell.jump:
            return [
                (
                    1.0,
                    "".join(grid.rows).index(cell.jump),
                    grid.step_reward if cell.reward is None else cell.reward,
                    False,
                )
            ]
        if not cell.slip:
            return arrivals(row, column, action, 1.0)
        down, right = MOVES[action]
        left, other = MOVES.index((-right, down)), MOVES.index((right, -down))
        found = arrivals(row, column, action, 1 - cell.slip)
        return found + arrivals(row, column, left, cell.slip / 2) + arrivals(row, column, other, cell.slip / 2)

    return {s: {a: outcomes(s, a) for a in range(grid.moves)} for s in range(rows * columns)}


CELLS = "cell A: jump=a reward=10\ncell B: jump=a slip=0.5\ncell T: terminal reward=3\ncell R: restart reward=-2 slip=1"


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.text("S.#~GCHABTR", min_size=1, max_size=6), min_size=1, max_size=5),
    st.lists(st.sampled_from([-1, 0, 1, 2, 99]), min_size=6, max_size=6),
    st.booleans(),
    st.sampled_from(["0", "0.3", "1"]),
)
def test_the_arrays_are_what_one_cell_after_the_other_gives_to_the_bit(rows, wind, kings, slip):
    width = max(map(len, rows))
    header = f"moves: {8 if kings else 4}\nslip: {slip}\nbump reward: -3\n{CELLS}"
    grid = parse_map(f"{header}\nwind: {' '.join(map(str, wind[:width]))}\n\n" + "\n".join(["S", *rows, "a"]))
    table, cells = transition_table(grid), grid.shape[0] * grid.shape[1]
    expected = table_from(one_by_one(grid), table.start, cells, grid.moves, "cell by cell")
    for mine, theirs in zip((*table.arrays, table.probability), (*expected.arrays, expected.probability), strict=True):
        assert (mine.dtype, mine.shape, mine.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


@pytest.mark.slow
def test_a_million_states(tmp_path):
    path = tmp_path / "map.txt"
    path.write_text("\n".join(["S" + "." * 999, *["~" * 1000] * 998, "." * 999 + "G"]))
    agent = QLearning(make("rlplay/GridWorld-v0", map=str(path)), seed=0).learn(100_000)
    assert agent.q.shape == (1_000_000, 4)
    assert agent.env.table.arrays.next_state.shape == (1_000_000, 4, 3)
    assert make_anew(agent.env, "a test").table is agent.env.table
    assert (load(agent.save(tmp_path / "agent")).q == agent.q).all()


def test_a_picture_of_a_large_map_has_small_cells(tmp_path):
    (tmp_path / "map.txt").write_text("S" + "." * 4999)
    env = make("rlplay/GridWorld-v0", map=str(tmp_path / "map.txt"), render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (1, 5000, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no rows"),
        ("...", "no start"),
        ("SX", "'X', which means nothing"),
        ("colour: red\n\nS", "unknown key in line 1"),
        ("step reward: much\n\nS", "'much' is not a finite number"),
        ("slip: 2\n\nS", "not a probability"),
        ("wind: 1 2\n\nS", "2 numbers for 1 column"),
        ("moves: 5\n\nS", "not 4 or 8"),
        ("cell A: jumps=a\n\nSA", "unknown word"),
        ("cell A: jump=a\n\nSA", "exactly one cell 'a'"),
    ],
)
def test_bad_maps_are_named(text, words):
    with pytest.raises(UsageError, match=words):
        parse_map(text)


def test_a_map_of_your_own_from_a_file(tmp_path):
    (tmp_path / "mine.txt").write_text("S..G\n")
    env = make("rlplay/GridWorld-v0", map=str(tmp_path / "mine.txt"))
    assert env.observation_space.n == 4
    with pytest.raises(UsageError, match=r"unknown map 'mase'. Did you mean maze"):
        make("rlplay/GridWorld-v0", map="mase")


def test_misuse():
    env = gym.make("rlplay/GridWorld-v0").unwrapped
    with pytest.raises(EnvironmentFault, match="before reset"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(SpaceError, match=r"action 4 is not in Discrete\(4\)"):
        env.step(4)
    with pytest.raises(SpaceError, match="render_mode"):
        gym.make("rlplay/GridWorld-v0", render_mode="rgb_array").unwrapped.__class__(render_mode="cinema")


def test_pictures():
    env = gym.make("rlplay/GridWorld-v0", map="cliff", render_mode="rgb_array", cell_size=20).unwrapped
    env.reset(seed=0)
    before = env.render()
    assert before.shape == (80, 240, 3)
    assert before.dtype == np.uint8
    env.step(0)
    after = env.render()
    changed = np.argwhere((before != after).any(axis=2))
    assert changed[:, 1].max() < 20  # only the agent's column
    assert changed[:, 0].min() >= 40
    text = gym.make("rlplay/GridWorld-v0", map="cliff", render_mode="ansi").unwrapped
    text.reset(seed=0)
    assert text.render().splitlines()[3] == "@CCCCCCCCCCG"
