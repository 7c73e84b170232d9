"""Tabular control reaches the exact values of the tables; seeds are stated."""

from __future__ import annotations

import numpy as np
import pytest

from agents import ExpectedSarsa, QLearning, Sarsa
from rlplay import Callback, evaluate, make
from rlplay.compiled.table import TransitionTable, table_of
from rlplay.statistics import FinishedEpisode


def greedy_value(agent: QLearning, table: TransitionTable, gamma: float, horizon: int = 10_000) -> float:
    """The exact value of an agent's greedy policy from the start, by backing up its own transitions."""
    policy = agent.q.argmax(axis=1)
    s = np.arange(table.n_states)
    p, arrays = table.probability[s, policy], table.arrays
    reward, following = arrays.reward[s, policy], arrays.next_state[s, policy]
    going = gamma * ~arrays.terminated[s, policy]
    v = np.zeros(table.n_states)
    for _ in range(horizon):
        v = (p * (reward + going * v[following])).sum(axis=1)
    return float(table.start @ v)


def train_q(env_id: str, seed: int, timesteps: int, **hyperparameters: object) -> tuple[QLearning, TransitionTable]:
    agent = QLearning(env_id, seed=seed, **hyperparameters).learn(timesteps)
    return agent, table_of(agent.env)


def taxi(seed: int) -> float:
    agent, table = train_q("Taxi-v4", seed, 150_000, alpha=0.2, gamma=1.0, epsilon="lin_1_0.05")
    return greedy_value(agent, table, 1.0, horizon=200)


def frozen_lake(seed: int) -> float:
    """Success within the time limit of 100 steps; .740 for the policy that is optimal at gamma .99."""
    agent, table = train_q("FrozenLake-v1", seed, 1_000_000, alpha="lin_0.1_0.001", gamma=0.99, epsilon=0.3)
    return greedy_value(agent, table, 1.0, horizon=100)


def cliff(seed: int) -> float:
    agent, table = train_q("CliffWalking-v1", seed, 30_000, alpha=0.5, gamma=1.0, epsilon=0.1)
    return greedy_value(agent, table, 1.0, horizon=200)


@pytest.mark.parametrize("seed", range(3))
def test_q_learning_reaches_the_exact_values(seed):
    assert cliff(seed) == pytest.approx(-13)
    assert taxi(seed) == pytest.approx(7.93, abs=0.02)
    assert frozen_lake(seed) == pytest.approx(0.74, abs=0.005)


@pytest.mark.slow
def test_q_learning_reaches_the_exact_values_over_20_seeds():
    assert np.mean([cliff(seed) for seed in range(20)]) == pytest.approx(-13)
    assert np.mean([taxi(seed) for seed in range(20)]) == pytest.approx(7.93, abs=0.01)
    assert np.mean([frozen_lake(seed) for seed in range(20)]) == pytest.approx(0.74, abs=0.005)


class Episodes(Callback):
    """Keeps the returns of 500 episodes, then stops."""

    def on_training_start(self) -> None:
        self.returns: list[float] = []

    def on_episodes(self, rows: list[FinishedEpisode]) -> None:
        self.returns += [row.episode_return for row in rows]

    def on_step(self) -> bool:
        return len(self.returns) < 500


def last_hundred(cls: type, seed: int) -> list[float]:
    """Returns of episodes 401 to 500 on the cliff."""
    episodes = Episodes()
    cls("CliffWalking-v1", alpha=0.5, gamma=1.0, epsilon=0.1, seed=seed).learn(1_000_000, episodes)
    return episodes.returns[400:500]


@pytest.mark.parametrize(
    ("cls", "expected", "tolerance"), [(QLearning, -50.2, 9.0), (ExpectedSarsa, -20.7, 4.0)], ids=["q", "expected"]
)
def test_cliff_walking_online_performance(cls, expected, tolerance):
    """Example 6.6: the mean over 6 runs of the last 100 of 500 episodes, α .5, ε .1 (seeds 0 to 5)."""
    assert np.mean([last_hundred(cls, seed) for seed in range(6)]) == pytest.approx(expected, abs=tolerance)


def test_cliff_walking_sarsa_walks_the_safe_way_while_exploring():
    """Example 6.6: the median episode of Sarsa returns -19 (seeds 0 to 5)."""
    assert np.median([last_hundred(Sarsa, seed) for seed in range(6)]) == pytest.approx(-19, abs=1)


def test_greedy_lengths_on_the_cliff():
    for seed in range(3):
        q = QLearning("CliffWalking-v1", alpha=0.5, gamma=1.0, seed=seed).learn(50_000)
        expected = ExpectedSarsa("CliffWalking-v1", alpha=0.5, gamma=1.0, seed=seed).learn(50_000)
        assert evaluate(q, n_eval_episodes=1).lengths.tolist() == [13]
        assert evaluate(expected, n_eval_episodes=1).lengths.tolist() == [15]


def test_windy_gridworld_by_q_learning():
    agent = QLearning(make("rlplay/GridWorld-v0", map="windy"), alpha=0.5, gamma=1.0, seed=0).learn(200_000)
    assert evaluate(agent, n_eval_episodes=1).mean == -15
