"""Tabular control reaches the exact values of the tables; seeds are stated."""

from __future__ import annotations

import numpy as np
import pytest

from agents import (
    DifferentialSarsa,
    DoubleQLearning,
    DoubleSarsa,
    ExpectedSarsa,
    NStepSarsa,
    QLearning,
    Sarsa,
    SarsaLambda,
    ValueIteration,
    WatkinsQLambda,
)
from agents.figures import play_episodes
from agents.figures.temporal_difference import left_share
from rlplay import Callback, evaluate, make
from rlplay.compiled.table import TransitionTable, table_of
from rlplay.functional.dynamic_programming import action_values, evaluation_sweep, greedy_probabilities, model_of
from rlplay.training.statistics import FinishedEpisode


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


def test_optimum_of_epsilon_soft_policies_and_value_of_exploring_around_the_best():
    """Exact, by planning: the cliff with every action replaced by chance in a tenth of steps; γ 1."""
    table = table_of(make("CliffWalking-v1"))
    states, actions = table.n_states, table.n_actions
    model = model_of(table)

    def values(policy: np.ndarray) -> np.ndarray:
        v = np.zeros(states)
        for _ in range(20_000):
            if evaluation_sweep(v, v, policy, model, 1.0, 0.0) < 1e-12:
                break
        return v

    optimum = ValueIteration("CliffWalking-v1", gamma=1.0).learn(1000)
    best = greedy_probabilities(action_values(optimum.v, model, 1.0, 0.0))
    soft = 0.9 * best + 0.1 / actions
    assert values(soft)[36] == pytest.approx(-50.80, abs=5e-3)
    for _ in range(50):
        q = action_values(values(soft), model, 1.0, 0.0)
        soft = 0.9 * np.eye(actions)[q.argmax(axis=1)] + 0.1 / actions
    assert values(soft)[36] == pytest.approx(-20.71, abs=5e-3)


@pytest.mark.parametrize(
    ("cls", "settings"),
    [(NStepSarsa, {"method": "tree-backup", "target_epsilon": 0.0}), (WatkinsQLambda, {}), (DoubleQLearning, {}),
     (NStepSarsa, {"method": "q-sigma", "target_epsilon": 0.0}), (NStepSarsa, {"target_epsilon": 0.0, "n_steps": 2})],
)  # fmt: skip
def test_off_policy_control_finds_the_best_way_on_the_cliff(cls, settings):
    """Following an ε of .5, which visits everything."""
    agent = cls("CliffWalking-v1", alpha=0.2, gamma=1.0, epsilon=0.5, seed=0, **settings).learn(400_000)
    assert evaluate(agent, n_eval_episodes=1).lengths.tolist() == [13]


@pytest.mark.parametrize(
    ("cls", "settings"),
    [(SarsaLambda, {"alpha": 0.1}), (SarsaLambda, {"alpha": 0.1, "traces": "dutch"}), (DoubleSarsa, {}),
     (NStepSarsa, {"n_steps": 3}), (NStepSarsa, {"n_steps": 3, "method": "expected-sarsa"})],
)  # fmt: skip
def test_on_policy_control_stays_away_from_the_cliff(cls, settings):
    """While exploring with ε .1 its return is nearer to -20.7, the best of such policies, than to -50.8."""
    returns = [
        row.episode_return
        for row in play_episodes(
            cls("CliffWalking-v1", gamma=1.0, epsilon=0.1, seed=0, **{"alpha": 0.2, **settings}), 2000)[-500:]
    ]  # fmt: skip
    assert np.mean(returns) > -36


def test_sarsa_lambda_0_is_sarsa_and_one_step_is_sarsa():
    one = Sarsa("FrozenLake-v1", alpha=0.1, seed=0).learn(20_000)
    for other in (
        SarsaLambda("FrozenLake-v1", lambda_=0.0, alpha=0.1, seed=0),
        NStepSarsa("FrozenLake-v1", n_steps=1, seed=0),
    ):
        assert other.learn(20_000).q == pytest.approx(one.q, abs=1e-12)


def test_one_step_tree_backup_is_expected_sarsa():
    one = ExpectedSarsa("FrozenLake-v1", alpha=0.1, seed=0).learn(5000)
    other = NStepSarsa("FrozenLake-v1", n_steps=1, method="tree-backup", seed=0).learn(5000)
    same = NStepSarsa("FrozenLake-v1", n_steps=1, method="expected-sarsa", seed=0).learn(5000)
    assert other.q == pytest.approx(same.q, abs=1e-12)
    assert np.abs(other.q - one.q).max() < 0.2  # another order of choosing and learning: other episodes


def test_maximization_bias_figure_6_5():
    """2,000 runs: Q-learning goes left up to nine times in ten at first; Double Q-learning hardly more than half."""
    q, double = left_share(QLearning, 2000), left_share(DoubleQLearning, 2000)
    assert q.max() > 85
    assert double.max() < 56
    assert q[-1] == pytest.approx(12, abs=3)
    assert double[-1] < q[-1] - 2


def test_differential_sarsa_example_10_2():
    """The average reward with ε .1 is about 2.3; priority 8 is always let in, 1 not into the last free server."""
    agent = DifferentialSarsa("rlplay/AccessControl-v0", alpha=0.01, beta=0.01, epsilon=0.1, seed=0).learn(2_000_000)
    mean = agent.position.episode_return / agent.num_timesteps
    assert agent.average[0] == pytest.approx(mean, abs=0.35)
    best = agent.q.argmax(axis=1).reshape(11, 4)
    assert best[1:, 3].all()  # priority 8 is always let in
    assert not best[1, 0]


def test_windy_gridworld_by_sarsa():
    """Example 6.5: 170 episodes take about 8,230 steps (20 runs)."""
    env = make("rlplay/GridWorld-v0", map="windy")
    steps = [
        play_episodes(Sarsa(env, alpha=0.5, gamma=1.0, epsilon=0.1, seed=seed), 170, 64)[-1].timestep
        for seed in range(20)
    ]
    assert np.mean(steps) == pytest.approx(8230, abs=500)


def test_windy_gridworld_by_q_learning():
    agent = QLearning(make("rlplay/GridWorld-v0", map="windy"), alpha=0.5, gamma=1.0, seed=0).learn(200_000)
    assert evaluate(agent, n_eval_episodes=1).mean == -15
