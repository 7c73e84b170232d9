"""What surrounds a run decides nothing in silence: threads of torch are fixed, other versions of libraries are said."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch

from agents import A2C, QLearning
from rlplay import load
from rlplay.agent import saving
from rlplay.errors import HyperparameterError, RlplayWarning
from rlplay.networks import Conv2d, Linear, Tanh, TorchNetwork
from rlplay.storage import checkpoint


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_torch_networks_give_the_same_bits_with_any_number_of_threads(threads, tmp_path):
    learned = []
    x = np.random.default_rng(0).standard_normal((32, 36, 36, 3)).astype(np.float32)
    for number in (1, 2, 3):
        threads(number)
        layers = [Conv2d(3, 8, 3, 1, 1), Tanh(), Linear(8 * 36 * 36, 4)]  # whose sums torch divides by threads
        network = TorchNetwork(layers, input_shape=(36, 36, 3), seed=0)
        network.backward(0.01 * network.forward(x))
        network.improve(0.01, max_grad_norm=0.5)
        learned.append(network.parameters)
        assert torch.get_num_threads() == number
    assert all((one == learned[0]).all() for one in learned)


def test_the_threads_of_a_torch_network_are_a_setting_that_is_saved(tmp_path):
    settings = {"network": "torch", "n_steps": 8, "seed": 0}
    agent = A2C("CartPole-v1", policy_kwargs={"threads": 2}, **settings)
    assert agent.hyperparameters["policy_kwargs"] == {"threads": 2}
    assert load(agent.save(tmp_path / "agent")).memory.policy.threads == 2
    assert A2C("CartPole-v1", **settings).memory.policy.threads == 1
    with pytest.raises(HyperparameterError, match="threads=0"):
        A2C("CartPole-v1", policy_kwargs={"threads": 0}, **settings)


def test_another_version_of_a_library_is_said_once_and_the_file_loads(tmp_path, monkeypatch):
    here = saving.versions()
    others = {**here, "numpy": "1.0", "torch": "unknown", "rlplay": "0.0.1"}
    with monkeypatch.context() as then:
        then.setattr(saving, "versions", lambda: others)
        path = QLearning("FrozenLake-v1", seed=0).learn(100).save(tmp_path / "agent")
    saving._say_versions.cache_clear()
    with pytest.warns(RlplayWarning) as said:
        assert load(path).num_timesteps == 100
        load(path)
    assert [str(one.message) for one in said] == [
        f"a file was written with rlplay 0.0.1, numpy 1.0, and rlplay {here['rlplay']}, numpy {here['numpy']} "
        "run here: going on may not give the same bits"
    ]
    assert json.loads(json.dumps(checkpoint.read(path).manifest["versions"])) == others


def test_the_same_versions_say_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(QLearning("FrozenLake-v1", seed=0).save(tmp_path / "agent"))
