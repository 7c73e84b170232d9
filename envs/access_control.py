"""AccessControl: let a customer use a server, or wait for a better one? A task that never ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rlplay.extend import TransitionTable, UsageError

from .table_world import TableWorld


class AccessControlEnv(TableWorld):
    """Access control to a set of servers.

    ## Description
    Customers of different priorities, all equally likely, stand in an endless queue. The first is accepted, if a
    server is free, and pays its priority, or rejected. Each busy server becomes free with probability ``p_free``
    a step.

    ## Action Space
    ``Discrete(2)``: 0 reject, 1 accept (the same as reject where no server is free).

    ## Observation Space
    ``Discrete((n_servers + 1) * len(priorities))``: free servers * len(priorities) + number of the priority.

    ## Rewards
    The priority of a customer that is accepted.

    ## Starting State
    All servers free, any customer.

    ## Episode End
    Never: the task is continuing. No time limit.

    ## Arguments
    ``n_servers=10``, ``priorities=(1, 2, 4, 8)``, ``p_free=0.06``.

    ## References
    Sutton & Barto, Reinforcement Learning, 2nd edition, example 10.2; Carlström & Nordström 1997.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = AccessControlEnv(n_servers=2)
        >>> env.reset(seed=0)[0] // 4, env.step(1)[1] in (1.0, 2.0, 4.0, 8.0)  # both servers are free
        (2, True)
    """

    def __init__(
        self, n_servers: int = 10, priorities: Sequence[float] = (1, 2, 4, 8), p_free: float = 0.06,
        render_mode: str | None = None, **size: int | None,
    ) -> None:  # fmt: skip
        if not 1 <= n_servers <= 1000 or not priorities or not 0 < p_free <= 1:
            raise UsageError(
                f"AccessControl: n_servers={n_servers}, priorities={list(priorities)}, p_free={p_free}: at least one "
                "server and priority, p_free in (0, 1]"
            )
        self.n_servers, self.priorities = int(n_servers), [float(p) for p in priorities]
        kinds = len(self.priorities)
        states, width = (n_servers + 1) * kinds, (n_servers + 1) * kinds
        probability, reward = np.zeros((states, 2, width)), np.zeros((states, 2, width))
        for free in range(n_servers + 1):
            for kind, priority in enumerate(self.priorities):
                for action in range(2):
                    taken = action == 1 and free > 0
                    left = free - taken
                    busy = n_servers - left
                    s = free * kinds + kind
                    reward[s, action] = priority if taken else 0.0
                    for freed in range(busy + 1):
                        chance = math.comb(busy, freed) * p_free**freed * (1 - p_free) ** (busy - freed)
                        first = (left + freed) * kinds
                        probability[s, action, first : first + kinds] = chance / kinds
        next_state = np.broadcast_to(np.arange(width), probability.shape).copy()
        start = np.zeros(states)
        start[n_servers * kinds :] = 1 / kinds
        terminated = np.zeros(probability.shape, np.bool_)
        super().__init__(TransitionTable.of(probability, next_state, reward, terminated, start), render_mode, **size)

    def get_action_meanings(self) -> list[str]:
        """The names of the actions."""
        return ["reject", "accept"]

    def state_grid(self, observation: Any) -> Any:
        """Priorities down, free servers across."""
        kinds = len(self.priorities)
        return np.arange(self.transition_table.n_states).reshape(-1, kinds).T

    def text(self) -> str:
        """Free servers and the customer."""
        free, kind = divmod(self.s, len(self.priorities))
        return f"{free} of {self.n_servers} servers free, customer of priority {self.priorities[kind]:g}"

    def picture(self) -> Any:
        """Servers, and the customer at the head of the queue."""
        from . import drawing as d

        free, kind = divmod(max(self.s, 0), len(self.priorities))
        rows = [
            ("busy servers", self.n_servers - free, self.n_servers, d.BAD),
            ("customer pays", round(self.priorities[kind]), round(max(self.priorities)), d.WARM),
        ]
        return d.counts(rows, self.text())
