"""Stable-Baselines3 behind the same door: its own weights, its own random numbers, files without pickle, refusals."""

from __future__ import annotations

import copy
import io
import pickle
import zipfile

import numpy as np
import pytest
import stable_baselines3
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv

from agents import SB3
from agents.sb3 import SB3Agent
from agents.sb3.environments import SeededEpisodes
from rlplay import load
from rlplay.errors import (
    CheckpointError,
    HyperparameterError,
    RlplayWarning,
    SpaceError,
    UnknownNameError,
    UsageError,
)
from rlplay.hyperparameters.settings import read_zoo_file

SMALL = {"policy_kwargs": {"net_arch": [16]}, "device": "cpu"}
REPLAY = {**SMALL, "buffer_size": 500, "learning_starts": 50, "batch_size": 16}


@pytest.mark.parametrize(
    ("name", "env", "steps", "settings"),
    [
        ("PPO", "CartPole-v1", 256, {**SMALL, "n_steps": 64, "n_epochs": 2}),
        ("A2C", "Pendulum-v1", 100, SMALL),
        ("DQN", "CartPole-v1", 200, {**REPLAY, "target_update_interval": 30}),
        ("SAC", "Pendulum-v1", 100, REPLAY),
        ("TD3", "Pendulum-v1", 100, REPLAY),
        ("DDPG", "Pendulum-v1", 100, REPLAY),
    ],
)
def test_the_weights_are_those_of_stable_baselines3(name, env, steps, settings):
    ours = SB3(name, env, seed=3, **settings).learn(steps)
    wrapped = SB3(name, env, seed=3, **settings)  # the same environments, with Stable-Baselines3's own learn
    vec_env = DummyVecEnv([lambda: SeededEpisodes(wrapped.running_envs()[0], wrapped.encoder, wrapped.count_step)])
    direct = getattr(stable_baselines3, name)("MlpPolicy", vec_env, seed=3, **copy.deepcopy(settings))
    direct.set_logger(Logger(None, []))
    direct.learn(steps, log_interval=None)
    mine, theirs = ours.model.policy.state_dict(), direct.policy.state_dict()
    assert ours.model._n_updates == direct._n_updates > 0
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


def test_nobody_elses_random_numbers_are_drawn():
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    agent = SB3("DQN", "CartPole-v1", seed=0, **REPLAY).learn(120)
    agent.predict(np.zeros(4, np.float32))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_several_environments_are_resumed_in_the_middle_of_a_rollout(tmp_path):
    settings = {**SMALL, "n_envs": 3, "n_steps": 40, "batch_size": 20, "n_epochs": 1, "normalize": True}
    whole = SB3("PPO", "CartPole-v1", seed=0, **settings).learn(300)
    half = SB3("PPO", "CartPole-v1", seed=0, **settings).learn(150, schedule_timesteps=300)
    assert 0 < half.model.rollout_buffer.pos < 40
    again = load(half.save(tmp_path / "half")).learn(150, reset_num_timesteps=False)
    for one, other in zip(whole.model.policy.parameters(), again.model.policy.parameters(), strict=True):
        assert torch.equal(one, other)
    assert np.array_equal(whole.vec_env.obs_rms.mean, again.vec_env.obs_rms.mean)


def test_a_file_of_a_step_beyond_the_end_of_training_loads(tmp_path):
    """Eight environments take eight steps at once, also where one was asked for."""
    agent = SB3("DQN", "CartPole-v1", n_envs=8, buffer_size=80, batch_size=8, learning_starts=50, seed=0, **SMALL)
    with pytest.warns(RlplayWarning, match="learned nothing"):
        agent.learn(1)
    assert agent.model._current_progress_remaining == -7
    assert load(agent.save(tmp_path / "agent")).num_timesteps == 8


def test_a_file_holds_no_pickle(tmp_path):
    path = SB3("SAC", "Pendulum-v1", seed=0, **REPLAY).learn(80).save(tmp_path / "agent")
    with zipfile.ZipFile(path) as archive:
        assert {name.rpartition(".")[2] for name in archive.namelist()} == {"json", "npy"}
        for name in archive.namelist():
            if name.endswith(".npy"):
                np.load(io.BytesIO(archive.read(name)), allow_pickle=False)


class Shell:
    def __reduce__(self):
        import os

        return os.system, ("touch pwned",)


def test_a_hostile_zip_of_stable_baselines3_is_refused_and_not_run(tmp_path):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", pickle.dumps(Shell()))
        archive.writestr("policy.pth", pickle.dumps(Shell()))
    for loader in (load, SB3Agent.load):
        with pytest.raises(CheckpointError, match="pickle"):
            loader(path)
    assert not (tmp_path / "pwned").exists()


