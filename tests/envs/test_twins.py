"""The native twins of Gymnasium's environments: the same numbers."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from rlplay import make
from rlplay.compiled.native import NativeEnv
from rlplay.errors import EnvironmentFault, SpaceError
from rlplay.making import reference


@pytest.mark.parametrize(("env_id", "episodes"), [("CartPole-v1", 300), ("MountainCar-v0", 40)])
def test_whole_episodes_to_the_bit(env_id, episodes):
    own, native, rng = gym.make(env_id), make(env_id), np.random.default_rng(0)
    assert isinstance(native, NativeEnv)
    assert reference(native).exact
    for episode in range(episodes):
        assert np.array_equal(own.reset(seed=episode)[0], native.reset(seed=episode)[0])
        ended, obs = False, own.unwrapped.state
        while not ended:
            action = int(rng.integers(own.action_space.n))
            if env_id == "MountainCar-v0" and episode % 2:  # push along the velocity: this one climbs out
                action = 2 if obs[1] >= 0 else 0
            mine, theirs = native.step(action), own.step(action)
            assert np.array_equal(mine[0], theirs[0])
            assert mine[1:4] == theirs[1:4]
            obs, ended = theirs[0], theirs[2] or theirs[3]


def test_the_car_that_pushes_along_its_velocity():
    """Its mean return over 200 episodes is -119.4 (TARGETS); a velocity that the goal asks for is the twin's too."""
    env, returns = make("MountainCar-v0"), []
    for episode in range(200):
        obs, total, ended = env.reset(seed=episode)[0], 0.0, False
        while not ended:
            obs, reward, terminated, truncated, _ = env.step(2 if obs[1] >= 0 else 0)
            total, ended = total + reward, terminated or truncated
        returns.append(total)
    assert np.mean(returns) == pytest.approx(-119.4, abs=1.0)
    assert isinstance(make("MountainCar-v0", goal_velocity=0.01), NativeEnv)


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
