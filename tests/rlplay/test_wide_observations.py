"""Observations that float32 does not hold keep their differences up to where they are scaled."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest

from agents import A2C, PPO, FittedQ, GPSarsa, LinearQLearning, NeuralFittedQ, QLearning, Reinforce
from rlplay import load
from rlplay.environments.interact import ObservationCheck, Position
from rlplay.spaces.observations import VectorView
from rlplay.storage.checkpoint import copy_into

START = 1.7e9  # seconds since 1970


class Clock(gym.Env):
    """Shows 1.7e9 or 1.7e9 + 1, and pays for the action of that number."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self, dtype=np.float64):
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), dtype)

    def _show(self):
        self.now = int(self.np_random.integers(2))
        return np.array([START + self.now], self.observation_space.dtype)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._show(), {}

    def step(self, action):
        self.steps += 1
        reward = float(action == self.now)
        return self._show(), reward, False, self.steps >= 10, {}


STATES = np.array([[START], [START + 1]])
GREEDY = {"epsilon": 0.5, "gamma": 0.0, "seed": 0}


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(
    "make",
    [
        lambda env: QLearning(env, features="k-means:2,warm_up=50", alpha=0.2, **GREEDY),
        lambda env: QLearning(env, features="tile-coding:2,n_tilings=1,warm_up=50", alpha=0.2, **GREEDY),
        lambda env: LinearQLearning(env, features="tile-coding:4,n_tilings=2,warm_up=50", alpha=0.2, **GREEDY),
        lambda env: FittedQ(env, train_freq=400, n_iterations=1, n_eval_episodes=0, **GREEDY),
        lambda env: NeuralFittedQ(env, train_freq=400, n_iterations=10, **GREEDY),
        lambda env: GPSarsa(env, signal=1.0, noise=0.1, **GREEDY),
    ],
)
def test_states_a_second_apart_are_told_apart(make):
    agent = make(Clock).learn(800)
    assert agent.predict(STATES, deterministic=True)[0].tolist() == [0, 1]


def test_wide_integers_are_told_apart_too():
    agent = QLearning(lambda: Clock(np.int64), features="k-means:2,warm_up=50", alpha=0.2, **GREEDY).learn(400)
    assert agent.predict(STATES.astype(np.int64), deterministic=True)[0].tolist() == [0, 1]


@pytest.mark.parametrize("agent", [PPO, *(pytest.param(one, marks=pytest.mark.slow) for one in (A2C, Reinforce))])
def test_normalised_inputs_differ(agent, tmp_path):
    settings = {"batch_size": 32} if agent is Reinforce else {"n_steps": 64}
    made = agent(Clock, normalize=True, seed=0, **settings).learn(128)
    first, second = made._network_inputs(STATES)[:, 0]
    assert first < second
    assert made.memory.obs.dtype == np.float32
    saved = load(made.save(tmp_path / "a"), Clock)
    assert saved._network_inputs(STATES)[:, 0].tolist() == [first, second]


def test_float32_stays_float32():
    box = gym.spaces.Box(-1.0, 1.0, (2,))
    assert VectorView(box, "x", wide=True).dtype == np.float32
    assert VectorView(gym.spaces.Box(0, 255, (2,), np.uint8), "x", wide=True).dtype == np.float32
    pair = gym.spaces.Dict(a=box, b=gym.spaces.Box(-1.0, 1.0, (1,), np.float64))
    assert VectorView(pair, "x").dtype == np.float32
    view = VectorView(pair, "x", wide=True)
    assert view.vector({"a": np.zeros(2, np.float32), "b": np.array([START + 1])}).tolist() == [0.0, 0.0, START + 1]
    assert QLearning("CartPole-v1", features="k-means:4", seed=0).encoder.samples.dtype == np.float32
    assert PPO("CartPole-v1", normalize=True, seed=0)._step_buffer.obs.dtype == np.float32


def test_a_file_of_float32_samples_is_taken():
    samples = np.zeros(2)
    copy_into("features/samples", {"features/samples": np.array([0.5, 1.5], np.float32)}, samples)
    assert samples.tolist() == [0.5, 1.5]


def test_floats_of_two_bytes_are_checked_too():
    """Native code has no float16; the check of observations compares their bounds there."""
    env = Clock(np.float16)
    env.observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float16)
    obs = ObservationCheck(env)(np.zeros(2, np.float16), Position())
    assert obs.dtype == np.float16
    assert obs.tolist() == [0, 0]
