"""More scripts of Stable-Baselines3's users, by changing imports only: what callbacks see, and what is said."""

from __future__ import annotations

import sys

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Figure, HParam, configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor, NatureCNN
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecMonitor
from torch import nn

import agents
import agents.sb3
from rlplay import registry
from rlplay.errors import HyperparameterError, MissingPackageError, RlplayWarning, UsageError

SMALL = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "seed": 0}
BOTH = pytest.mark.parametrize("door", [agents, agents.sb3], ids=["ours", "sb3"])
pytestmark = [
    pytest.mark.filterwarnings("ignore:callback=.* asks after every step"),
    pytest.mark.filterwarnings("ignore:.* will have learned nothing"),
    pytest.mark.filterwarnings("ignore:CartPole-v1 in Curriculum is stepped in Python"),
]


class Watcher(BaseCallback):
    """What tutorials ask in a callback, of two environments."""

    def __init__(self, algorithm):
        super().__init__()
        self.algorithm, self.ends, self.actions = algorithm, [], []

    def _on_training_start(self):
        assert isinstance(self.model, self.algorithm)
        assert {"total_timesteps", "tb_log_name", "self"} <= set(self.locals)
        assert self.training_env.env_is_wrapped(Monitor) or self.algorithm.id.startswith("sb3/")
        self.logger.record(
            "hparams", HParam({"algorithm": self.model.__class__.__name__, "gamma": self.model.gamma}, {"one": 0})
        )

    def _on_step(self):
        found = self.locals
        assert found["new_obs"].shape == (2, 4)
        assert found["actions"].shape == found["rewards"].shape == found["dones"].shape == (2,)
        assert found["env"].num_envs == 2
        assert found["self"].num_timesteps == self.num_timesteps
        for done, info in zip(found["dones"], found["infos"], strict=True):
            assert done == ("episode" in info) == ("terminal_observation" in info)
            self.ends += [info] * bool(done)
        return True


@BOTH
def test_ends_of_several_environments_are_told_as_there(door):
    lengths = (7, 9)
    vec_env = DummyVecEnv([lambda n=n: gym.make("CartPole-v1", max_episode_steps=n) for n in lengths])
    watcher = Watcher(door.PPO)
    model = door.PPO("MlpPolicy", vec_env, **SMALL).learn(64, watcher)
    assert {info["episode"]["l"] for info in watcher.ends} == {7, 9}
    assert all(info["TimeLimit.truncated"] for info in watcher.ends)
    assert {info["terminal_observation"].shape for info in watcher.ends} == {(4,)}
    assert all(set(info["episode"]) == {"r", "l", "t"} for info in watcher.ends)
    assert model.ep_info_buffer.maxlen == 100
    assert {tuple(sorted(one)) for one in model.ep_info_buffer} == {("l", "r", "t")}


class Rollouts(BaseCallback):
    def _on_training_start(self):
        self.said = []

    def _on_rollout_start(self):
        self.said.append(self.num_timesteps)

    def _on_rollout_end(self):
        self.said.append(-self.num_timesteps)

    def _on_step(self):
        return True


@pytest.mark.parametrize("train_freq", [4, (2, "episode")])
@BOTH
def test_rollouts_begin_and_end_also_before_an_agent_with_a_replay_buffer_learns(door, train_freq):
    def hooks(cls):
        env, callback = gym.make("CartPole-v1", max_episode_steps=4), Rollouts()
        settings = {"learning_starts": 100, "buffer_size": 300, "train_freq": train_freq, "seed": 0}
        cls("MlpPolicy", env, **settings).learn(16, callback)
        return callback.said

    assert hooks(door.DQN) == hooks(stable_baselines3.DQN)


class Curriculum(gym.Wrapper):
    difficulty = 1

    def harder(self, by):
        self.difficulty += by
        return self.difficulty


@BOTH
def test_callbacks_reach_the_environments_that_are_played(door, tmp_path):
    env = DummyVecEnv([lambda: Curriculum(gym.make("CartPole-v1", render_mode="rgb_array"))] * 2)
    seen = []

    def look(locals, globals):
        played = locals["env"]
        played.set_attr("difficulty", 5)
        seen.append((played.env_method("harder", 1), played.get_attr("difficulty"), played.render().shape))
        return len(seen) < 2

    model = door.PPO("MlpPolicy", env, **SMALL).learn(32, [look, ConvertCallback(lambda locals, globals: True)])
    assert [one[:2] for one in seen] == [([6, 6], [6, 6])] * 2
    assert [one.env.get_wrapper_attr("difficulty") for one in model.running_envs()] == [6, 6]
    assert seen[0][2][2] == 3


@BOTH
def test_a_picture_is_drawn_where_the_episode_stands(door):
    model = door.PPO("MlpPolicy", "CartPole-v1", **SMALL)
    vec_env, plain = model.get_env(), gym.make("CartPole-v1", render_mode="rgb_array")
    vec_env.seed(3)
    vec_env.reset()
    plain.reset(seed=3)
    for _ in range(4):
        vec_env.step([1])
        plain.step(1)
        assert np.array_equal(vec_env.render(), plain.render())


