"""The leaves that table agents share: one equation, one pure function.

``q`` is a table of action values, shape [S, A], float64. Functions take the table and a state, never a row: a view of
a row costs more in compiled code than the loop over it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.compiled.pcg64 import random


@compiled
def greatest(q: NDArray[np.float64], s: int) -> float:
    """max_a q(s, a)."""
    best = q[s, 0]
    for a in range(1, q.shape[1]):
        best = max(best, q[s, a])
    return best


@compiled
def greedy(q: NDArray[np.float64], s: int, rng: NDArray[np.uint64]) -> int:
    """argmax_a q(s, a), ties broken at random."""
    best, action, ties = q[s, 0], 0, 1
    for a in range(1, q.shape[1]):
        if q[s, a] > best:
            best, action, ties = q[s, a], a, 1
        elif q[s, a] == best:
            ties += 1
    if ties > 1:
        skip = int(random(rng) * ties)
        for a in range(q.shape[1]):
            if q[s, a] == best:
                if skip == 0:
                    return a
                skip -= 1
    return action


@compiled
def epsilon_greedy(q: NDArray[np.float64], s: int, epsilon: float, rng: NDArray[np.uint64]) -> int:
    """A random action with probability ε, else a greedy one (Sutton & Barto 2e, section 2.2)."""
    if random(rng) < epsilon:
        return int(random(rng) * q.shape[1])
    return greedy(q, s, rng)


@compiled
def expected_value(q: NDArray[np.float64], s: int, epsilon: float) -> float:
    """Σ_a π(a|s) q(s, a) for the ε-greedy policy π; ties share, which leaves the sum the same."""
    total = 0.0
    for a in range(q.shape[1]):
        total += q[s, a]
    return epsilon * total / q.shape[1] + (1.0 - epsilon) * greatest(q, s)


def epsilon_greedy_probabilities(q: NDArray[np.float64], epsilon: float) -> NDArray[np.float64]:
    """π(a|s) of the ε-greedy policy; greedy actions share.

    Args:
        q: action values, shape [B, A].
        epsilon: probability of a random action.

    Returns:
        Probabilities, shape [B, A].
    """
    best = q == q.max(axis=1, keepdims=True)  # [B, A]
    return epsilon / q.shape[1] + (1.0 - epsilon) * best / best.sum(axis=1, keepdims=True)
