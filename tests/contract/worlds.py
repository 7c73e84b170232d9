"""Small worlds that show what an environment of a user's may be: with action masks of every kind.

Each action is allowed or not by a draw that the observation shows, and each world counts what was taken.
"""

from __future__ import annotations

from typing import ClassVar

import gymnasium as gym
import numpy as np

EPISODE = 20


class Masked(gym.Env):
    """One of three actions is forbidden at each step; the method ``action_masks`` says which."""

    taken: ClassVar[list[bool]] = []  # whether each action taken was allowed
    observation_space, action_space = gym.spaces.Box(0, 1, (2,), np.float32), gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        self.draw()
        return self.observation(), self.info()

    def draw(self):
        self.forbidden = int(self.np_random.integers(3))

    def observation(self):
        return np.array([self.forbidden / 2, self.t / EPISODE], np.float32)

    def info(self):
        return {}

    def mask(self):
        return np.arange(3) != self.forbidden

    def action_masks(self):
        return self.mask()

    def step(self, action):
        Masked.taken.append(bool(self.mask()[int(action)]))
        self.t += 1
        self.draw()
        return self.observation(), float(action), False, self.t >= EPISODE, self.info()


class MaskedStates(Masked):
    """The same with finite observations."""

    observation_space = gym.spaces.Discrete(3)

    def observation(self):
        return self.forbidden


def by_info(cls):
    """The world without the method: its mask stands in ``info["action_mask"]``."""

    class Informed(cls):
        action_masks = None

        def info(self):
            return {"action_mask": self.mask().astype(np.int8)}

    return Informed


class Mute(gym.Wrapper):
    """A wrapper that has the method ``action_masks`` around a world that has none."""

    def action_masks(self):
        return self.unwrapped.mask()


def by_wrapper(cls):
    """The world without the method, in a wrapper that has it."""

    class Silent(cls):
        action_masks = None

    return lambda: Mute(Silent())


MASKS = {"method": lambda cls: cls, "info": by_info, "wrapper": by_wrapper}
