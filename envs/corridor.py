"""Corridor: three states, in one of which left is right; with ``aliased=True`` they look alike, and chance is best."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from rlplay.extend import table_from

from .table_world import TableWorld


class CorridorEnv(TableWorld):
    """The short corridor with switched actions.

    ## Description
    Three states in a row and a goal at the right. In the second the actions are switched: right leads left. The agent
    sees in which state it is, and three steps are best. With ``aliased=True`` all states look alike, as in the book:
    then the best policy is random, right with probability 2 - √2 = 0.59, worth -11.66.

    ## Action Space
    ``Discrete(2)``: 0 left, 1 right.

    ## Observation Space
    ``Discrete(4)``: the state, 3 is the goal; ``Discrete(1)``, always 0, with ``aliased=True``.

    ## Rewards
    -1 a step.

    ## Starting State
    State 0.

    ## Episode End
    Terminated at the goal. Truncated after 1,000 steps (``max_episode_steps``): a policy that only goes left or only
    right never gets there.

    ## Arguments
    ``aliased=False``.

    ## References
    Sutton & Barto, Reinforcement Learning, 2nd edition, example 13.1.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = CorridorEnv()
        >>> env.reset(seed=0)[0], [env.step(action)[0] for action in (1, 0, 1)]  # in state 1 left leads right
        (0, [1, 2, 3])
    """

    def __init__(self, aliased: bool = False, render_mode: str | None = None, **size: int | None) -> None:
        left, right = {0: 0, 1: 2, 2: 1, 3: 3}, {0: 1, 1: 0, 2: 3, 3: 3}
        outcomes = {
            s: [[(1.0, move[s], 0.0 if s == 3 else -1.0, move[s] == 3)] for move in (left, right)] for s in range(4)
        }
        super().__init__(table_from(outcomes, np.array([1.0, 0.0, 0.0, 0.0]), 4, 2, "Corridor"), render_mode, **size)
        self.aliased = bool(aliased)
        if aliased:
            self.observation_space = gym.spaces.Discrete(1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode at the left."""
        obs, info = super().reset(seed=seed)
        return (0 if self.aliased else obs), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step."""
        obs, *rest = super().step(action)
        return (0 if self.aliased else obs), *rest  # type: ignore[return-value]

    def get_action_meanings(self) -> list[str]:
        """The names of the actions."""
        return ["left", "right"]

    def picture(self) -> Any:
        """The row of states."""
        from . import drawing as d

        labels, colours = ["0", "1 (switched)", "2", "goal"], [d.COOL, d.WARM, d.COOL, d.GOOD]
        return d.chain(labels, self.s, colours, "corridor with switched actions")
