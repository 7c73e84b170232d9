"""Exact values by dynamic programming: Sutton & Barto, and Gymnasium's tables."""

from __future__ import annotations

import numpy as np
import pytest

from agents import ValueIteration
from rlplay import make
from rlplay.compiled.table import table_of


def start_value(env_id: str, gamma: float, **kwargs: object) -> float:
    agent = ValueIteration(make(env_id, **kwargs), gamma=gamma, theta=1e-12).learn(100_000)
    return float(table_of(agent.env).start @ agent.v)


@pytest.mark.parametrize(
    ("env_id", "gamma", "value", "half_unit"),
    [
        ("FrozenLake-v1", 0.9, 0.06889, 5e-6),
        ("FrozenLake-v1", 0.95, 0.18047, 5e-6),
        ("FrozenLake-v1", 0.99, 0.54203, 5e-6),
        ("FrozenLake-v1", 1.0, 0.82353, 5e-6),
        ("FrozenLake8x8-v1", 0.99, 0.41464, 5e-6),
        ("Taxi-v4", 1.0, 7.93, 5e-3),
        ("Taxi-v4", 0.99, 6.32746, 5e-6),
        ("CliffWalking-v1", 1.0, -13, 1e-9),
        ("CliffWalkingSlippery-v1", 1.0, -64.709, 5e-4),
    ],
)
def test_optimal_start_values(env_id, gamma, value, half_unit):
    assert start_value(env_id, gamma) == pytest.approx(value, abs=half_unit)


@pytest.mark.parametrize(("name", "steps"), [("windy", 15), ("windy-kings", 7), ("cliff", 13)])
def test_shortest_ways_of_the_book(name, steps):
    assert start_value("rlplay/GridWorld-v0", 1.0, map=name) == pytest.approx(-steps, abs=1e-9)


def test_gridworld_with_jumps_exercise_3_8():
    agent = ValueIteration(make("rlplay/GridWorld-v0", map="jumps"), gamma=0.9, theta=1e-12).learn(10_000)
    assert agent.v[:5] == pytest.approx([21.977, 24.419, 21.977, 19.419, 17.477], abs=5e-4)


def test_gridworld_with_jumps_random_policy_example_3_5():
    """The table itself: v = (I - γP)⁻¹ r under the random policy gives the book's figure 3.2."""
    table = table_of(make("rlplay/GridWorld-v0", map="jumps"))
    states = table.n_states
    p, r = np.zeros((states, states)), np.zeros(states)
    for s in range(states):
        for a in range(table.n_actions):
            for k, weight in enumerate(table.probability[s, a] / table.n_actions):
                p[s, table.arrays.next_state[s, a, k]] += weight
                r[s] += weight * table.arrays.reward[s, a, k]
    v = np.linalg.solve(np.eye(states) - 0.9 * p, r)
    assert v[:5] == pytest.approx([3.31, 8.79, 4.43, 5.32, 1.49], abs=5e-3)
    assert v[20:] == pytest.approx([-1.86, -1.35, -1.23, -1.42, -1.98], abs=5e-3)


def test_both_kinds_of_sweep_agree_and_in_place_needs_fewer():
    two = ValueIteration("FrozenLake-v1", in_place=False, theta=1e-12).learn(100_000)
    one = ValueIteration("FrozenLake-v1", in_place=True, theta=1e-12).learn(100_000)
    assert one.v == pytest.approx(two.v, abs=1e-9)
    assert one.num_timesteps < two.num_timesteps


def test_it_stops_when_nothing_changes_and_counts_sweeps():
    agent = ValueIteration("FrozenLake-v1").learn(100_000)
    again = agent.num_timesteps
    assert again < 1000
    assert agent.learn(100, reset_num_timesteps=False).num_timesteps == again
