"""The transition table of Gymnasium's Blackjack-v1 (infinite deck), where its observations tell its states.

With ``sab=True`` or ``natural=True`` a blackjack of two cards pays otherwise than 21 of more, which an observation does
not tell: then there is no table.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import TransitionTable

CARDS = dict.fromkeys(range(1, 10), 1 / 13) | {10: 4 / 13}
STICK, HIT = 0, 1
_SUMS, _DEALER, _ACE = 32, 11, 2  # sizes of the observation: sum, dealer's card, usable ace


def number(total: int, dealer: int, usable: bool) -> int:
    """The number of an observation."""
    return (total * _DEALER + dealer) * _ACE + int(usable)


def draw(total: int, usable: bool, card: int) -> tuple[int, bool]:
    """Sum and usable ace after one more card."""
    hard = total - 10 * usable + card
    has_ace = usable or card == 1
    return (hard + 10, True) if has_ace and hard + 10 <= 21 else (hard, False)


@cache
def dealer_law(total: int, usable: bool) -> tuple[float, ...]:
    """Probabilities that the dealer, who hits below 17, ends with 17 to 21, or goes bust (last)."""
    if total >= 17:
        return tuple(float(k == (total - 17 if total <= 21 else 5)) for k in range(6))
    law = np.zeros(6)
    for card, p in CARDS.items():
        law += p * np.array(dealer_law(*draw(total, usable, card)))
    return tuple(law.tolist())


def first_cards() -> dict[tuple[int, int, bool], float]:
    """Probability of each first observation: two cards for the player, one of the dealer's is seen."""
    law: dict[tuple[int, int, bool], float] = {}
    for first, p1 in CARDS.items():
        for second, p2 in CARDS.items():
            total, usable = draw(*draw(0, False, first), second)
            for dealer, p3 in CARDS.items():
                key = (total, dealer, usable)
                law[key] = law.get(key, 0.0) + p1 * p2 * p3
    return law


def standing(total: int, dealer: int) -> tuple[float, float, float]:
    """Probabilities to win, draw and lose when sticking."""
    law = np.array(dealer_law(*draw(0, False, dealer)))
    values = np.array([17, 18, 19, 20, 21, 0])
    if total > 21:
        return 0.0, 0.0, 1.0
    return float(law[values < total].sum()), float(law[values == total].sum()), float(law[values > total].sum())


def table(env: Any) -> TransitionTable | None:
    """The table of an instance of Blackjack-v1, or None where its observations do not show its rules."""
    return _plain_table() if not (env.sab or env.natural) else None


@cache
def _plain_table() -> TransitionTable:
    states = _SUMS * _DEALER * _ACE
    shape = (states, 2, 10)
    probability, reward = np.zeros(shape), np.zeros(shape)
    next_state = np.broadcast_to(np.arange(states)[:, None, None], shape).copy()
    terminated = np.ones(shape, np.bool_)
    probability[:, :, 0] = 1.0
    for total in range(4, 22):
        for dealer in CARDS:
            for usable in (False, True):
                if usable and total < 12:
                    continue
                s = number(total, dealer, usable)
                probability[s, STICK, :3], reward[s, STICK, :3] = standing(total, dealer), (1.0, 0.0, -1.0)
                for k, (card, p) in enumerate(CARDS.items()):
                    after, still_usable = draw(total, usable, card)
                    probability[s, HIT, k] = p
                    next_state[s, HIT, k] = number(after, dealer, still_usable)
                    reward[s, HIT, k], terminated[s, HIT, k] = (-1.0, True) if after > 21 else (0.0, False)
    start: NDArray[np.float64] = np.zeros(states)
    for key, p in first_cards().items():
        start[number(*key)] = p
    return TransitionTable.of(probability, next_state, reward, terminated, start)


def stick_on_20(observation: tuple[int, int, int]) -> int:
    """The policy of Sutton & Barto's example 5.1: stick on 20 or 21, else hit."""
    return STICK if observation[0] >= 20 else HIT
