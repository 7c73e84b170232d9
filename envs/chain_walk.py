"""ChainWalk: a row of states in which moves sometimes go the other way; the test bed of least-squares methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlplay.extend import TransitionTable, UsageError

from .table_world import TableWorld


class ChainWalkEnv(TableWorld):
    """A chain of states with unreliable moves.

    ## Description
    A row of states. A move succeeds with probability ``success``, and otherwise goes the other way; at the ends it
    stays. The reward is that of the state that is left.

    ## Action Space
    ``Discrete(2)``: 0 left, 1 right.

    ## Observation Space
    ``Discrete(n_states)``: the place from the left.

    ## Rewards
    1 in the states ``rewarded``, 0 elsewhere.

    ## Starting State
    Any, all equally likely.

    ## Episode End
    Never terminated. Truncated after 1,000 steps (``max_episode_steps``).

    ## Arguments
    ``n_states=4``, ``rewarded``: by default the two middle states of 4, states 9 and 40 of 50, else both ends;
    ``success=0.9``.

    ## References
    Koller & Parr 2000; Lagoudakis & Parr 2003, "Least-Squares Policy Iteration", JMLR 4, section 9.1 (states counted
    from 1 there).

    ## Version History
    * v0: first version.

    ## Example
        >>> env = ChainWalkEnv(success=1.0)
        >>> start, _ = env.reset(seed=0)
        >>> env.step(1)[0] == min(start + 1, 3)
        True
    """

    def __init__(
        self, n_states: int = 4, rewarded: Sequence[int] | None = None, success: float = 0.9,
        render_mode: str | None = None, **size: int | None,
    ) -> None:  # fmt: skip
        if not 2 <= n_states <= 1_000_000 or not 0 <= success <= 1:
            raise UsageError(f"ChainWalk: n_states={n_states}, success={success}: at least 2 states, success in [0, 1]")
        if rewarded is None:
            rewarded = {4: (1, 2), 50: (9, 40)}.get(n_states, (0, n_states - 1))
        self.rewarded = sorted(int(s) for s in rewarded)
        if not all(0 <= s < n_states for s in self.rewarded):
            raise UsageError(f"ChainWalk: rewarded={list(rewarded)} are not all states of 0 to {n_states - 1}")
        here = np.arange(n_states)
        next_state = np.stack([[np.maximum(here - 1, 0), np.minimum(here + 1, n_states - 1)]] * 2)  # [A, K, S]
        next_state = np.moveaxis(next_state, 2, 0).copy()  # [S, A, K]
        probability = np.broadcast_to([[success, 1 - success], [1 - success, success]], next_state.shape).copy()
        reward = np.zeros(next_state.shape)
        reward[self.rewarded] = 1.0
        start = np.full(n_states, 1 / n_states)
        table = TransitionTable.of(probability, next_state, reward, np.zeros(next_state.shape, np.bool_), start)
        super().__init__(table, render_mode, **size)

    def get_action_meanings(self) -> list[str]:
        """The names of the actions."""
        return ["left", "right"]

    def state_grid(self, observation: Any) -> Any:
        """All states in a row."""
        return np.arange(self.transition_table.n_states)[None]

    def picture(self) -> Any:
        """The row of states."""
        from . import drawing as d

        n = self.transition_table.n_states
        colours = [d.GOOD if s in self.rewarded else d.COOL for s in range(n)]
        return d.chain([str(s) for s in range(n)], self.s, colours, "chain walk")
