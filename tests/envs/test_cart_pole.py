"""The native twin of CartPole-v1: the same numbers as Gymnasium's environment."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from rlplay import make
from rlplay.compiled.native import NativeEnv
from rlplay.errors import EnvironmentFault, SpaceError
from rlplay.making import reference


def test_three_hundred_episodes_to_the_bit():
    own, native, rng = gym.make("CartPole-v1"), make("CartPole-v1"), np.random.default_rng(0)
    assert isinstance(native, NativeEnv)
    assert reference(native).exact
    for episode in range(300):
        assert np.array_equal(own.reset(seed=episode)[0], native.reset(seed=episode)[0])
        ended = False
        while not ended:
            action = int(rng.random() < 0.5)
            mine, theirs = native.step(action), own.step(action)
            assert np.array_equal(mine[0], theirs[0])
            assert mine[1:4] == theirs[1:4]
            ended = theirs[2] or theirs[3]


def test_the_time_limit_truncates():
    native = make("CartPole-v1", max_episode_steps=3)
    native.reset(seed=0)
    assert [native.step(i % 2)[3] for i in range(3)] == [False, False, True]


def test_arguments_that_the_twin_does_not_know_leave_it_out():
    env = make("CartPole-v1", sutton_barto_reward=True)
    assert not isinstance(env, NativeEnv)
    with pytest.raises(SpaceError, match="does not do what it does with these arguments"):
        make("CartPole-v1", sutton_barto_reward=True, dynamics="native")
    assert not isinstance(make("CartPole-v1", dynamics="gymnasium"), NativeEnv)


def test_misuse_is_said():
    env = make("CartPole-v1")
    with pytest.raises(EnvironmentFault, match="before reset"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(SpaceError, match="2 is not in"):
        env.step(2)