def test_unknown_algorithms_and_spaces_that_do_not_fit_are_named():
    with pytest.raises(UnknownNameError, match=r"'PPOO'. Did you mean PPO"):
        SB3("PPOO", "CartPole-v1")
    with pytest.raises(SpaceError, match=r"DQN needs Discrete actions and Box.*Take SAC, TD3, PPO or A2C"):
        SB3("DQN", "Pendulum-v1")
    with pytest.raises(SpaceError, match=r"SAC needs Box actions and Discrete\(2\)"):
        SB3("SAC", "CartPole-v1")
    with pytest.raises(SpaceError, match="takes no Tuple"):
        SB3("PPO", "Blackjack-v1")
    with pytest.raises(HyperparameterError, match="batch_size=64 is more than the 16 transitions"):
        SB3("DQN", "CartPole-v1", buffer_size=16, batch_size=64)
    with pytest.warns(UserWarning, match="truncated mini-batch"):  # as it is there: it goes on
        SB3("PPO", "CartPole-v1", n_steps=16).learn(16)
    with pytest.raises(HyperparameterError, match="gamma=5"):
        SB3("PPO", "CartPole-v1", gamma=5)


def test_probes_say_what_the_algorithm_has():
    obs = np.zeros((2, 4), np.float32)
    q = SB3("DQN", "CartPole-v1", seed=0, **REPLAY).probe(obs)
    assert q.action_values.shape == (2, 2)
    assert np.allclose(q.value, q.action_values.max(axis=1))
    ppo = SB3("PPO", "CartPole-v1", seed=0, **SMALL).probe(obs)
    assert ppo.action_values is None
    assert np.allclose(ppo.action_probabilities.sum(axis=1), 1)
    sac = SB3("SAC", "Pendulum-v1", seed=0, **REPLAY).probe(np.zeros(3, np.float32))
    assert sac.action_mean.shape == sac.action_std.shape == (1, 1)
    assert sac.value.shape == (1,)


ZOO = """
CartPole-v1:
  n_envs: 2
  n_timesteps: !!float 1e5
  policy: 'MlpPolicy'
  n_steps: 32
  batch_size: 16
  gae_lambda: 0.8
  n_epochs: 2
  ent_coef: 0.0
  learning_rate: lin_0.001
  clip_range: lin_0.2
  normalize: "{'norm_obs': True, 'norm_reward': False}"
  policy_kwargs: "dict(net_arch=dict(pi=[16], vf=[16]), activation_fn=nn.ReLU)"
"""


def test_a_zoo_file_is_read(tmp_path):
    (tmp_path / "ppo.yml").write_text(ZOO)
    settings = read_zoo_file(str(tmp_path / "ppo.yml"), "CartPole-v1")
    assert settings.pop("n_timesteps") == 1e5
    agent = SB3("PPO", "CartPole-v1", seed=0, **settings).learn(128)
    assert isinstance(agent.model.policy.mlp_extractor.policy_net[1], torch.nn.ReLU)
    assert agent.model.n_envs == 2
    rates = agent.model.policy.optimizer.param_groups[0]["lr"]
    assert 0 <= rates < 0.001  # it falls over the 128 steps


def test_a_random_state_that_draws_zeros_for_ever_is_refused(tmp_path):
    from rlplay.storage import checkpoint

    agent = SB3("DQN", "CartPole-v1", seed=0, learning_starts=10, buffer_size=50, batch_size=8).learn(30)
    content = checkpoint.read(agent.save(tmp_path / "a"))
    content.arrays["agent/random/numpy_key"][:] = 0
    checkpoint.write(tmp_path / "b", content.manifest, content.arrays)
    with pytest.raises(CheckpointError, match="it would draw zeros"):
        load(tmp_path / "b")


@pytest.mark.parametrize(
    ("name", "env", "settings"),
    [
        ("PPO", "CartPole-v1", {**SMALL, "n_steps": 64, "n_epochs": 2}),
        ("DQN", "CartPole-v1", REPLAY),  # the best of no numbers is still an action
        ("TD3", "Pendulum-v1", REPLAY),  # the environment would be blamed
    ],
)
def test_networks_that_diverged_are_said(name, env, settings):
    agent = SB3(name, env, seed=0, **settings).learn(100)
    with torch.no_grad():
        next(iter(agent.model.policy.parameters())).fill_(float("nan"))
    with pytest.raises(UsageError, match=rf"{name}: the networks give no finite numbers at timestep .*: they diverged"):
        agent.learn(100, reset_num_timesteps=False)
