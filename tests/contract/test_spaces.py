"""Every registered agent in environments with pictures and odd spaces: it learns there, or says in one line why not."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rlplay import registry
from rlplay.errors import UsageError

OBSERVATIONS = {
    "picture": spaces.Box(0, 255, (36, 36, 3), np.uint8),
    "picture, channels first": spaces.Box(0, 255, (3, 36, 36), np.uint8),
    "small picture": spaces.Box(0, 255, (7, 7, 3), np.uint8),
    "text in a Dict": spaces.Dict(
        image=spaces.Box(0, 255, (7, 7, 3), np.uint8), direction=spaces.Discrete(4), mission=spaces.Text(9)
    ),
    "Text": spaces.Text(9),
    "nested Dict": spaces.Dict(a=spaces.Dict(b=spaces.Discrete(3)), c=spaces.Box(-1, 1, (2,))),
    "Tuple": spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,))]),
    "Discrete from 1": spaces.Discrete(5, start=1),
    "MultiDiscrete from 1": spaces.MultiDiscrete([3, 4], start=[1, 1]),
    "Sequence": spaces.Sequence(spaces.Discrete(3)),
}
ACTIONS = {
    "Discrete from 1": spaces.Discrete(3, start=1),
    "MultiDiscrete from 1": spaces.MultiDiscrete([2, 2], start=[1, 1]),
    "Tuple": spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (1,))]),
    "Dict": spaces.Dict(a=spaces.Discrete(2)),
    "Text": spaces.Text(3),
}
PREDICTORS = ("td-prediction", "gradient-td", "emphatic-td", "lstd", "off-policy-monte-carlo", "policy-evaluation")
LATER = ("behavior-cloning", "dagger", "mcts")  # a teacher, a copy of the environment: asked for when they learn


class World(gym.Env):
    """Any spaces; it insists on actions of its own."""

    def __init__(self, observations, actions):
        self.observation_space, self.action_space = copy.deepcopy(observations), copy.deepcopy(actions)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        self.length = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        self.length += 1
        return self.observation_space.sample(), 1.0, False, self.length == 7, {}


def works(agent_id, env):
    """Whether an agent learns and acts in an environment; what it refuses, it refuses before it learns."""
    given = {"policy": "random"} if agent_id in PREDICTORS else {}
    try:
        agent = registry.agent_class(agent_id)(env, seed=0, **given)
    except UsageError as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        assert refusal.cause
        assert "\n" not in str(refusal)
        assert len(str(refusal)) < 500
        return False
    if agent_id not in LATER:
        agent.learn(12)
        action, _ = agent.predict(env.reset(seed=0)[0])
        assert env.action_space.contains(action)
    return True


@pytest.mark.filterwarnings("ignore:.*learns for the first time after")
@pytest.mark.parametrize("agent_id", registry.agent_ids())
def test_spaces_are_taken_or_refused_by_name(agent_id):
    box = agent_id in ("sb3/sac", "sb3/td3", "sb3/ddpg")
    plain = spaces.Box(-1, 1, (2,)) if box else spaces.Discrete(3)
    fit = {name for name, space in OBSERVATIONS.items() if works(agent_id, World(space, plain))}
    assert not fit & {"Text", "Sequence"} or agent_id in LATER
    fit_actions = {name for name, space in ACTIONS.items() if works(agent_id, World(spaces.Discrete(4), space))}
    assert not fit_actions & {"Text", "Tuple"}
