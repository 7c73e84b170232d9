"""Worlds that need memory: their rules by hand, what is shown when, and how far chance and memory get."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from rlplay import make
from rlplay.compiled.native import NativeEnv
from rlplay.environments.wrappers import HideNumbers, untrusted
from rlplay.errors import CheckpointError, SpaceError, UnknownNameError, UsageError
from rlplay.spaces.actions import as_played


@pytest.mark.parametrize(("env_id", "places"), [("CartPole-v1", [1, 3]), ("Pendulum-v1", [2])])
def test_without_velocities_the_numbers_are_gymnasiums(env_id, places):
    """The native world is Gymnasium's own in the wrapper, to the bit; by names and by places."""
    name, _, version = env_id.partition("-v")
    native = make(f"rlplay/{name}NoVel-v{version}")
    own = HideNumbers(gym.make(env_id), places)
    assert isinstance(native, NativeEnv)
    own.action_space.seed(0)
    for episode in range(20):
        assert np.array_equal(native.reset(seed=episode)[0], own.reset(seed=episode)[0])
        ended = False
        while not ended:
            action = as_played(own.action_space, own.action_space.sample())
            mine, theirs = native.step(action), own.step(action)
            assert np.array_equal(mine[0], theirs[0])
            assert mine[1:4] == theirs[1:4]
            assert not mine[0][places].any()
            ended = theirs[2] or theirs[3]


def test_hidden_numbers_by_name():
    wrapper = {"rlplay.environments.wrappers.HideNumbers": {"hidden": ["cart velocity", "pole velocity"]}}
    assert untrusted(wrapper) == []
    env = make("CartPole-v1", wrapper=wrapper)
    env.reset(seed=0)
    assert env.step(1)[0][[1, 3]].tolist() == [0.0, 0.0]
    with pytest.raises(UnknownNameError, match="cart velocity"):
        HideNumbers(make("CartPole-v1"), ["cart velocty"])
    with pytest.raises(UsageError, match="hidden=4 is not a place from 0 to 3 of an observation of CartPole-v1"):
        HideNumbers(make("CartPole-v1"), [4])
    with pytest.raises(UsageError, match="takes observations that are vectors, and FrozenLake-v1 has Discrete"):
        HideNumbers(make("FrozenLake-v1"), [0])


def test_memory_chain_by_hand():
    """The bits are shown once; the question comes at the end; the answer is paid with 1 or -1."""
    env, asked = make("rlplay/MemoryChain-v0", length=4, n_bits=3), set()
    for seed in range(40):
        first = env.reset(seed=seed)[0]
        assert first[0] == 1.0
        assert set(first[2:].tolist()) <= {-1.0, 1.0}
        seen = [env.step(0)[0] for _ in range(4)]
        assert [obs[0] for obs in seen] == [0.75, 0.5, 0.25, 0.0]
        assert not np.array(seen)[:, 2:].any()  # the bits
        assert not np.array(seen)[:-1, 1].any()  # the question
        query = int(seen[-1][1])
        asked.add(query)
        bit = int(first[2 + query] > 0)
        answer = bit if seed % 2 else 1 - bit
        _, reward, terminated, _, _ = env.step(answer)
        assert (reward, terminated) == (1.0 if seed % 2 else -1.0, True)
    assert asked == {0, 1, 2}


@pytest.mark.parametrize("delay", [0, 1, 5])
def test_repeat_signal_by_hand(delay):
    env = make("rlplay/RepeatSignal-v0", n_signals=3, delay=delay, steps=12)
    for seed, right in ((0, True), (1, False)):
        shown, total, ended = [int(env.reset(seed=seed)[0].argmax())], 0.0, False
        while not ended:
            asked = shown[max(len(shown) - 1 - delay, 0)]
            obs, reward, ended, _, _ = env.step(asked if right else (asked + 1) % 3)
            assert reward == 0.0 if len(shown) <= delay else abs(reward) == pytest.approx(1 / (12 - delay))
            assert obs.sum() == 1.0
            shown.append(int(obs.argmax()))
            total += reward
        assert len(shown) == 13
        assert total == pytest.approx(1.0 if right else -1.0)


def test_t_maze_by_hand():
    """Bakker's numbers: 011 and 110 at the start, 101 between, 010 at the junction; 4, -0.1, and -0.1 for standing."""
    env, signs = make("rlplay/TMaze-v0", length=3), set()
    for seed in range(20):
        sign = tuple(env.reset(seed=seed)[0].astype(int).tolist())
        signs.add(sign)
        assert env.step(3)[1] == env.step(0)[1] == -0.1  # into the walls
        steps = [env.step(1) for _ in range(3)]
        assert [tuple(obs.astype(int).tolist()) for obs, *_ in steps] == [(1, 0, 1), (1, 0, 1), (0, 1, 0)]
        assert env.step(1)[1:3] == (-0.1, False)
        turn = {(0, 1, 1): 0, (1, 1, 0): 2}[sign]
        assert env.step(turn if seed % 2 else 2 - turn)[1:3] == ((4.0, True) if seed % 2 else (-0.1, True))
    assert signs == {(0, 1, 1), (1, 1, 0)}


@pytest.mark.parametrize(("env_id", "chance"), [("rlplay/MemoryChain-v0", 0.0), ("rlplay/RepeatSignal-v0", -0.5)])
def test_what_chance_is_paid(env_id, chance):
    copies = gym.make_vec(env_id, num_envs=500, autoreset_mode="same-step")
    copies.reset(seed=0)
    copies.action_space.seed(0)
    total = ends = 0
    for _ in range(110):
        _, reward, terminated, _, _ = copies.step(copies.action_space.sample())
        total, ends = total + reward.sum(), ends + terminated.sum()
    assert ends >= 1000
    assert total / ends == pytest.approx(chance, abs=0.06)


@pytest.mark.parametrize(
    ("env_id", "kwargs", "words"),
    [
        ("rlplay/MemoryChain-v0", {"length": 0}, "whole numbers from 1"),
        ("rlplay/MemoryChain-v0", {"n_bits": 65}, "to 64"),
        ("rlplay/RepeatSignal-v0", {"n_signals": 1}, "2 to 64 signals"),
        ("rlplay/RepeatSignal-v0", {"delay": 60}, "more steps than that"),
        ("rlplay/RepeatSignal-v0", {"delay": 1.5}, "whole numbers"),
        ("rlplay/TMaze-v0", {"length": 2.5}, "length=2.5 is not a whole number"),
    ],
)
def test_bad_arguments(env_id, kwargs, words):
    with pytest.raises(UsageError, match=words):
        gym.make(env_id, **kwargs)


def test_states_that_cannot_be_are_refused():
    env = make("rlplay/MemoryChain-v0")
    env.reset(seed=0)
    with pytest.raises(UsageError, match="has no state"):
        env.reset(options={"state": np.full(env.state_size, -1.0)})
    with pytest.raises(CheckpointError):
        env.restore({"state": np.full(env.state_size, 0.5), "elapsed": np.array([0]), "rng": env.rng})
    with pytest.raises(SpaceError, match="2 is not in"):
        env.step(2)
