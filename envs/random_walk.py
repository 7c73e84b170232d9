"""RandomWalk: a row of states with an end on each side, for prediction."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlplay.extend import TransitionTable, UsageError

from .table_world import TableWorld


class RandomWalkEnv(TableWorld):
    """A random walk.

    ## Description
    A row of states with an end on each side. The walk goes left or right; under the random policy each is equally
    likely, and the value of a state with one step a move is the straight line between the ends.

    ## Action Space
    ``Discrete(2)``: 0 left, 1 right. With ``reach`` above 1 the move is 1 to ``reach`` states, all equally likely;
    what leads beyond an end leads to it.

    ## Observation Space
    ``Discrete(n_states + 2)``: 0 the left end, 1 to ``n_states`` the states, ``n_states + 1`` the right end.

    ## Rewards
    ``left_reward`` on reaching the left end, ``right_reward`` on reaching the right one, 0 otherwise.

    ## Starting State
    The middle.

    ## Episode End
    Terminated at an end. No time limit.

    ## Arguments
    ``n_states=5``, ``reach=1`` (100 in the walk of 1000 states), ``left_reward`` (0 with 5 states as in example 6.2,
    else -1), ``right_reward=1``.

    ## References
    Sutton & Barto, Reinforcement Learning, 2nd edition, examples 6.2, 7.1 and 9.1.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = RandomWalkEnv()
        >>> env.reset(seed=0)[0], [env.step(1)[:2] for _ in range(3)]  # to the right end
        (3, [(4, 0.0), (5, 0.0), (6, 1.0)])
    """

    def __init__(
        self, n_states: int = 5, reach: int = 1, left_reward: float | None = None, right_reward: float = 1.0,
        render_mode: str | None = None, **size: int | None,
    ) -> None:  # fmt: skip
        if not 1 <= n_states <= 100_000 or not 1 <= reach <= n_states:
            raise UsageError(f"RandomWalk: n_states={n_states}, reach={reach}: reach goes from 1 to n_states")
        left = (0.0 if n_states == 5 else -1.0) if left_reward is None else float(left_reward)
        end = n_states + 1
        shape = (n_states + 2, 2, reach)
        here = np.arange(n_states + 2)[:, None, None]
        jump = np.arange(1, reach + 1) * np.array([-1, 1])[:, None]  # [A, K]
        next_state = np.clip(here + jump, 0, end)
        next_state[[0, end]] = here[[0, end]]
        terminated = (next_state == 0) | (next_state == end)
        reward = np.where(next_state == 0, left, np.where(next_state == end, float(right_reward), 0.0))
        reward[[0, end]] = 0.0
        start = np.zeros(n_states + 2)
        start[(n_states + 1) // 2] = 1.0
        super().__init__(
            TransitionTable.of(np.full(shape, 1 / reach), next_state, reward, terminated, start), render_mode, **size
        )

    def get_action_meanings(self) -> list[str]:
        """The names of the actions."""
        return ["left", "right"]

    def state_grid(self, observation: Any) -> Any:
        """All states in a row, or in rows of 40."""
        n = self.transition_table.n_states
        columns = min(n, 40)
        grid = np.full(-(-n // columns) * columns, -1)
        grid[:n] = np.arange(n)
        return grid.reshape(-1, columns)

    def picture(self) -> Any:
        """The row of states."""
        from . import drawing as d

        n = self.transition_table.n_states
        colours = [d.BAD, *[d.COOL] * (n - 2), d.GOOD]
        return d.chain([str(s) for s in range(n)], self.s, colours, "random walk")
