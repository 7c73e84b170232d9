"""Zips of agents that see stacked vectors go into and come out of VecFrameStack, with the same actions."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

import agents
from rlplay.errors import RlplayWarning, UsageError
from rlplay.sb3 import load_zip, save_zip

SMALL = {"n_steps": 32, "batch_size": 32, "seed": 0}


def stacked(n_envs=1):
    return VecFrameStack(make_vec_env("CartPole-v1", n_envs=n_envs), 3)


def actions_alike(one, other, env, count=1000):
    """How many observations of an episode after the other get the same action of both."""
    obs, alike = env.reset(), 0
    for _ in range(count):
        action = one.predict(obs, deterministic=True)[0]
        alike += int(np.array_equal(action, other.predict(obs, deterministic=True)[0]))
        obs = env.step(action)[0]
    return alike


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["ppo", "sb3/ppo"])
def test_a_zip_goes_on_in_its_vec_frame_stack_and_back(algo, tmp_path):
    model = stable_baselines3.PPO("MlpPolicy", stacked(2), **SMALL).learn(128)
    model.save(tmp_path / "model")
    agent = load_zip(tmp_path / "model.zip", stacked(2), algo=algo)
    assert agent.hyperparameters["n_envs"] == agent.get_env().num_envs == 2
    assert actions_alike(model, agent, stacked()) == 1000
    agent.learn(64, reset_num_timesteps=False)
    back = stable_baselines3.PPO.load(save_zip(agent, tmp_path / "again").model, env=stacked(2))
    assert actions_alike(back, agent, stacked()) == 1000
    back.learn(64)


def test_an_agent_over_stacked_vectors_goes_into_a_vec_frame_stack(tmp_path):
    agent = agents.PPO("MlpPolicy", stacked(), **SMALL)
    model = stable_baselines3.PPO.load(save_zip(agent, tmp_path / "model").model, env=stacked())
    assert actions_alike(model, agent, stacked()) == 1000
    assert load_zip(tmp_path / "model.zip", stacked()).observation_space == agent.observation_space


def test_statistics_of_a_vec_normalize_around_it_come_along(tmp_path):
    around = VecNormalize(stacked())
    model = stable_baselines3.PPO("MlpPolicy", around, **SMALL)
    around.obs_rms.mean, around.obs_rms.count = np.arange(12.0), 100.0
    model.save(tmp_path / "model")
    agent = load_zip(tmp_path / "model.zip", around)
    assert agent.get_vec_normalize_env() is around
    assert agent.memory.moments.obs_mean.tolist() == list(range(12))
    within = VecFrameStack(VecNormalize(make_vec_env("CartPole-v1")), 3)
    with pytest.raises(UsageError, match=r"within what stacks.*VecNormalize\(VecFrameStack"), pytest.warns(
        RlplayWarning, match="normalises what is stacked"
    ):  # fmt: skip
        load_zip(tmp_path / "model.zip", within)


def test_grey_pictures_beside_each_other_are_said_to_be_channels():
    class Grey(gym.Env):
        observation_space, action_space = gym.spaces.Box(0, 255, (12, 14), np.uint8), gym.spaces.Discrete(2)

    with pytest.warns(RlplayWarning, match=r"beside each other, \(12, 42\), and here .* \(12, 14, 3\)"):
        env = agents.PPO("MlpPolicy", VecFrameStack(DummyVecEnv([Grey]), 3), **SMALL).env
    assert env.observation_space.shape == (12, 14, 3)
