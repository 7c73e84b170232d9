"""Probe environments: worlds so small that what an agent must learn there can be said in a number.

Each asks for one thing more than the one before it, so the first that fails says where to look: the value alone, what
the value depends on, the way back in time, the choice of actions, and at last the end of an episode. Actions are
numbers, or with ``box=True`` one number from -1 to 1, of which only the sign counts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

GAMMA = 0.9
LIMIT = 10  # steps after which the endless one is truncated
LENGTH = 5  # steps after which the other stream of ones terminates


class World(NamedTuple):
    """A probe environment and what is right in it.

    Attributes:
        next_state: the state that each action leads to, [S][A]; the last state is the end.
        reward: [S][A].
        start: states in which an episode begins, all equally likely.
        values: V(s) of the best policy, discounted by `GAMMA`, of every state but the end.
        best: the best action in each of these states, where there is a choice.
        average: reward a step in the long run, where the next episode follows an end.
        limit: steps after which an episode is truncated.
    """

    next_state: list[list[int]]
    reward: list[list[float]]
    start: list[int]
    values: list[float]
    best: list[int] | None
    average: float
    limit: int | None = None


def _best(gamma: float, steps: int) -> float:
    """Of a stream of ones, so many steps long."""
    return (1 - gamma**steps) / (1 - gamma)


WORLDS = {
    "one-action": World([[1]], [[1.0]], [0], [1.0], None, 1.0),
    "observation": World([[2], [2]], [[-1.0], [1.0]], [0, 1], [-1.0, 1.0], None, 0.0),
    "two-steps": World([[1], [2]], [[0.0], [1.0]], [0], [GAMMA, 1.0], None, 0.5),
    "action": World([[1, 1]], [[-1.0, 1.0]], [0], [1.0], [1], 1.0),
    "both": World([[2, 2], [2, 2]], [[1.0, -1.0], [-1.0, 1.0]], [0, 1], [1.0, 1.0], [0, 1], 1.0),
    "truncated": World([[0]], [[1.0]], [0], [1 / (1 - GAMMA)], None, 1.0, LIMIT),
    "terminated": World(
        [[s + 1] for s in range(LENGTH)],
        [[1.0]] * LENGTH,
        [0],
        [_best(GAMMA, LENGTH - s) for s in range(LENGTH)],
        None,
        1.0,
    ),
}


class ProbeEnv(gym.Env[Any, Any]):
    """One of the worlds, with its transition table as Gymnasium's toy-text environments publish it.

    Args:
        world: its name.
        box: whether actions are a number from -1 to 1.
        continuing: whether the next episode follows in place of an end, for agents that maximise the reward a step.
    """

    def __init__(self, world: str, box: bool = False, continuing: bool = False) -> None:
        self.world, self.box, self.continuing = WORLDS[world], box, continuing
        self.end, self.n_actions = len(self.world.next_state), len(self.world.next_state[0])
        states = self.end + 1
        self.observation_space = gym.spaces.Discrete(states)
        self.action_space = gym.spaces.Box(-1, 1, (1,), np.float32) if box else gym.spaces.Discrete(self.n_actions)
        self.initial_state_distrib = np.zeros(states)
        self.initial_state_distrib[self.world.start] = 1 / len(self.world.start)
        self.s = self.end
        if not box:
            self.P = {s: {a: self.outcomes(s, a) for a in range(self.n_actions)} for s in range(states)}

    def outcomes(self, s: int, a: int) -> list[tuple[float, int, float, bool]]:
        """Probability, next state, reward and ending of what can follow; the end leads to itself."""
        if s == self.end:
            return [(1.0, s, 0.0, True)]
        following, reward = self.world.next_state[s][a], self.world.reward[s][a]
        if self.continuing and following == self.end:
            return [(1 / len(self.world.start), first, reward, False) for first in self.world.start]
        return [(1.0, following, reward, following == self.end)]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Begin in one of the first states."""
        super().reset(seed=seed)
        self.s = int(np.argmax(np.cumsum(self.initial_state_distrib) > self.np_random.random()))
        return self.s, {}

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """One step."""
        found = self.outcomes(self.s, min(int(action[0] > 0), self.n_actions - 1) if self.box else int(action))
        cumulative = np.cumsum([outcome[0] for outcome in found])
        _, self.s, reward, terminated = found[int(np.argmax(cumulative > self.np_random.random()))]
        return self.s, reward, terminated, False, {}


def probe_id(world: str, kind: str = "") -> str:
    """The id of a world: with numbered actions, ``Box`` or ``Continuing``."""
    return f"probe/{world}{kind}-v0"


for _name, _world in WORLDS.items():
    for _kind in ("", "Box", "Continuing"):
        _kwargs = {"world": _name, **({_kind.lower(): True} if _kind else {})}
        _limit = None if _kind == "Continuing" else _world.limit
        gym.register(probe_id(_name, _kind), ProbeEnv, max_episode_steps=_limit, kwargs=_kwargs)
