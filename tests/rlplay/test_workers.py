"""Agents whose environments are played by worker processes: the same bits, the same errors, or one line why not."""

from __future__ import annotations

import sys
import time

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest

import rlplay
from agents import A2C, PPO, QLearning
from rlplay import load
from rlplay.environments.vector.remote import worthwhile_workers
from rlplay.errors import EnvironmentFault, UsageError
from rlplay.testing import differences

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import the tests


class Walk(gym.Env):
    """A walk with a mask in its info, and ends of both kinds."""

    def __init__(self, box=False, fail_at=0, slow=0.0):
        self.observation_space = gym.spaces.Box(-1, 1, (3,), np.float64)
        self.action_space = gym.spaces.Box(-1, 1, (2,)) if box else gym.spaces.Discrete(3)
        self.fail_at, self.slow = fail_at, slow

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.state = 0, self.np_random.uniform(-0.1, 0.1, 3)
        return self.state.copy(), self._info()

    def _info(self):
        if isinstance(self.action_space, gym.spaces.Box):
            return {}
        return {"action_mask": np.array([1, self.t % 2, 1], np.int8)}

    def step(self, action):
        time.sleep(self.slow)
        self.t += 1
        if self.fail_at and self.t == self.fail_at:
            raise ZeroDivisionError("in the walk")
        self.state = np.clip(self.state + 0.1 * np.mean(action) + self.np_random.normal(0, 0.02, 3), -1, 1)
        return (
            self.state.copy(),
            float(self.state[0]),
            bool(self.t == 13),
            bool(self.t == 9 and self.state[1] > 0),
            self._info(),
        )


@pytest.mark.parametrize("cls", [PPO, pytest.param(A2C, marks=pytest.mark.slow)], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("box", [False, True], ids=["masks", "box"])
def test_workers_give_the_same_bits(cls, box, tmp_path):
    given = {"batch_size": 8} if cls is PPO else {}

    def new():
        return cls(lambda: Walk(box), seed=3, n_envs=3, n_steps=8, net_arch=[8], **given)

    alone, together = new().learn(96), new()
    together.learn(48, workers=1, schedule_timesteps=96)
    together.save(tmp_path / "half")  # in the middle of episodes that a worker began
    together.learn(48, workers=2, reset_num_timesteps=False)
    assert together.workers == 2
    assert not differences(alone, together)
    resumed = load(tmp_path / "half", env=lambda: Walk(box)).learn(48, reset_num_timesteps=False)
    assert not differences(alone, resumed)
    alone.learn(21, reset_num_timesteps=False)
    together.learn(21, reset_num_timesteps=False)  # its own environments stand where the workers' ones did
    assert not differences(alone, together)


def test_an_instance_with_its_wrappers_is_played_by_workers():
    def new():
        env = gym.wrappers.TimeAwareObservation(gym.wrappers.TimeLimit(gym.make("Acrobot-v1").unwrapped, 40))
        return PPO(env, n_envs=2, n_steps=16, batch_size=16, seed=0)

    assert not differences(new().learn(96), new().learn(96, workers=1))


def test_what_an_environment_raises_in_a_worker_names_it_and_its_line():
    agent = PPO(lambda: Walk(fail_at=7), n_envs=2, n_steps=16, batch_size=16, seed=0)
    agent._running_envs[0].env.unwrapped.fail_at = 0  # the first is played here
    with pytest.raises(
        EnvironmentFault, match="environment 1 of 2.*ZeroDivisionError: in the walk in step 7"
    ) as raised:
        agent.learn(64, workers=1)
    assert "in the walk" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PPO("CartPole-v1", n_envs=2, seed=0), "runs in native code"),
        (lambda: PPO(Walk, n_envs=1, seed=0), "there is one environment"),
        (lambda: QLearning("FrozenLake-v1", seed=0), "plays one environment"),
        (lambda: PPO(Walk, n_envs=2, seed=0), "not a whole number"),
    ],
)
def test_workers_that_cannot_be_are_refused(make, words):
    with pytest.raises(UsageError, match=words):
        make().learn(64, workers=2 if words != "not a whole number" else "many")


def test_a_mask_that_is_asked_of_the_environment_keeps_it_here():
    class Asked(Walk):
        def action_masks(self):
            return np.array([True, True, False])

    with pytest.raises(UsageError, match="masks are asked of the environment itself"):
        PPO(Asked, n_envs=2, seed=0).learn(64, workers=1)


@pytest.mark.parametrize(
    ("seconds", "count", "timesteps", "workers"),
    [(0.002, 8, 100_000, 1), (0.002, 1, 100_000, 0), (0.002, 8, 100, 0), (0.00001, 8, 100_000, 0)],
    ids=["slow", "one environment", "over before they have started", "quick"],
)
def test_workers_are_taken_where_they_pay(seconds, count, timesteps, workers, monkeypatch):
    remote = "rlplay.environments.vector.remote"
    monkeypatch.setattr(f"{remote}.os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(f"{remote}._seconds_a_step", lambda env: seconds)
    assert worthwhile_workers(rlplay.make(Walk), count, timesteps)[0] == workers


def test_a_step_is_measured():
    assert 0.002 <= worthwhile_workers(rlplay.make(lambda: Walk(slow=0.002)), 2, 10)[1] < 0.1
