from __future__ import annotations

import csv
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env

from agents import DQN, PPO, SB3, QLearning
from rlplay import EvalCallback, Evaluation, evaluate, make
from rlplay.environments.make import make_anew
from rlplay.errors import CheckpointError, UsageError
from rlplay.seeding import stream
from rlplay.training import evaluation
from rlplay.training.logs import LogCallback
from rlplay.training.run_folder import RunFolder, read_evaluations
from rlplay.training.statistics import bootstrap_interval


def test_native_and_stepwise_evaluation_play_the_same_episodes():
    agent = QLearning("FrozenLake-v1", seed=0).learn(50_000)
    native = evaluate(agent, n_eval_episodes=40)
    own = evaluate(agent, make("FrozenLake-v1", dynamics="gymnasium"), 40)
    assert native.returns.tolist() == own.returns.tolist()
    assert native.lengths.tolist() == own.lengths.tolist()
    assert evaluate(agent, n_eval_episodes=40).returns.tolist() == native.returns.tolist()
    assert evaluate(agent, n_eval_episodes=40, seed=1).returns.tolist() != native.returns.tolist()


@pytest.mark.parametrize("env_id", ["CartPole-v1", pytest.param("Pendulum-v1", marks=pytest.mark.slow)])
def test_episodes_side_by_side_are_those_of_one_after_the_other(env_id):
    agent = PPO(env_id, n_steps=64, seed=0).learn(64)
    together = evaluate(agent, n_eval_episodes=9)
    own = make_anew(agent.env, "a test")
    returns, lengths, successes = evaluation._play(
        agent, own, stream(0, "evaluation"), 9, True, own.spec.max_episode_steps
    )
    assert np.array_equal(together.returns, returns)
    assert np.array_equal(together.lengths, lengths)
    assert together.successes is successes is None


@pytest.mark.parametrize("make_several", [gym.make_vec, make_vec_env])
def test_of_environments_side_by_side_the_first_is_played(make_several):
    agent = PPO("CartPole-v1", n_steps=64, seed=0)
    alone = evaluate(agent, gym.make("CartPole-v1"), 4)
    assert np.array_equal(evaluate(agent, make_several("CartPole-v1", 2), 4).returns, alone.returns)


def test_a_policy_that_walks_in_circles_is_cut_and_said():
    agent = QLearning("CliffWalking-v1", seed=0)
    agent.q[:, 3] = 1.0  # left for ever
    for env in (None, make("CliffWalking-v1", dynamics="gymnasium")):
        with pytest.warns(UserWarning, match="cut after 300 steps"):
            result = evaluate(agent, env, 2, max_steps=300)
        assert result.lengths.tolist() == [300, 300]
        assert result.returns.tolist() == [-300, -300]


def test_the_own_policy_explores_and_training_does_not_notice():
    agent = QLearning("CliffWalking-v1", epsilon=0.3, gamma=1.0, seed=0).learn(50_000)
    before = agent.q.copy(), agent.rng.copy(), agent.position.length
    greedy, own = evaluate(agent, n_eval_episodes=20), evaluate(agent, n_eval_episodes=20, deterministic=False)
    assert greedy.mean == -13
    assert own.mean < -20
    assert np.array_equal(before[0], agent.q)
    assert np.array_equal(before[1], agent.rng)
    assert before[2] == agent.position.length


class Coin(gym.Env):
    """An episode of one step, which every other time is a success."""

    observation_space, action_space = gym.spaces.Discrete(1), gym.spaces.Discrete(2)
    played = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        Coin.played += 1
        return 0, 0.0, True, False, {"is_success": Coin.played % 2 == 0}


def test_successes_are_counted_logged_and_kept(tmp_path):
    agent = QLearning(Coin(), seed=0)
    result = evaluate(agent, Coin(), 4)
    assert sorted(result.successes.tolist()) == [False, False, True, True]
    assert result.success_rate == 0.5
    rates = []
    for begun in (True, False):  # and where the run is resumed
        callback = EvalCallback(Coin(), eval_freq=10, n_eval_episodes=4, log_path=tmp_path)
        agent.learn(20, [callback, lambda one: rates.append(one.logger.noted.get("eval/success_rate"))],
                    reset_num_timesteps=begun)  # fmt: skip
    assert set(rates) == {None, 0.5}
    found = read_evaluations(tmp_path / "evaluations.npz")
    assert found.successes.shape == (4, 4)
    assert found.successes.sum(axis=1).tolist() == [2, 2, 2, 2]
    np.savez(tmp_path / "evaluations.npz", **{**found._asdict(), "successes": [True]})
    with pytest.raises(CheckpointError, match="holds other successes"):
        read_evaluations(tmp_path / "evaluations.npz")


@pytest.mark.parametrize("make_agent", [
    QLearning, partial(DQN, learning_starts=0), partial(PPO, n_steps=10, n_envs=2, batch_size=10),
    pytest.param(partial(SB3, "DQN", learning_starts=0), marks=pytest.mark.slow),
])  # fmt: skip
def test_successes_are_counted_while_agents_learn_too(make_agent, tmp_path):
    agent = make_agent(env=Coin(), seed=0).learn(40)
    assert sorted(agent.ep_success_buffer) == [False] * 20 + [True] * 20
    assert agent.statistics.metrics()["rollout/success_rate"] == 0.5
    agent.save(tmp_path / "agent")
    again = type(agent).load(tmp_path / "agent.rlp", Coin())
    assert list(again.ep_success_buffer) == list(agent.ep_success_buffer)
    folder = RunFolder(tmp_path / "run" / "Coin_1")
    folder.path.mkdir(parents=True)
    agent.learn(40, LogCallback(folder))
    (*_, last) = csv.DictReader(folder.progress.read_text().splitlines())
    assert float(last["rollout/success_rate"]) == 0.5
    agent.learn(20)  # another run
    assert sorted(agent.ep_success_buffer) == [False] * 10 + [True] * 10
    assert len(agent.ep_info_buffer) == 20
    agent.learn(20, reset_num_timesteps=False)
    assert len(agent.ep_info_buffer) == len(agent.ep_success_buffer) == 40


def test_statistics_of_an_evaluation():
    result = Evaluation(np.array([1.0, 2.0, 3.0, 6.0]), np.array([1, 2, 3, 4]))
    assert result.mean == 3
    assert result.std == pytest.approx(np.sqrt(3.5))
    low, high = result.interval
    assert 1 <= low < 3 < high <= 6


def test_the_bootstrap_covers_the_mean():
    draws = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        low, high = bootstrap_interval(draws.normal(5, 2, 30))
        hits += low < 5 < high
    assert 88 <= hits <= 99


def test_bad_calls():
    agent = QLearning(gym.make("FrozenLake-v1"), seed=0)
    with pytest.raises(UsageError, match="n_eval_episodes=0"):
        evaluate(agent, n_eval_episodes=0)
