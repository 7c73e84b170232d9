"""sb3-contrib's algorithms.

All of it runs after ``pip install -e '.[dev,contrib]'`` by ``pytest -m '' tests/agents/test_sb3_contrib.py``.
"""

from __future__ import annotations

import importlib.util

import gymnasium as gym
import numpy as np
import pytest

from agents import SB3
from rlplay import registry
from rlplay.errors import MissingPackageError, UsageError

HERE = importlib.util.find_spec("sb3_contrib") is not None
needed = pytest.mark.skipif(not HERE, reason="sb3-contrib is not installed (extra: contrib)")
REPLAY = {"buffer_size": 300, "learning_starts": 20, "batch_size": 16}
CASES = [
    ("TQC", "Pendulum-v1", REPLAY),
    ("CrossQ", "Pendulum-v1", REPLAY),
    ("QRDQN", "CartPole-v1", {**REPLAY, "train_freq": 4}),
    ("TRPO", "CartPole-v1", {"n_steps": 32, "batch_size": 16, "n_envs": 2}),
    ("MaskablePPO", "CartPole-v1", {"n_steps": 32, "batch_size": 16}),
    ("RecurrentPPO", "CartPole-v1", {"n_steps": 32, "batch_size": 16, "n_envs": 2}),
]


@pytest.mark.skipif(HERE, reason="it is installed")
def test_without_the_package_the_extra_is_named():
    with pytest.raises(MissingPackageError, match=r"rlplay\[contrib\]"):
        SB3("TQC", "Pendulum-v1")
    assert "sb3/tqc" not in registry.agent_ids()


def test_what_stands_in_place_of_a_search_is_named():
    with pytest.raises(UsageError, match=r"Take agents\.ARS"):
        SB3("ARS", "CartPole-v1")


@needed
@pytest.mark.slow
@pytest.mark.parametrize(("name", "env", "given"), CASES, ids=[case[0] for case in CASES])
def test_resumed_to_the_bit(name, env, given, tmp_path):
    whole = SB3(name, env, seed=0, **given).learn(121)
    part = SB3(name, env, seed=0, **given).learn(57, schedule_timesteps=121)
    again = type(part).load(part.save(tmp_path / "part"))
    again.learn(121 - part.num_timesteps, reset_num_timesteps=False)
    mine, theirs = whole.arrays(), again.arrays()
    assert [key for key in mine if not np.array_equal(mine[key], theirs[key])] == []
    assert whole.lessons > 0


@needed
@pytest.mark.slow
@pytest.mark.parametrize("name", ["TRPO", "MaskablePPO", "RecurrentPPO"])
def test_its_bits_are_those_of_the_package(name):
    import sb3_contrib

    ours = SB3(name, "CartPole-v1", seed=0, n_steps=32, batch_size=16)
    theirs = getattr(sb3_contrib, name)(ours.policy_name(), ours.vec_env, n_steps=32, batch_size=16, seed=0)
    theirs.learn(96)
    fresh = SB3(name, "CartPole-v1", seed=0, n_steps=32, batch_size=16).learn(96)
    mine = fresh.model.policy.state_dict()
    for key, value in theirs.policy.state_dict().items():
        assert value.equal(mine[key]), key


class Masked(gym.Wrapper):
    """A pole that may only be pushed to the right."""

    def action_masks(self):
        return np.array([False, True])


@needed
@pytest.mark.slow
def test_masks_reach_maskable_ppo():
    agent = SB3("MaskablePPO", Masked(gym.make("CartPole-v1")), n_steps=32, batch_size=16, seed=0)
    agent.learn(31, schedule_timesteps=64)
    taken = agent.model.rollout_buffer.actions[:31]
    assert (taken == 1).all()
    assert agent.predict(np.zeros((2, 4), np.float32), action_masks=[[True, False], [False, True]])[0].tolist() == [
        0,
        1,
    ]


@needed
@pytest.mark.slow
def test_a_recurrent_agent_remembers():
    agent = SB3("RecurrentPPO", "CartPole-v1", n_steps=32, batch_size=16, seed=0)
    obs = np.full(4, 0.1, np.float32)
    _, state = agent.predict(obs, deterministic=True)
    _, later = agent.predict(obs, state, np.zeros(1, bool), deterministic=True)
    assert not np.array_equal(state[0], later[0])
