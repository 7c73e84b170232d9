"""Between two runs somebody plays in an agent's environment: its episode is given up, and that is said."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest

from agents import DQN, SAC, LinearSarsa, QLearning
from agents.sb3 import DQN as SB3_DQN
from rlplay import interact
from rlplay.errors import RlplayWarning

SMALL = {"buffer_size": 200, "batch_size": 8, "seed": 0}
pytestmark = pytest.mark.filterwarnings("ignore:.*learned nothing")


class Counted(gym.Env):
    """Shows which episode it is, and the step in it."""

    observation_space = gym.spaces.Box(0, 1e6, (2,))
    action_space = gym.spaces.Discrete(2)
    episodes = 0

    def _show(self):
        return np.array([self.episodes, self.length], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episodes, self.length = self.episodes + 1, 0
        return self._show(), {}

    def step(self, action):
        self.length += 1
        return self._show(), 1.0, False, self.length >= 10, {}


AGENTS = {
    "table": lambda: QLearning("Taxi-v4", seed=0),
    "native": lambda: LinearSarsa("MountainCar-v0", seed=0),
    "native, networks": lambda: SAC("Pendulum-v1", n_envs=2, **SMALL),
    "Python": lambda: DQN(Counted(), **SMALL),
    "wrapped": lambda: QLearning(gym.wrappers.TransformReward(gym.make("Taxi-v4"), float), seed=0),
    "sb3": lambda: SB3_DQN(Counted(), **SMALL),
}


@pytest.mark.filterwarnings("ignore:.*is stepped in Python")
@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("steps", [None, 0, 3], ids=["left alone", "reset", "stepped"])
def test_an_episode_that_somebody_else_went_on_with_is_given_up(name, steps, monkeypatch):
    monkeypatch.setattr("rlplay.errors._said_once", set())
    agent = AGENTS[name]().learn(26)
    n_envs = len(agent.running_envs())
    length = agent.position.length
    if steps is None:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".*was reset or stepped")
            agent.learn(2 * n_envs, reset_num_timesteps=False)
        assert agent.position.length == length + 2
        return
    agent.env.reset()
    for _ in range(steps):
        agent.env.step(agent.env.action_space.sample())
    with pytest.warns(
        RlplayWarning, match="was reset or stepped since .* last learned in it: that episode is given up"
    ):
        agent.learn(2 * n_envs, reset_num_timesteps=False)
    assert agent.position.length == 2


def test_what_a_users_own_loop_goes_on_with_is_the_agents_own():
    agent = QLearning("Taxi-v4", seed=0).learn(26)
    steps = interact(agent.env, agent.act, lambda: 7, agent.position)
    for _ in range(2):
        next(steps)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*was reset or stepped")
        agent.learn(2, reset_num_timesteps=False)


def test_a_parameter_that_is_changed_between_two_runs_gives_up_nothing():
    world = Counted()
    world.difficulty = 1
    agent = DQN(world, **SMALL).learn(26)
    world.difficulty = 2
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*was reset or stepped")
        agent.learn(2, reset_num_timesteps=False)
