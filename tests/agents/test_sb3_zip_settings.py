"""What a zip of Stable-Baselines3 says beside its weights is taken over, or said to be left out."""

import warnings

import numpy as np
import pytest
import stable_baselines3
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import VecFrameStack

from rlplay import make
from rlplay.sb3 import load_zip


@pytest.fixture
def taken(tmp_path):
    """What is taken of a model that was made with some settings: hyperparameters, and what is said."""

    def take(name, env="CartPole-v1", *, of_policy=None, algo=None, **given):
        model = getattr(stable_baselines3, name)(
            "MlpPolicy", env, policy_kwargs={"net_arch": [4], **(of_policy or {})}, **given
        )
        model.save(tmp_path / "model")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            agent = load_zip(tmp_path / "model.zip", env, algo=algo)
        return agent.hyperparameters, " ".join(str(one.message) for one in said)

    return take


def test_another_optimiser_is_taken_over_or_said(taken):
    small = {"n_steps": 8, "batch_size": 8}
    for known in ({}, {"optimizer_class": torch.optim.Adam}, {"optimizer_kwargs": {"eps": 1e-5}}):
        assert taken("PPO", of_policy=known, **small)[1] == ""
    for other in ({"optimizer_class": torch.optim.AdamW}, {"optimizer_kwargs": {"weight_decay": 0.1, "eps": 1e-5}}):
        assert "goes on learning with adam" in taken("PPO", of_policy=other, **small)[1]
    for algo in (None, "sb3/a2c"):
        assert taken("A2C", use_rms_prop=False, algo=algo)[0]["use_rms_prop"] is False
        assert taken("A2C", rms_prop_eps=1e-3, algo=algo)[0]["rms_prop_eps"] == 1e-3
        assert "RMSpropTFLike" in taken("A2C", of_policy={"optimizer_class": RMSpropTFLike}, algo=algo)[1]


@pytest.mark.slow
def test_noise_that_no_agent_has_is_said(taken):
    still, one, small = np.zeros(1), np.ones(1), {"env": "Pendulum-v1", "buffer_size": 300}
    assert taken("SAC", of_policy={"optimizer_kwargs": {"betas": (0.5, 0.999)}}, **small)[0]["beta_1"] == 0.5
    assert taken("TD3", action_noise=NormalActionNoise(still, 0.2 * one), **small)[0]["noise_std"] == 0.2
    for noise in (NormalActionNoise(one, one), OrnsteinUhlenbeckActionNoise(still, one, theta=1.0)):
        settings, said = taken("TD3", action_noise=noise, **small)
        assert settings["noise_type"] is None
        assert "no noise is taken" in said


def test_stacked_vectors_of_vec_frame_stack_come_in(tmp_path):
    def stacked():
        return make("CartPole-v1", frame_stack=3)

    there, here = VecFrameStack(make_vec_env("CartPole-v1"), 3), stacked()
    model = stable_baselines3.PPO("MlpPolicy", there, n_steps=8, batch_size=8, seed=0)
    model.save(tmp_path / "model")
    agent = load_zip(tmp_path / "model.zip", stacked)
    there.seed(5)
    theirs, (ours, _) = there.reset(), here.reset(seed=5)
    for action in (0, 1, 1, 0):
        assert np.array_equal(theirs[0], np.ravel(ours))
        assert agent.predict(ours, deterministic=True)[0] == model.predict(theirs, deterministic=True)[0][0]
        theirs, ours = there.step([action])[0], here.step(action)[0]
