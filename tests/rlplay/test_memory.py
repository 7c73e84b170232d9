"""Memory as features: what observations hold of those before, in agents of every kind."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import rlplay
from agents import PPO, LinearQLearning, LinearSarsa, QLearning
from rlplay import Memory, MemoryMap, evaluate, make, make_vec
from rlplay.cli import main
from rlplay.environments.memory import as_memory, memory_of
from rlplay.errors import CheckpointError, HyperparameterError, RlplayWarning, SpaceError, UsageError
from rlplay.models.deep import GRUAutoencoder
from rlplay.models.unsupervised import HiddenMarkovModel, KMeans
from rlplay.testing import differences
from rlplay.viewer.slices import dimension_names

CODES = "gru-autoencoder:4,max_iter=60,longest=16"  # compiles for long
SIGNAL = {"n_signals": 2, "delay": 2, "steps": 12}


class Weather(gym.Env):
    """Rain lasts, and is seen through umbrellas that are often wrong; the action says whether it rains."""

    observation_space, action_space = spaces.Discrete(2), spaces.Discrete(2)
    lasts, right = 0.95, 0.7

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.rain, self.day = int(self.np_random.integers(2)), 0
        return self.umbrella(), {}

    def umbrella(self):
        return self.rain if self.np_random.random() < self.right else 1 - self.rain

    def step(self, action):
        reward = float(action == self.rain)
        if self.np_random.random() >= self.lasts:
            self.rain = 1 - self.rain
        self.day += 1
        return self.umbrella(), reward, False, self.day == 100, {}


def test_windows_hold_the_last_steps_and_begin_anew_with_an_episode():
    env = make("FrozenLake-v1", is_slippery=False, memory="window:3,actions=true")
    assert env.reset(seed=0)[0] == {"now": 0, "1 ago": 16, "2 ago": 16, "action 1 ago": 4, "action 2 ago": 4}
    env.step(1)
    obs, *_ = env.step(2)
    assert obs == {"now": 4, "1 ago": 4, "2 ago": 0, "action 1 ago": 2, "action 2 ago": 1} or obs["2 ago"] == 0
    assert env.observation_space.contains(obs)
    assert env.reset()[0]["1 ago"] == 16


def test_windows_of_vectors_are_the_oldest_first_with_the_actions_behind():
    plain, env = make("CartPole-v1"), make("CartPole-v1", memory="window:2,actions=true")
    first, second = plain.reset(seed=0)[0], plain.step(1)[0]
    assert env.reset(seed=0)[0].tolist() == [0.0] * 4 + first.tolist() + [0.0, 0.0]
    assert env.step(1)[0].tolist() == [*first.tolist(), *second.tolist(), 0.0, 1.0]
    assert env.observation_space.contains(env.step(0)[0])
    named = dimension_names(make("CartPole-v1", memory="window:2"))
    assert named[3:5] == ["pole velocity, 1 before", "cart position"]
    box = make("Pendulum-v1", memory="window:2,actions=true")
    box.reset(seed=0)
    assert box.step(np.float32([0.5]))[0][-1] == 0.5


@pytest.mark.parametrize(("memory", "score"), [(None, 0.3), ("window:3", 1.0)])
def test_a_table_repeats_signals_with_a_memory_and_not_without(memory, score):
    env = make("rlplay/RepeatSignal-v0", **SIGNAL, memory=memory)
    settings = {"features": "tile-coding:2,n_tilings=1", "alpha": 0.2, "epsilon": 0.1, "gamma": 0.9}
    mean = evaluate(QLearning(env, **settings, seed=0).learn(6000), n_eval_episodes=50).mean
    assert mean == pytest.approx(1.0) if memory else mean < score


@pytest.mark.parametrize("memory", ["window:11", pytest.param(CODES, marks=pytest.mark.slow)])
def test_a_linear_agent_answers_what_it_was_shown(memory):
    env = make("rlplay/MemoryChain-v0", memory=memory)
    settings = {"features": "identity", "alpha": 0.05, "epsilon": 0.2, "gamma": 1.0}
    assert evaluate(LinearQLearning(env, **settings, seed=0).learn(15_000), n_eval_episodes=50).mean == 1.0


def test_a_belief_knows_more_than_what_is_seen():
    """Seen alone, 70 % are right; the most probable state of the filter is right more often."""
    settings = {"alpha": 0.1, "epsilon": 0.1, "gamma": 0.0, "seed": 0}
    alone = evaluate(QLearning(Weather(), **settings).learn(5000), n_eval_episodes=30).mean
    model = HiddenMarkovModel(2, n_init=3, random_state=0)
    env = Memory(Weather(), MemoryMap(model, encoding="label", observation=False, longest=100, warm_up=4000))
    agent = QLearning(env, **settings).learn(5000)
    assert 67 < alone < 73
    assert evaluate(agent, n_eval_episodes=30).mean > alone + 5
    assert env.observation_space == spaces.Discrete(2)
    assert memory_of(agent.env).fitted.model.transmat_.diagonal() == pytest.approx([0.95, 0.95], abs=0.03)


def test_each_environment_has_a_memory_of_its_own():
    envs = make_vec("CartPole-v1", 2, memory="window:2")
    first, _ = envs.reset(seed=[0, 1])
    obs = envs.step([1, 0])[0]
    assert obs[:, :4].tolist() == first[:, 4:].tolist()
    agent = PPO(make("CartPole-v1", memory="window:2"), n_envs=2, n_steps=8, batch_size=8, net_arch=[8], seed=0).learn(
        16
    )
    assert agent.memory.obs.shape == (2, 8)


@pytest.mark.slow  # compiles for long
def test_what_was_fitted_is_shared():
    codes = make("rlplay/MemoryChain-v0", memory=GRUAutoencoder(2, 4, max_iter=1))
    agent = PPO(codes, n_envs=2, n_steps=8, batch_size=8, net_arch=[8], seed=0).learn(16)
    assert len({id(memory_of(one.env)) for one in agent.running_envs()}) == 1


@pytest.mark.parametrize(
    "memory",
    [
        "window:3,actions=true",
        pytest.param("gru-autoencoder:2,max_iter=2,actions=true", marks=pytest.mark.slow),
        "hidden-markov-model:3,max_iter=5",
    ],
)
def test_a_run_goes_on_from_a_file_to_the_bit(memory, tmp_path):
    def agent():
        return LinearSarsa(make("rlplay/MemoryChain-v0", memory=memory), features="identity", alpha=0.01, seed=0)

    whole = agent().learn(500)
    part = agent().learn(205, schedule_timesteps=500)  # in the middle of an episode
    again = rlplay.load(part.save(tmp_path / "part"))
    assert isinstance(again.env, Memory)
    assert not differences(whole, again.learn(295, reset_num_timesteps=False))


@pytest.mark.slow  # imports torch
def test_agents_of_other_libraries_take_it_too(tmp_path):
    from agents.sb3 import DQN

    agent = DQN(make("FrozenLake-v1", memory="window:2"), learning_starts=10, buffer_size=100, seed=0).learn(40)
    assert rlplay.load(agent.save(tmp_path / "dqn")).observation_space == agent.observation_space


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--algo", "linear-sarsa", "--env", "rlplay/RepeatSignal-v0", "--memory", "window:3"]
    assert main(["train", *words, "--features", "identity", "-n", "300", "--seed", "0", "--eval-freq", "-1"]) == 0
    assert main(["eval", "--algo", "linear-sarsa", "--eval-episodes", "2"]) == 0
    assert main(["train", *words[:4], "--memory", "windows:3"]) == 2
    assert "unknown model 'windows'" in capsys.readouterr().err


def test_bad_input(tmp_path):
    for given, words in (
        (0, "window of 0"), ("window:0", "window of 0"), (KMeans(2), "neither a window nor a model of sequences"),
        (MemoryMap, "neither a window"), (1.5, "neither a window"), (True, "neither a window"),
    ):  # fmt: skip
        with pytest.raises(HyperparameterError, match=words):
            as_memory(given)
    for text in ("window:x", "window:2,warm_up=3", "window:2,actions"):
        with pytest.raises(UsageError):
            as_memory(text)
    for options in ({"warm_up": 1}, {"longest": 0}, {"encoding": "triangle"}, {"actions": 1}):
        with pytest.raises(HyperparameterError, match=next(iter(options))):
            MemoryMap(HiddenMarkovModel(2), **options)
    with pytest.raises(HyperparameterError, match="no encoding"):
        MemoryMap(2, encoding="label")
    with pytest.raises(UsageError, match=r"could not be fitted on 2 steps .* n_components = 50"):
        make("CartPole-v1", memory="hidden-markov-model:50,warm_up=2").reset()
    with pytest.raises(UsageError, match="cannot follow observations of 4 numbers"):
        make("CartPole-v1", memory=HiddenMarkovModel(2).fit(np.random.default_rng(0).normal(size=(20, 3)))).reset()
    with pytest.raises(HyperparameterError, match="follows what came before.*memory"):
        QLearning("CartPole-v1", features="hidden-markov-model:3")
    with pytest.raises(CheckpointError, match="holds a fitted memory"):
        MemoryMap(2).unpack({}, {}, "memory")
    path = QLearning(make("FrozenLake-v1", memory="window:1"), seed=0).learn(10).save(tmp_path / "a")
    said = r"with the wrappers memory window:1, and the environment given has none"
    with pytest.warns(RlplayWarning, match=said), pytest.raises(SpaceError):
        rlplay.load(path, env="FrozenLake-v1")


def test_masks_pass_through():
    agent = QLearning(make("Taxi-v4", memory="window:1"), seed=0).learn(50)
    assert agent.masks_seen


def test_a_count_of_states_below_one_is_named():
    with pytest.raises(HyperparameterError, match="n_components=-6 is no whole number"):
        make("CartPole-v1", memory="hidden-markov-model:-6")
