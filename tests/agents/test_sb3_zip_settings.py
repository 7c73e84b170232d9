"""What a zip of Stable-Baselines3 says beside its weights is taken over, or said to be left out."""

import importlib
import importlib.util
import warnings

import numpy as np
import pytest
import stable_baselines3
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import VecFrameStack

import agents
from rlplay import make
from rlplay.errors import HyperparameterError
from rlplay.networks import optimisers
from rlplay.sb3 import load_zip, save_zip

CONTRIB = importlib.util.find_spec("sb3_contrib") is not None
needed = pytest.mark.skipif(not CONTRIB, reason="sb3-contrib is not installed (extra: contrib)")
BUFFER = {"buffer_size": 300, "batch_size": 32}


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


def optimiser_in(agent):
    """What the networks of an agent of ours learn by."""
    net = next(net for name, net in agent.nets().items() if not name.startswith("target"))
    net = getattr(net, "net", net)  # of several together
    return net.optimiser.kind[0], net.optimiser.settings.tolist()


def test_another_optimiser_is_taken_over_or_said(taken):
    small = {"n_steps": 8, "batch_size": 8}
    for known in ({}, {"optimizer_class": torch.optim.Adam}, {"optimizer_kwargs": {"eps": 1e-5}}):
        settings, said = taken("PPO", of_policy=known, **small)
        assert (said, set(settings["policy_kwargs"])) == (
            "",
            {"net_arch", "activation_fn"} & {*settings["policy_kwargs"]},
        )
    for other in ({"optimizer_class": torch.optim.AdamW}, {"optimizer_kwargs": {"weight_decay": 0.1, "eps": 1e-5}}):
        assert "goes on learning with Adam" in taken("PPO", of_policy=other, **small)[1]
    for algo in (None, "sb3/a2c"):
        assert taken("A2C", use_rms_prop=False, algo=algo)[0]["use_rms_prop"] is False
        assert taken("A2C", rms_prop_eps=1e-3, algo=algo)[0]["rms_prop_eps"] == 1e-3
    assert "RMSpropTFLike" in taken("A2C", of_policy={"optimizer_class": RMSpropTFLike})[1]
    kept, said = taken("A2C", of_policy={"optimizer_class": RMSpropTFLike}, algo="sb3/a2c")
    assert (kept["policy_kwargs"]["optimizer_class"], said) == ("RMSpropTFLike", "")


# Of each class of Stable-Baselines3 with an optimiser of its own or another one, what ours must learn by.
ADAM, RMS, SGD, MOMENTUM = optimisers.ADAM, optimisers.RMSPROP, optimisers.SGD, optimisers.MOMENTUM
OPTIMISERS = [
    ("PPO", {}, (ADAM, [0.9, 0.999, 1e-5])),
    ("PPO", {"optimizer_kwargs": {}}, (ADAM, [0.9, 0.999, 1e-8])),
    ("PPO", {"optimizer_kwargs": {"betas": (0.8, 0.99), "amsgrad": False}}, (ADAM, [0.8, 0.99, 1e-8])),
    ("PPO", {"optimizer_class": torch.optim.SGD}, (SGD, [0.0, 0.0, 0.0])),
    ("PPO", {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {"momentum": 0.5}}, (MOMENTUM, [0.5, 0.0, 0.0])),
    ("A2C", {}, (RMS, [0.99, 1e-5, 0.0])),
    ("A2C", {"optimizer_class": torch.optim.RMSprop}, (RMS, [0.99, 1e-8, 0.0])),
    ("A2C", {"optimizer_class": torch.optim.RMSprop, "optimizer_kwargs": {"alpha": 0.9}}, (RMS, [0.9, 1e-8, 0.0])),
    ("DQN", {"optimizer_kwargs": {"eps": 0.01}}, (ADAM, [0.9, 0.999, 0.01])),
    ("SAC", {"optimizer_kwargs": {"betas": (0.5, 0.9), "eps": 1e-4}}, (ADAM, [0.5, 0.9, 1e-4])),
    ("TD3", {"optimizer_class": torch.optim.RMSprop}, (RMS, [0.99, 1e-8, 0.0])),
    *(pytest.param(*case, marks=needed) for case in (
        ("QRDQN", {}, (ADAM, [0.9, 0.999, 0.01 / 32])),
        ("CrossQ", {}, (ADAM, [0.5, 0.999, 1e-8])),
        ("CrossQ", {"optimizer_kwargs": {"eps": 1e-3}}, (ADAM, [0.9, 0.999, 1e-3])),
        ("TQC", {"optimizer_kwargs": {"eps": 1e-3}}, (ADAM, [0.9, 0.999, 1e-3])),
    )),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "of_policy", "want"), OPTIMISERS)
def test_ours_goes_on_by_the_zips_optimiser_and_so_does_theirs_by_ours(name, of_policy, want, tmp_path):
    env = "CartPole-v1" if name in ("PPO", "A2C", "DQN", "QRDQN") else "Pendulum-v1"
    small = {"n_steps": 8, **({"batch_size": 8} if name == "PPO" else {})} if name in ("PPO", "A2C") else BUFFER
    cls = getattr(stable_baselines3, name, None) or getattr(importlib.import_module("sb3_contrib"), name)
    cls("MlpPolicy", env, policy_kwargs={"net_arch": [4], **of_policy}, **small).save(tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = load_zip(tmp_path / "model.zip", env)
    kind, numbers = optimiser_in(ours)
    assert (kind, pytest.approx(numbers)) == want
    ours = type(ours).load(ours.save(tmp_path / "agent"))  # and in its own file
    assert optimiser_in(ours) == (kind, numbers)
    optimiser = cls.load(save_zip(ours, tmp_path / "again").model).policy
    optimiser = getattr(optimiser, "optimizer", None) or optimiser.actor.optimizer
    group = optimiser.param_groups[0]
    names = {ADAM: ("betas", "eps"), RMS: ("alpha", "eps")}.get(kind, ("momentum",))
    written = np.ravel(np.hstack([group[one] for one in names])).tolist()
    assert written == pytest.approx(numbers[: len(written)])


def test_optimisers_of_policy_kwargs_are_ours_or_named():
    def made(**of_policy):
        return agents.PPO("CartPole-v1", n_steps=64, policy_kwargs=of_policy, seed=0)

    assert optimiser_in(made(optimizer_class=torch.optim.RMSprop)) == (RMS, [0.99, 1e-8, 0.0])
    by_class = agents.Reinforce("CartPole-v1", policy_kwargs={"optimizer_class": torch.optim.SGD}, seed=0)
    assert optimiser_in(by_class) == (SGD, [0.0, 0.0, 0.0])
    for other, words in (
        ({"optimizer_class": torch.optim.AdamW}, r"optim.AdamW .* none that our networks have.*agents\.sb3"),
        ({"optimizer_kwargs": {"weight_decay": 0.1}}, r"weight_decay=0.1 .* does not have.*It has betas, eps"),
        ({"optimizer_kwargs": {"betas": (0.9, 1.0)}}, r"betas=.0.9, 1.0. .* two numbers from 0, below 1"),
        ({"optimizer_kwargs": {"lr": 0.1}}, r"lr=0.1 .* does not have"),
    ):
        with pytest.raises(HyperparameterError, match=words):
            made(**other)
    with pytest.raises(HyperparameterError, match="optimizer_kwargs without optimizer_class"):
        agents.A2C("CartPole-v1", policy_kwargs={"optimizer_kwargs": {"eps": 1e-3}})


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
