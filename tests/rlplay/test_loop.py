"""Environments that break their contract: stopped, named, nothing harmed."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import islice

import gymnasium as gym
import numpy as np
import pytest

from agents import QLearning
from rlplay import interact
from rlplay.environments.interact import Position
from rlplay.errors import EnvironmentFault
from rlplay.testing import differences


class Chain(gym.Env):
    """Five states in a row; what is wrong with it can be chosen."""

    observation_space = gym.spaces.Discrete(5)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, fault: str = "", at: int = 50):
        self.fault, self.at, self.steps, self.s = fault, at, 0, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.s = 0
        return self.s, {}

    def step(self, action):
        self.steps += 1
        self.s = max(0, min(4, self.s + (1 if action else -1)))
        obs, reward = self.s, float(self.s == 4)
        if self.fault and self.steps == self.at:
            if self.fault == "raise":
                raise ZeroDivisionError("inside")
            reward = {"nan": float("nan"), "inf": np.inf, "none": None, "text": "1", "array": np.ones(2)}.get(
                self.fault, reward
            )
            obs = {"obs": 7, "float": 1.5, "nothing": None}.get(self.fault, obs)
        return obs, reward, self.s == 4, False, {}


class Cloud(gym.Env):
    """A Box environment that reuses its observation buffer."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, fault: str = ""):
        self.fault, self.buffer, self.steps = fault, np.zeros(2, np.float32), 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.buffer[:] = 0
        return self.buffer, {}

    def step(self, action):
        self.steps += 1
        self.buffer += 0.1
        if self.fault == "nan":
            self.buffer[1] = np.nan
        if self.fault == "shape":
            return np.zeros(3, np.float32), 0.0, False, False, {}
        if self.fault == "outside":
            self.buffer[0] = 5
        return self.buffer, 0.0, False, self.steps % 5 == 0, {}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("nan", "reward nan in step"),
        ("inf", "reward inf in step"),
        ("none", "reward None"),
        ("text", "reward '1'"),
        ("array", "reward array"),
        ("raise", "ZeroDivisionError: inside"),
        ("obs", "observation 7"),
        ("float", "observation 1.5"),
        ("nothing", "observation None"),
    ],
)
def test_faults_stop_with_name_step_and_field(fault, words):
    agent = QLearning(Chain(fault), seed=0)
    with pytest.raises(EnvironmentFault) as caught:
        agent.learn(1000)
    assert words in str(caught.value)
    assert "Chain" in str(caught.value)
    assert "episode with seed" in str(caught.value)
    assert agent.num_timesteps == 49
    assert np.isfinite(agent.q).all()
    assert not differences(agent, agent)  # it can still be packed and saved
    if fault == "raise":
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("fault", "words"), [("nan", r"nan in the observation at \[1\]"), ("shape", r"shape \(3,\), not \(2,\)")]
)
def test_box_faults(fault, words):
    with pytest.raises(EnvironmentFault, match=words):
        next(interact(Cloud(fault), lambda obs: 0, lambda: 1))


