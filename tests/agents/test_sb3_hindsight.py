"""Hindsight behind Stable-Baselines3's door: its bits, resumed exactly, and what does not fit is said."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
import torch
from gymnasium import spaces
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.her.goal_selection_strategy import GoalSelectionStrategy

from agents import A2C, SB3
from agents.sb3 import SAC
from agents.sb3.environments import SeededEpisodes
from rlplay import load
from rlplay.errors import RlplayWarning, SpaceError, UsageError
from rlplay.sb3 import load_zip, save_zip

SMALL = {
    "policy_kwargs": {"net_arch": [8]}, "device": "cpu", "buffer_size": 60, "learning_starts": 20, "batch_size": 16,
}  # fmt: skip
HER = {"replay_buffer_class": HerReplayBuffer, "replay_buffer_kwargs": {"n_sampled_goal": 3}}


class Reach(gym.Env):
    """A point that moves on a line towards a goal, for seven steps."""

    part = spaces.Box(-9, 9, (1,), np.float64)
    observation_space = spaces.Dict({"observation": part, "achieved_goal": part, "desired_goal": part})

    def __init__(self, discrete=False):
        self.action_space = spaces.Discrete(2) if discrete else spaces.Box(-1, 1, (1,), np.float32)

    def _seen(self):
        return {
            "observation": self.at.copy(), "achieved_goal": self.at.copy(), "desired_goal": self.goal.copy(),
        }  # fmt: skip

    def compute_reward(self, achieved_goal, desired_goal, info):
        return -(np.abs(achieved_goal - desired_goal)[..., 0] > 0.3).astype(np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.goal, self.time = np.zeros(1), self.np_random.uniform(-3, 3, 1), 0
        return self._seen(), {}

    def step(self, action):
        move = 2.0 * action - 1.0 if isinstance(self.action_space, spaces.Discrete) else np.asarray(action)[0]
        self.at, self.time = self.at + move, self.time + 1
        return self._seen(), float(self.compute_reward(self.at, self.goal, {})), False, self.time == 7, {}


gym.register("Reach-v0", Reach)
gym.register("ReachLeftRight-v0", Reach, kwargs={"discrete": True})


def env_of(name):
    return "ReachLeftRight-v0" if name == "DQN" else "Reach-v0"


def same(one, other):
    mine, theirs = one.model.policy.state_dict(), other.policy.state_dict()
    return all(torch.equal(mine[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("name", ["DQN", "SAC"])
def test_the_weights_are_those_of_stable_baselines3(name, normalize):
    ours = SB3(name, env_of(name), seed=3, normalize=normalize, **HER, **SMALL).learn(152)  # the buffer wraps round
    wrapped = SB3(name, env_of(name), seed=3, normalize=normalize, **HER, **SMALL)
    vec_env = wrapped.vec_env if normalize else DummyVecEnv(
        [lambda: SeededEpisodes(wrapped.running_envs()[0], wrapped.encoder, wrapped.count_step)]
    )  # fmt: skip
    direct = getattr(stable_baselines3, name)("MultiInputPolicy", vec_env, seed=3, **HER, **copy.deepcopy(SMALL))
    direct.set_logger(Logger(None, []))
    direct.learn(152, log_interval=None)
    assert isinstance(ours.model.replay_buffer, HerReplayBuffer)
    assert ours.model._n_updates == direct._n_updates > 0
    assert same(ours, direct)


@pytest.mark.parametrize("n_envs", [1, 2])
def test_a_file_in_mid_episode_goes_on_in_the_same_bits(tmp_path, n_envs):
    settings = {**HER, **SMALL, "n_envs": n_envs, "seed": 0}
    whole = SB3("SAC", "Reach-v0", **settings).learn(150)
    half = SB3("SAC", "Reach-v0", **settings).learn(90, schedule_timesteps=150)
    assert half.position.length > 0
    again = load(half.save(tmp_path / "half")).learn(60, reset_num_timesteps=False)
    assert same(whole, again.model)
    assert np.array_equal(whole.model.replay_buffer.ep_length, again.model.replay_buffer.ep_length)


def test_words_of_the_buffer_are_hyperparameters():
    given = {"n_sampled_goal": 2, "goal_selection_strategy": GoalSelectionStrategy.FINAL, "max_episode_length": 7}
    agent = SAC("MultiInputPolicy", Reach(), replay_buffer_class="HerReplayBuffer", replay_buffer_kwargs=given, **SMALL)
    assert (agent.n_sampled_goal, agent.goal_selection_strategy) == (2, "final")
    assert agent.replay_buffer.her_ratio == pytest.approx(2 / 3)
    assert SAC("Reach-v0", n_sampled_goal=4, **SMALL).replay_buffer.goal_selection_strategy.name == "FUTURE"
    with pytest.raises(UsageError, match="copy_info_dict.*is not what a file can say"):
        SAC("Reach-v0", replay_buffer_class=HerReplayBuffer, replay_buffer_kwargs={"copy_info_dict": True})


def test_a_zip_keeps_its_hindsight(tmp_path):
    given = {"n_sampled_goal": 3, "goal_selection_strategy": GoalSelectionStrategy.EPISODE}
    buffer = {"replay_buffer_class": HerReplayBuffer, "replay_buffer_kwargs": given}
    stable_baselines3.SAC("MultiInputPolicy", Reach(), **buffer, **copy.deepcopy(SMALL)).save(tmp_path / "model.zip")
    agent = load_zip(tmp_path / "model.zip", "Reach-v0", algo="sb3/sac")
    assert (agent.n_sampled_goal, agent.goal_selection_strategy) == (3, "episode")
    back = stable_baselines3.SAC.load(save_zip(agent.learn(30), tmp_path / "again.zip").model, Reach())
    assert (type(back.replay_buffer), back.replay_buffer.her_ratio) == (HerReplayBuffer, 0.75)
    back.learn(30)
    with pytest.raises(UsageError, match=r"above 30 and the length.*learning_starts=N"):  # its buffer is in no zip
        load_zip(tmp_path / "again.zip", "Reach-v0", algo="sb3/sac").learn(30, reset_num_timesteps=False)


def test_a_choice_of_goals_without_goals_in_hindsight_is_said():
    with pytest.warns(RlplayWarning, match="goal_selection_strategy='final' changes nothing"):
        SAC("Reach-v0", goal_selection_strategy="final", **SMALL)


def test_a_run_that_is_given_up_ends_its_episode():
    agent = SB3("SAC", "Reach-v0", seed=0, **HER, **SMALL).learn(45)
    assert agent.position.length == 3
    buffer = agent.model.replay_buffer
    agent.learn(25)  # from a new episode on
    assert buffer.ep_length[42:45, 0].tolist() == [3, 3, 3]
    assert buffer.timeouts[44, 0] == 1


class Blind(Reach):
    compute_reward = None  # type: ignore[assignment]

    def step(self, action):
        return self._seen(), 0.0, False, False, {}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SB3("SAC", "Pendulum-v1", n_sampled_goal=4), "Pendulum-v1 has no goals.*Take n_sampled_goal=0"),
        (lambda: SB3("SAC", Blind(), n_sampled_goal=4, **SMALL), "has no compute_reward.*Give it one"),
        (lambda: SB3("SAC", "Reach-v0", n_sampled_goal=4, features="pca:2"), "features hide them"),
        (lambda: SB3("PPO", "Reach-v0", **HER), "puts other goals into a replay buffer.*dqn, sac"),
        (lambda: A2C("Reach-v0", **HER), "puts other goals into a replay buffer"),
        (
            lambda: SB3("SAC", "Reach-v0", n_sampled_goal=4, **{**SMALL, "learning_starts": 3}).learn(9),
            "no episode has ended by timestep 4.*Raise learning_starts above the length",
        ),
        (
            lambda: SB3("SAC", "Reach-v0", n_sampled_goal=4, **{**SMALL, "buffer_size": 5, "batch_size": 2}).learn(40),
            "buffer_size=5 holds no whole episode.*Raise buffer_size",
        ),
        (lambda: SAC("Reach-v0", replay_buffer_class="HerBuffer"), "is not its own buffer.*or take HerReplayBuffer"),
        (
            lambda: SAC("Reach-v0", replay_buffer_kwargs={"n_sampled_goal": 4}),
            "nothing that its own buffer takes.*replay_buffer_class=HerReplayBuffer beside",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, words):
    with pytest.raises((SpaceError, UsageError), match=words):
        make()


class Own(ReplayBuffer):
    """A buffer of a user's own."""


def test_a_buffer_of_ones_own_in_a_zip_is_said(tmp_path):
    settings = {**copy.deepcopy(SMALL), "replay_buffer_class": Own}
    stable_baselines3.DQN("MlpPolicy", "CartPole-v1", **settings).save(tmp_path / "model.zip")
    with pytest.warns(RlplayWarning, match=r"replay_buffer_class is code of its own, which is not run"):
        load_zip(tmp_path / "model.zip", "CartPole-v1")
