"""Every agent named in the remedy of a refused action space does take that space."""

from __future__ import annotations

import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rlplay import registry
from rlplay.errors import RlplayError, SpaceError

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
ACTIONS = {
    "discrete": spaces.Discrete(3),
    "several": spaces.MultiDiscrete([2, 3]),
    "bits": spaces.MultiBinary(3),
    "box": BOX,
    "unbounded": spaces.Box(-np.inf, np.inf, (2,), np.float32),
    "tuple": spaces.Tuple((spaces.Discrete(2), BOX)),
    "dict": spaces.Dict(gear=spaces.Discrete(2), rest=spaces.Tuple((BOX, spaces.MultiBinary(2)))),
    "text": spaces.Text(3),
    "sequence": spaces.Sequence(BOX),
    "with text": spaces.Tuple((BOX, spaces.Text(3))),
    "with a sequence": spaces.Dict(inner=spaces.Tuple((BOX, spaces.Sequence(BOX)))),
}


class World(gym.Env):
    def __init__(self, actions, observations=BOX):
        self.action_space, self.observation_space = actions, observations

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, True, False, {}


def refusal(agent_id, actions):
    """Why an agent does not take actions; None where it does, or where what it refuses is something else."""
    found = None
    for observations in (BOX, spaces.Discrete(4)):
        try:
            registry.agent_class(agent_id)(World(actions, observations), seed=0)
            return None
        except SpaceError as error:
            found = found or (error if "actions" in error.cause else None)
        except RlplayError:
            continue
    return found


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ACTIONS)
def test_agents_named_as_the_way_out_take_the_actions(kind):
    actions, ids = ACTIONS[kind], {re.sub(r"\W", "", name.lower()): name for name in registry.agent_ids()}
    named = set()
    for agent_id in registry.agent_ids():
        if (error := refusal(agent_id, actions)) is None:
            continue
        assert error.remedy, f"{agent_id}: {error}"
        library = "sb3/" if agent_id.startswith("sb3/") else ""
        words = re.findall(r"\b[A-Z][A-Za-z0-9]+\b", error.remedy.split("wrap")[0])
        named |= {library + word.lower() for word in words if library + word.lower() in {*ids.values()}}
    assert (named != set()) == (kind not in ("text", "sequence", "with text", "with a sequence"))
    for agent_id in sorted(named):
        assert refusal(agent_id, actions) is None, agent_id
