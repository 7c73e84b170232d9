"""Gambler: stake capital on coin flips until the goal or ruin."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlplay.extend import TransitionTable, UsageError

from .table_world import MaskedTableWorld


class GamblerEnv(MaskedTableWorld):
    """The gambler's problem.

    ## Description
    A gambler stakes a part of the capital on a coin: heads wins as much, tails loses it.

    ## Action Space
    ``Discrete(goal // 2 + 1)``: the stake. Of a capital s only 1 to min(s, goal - s) may be staked:
    ``info["action_mask"]`` and ``action_masks()`` say so. Another stake counts as the nearest of these.

    ## Observation Space
    ``Discrete(goal + 1)``: the capital.

    ## Rewards
    1 on reaching the goal, 0 otherwise: the value of a capital is the probability to reach the goal from it.

    ## Starting State
    Any capital from 1 to goal - 1, all equally likely.

    ## Episode End
    Terminated at the goal or at 0.

    ## Arguments
    ``p_heads=0.4``, ``goal=100``.

    ## References
    Sutton & Barto, Reinforcement Learning, 2nd edition, example 4.3.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = GamblerEnv(goal=4)
        >>> capital, info = env.reset(seed=0)
        >>> int(info["action_mask"].sum()) == min(capital, 4 - capital)  # the stakes that may be taken
        True
    """

    def __init__(
        self, p_heads: float = 0.4, goal: int = 100, render_mode: str | None = None, **size: int | None
    ) -> None:
        if not 0 <= p_heads <= 1 or not 2 <= goal <= 10_000:
            raise UsageError(f"Gambler: p_heads={p_heads}, goal={goal}: p_heads in [0, 1], goal from 2 to 10000")
        self.goal = int(goal)
        capital, stake = np.arange(goal + 1)[:, None], np.arange(goal // 2 + 1)
        masks = (stake >= 1) & (stake <= np.minimum(capital, goal - capital))
        masks[[0, goal], 0] = True  # at an end there is nothing to stake
        most = np.minimum(capital, goal - capital)  # 0 at an end
        stake = np.clip(stake, np.minimum(1, most), most)
        next_state = np.stack([capital + stake, capital - stake], axis=2)  # [S, A, K]
        reward = (next_state == goal).astype(float)
        terminated = (next_state == goal) | (next_state == 0)
        reward[[0, goal]] = 0.0
        probability = np.broadcast_to([p_heads, 1 - p_heads], next_state.shape)
        start = np.full(goal + 1, 1 / (goal - 1))
        start[[0, goal]] = 0.0
        super().__init__(
            TransitionTable.of(probability, next_state, reward, terminated, start, masks), render_mode, **size
        )

    def get_action_meanings(self) -> list[str]:
        """The stakes."""
        return [str(stake) for stake in range(self.transition_table.n_actions)]

    def picture(self) -> Any:
        """The capital on its way to the goal."""
        from . import drawing as d

        note = f"capital {self.s}" + (f", staked {self.last_action}" if self.last_action is not None else "")
        return d.chain([str(s) for s in range(self.goal + 1)], self.s, [d.COOL] * (self.goal + 1), note)
