"""Exact values by dynamic programming: Sutton & Barto, and Gymnasium's tables."""

from __future__ import annotations

import numpy as np
import pytest

from agents import PolicyEvaluation, PolicyIteration, RealTimeDP, ValueIteration
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


def corners(sweeps: int) -> np.ndarray:
    env = make("rlplay/GridWorld-v0", map="corners")
    return PolicyEvaluation(env, policy="random", gamma=1.0, in_place=False, theta=1e-12).learn(sweeps).v.reshape(4, 4)


def test_policy_evaluation_figure_4_1():
    assert corners(3)[0] == pytest.approx([0, -2.4, -2.9, -3.0], abs=0.06)  # the book cuts -2.44 and -2.94
    assert corners(10)[0] == pytest.approx([0, -6.1, -8.4, -9.0], abs=0.06)
    assert corners(10_000)[:2] == pytest.approx(np.array([[0, -14, -20, -22], [-14, -18, -20, -20]]), abs=1e-6)


def test_policy_evaluation_example_3_5():
    agent = PolicyEvaluation(make("rlplay/GridWorld-v0", map="jumps"), policy="random", gamma=0.9).learn(10_000)
    assert agent.v[:5] == pytest.approx([3.31, 8.79, 4.43, 5.32, 1.49], abs=5e-3)


def test_best_success_on_the_lake_within_its_time_limit():
    """100 sweeps from 0 without a discount are the best chance to reach the goal within 100 steps."""
    agent = ValueIteration("FrozenLake-v1", gamma=1.0, in_place=False).learn(100)
    assert agent.v[0] == pytest.approx(0.74419, abs=5e-6)


@pytest.mark.parametrize("settings", [{}, {"evaluation_sweeps": 1}, {"evaluation_sweeps": 5}, {"in_place": False}])
@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "Taxi-v4", "CliffWalking-v1"])
def test_policy_iteration_ends_at_the_optimum(env_id, settings):
    found = PolicyIteration(env_id, gamma=0.99, theta=1e-10, **settings).learn(100_000)
    best = ValueIteration(env_id, gamma=0.99, theta=1e-12).learn(100_000)
    assert found.converged
    assert found.v == pytest.approx(best.v, abs=1e-6)


def test_car_rental_figure_4_2():
    """Howard's policy iteration is done after four improvements that change something; the book's final policy."""
    agent = PolicyIteration("rlplay/CarRental-v0", gamma=0.9, theta=1e-6).learn(10_000)
    moved = (agent.policy.argmax(axis=1) - 5).reshape(21, 21)
    assert agent.counts[1] <= 5
    assert moved[20, 0] == 5  # all at the first place: five go to the second
    assert moved[0, 20] == -4
    assert (moved[8:13, 8:] == 0).all()
    assert agent.v.reshape(21, 21)[20, 20] == pytest.approx(637, abs=1)


def test_gambler_figure_4_3():
    agent = ValueIteration("rlplay/Gambler-v0", gamma=1.0, theta=1e-12).learn(10_000)
    assert agent.v[[25, 50, 75]] == pytest.approx([0.16, 0.4, 0.64], abs=1e-9)  # bold play: one, two, three flips
    best = agent.q_values()[50]
    assert best.argmax() == 50
    assert np.isneginf(best[51:]).all()
    assert np.isneginf(agent.q_values()[10][11:]).all()  # no more than the capital may be staked


def test_average_rewards_agree_and_are_the_stationary_ones():
    """Access control: both planners' gain, and the long-run mean of the policy by its stationary distribution."""
    one = ValueIteration("rlplay/AccessControl-v0", average_reward=True, theta=1e-10).learn(100_000)
    two = PolicyIteration("rlplay/AccessControl-v0", average_reward=True, theta=1e-10).learn(100_000)
    policy = one.q_values().argmax(axis=1)
    table, s = table_of(one.env), np.arange(44)
    law = np.zeros((44, 44))
    np.add.at(law, (s[:, None], table.arrays.next_state[s, policy]), table.probability[s, policy])
    stationary = np.linalg.matrix_power(law, 2**16)[0]
    mean = stationary @ (table.probability[s, policy] * table.arrays.reward[s, policy]).sum(axis=1)
    assert one.gain[0] == pytest.approx(mean, abs=1e-8)
    assert two.gain[0] == pytest.approx(mean, abs=1e-8)


def test_real_time_dp_finds_the_optimum_on_the_states_it_meets():
    best = ValueIteration("rlplay/Racetrack-v0", gamma=1.0, theta=1e-10).learn(10_000)
    agent = RealTimeDP("rlplay/Racetrack-v0", gamma=1.0, seed=0).learn(400_000)
    table = table_of(agent.env)
    assert table.start @ agent.v == pytest.approx(table.start @ best.v, abs=0.01)
    assert (agent.v[~table.final()] == 0).mean() > 0.5  # more than half of the track's states were never met


def test_values_that_cannot_settle_are_said():
    """Without a discount a policy that never reaches an end has no values: it is said, and the run is finite."""
    env = make("rlplay/Corridor-v0")
    with pytest.warns(UserWarning, match="gamma=1 an end must be reachable"):
        agent = PolicyEvaluation(env, policy=[1, 1, 1, 0], gamma=1.0).learn(30_000)
    assert agent.num_timesteps == 30_000
