"""What authors of agents and environments stumble over: each is done right, or said in one line."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from rlplay.environments.make import time_limit
from rlplay.errors import UnknownNameError, UsageError
from rlplay.extend import ControlAgent, ControlMemory, LearningRule, NativeDynamics, NativeEnv, in_place, register


@in_place
def reset(parameters, state, rng):
    state[0] = 0.0


@in_place
def step(parameters, state, action, rng):
    return 1.0, False


@in_place
def observe(parameters, state, obs):
    obs[0] = state[0]


class Still(NativeEnv):
    """Nothing ever happens."""

    dynamics, state_size = NativeDynamics(reset, step, observe), 1
    max_episode_steps = 7
    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)


@pytest.mark.parametrize("wrap", [lambda env: env, gym.wrappers.OrderEnforcing])
def test_a_native_environment_keeps_its_own_time_limit(wrap):
    env = wrap(Still())
    assert time_limit(env) == 7
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(7)] == [False] * 6 + [True]


def act(memory, s, progress):
    return 0


def learn(memory, s, a, r, s_next, a_next, terminated, truncated, progress):
    memory.q[s, a] += 1.0
    return 0.0


class Counting(ControlAgent):
    """Counts its steps, in plain Python."""

    id = "counting"
    rule = LearningRule(act, learn)


def test_a_rule_in_plain_python_runs_step_by_step():
    agent = Counting("FrozenLake-v1", seed=0)
    assert "decorate its functions with @in_place" in agent.why_not_compiled()
    assert agent.learn(50).q.sum() == 50
    with pytest.raises(UsageError, match="@in_place"):
        agent.learn(10, engine="compiled")


def test_a_rate_is_made_once():
    class Again(Counting):
        def setup(self):
            super().setup()
            self.memory = ControlMemory(self.q, self.rate("alpha"), self.gamma, self.rate("epsilon"), self.rng)

    agent = Again("FrozenLake-v1", epsilon="1/n", alpha="1/n", seed=0)
    assert agent.memory.epsilon is agent.exploration  # what it acts by is what the probe shows
    assert agent.memory.alpha[1] is agent.tables["alpha_visits"]
    with pytest.raises(UnknownNameError, match="alfa.*alpha"):
        agent.rate("alfa")


def test_an_agent_without_an_id_is_not_registered():
    class Nameless(ControlAgent):
        """Its files could not be loaded."""

    with pytest.raises(UsageError, match="has no id"):
        register("nameless", Nameless)
