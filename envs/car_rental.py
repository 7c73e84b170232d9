"""CarRental: where should the cars stand tomorrow? Two places, and a night to move cars between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import TransitionTable, UsageError

from .table_world import MaskedTableWorld

_REQUESTS, _RETURNS = (3, 4), (3, 2)
_RENT, _MOST_MOVED = 10.0, 5


class CarRentalEnv(MaskedTableWorld):
    """Jack's car rental.

    ## Description
    Two places rent cars. Each day requests and returns come by Poisson numbers (3 and 4 requests, 3 and 2 returns
    expected); a car that is returned can be rented the day after. At night cars may be moved between the places; those
    above ``max_cars`` go back to the company.

    ## Action Space
    ``Discrete(11)``: cars moved from the first place to the second, minus 5: 0 moves five cars back, 5 moves none.
    Only cars that are there may be moved: ``info["action_mask"]`` and ``action_masks()`` say so. Of more, those are
    moved that are there.

    ## Observation Space
    ``Discrete((max_cars + 1) ** 2)``: cars at the first place * (max_cars + 1) + cars at the second, in the evening.

    ## Rewards
    10 a car rented, less ``move_cost`` a car moved. The income of a day is its mean given the cars that are left in the
    evening, so that the table is exact and values are those of the book.

    ## Starting State
    Any, all equally likely.

    ## Episode End
    Never terminated. Truncated after 1,000 days (``max_episode_steps``).

    ## Arguments
    ``max_cars=20``, ``move_cost=2``.

    ## References
    Sutton & Barto, Reinforcement Learning, 2nd edition, example 4.2.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = CarRentalEnv(max_cars=2)
        >>> env.observation_space, env.action_space
        (Discrete(9), Discrete(11))
    """

    def __init__(
        self, max_cars: int = 20, move_cost: float = 2.0, render_mode: str | None = None, **size: int | None
    ) -> None:
        if not 1 <= max_cars <= 30:
            raise UsageError(f"CarRental: max_cars={max_cars} is not from 1 to 30")
        self.max_cars = int(max_cars)
        n = max_cars + 1
        days = [_day(max_cars, *rates) for rates in zip(_REQUESTS, _RETURNS, strict=True)]
        actions = 2 * _MOST_MOVED + 1
        probability, reward = np.zeros((n * n, actions, n * n)), np.zeros((n * n, actions, n * n))
        masks = np.zeros((n * n, actions), np.bool_)
        for first in range(n):
            for second in range(n):
                for action in range(actions):
                    moved, s = action - _MOST_MOVED, first * n + second
                    masks[s, action] = -second <= moved <= first
                    moved = min(max(moved, -second), first)
                    morning = min(first - moved, max_cars), min(second + moved, max_cars)
                    (p1, income1), (p2, income2) = (
                        (day[0][m], day[1][m]) for day, m in zip(days, morning, strict=True)
                    )
                    probability[s, action] = np.outer(p1, p2).ravel()
                    reward[s, action] = np.add.outer(income1, income2).ravel() - move_cost * abs(moved)
        next_state = np.broadcast_to(np.arange(n * n), probability.shape)
        start = np.full(n * n, 1 / (n * n))
        terminated = np.zeros(probability.shape, np.bool_)
        super().__init__(
            TransitionTable.of(probability, next_state.copy(), reward, terminated, start, masks), render_mode, **size
        )

    def get_action_meanings(self) -> list[str]:
        """Cars moved from the first place to the second."""
        return [f"{moved:+d}" for moved in range(-_MOST_MOVED, _MOST_MOVED + 1)]

    def state_grid(self, observation: Any) -> Any:
        """Cars at the first place upwards, at the second across, as in the book's figure."""
        n = self.max_cars + 1
        return np.arange(n * n).reshape(n, n)[::-1]

    def text(self) -> str:
        """Cars at both places."""
        first, second = divmod(self.s, self.max_cars + 1)
        return f"{first} cars at the first place, {second} at the second"

    def picture(self) -> Any:
        """The cars at both places."""
        from . import drawing as d

        first, second = divmod(max(self.s, 0), self.max_cars + 1)
        rows = [("first place", first, self.max_cars, d.GOOD), ("second place", second, self.max_cars, d.WARM)]
        moved = "" if self.last_action is None else f"{self.last_action - _MOST_MOVED:+d} moved last night"
        return d.counts(rows, moved or "car rental")


def _poisson(mean: float, most: int) -> NDArray[np.float64]:
    """Probabilities of 0 to ``most``, the last one of that or more."""
    p = np.array([math.exp(-mean) * mean**k / math.factorial(k) for k in range(most + 1)])
    p[most] = 1 - p[:most].sum()
    return p


def _day(most: int, requests: float, returns: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each number of cars in the morning: the law of cars in the evening, and the mean income given them [n, n]."""
    n = most + 1
    law, income = np.zeros((n, n)), np.zeros((n, n))
    back = _poisson(returns, 60)
    for morning in range(n):
        for rented, p_rented in enumerate(_poisson(requests, morning) if morning else np.ones(1)):
            for returned, p_returned in enumerate(back):
                evening = min(morning - rented + returned, most)
                law[morning, evening] += p_rented * p_returned
                income[morning, evening] += p_rented * p_returned * _RENT * rented
    return law, income / np.maximum(law, 1e-300)
