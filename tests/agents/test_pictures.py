"""Pictures with channels first or last are the same pictures to our own networks."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from agents import A2C, PPO
from rlplay.networks.layers import Conv2d, ReLU
from rlplay.spaces.observations import VectorView, channels_first


class Pictures(gym.Env):
    """The same pictures, 12 x 14 x 3, in either order."""

    def __init__(self, first):
        self.first = first
        shape = (3, 12, 14) if first else (12, 14, 3)
        self.observation_space, self.action_space = spaces.Box(0, 255, shape, np.uint8), spaces.Discrete(3)

    def _obs(self):
        picture = self.np_random.integers(0, 256, (12, 14, 3), dtype=np.uint8)
        return np.moveaxis(picture, -1, 0).copy() if self.first else picture

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.length = 0
        return self._obs(), {}

    def step(self, action):
        self.length += 1
        return self._obs(), float(action), False, self.length == 7, {}


SMALL = {"n_steps": 16, "batch_size": 8, "n_epochs": 1}


@pytest.mark.parametrize(
    ("agent_class", "settings"),
    [
        (PPO, SMALL),
        (PPO, {**SMALL, "normalize": True}),
        (PPO, {**SMALL, "network": "torch"}),
        pytest.param(PPO, {**SMALL, "network": [Conv2d(3, 4, 3, stride=2), ReLU()]}, marks=pytest.mark.slow),
        pytest.param(A2C, {}, marks=pytest.mark.slow),  # the networks are PPO's
    ],
    ids=["ppo", "normalised", "torch", "layers of one's own", "a2c"],
)
def test_both_orders_give_the_same_weights_and_outputs(agent_class, settings):
    first, last = (agent_class(Pictures(order), seed=0, **settings).learn(40) for order in (True, False))
    mine, theirs = first.arrays(), last.arrays()
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 12, 14, 3), dtype=np.uint8)
    one, other = first.probe(np.moveaxis(pictures, -1, 1)), last.probe(pictures)
    assert np.array_equal(one.value, other.value)
    assert np.array_equal(one.action_probabilities, other.action_probabilities)
    assert (
        first.predict(np.moveaxis(pictures[0], -1, 0), deterministic=True)[0] == other.action_probabilities[0].argmax()
    )


def test_three_channels_first_are_no_height():
    agent = PPO(Pictures(True), seed=0, network=[Conv2d(3, 4, 3)], **SMALL)  # it takes 3 channels
    assert agent.encoder.view.picture == (12, 14, 3)


@pytest.mark.parametrize(
    ("shape", "first"),
    [((3, 36, 36), True), ((36, 36, 3), False), ((4, 84, 84), True), ((84, 84, 1), False), ((1, 84, 84), True),
     ((3, 3, 36), True), ((36, 3, 36), False), ((3, 36, 3), False), ((8, 8, 8), False)],
)  # fmt: skip
def test_channels_are_the_shortest_axis(shape, first):
    space = spaces.Box(0, 255, shape, np.uint8)
    assert channels_first(space) is first
    view = VectorView(space, "test", channels_last=True)
    obs = space.sample()
    turned = np.moveaxis(obs, 0, -1) if first else obs
    assert view.picture == turned.shape
    assert np.array_equal(view.vector(obs), np.float32(1 / 255) * turned.ravel())
    assert np.array_equal(view.vectors(obs[None])[0], view.vector(obs))
    assert (VectorView(space, "test").picture is None) == first  # features keep the environment's order
