"""What users bring, over every registered agent: wrapped, masked, picture, Dict and odd-space environments.

`row` tries one agent in all of them. The rows stand in ``docs/what_users_bring.md``, which
``python -m tests.contract.matrix`` writes and ``tests/contract/test_spaces.py`` holds.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rlplay import evaluate, registry
from rlplay.errors import UsageError
from tests.contract.worlds import MASKS, Masked, MaskedStates

PAGE = Path(__file__).parents[2] / "docs" / "what_users_bring.md"
BOX_ACTIONS = ("ddpg", "iql", "td3-bc", "sac", "td3", "tqc", "sb3/sac", "sb3/td3", "sb3/ddpg")

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
SCORES_NOTHING = {"n_eval_episodes": 0}
LATER = (
    "behavior-cloning",
    "dagger",
    "mcts",
    "cql",
    "discrete-bcq",
    "discrete-iql",
    "iql",
    "td3-bc",
)  # need more than the environment to learn


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
    given = {"policy": "random"} if agent_id in PREDICTORS else SCORES_NOTHING if agent_id == "fitted-q" else {}
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


class Plain(World):
    """A world that needs no arguments, so that it can be made again."""

    def __init__(self):
        super().__init__(spaces.Discrete(4), spaces.Discrete(3))


class PlainBox(World):
    """The same with a Box of actions and of observations."""

    def __init__(self):
        super().__init__(spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (2,)))


class Ten(gym.RewardWrapper):
    """Ten times the reward; it can be made again."""

    def reward(self, reward):
        return 10 * reward


class Times(gym.RewardWrapper):
    """So many times the reward; nobody knows how many."""

    def __init__(self, env, factor):
        super().__init__(env)
        self.factor = factor

    def reward(self, reward):
        return self.factor * reward


def wrapped(agent_id):
    """``yes`` where `evaluate` plays in the wrapped world and refuses the one that cannot be made again by name."""
    world = PlainBox if agent_id in BOX_ACTIONS else Plain
    given = {"policy": "random"} if agent_id in PREDICTORS else {}
    try:
        agent = registry.agent_class(agent_id)(Ten(world()), seed=0, **given)
    except UsageError:
        return "no"
    assert evaluate(agent, n_eval_episodes=2).mean == 70.0, "evaluated in another world"
    try:
        evaluate(registry.agent_class(agent_id)(Times(world(), 10), seed=0, **given))
    except UsageError as error:
        named = "Times" in str(error)
    else:
        named = False
    assert named, "a world that cannot be made again was evaluated, or refused without a name"
    return "yes"


def masks(agent_id):
    """``yes``, ``predict`` where it learns without them and says so, ``no`` where it refuses these worlds."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for world in (Masked, MaskedStates):
            given = {"policy": "random"} if agent_id in PREDICTORS else {}
            try:
                registry.agent_class(agent_id)(MASKS["method"](world), seed=0, **given)
            except UsageError:
                continue
            return "predict" if any("action masks" in str(one.message) for one in seen) else "yes"
    return "no"


def row(agent_id):
    """What an agent does in each world, by the names of the columns."""
    plain = spaces.Box(-1, 1, (2,)) if agent_id in BOX_ACTIONS else spaces.Discrete(3)
    found = {"wrapped": wrapped(agent_id), "masks": masks(agent_id)}
    found |= {f"sees {name}": "yes" if works(agent_id, World(o, plain)) else "no" for name, o in OBSERVATIONS.items()}
    states = spaces.Discrete(4)
    return found | {
        f"does {name}": "yes" if works(agent_id, World(states, actions)) else "no" for name, actions in ACTIONS.items()
    }


def written_rows():
    """The rows of the page, by agent."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    names, rows = cells[0][1:], cells[2:]
    return {one[0].strip("`"): dict(zip(names, one[1:], strict=True)) for one in rows}


INTRODUCTION = """# What you bring

Every agent was tried in small environments of each kind below: it learns there, or refuses them in one line that names
the space and what fits. `python -m tests.contract.matrix` writes this page, and the tests hold every row.

- **wrapped**: an environment given as an instance is made again whole, with its wrappers, for evaluations and further
  environments; where that cannot be, it is refused by naming the wrapper (a function that makes it is the way out).
  A wrapper sees every step: [native code](environments.md#your-own-environment-wrapped-or-masked) takes the place of an
  instance only where its wrappers limit or check and nothing else.
- **masks**: what `action_masks()` or `info["action_mask"]` forbids is never done. `predict`: the agent learns without
  masks, says so when it is made, and keeps to them in predictions and evaluations.
- **sees**, **does**: spaces of observations and of actions.

A teacher is asked for only when behaviour cloning and DAgger learn, a copy of the environment when tree search does, a
data set when offline agents do.

"""


def main():
    """Write the page."""
    found = {agent_id: row(agent_id) for agent_id in registry.agent_ids()}
    names = list(next(iter(found.values())))
    lines = [f"| agent | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| `{agent_id}` | {' | '.join(one[name] for name in names)} |" for agent_id, one in found.items()]
    PAGE.write_text(INTRODUCTION + "\n".join(lines) + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