class Told(gym.Env):
    """Returns in its first step what it was told."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self, space, obs=None, reward=0.0, terminated=False, truncated=False):
        self.observation_space, self.first = space, space.low
        self.told = self.first if obs is None else obs, reward, terminated, truncated, {}

    def reset(self, *, seed=None, options=None):
        return self.first, {}

    def step(self, action):
        return self.told


BYTES = gym.spaces.Box(0, 255, (2,), np.uint8)


@pytest.mark.parametrize(
    ("obs", "words"),
    [
        (np.array([3, 300]), "gave 300 in the observation, which uint8 cannot hold"),
        (np.array([-1, 3], np.int16), "gave -1 in the observation, which uint8 cannot hold"),
        ([0, 256], "gave 256 in the observation"),
        (np.array([0.5, 3.0]), "gave 0.5 in the observation"),
        (np.array([np.nan, 3.0]), "gave nan in the observation"),
        ([10**30, 0], "observation"),
        (["a", "b"], "observation of type list"),
    ],
)
def test_what_whole_numbers_cannot_hold_never_wraps(obs, words):
    with pytest.raises(EnvironmentFault, match=words):
        next(interact(Told(BYTES, obs), lambda _: 0, lambda: 0))


@pytest.mark.parametrize("obs", [np.array([0, 255]), [0, 255], np.array([0.0, 255.0]), np.array([0, 255], np.uint8)])
def test_what_fits_is_taken_as_the_space_has_it(obs):
    step = next(interact(Told(BYTES, obs), lambda _: 0, lambda: 0))
    assert step.next_obs.dtype == np.uint8
    assert step.next_obs.tolist() == [0, 255]


@pytest.mark.parametrize("name", ["terminated", "truncated"])
@pytest.mark.parametrize("flag", ["False", "", None, 0.0, 2, [], np.array([True, True]), np.array([])])
def test_a_flag_is_true_or_false(name, flag):
    with pytest.raises(EnvironmentFault, match=f"gave {name}=.* not True or False"):
        next(interact(Told(BYTES, **{name: flag}), lambda _: 0, lambda: 0))


@pytest.mark.parametrize("flag", [True, np.True_, 1, np.array(True), np.array([True])])
def test_a_flag_of_another_type(flag):
    step = next(interact(Told(BYTES, terminated=flag, truncated=not flag), lambda _: 0, lambda: 0))
    assert (step.terminated, step.truncated) == (True, False)
    assert type(step.terminated) is bool


@pytest.mark.parametrize(
    "reward",
    [
        10**400,
        1j,
        Fraction(1, 2),
        Decimal("0.5"),
        np.ones(2),
        np.str_("1"),
        [1.0],
        np.array([np.nan]),
        np.array(["1"]),
        np.array([None]),
    ],
)
def test_rewards_that_are_no_finite_numbers(reward):
    with pytest.raises(EnvironmentFault, match="gave reward"):
        next(interact(Told(BYTES, reward=reward), lambda _: 0, lambda: 0))


@pytest.mark.parametrize(
    "reward",
    [
        1,
        True,
        np.True_,
        np.int8(1),
        np.uint64(1),
        np.float16(1),
        np.longdouble(1),
        np.array(1.0),
        np.ones((1, 1), np.float32),
    ],
)
def test_rewards_of_other_types_become_floats(reward):
    step = next(interact(Told(BYTES, reward=reward), lambda _: 0, lambda: 0))
    assert type(step.reward) is float
    assert step.reward == 1.0


def test_out_of_bounds_is_said_once():
    steps = interact(Cloud("outside"), lambda obs: 0, lambda: 1)
    with pytest.warns(UserWarning, match="outside its space") as caught:
        list(islice(steps, 10))
    assert len(caught) == 1


def test_a_reused_buffer_is_copied():
    steps = interact(Cloud(), lambda obs: 0, lambda: 1)
    first, second = next(steps), next(steps)
    assert first.obs.tolist() == [0, 0]
    assert first.next_obs == pytest.approx([0.1, 0.1])
    assert second.next_obs == pytest.approx([0.2, 0.2])


def test_next_obs_is_never_that_of_the_next_episode():
    position = Position()
    seeds = iter(range(100))
    for count, transition in zip(
        range(5), interact(Cloud(), lambda obs: 1, lambda: next(seeds), position), strict=False
    ):
        assert transition.next_obs[0] == pytest.approx(0.1 * (count + 1), abs=1e-6)
    assert transition.truncated
    assert not transition.terminated
    assert position.obs is None
    assert position.actions == [1] * 5
    assert position.seed == 0


def test_an_endless_episode_gets_a_hint(monkeypatch):
    import rlplay.environments.interact

    monkeypatch.setattr(rlplay.environments.interact, "_ENDLESS_HINT", 100)

    class Endless(Chain):
        def step(self, action):
            return 0, 0.0, False, False, {}

    with pytest.warns(UserWarning, match="max_episode_steps"):
        QLearning(Endless(), seed=0).learn(200)