@BOTH
def test_a_logger_of_theirs_has_rows_and_a_folder(door, tmp_path):
    model = door.PPO("MlpPolicy", "CartPole-v1", **SMALL)
    assert model.logger.dir == model.logger.get_dir()
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(64)
    columns = (tmp_path / "progress.csv").read_text().splitlines()[0].split(",")
    assert {"rollout/ep_rew_mean", "time/total_timesteps", "time/fps", "train/value_loss"} <= {*columns}
    assert model.logger.dir == str(tmp_path)
    model.logger.record("figure", Figure(None, close=False), exclude="csv")
    model.logger.close()


def test_how_full_a_replay_buffer_is_and_that_it_came_with_the_file(tmp_path):
    model = agents.DQN("MlpPolicy", "CartPole-v1", buffer_size=50, learning_starts=90, seed=0).learn(20)
    again = agents.DQN.load(model.save(tmp_path / "model"))
    assert (again.replay_buffer.size(), again.replay_buffer.full) == (20, False)
    with pytest.raises(AttributeError, match="no attribute 'rewards'. What it remembers is in agent.memory"):
        again.replay_buffer.rewards  # noqa: B018
    assert type(agents.PPO("CartPole-v1", **SMALL).policy).load(tmp_path / "model").name == "MlpPolicy"


class Extractor(BaseFeaturesExtractor):
    pass


def test_what_ours_lack_names_the_way_out():
    def refused(error, words, **of_policy):
        with pytest.raises(error, match=words):
            agents.PPO("MlpPolicy", "CartPole-v1", policy_kwargs=of_policy, **SMALL)

    refused(HyperparameterError, "activation_fn='elu' is not one of tanh.*agents.sb3", activation_fn=nn.ELU)
    refused(UsageError, "Extractor, a class.*network= layers or a torch module", features_extractor_class=Extractor)
    refused(UsageError, "go by the observations.*agents.sb3", features_extractor_class=NatureCNN,
            features_extractor_kwargs={"features_dim": 8})  # fmt: skip
    with pytest.raises(UsageError, match="normalises what it sees.*as_model"):
        agents.PPO("CartPole-v1", normalize=True, **SMALL).policy.predict_values(np.zeros(4))
    with pytest.raises(HyperparameterError, match="Take one of FlattenExtractor.*network= of yours"):
        agents.sb3.PPO("MlpPolicy", "CartPole-v1", policy_kwargs={"features_extractor_class": Extractor})
    around = type("VecVideoRecorder", (VecEnvWrapper,), {"reset": None, "step_wait": None})
    with pytest.raises(UsageError, match="Film what was learned"):
        agents.PPO(around(make_vec_env("CartPole-v1")))


def test_what_has_no_effect_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("rlplay.errors._said_once", set())
    with pytest.warns(RlplayWarning, match="optimizer_kwargs has no effect without optimizer_class"):
        agents.sb3.A2C("CartPole-v1", policy_kwargs={"optimizer_kwargs": {"eps": 0.1}})
    with pytest.warns(RlplayWarning, match="VecMonitor writes no file here.*monitor_dir"):
        agents.PPO(monitor := VecMonitor(DummyVecEnv([lambda: gym.make("CartPole-v1")]), str(tmp_path / "log")))
    monitor.close()


@BOTH
def test_extractors_that_are_there_anyway_are_taken(door):
    space = gym.spaces.Dict(k=gym.spaces.Discrete(3), v=gym.spaces.Box(-1, 1, (2,), np.float32))
    env = gym.wrappers.TransformObservation(
        gym.make("CartPole-v1"), lambda obs: {"k": 1, "v": np.clip(obs[:2], -1, 1)}, space
    )
    of_policy = {"features_extractor_class": CombinedExtractor, "share_features_extractor": False}
    assert door.PPO("MultiInputPolicy", env, policy_kwargs=of_policy, **SMALL).learn(16).num_timesteps == 16


def test_the_extra_that_brings_everything_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(
        MissingPackageError, match=r"sb3/tqc needs the package sb3-contrib. pip install 'rlplay\[contrib"
    ):
        registry.agent_class("sb3/tqc")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PPO", "A2C", "DQN", "SAC", "TD3", "DDPG"])
def test_every_tag_of_an_update_is_there(name):
    small = {"buffer_size": 500, "learning_starts": 50, "batch_size": 16}
    given = {"PPO": {"n_steps": 64, "batch_size": 32, "clip_range": "lin_0.2", "clip_range_vf": 0.2}, "A2C": {}}
    env, settings = "CartPole-v1" if name == "DQN" else "Pendulum-v1", given.get(name, small)
    ours, theirs = (getattr(module, name)(env, seed=0, **settings).learn(150) for module in (agents, agents.sb3))
    mine, other = ours.metrics(), theirs.metrics()
    assert set(other) <= set(mine)
    if name == "PPO":
        assert mine["train/clip_range"] == pytest.approx(other["train/clip_range"])
        assert mine["train/clip_range_vf"] == 0.2


class Counting(gym.Wrapper):
    """Counts its steps, which its user asks for."""

    steps = 0

    def step(self, action):
        self.steps += 1
        return super().step(action)


@BOTH
def test_the_environments_of_ones_own_vecenv_are_those_that_are_played(door):
    vec_env = make_vec_env("CartPole-v1", 2, wrapper_class=Counting)
    model = door.PPO("MlpPolicy", vec_env, **SMALL)
    model.learn(32)
    assert vec_env.get_attr("steps") == [16, 16]
    again = make_vec_env("CartPole-v1", 2, wrapper_class=Counting)
    model.set_env(again)
    model.learn(32)
    assert again.get_attr("steps") == [16, 16]
