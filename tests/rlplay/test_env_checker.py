"""The checker of environments finds what is wrong, and where."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from rlplay.cli import main
from rlplay.environments.checker import examine_env
from rlplay.testing import check_env


class Sound(gym.Env):
    """Nothing is wrong with it; the others are it with one fault."""

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 5}  # noqa: RUF012
    observation_space = gym.spaces.Box(-1, 1, (3,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode, self.k = render_mode, -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.k = 0
        return self.see(), {}

    def see(self):
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)

    def step(self, action):
        if self.k < 0 or action not in (0, 1):
            raise ValueError("not now")
        self.k += 1
        return self.see(), 1.0, self.k >= 60, False, {}

    def render(self):
        if self.render_mode == "ansi":
            return "here"
        return np.arange(30, dtype=np.uint8).reshape(2, 5, 3)


def found(env, verdict, **settings):
    return {f.check: f.words for f in examine_env(env, steps=300, **settings) if f.verdict == verdict}


def test_nothing_is_wrong_with_a_sound_environment():
    assert not found(Sound, "failed")
    assert not found(Sound, "warning")
    names = [f.check for f in check_env(Sound, steps=100)]
    assert len(names) == len(set(names)) >= 15


def step_50(**changes):
    """A step that does something else at step 50 of an episode."""

    def step(self, action):
        obs, reward, terminated, truncated, info = Sound.step(self, action)
        values = {"obs": obs, "reward": reward, "terminated": terminated, "truncated": truncated, "info": info}
        if self.k == 50:
            values |= {key: value(obs) if callable(value) else value for key, value in changes.items()}
        return tuple(values.values())

    return {"step": step}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (step_50(obs=lambda o: o * np.nan), "observation has nan at .0. in step 50 of the episode with seed 0"),
        (step_50(obs=lambda o: o / 0), "observation has -?inf at"),
        (step_50(obs=lambda o: o.astype(np.float64)), "observation has dtype float64 in step 50"),
        (step_50(obs=lambda o: o[:2]), r"not an array of shape \(3,\)"),
        (step_50(obs=lambda o: o.tolist()), "not an array"),
        (step_50(reward=None), "reward is None .NoneType. in step 50"),
        (step_50(reward=float("inf")), "reward is inf in step 50"),
        (step_50(reward=np.ones(1)), "not a number"),
        (step_50(terminated=1), "terminated is 1 in step 50 .* not a bool"),
        (step_50(info=None), "info is None"),
        (step_50(info={"action_mask": np.zeros(2)}), "the action mask array"),
        ({"reset": lambda self, seed=None, options=None: np.zeros(3, np.float32)}, "not an observation and an info"),
        ({"step": lambda self, action: (np.zeros(3, np.float32), 0.0, False, {})}, "terminated, truncated, info"),
        ({"step": lambda self, action: {}[action]}, "raised KeyError"),
    ],
)
def test_broken_contracts(body, words):
    env = type("Broken", (Sound,), body)
    with np.errstate(all="ignore"), pytest.raises(AssertionError, match=words):
        check_env(env, steps=200)


def test_randomness_that_no_seed_controls():
    class Global(Sound):
        def see(self):
            return np.random.uniform(-1, 1, 3).astype(np.float32)

    assert "global generator" in found(Global, "warning")["randomness of its own"]
    assert "step 1 of the episode with seed 0" in found(Global, "failed")["same seed, same episodes"]


def test_state_that_instances_share():
    class Shared(Sound):
        total = np.zeros(1, int)

        def reset(self, *, seed=None, options=None):
            self.total[0] = 0
            return super().reset(seed=seed)

        def see(self):
            self.total[0] += 1
            return np.full(3, np.tanh(self.total[0] / 100), np.float32)

    assert "share state" in found(Shared, "failed")["instances apart from each other"]


def test_memory_over_episodes():
    class Tired(Sound):
        def see(self):
            self.age = getattr(self, "age", 0) + 1
            return np.full(3, np.tanh(self.age / 1000), np.float32)

    assert set(found(Tired, "failed")) >= {"same seed, same episodes"}


def test_surprises():
    class Surprising(Sound):
        observation_space = gym.spaces.Box(-0.5, 0.5, (3,))
        action_space = gym.spaces.Box(-np.inf, np.inf, (1,))
        buffer = np.zeros(3, np.float32)

        def __init__(self, render_mode=None):
            super().__init__(render_mode)
            self.mine = np.zeros(3, np.float32)

        def see(self):
            self.mine[:] = super().see()
            return self.mine

        def step(self, action):
            action *= 0.5
            obs, reward, _, _, info = super().step(0)
            if not info and self.k > 10_000:
                raise IndexError
            return obs, reward, False, False, info

        def render(self):
            return np.zeros((4, 4, 3), np.uint8) if self.render_mode == "rgb_array" else 7

    warned = found(Surprising, "warning")
    assert "step 1" in warned["a new observation each step"]
    assert "outside -0.5 to 0.5" in warned["observations within their space"]
    assert "changed to" in warned["actions left as they are"]
    assert "without bounds" in warned["action space"]
    assert "max_episode_steps" in warned["endings"]
    assert "one colour" in warned["render mode rgb_array"]
    assert "nan" in warned["action outside the space"]
    assert "gave 7, not text" in found(Surprising, "failed")["render mode ansi"]


def test_a_crash_after_the_end():
    class Crashing(Sound):
        def step(self, action):
            if self.k >= 60:
                return (1, 2)[self.k]
            return super().step(action)

    assert "IndexError" in found(Crashing, "warning")["step after the end"]


def test_on_the_command_line(capsys):
    assert main(["check-env", "FrozenLake-v1", "-n", "300"]) == 0
    out = capsys.readouterr().out
    assert "same seed in a new instance" in out
    assert "native, the same numbers as Gymnasium's" in out
    assert main(["check-env", "rlplay/ChainWalk-v0", "--env-kwargs", "n_states:9", "-n", "300"]) == 0
    assert "Discrete(9)" in capsys.readouterr().out
    assert main(["check-env", "NoSuch-v0"]) == 2
    assert main(["check-env", "FrozenLake-v1", "-n", "0"]) == 2
