"""Odd habits of Stable-Baselines3's users: the same effect as there, on ours and on the adapter, or said."""

import io
import warnings

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

import agents
import agents.sb3
from rlplay.errors import MissingLocalError, RlplayWarning, UsageError

SMALL = {"n_steps": 32, "batch_size": 32, "seed": 0}
pytestmark = pytest.mark.filterwarnings("ignore:callback=.* asks after every step")


@pytest.fixture(params=["ours", "adapter"])
def PPO(request, monkeypatch):
    monkeypatch.setattr("rlplay.errors._said_once", set())
    return agents.PPO if request.param == "ours" else agents.sb3.PPO


class Hooks(BaseCallback):
    def __init__(self, last=1000):
        super().__init__()
        self.said, self.last = [], last

    def _on_training_start(self):
        self.said.append("training")

    def _on_rollout_start(self):
        self.said.append("rollout")

    def _on_rollout_end(self):
        self.said.append(self.num_timesteps)

    def _on_training_end(self):
        self.said.append("end")

    def _on_step(self):
        return self.num_timesteps < self.last


@pytest.mark.parametrize("last", [1000, 40])
def test_callbacks_are_called_as_there(PPO, last):
    hooks, theirs = Hooks(last), Hooks(last)
    stable_baselines3.PPO("MlpPolicy", "CartPole-v1", **SMALL).learn(64, theirs)
    PPO("MlpPolicy", "CartPole-v1", **SMALL).learn(64, hooks)
    assert hooks.said == theirs.said


def test_a_callback_that_returns_none_is_told(PPO):
    def look(locals, globals):
        pass

    with pytest.warns(RlplayWarning, match="returned None, at which Stable-Baselines3 stops.*return True"):
        assert PPO("MlpPolicy", "CartPole-v1", **SMALL).learn(32, look).num_timesteps == 32


def test_a_variable_that_is_not_there_says_which_are():
    def look(locals, globals):
        return locals["values"] is None

    with pytest.raises(MissingLocalError, match=r"^'values' is not in locals here, which have .*rewards.*agents\.sb3"):
        agents.PPO("MlpPolicy", "CartPole-v1", **SMALL).learn(32, look)


def test_a_vec_normalize_without_effect_is_refused(PPO, tmp_path):
    agent = PPO("MlpPolicy", make_vec_env("CartPole-v1"), **SMALL)
    path, around = agent.save(tmp_path / "plain"), VecNormalize(make_vec_env("CartPole-v1"))
    for give in (agent.set_env, lambda env: PPO.load(path, env)):
        with pytest.raises(UsageError, match=r"observations as they are, and a VecNormalize .*env\.venv"):
            give(around)
    normalising = PPO("MlpPolicy", around, **SMALL)
    another = VecNormalize(make_vec_env("CartPole-v1"))
    normalising.set_env(another)
    assert normalising.get_vec_normalize_env() is another
    another.ret_rms.count = 500.0
    with pytest.warns(RlplayWarning, match="goes on with its own means and variances, .* of 500, are given up"):
        PPO.load(normalising.save(tmp_path / "normalising"), another)


def test_another_number_of_environments_is_said(PPO, tmp_path):
    path = PPO("MlpPolicy", make_vec_env("CartPole-v1", n_envs=2), **SMALL).save(tmp_path / "two")
    with pytest.warns(RlplayWarning, match="plays 2 environments as it did, not the 1 of the DummyVecEnv"):
        assert PPO.load(path, make_vec_env("CartPole-v1")).n_envs == 2


def test_an_open_file_holds_an_agent(PPO):
    agent, file = PPO("MlpPolicy", "CartPole-v1", **SMALL), io.BytesIO()
    agent.save(file)
    file.seek(0)
    obs = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    again = PPO.load(file)
    assert np.array_equal(again.predict(obs, deterministic=True)[0], agent.predict(obs, deterministic=True)[0])


def test_device_is_where_the_networks_are(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for made, given in ((agents.PPO, {}), (agents.PPO, {"network": "torch"}), (agents.sb3.PPO, {})):
        assert torch.zeros(1, device=made("MlpPolicy", "CartPole-v1", **SMALL, **given).device).device.type == "cpu"


def test_statistics_that_should_stand_still_do_or_are_said(PPO):
    still = VecNormalize(make_vec_env("CartPole-v1"), training=False)
    if PPO is agents.sb3.PPO:
        PPO("MlpPolicy", still, **SMALL).learn(32)
        assert still.obs_rms.count == 1e-4
    else:
        with pytest.warns(RlplayWarning, match=r"training=False of the VecNormalize has no effect here.*agents\.sb3"):
            PPO("MlpPolicy", still, **SMALL)


def test_ends_are_told_as_there(PPO):
    ends = []

    def look(locals, globals):
        ends.extend(info for info, done in zip(locals["infos"], locals["dones"], strict=True) if done)
        return True

    PPO("MlpPolicy", gym.make("CartPole-v1", max_episode_steps=9), **SMALL).learn(32, look)
    assert all(info["TimeLimit.truncated"] == (info["episode"]["l"] == 9) for info in ends)
    assert ends[0]["terminal_observation"].shape == (4,)


def test_stacked_evaluations_are_no_matter(PPO):
    def stacked():
        return VecFrameStack(make_vec_env("CartPole-v1"), 2)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "callback=|.*compil")
        PPO("MlpPolicy", stacked(), **SMALL).learn(
            32, EvalCallback(stacked(), eval_freq=32, n_eval_episodes=1, verbose=0)
        )


def test_what_a_vec_normalize_that_nobody_gave_has_normalised_is_taken_as_it_was(PPO, tmp_path):
    vec_env = VecNormalize(make_vec_env("CartPole-v1"), norm_reward=False)
    PPO("MlpPolicy", vec_env, **SMALL).learn(64).save(tmp_path / "model")
    vec_env.save(str(tmp_path / "statistics.pkl"))
    loaded = PPO.load(tmp_path / "model")
    again = VecNormalize.load(str(tmp_path / "statistics.pkl"), make_vec_env("CartPole-v1", seed=0))
    again.training = False
    obs = again.reset()
    assert not np.array_equal(obs, again.get_original_obs())
    with pytest.warns(RlplayWarning, match=r"has normalised are taken as they were before\. PPO\.load\(path, env="):
        value = loaded.probe(obs).value
    assert np.array_equal(value, loaded.probe(again.get_original_obs()).value)
    assert not np.array_equal(value, loaded.probe(obs + 1).value)
