"""Policies over a table of action values: greedy, ε-greedy, and drawn from probabilities.

``q`` is a table of action values, shape [S, A], float64. Functions take the table and a state, never a row: a view of
a row costs more in compiled code than the loop over it. An action that may not be taken (an action mask) has the value
-∞ in every table: then no greedy policy takes it, no maximum sees it, and compiled code needs no mask.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import random
from rlplay.functional.schedules import visited


@in_place
def greatest(q: NDArray[np.float64], s: int) -> float:
    """max_a q(s, a).

    Example:
        >>> greatest(np.array([[1.0, 3.0, 2.0]]), 0)
        3.0
    """
    best = q[s, 0]
    for a in range(1, q.shape[1]):
        best = max(best, q[s, a])
    return best


@in_place
def greedy(q: NDArray[np.float64], s: int, rng: NDArray[np.uint64]) -> int:
    """argmax_a q(s, a), ties broken at random.

    Example:
        >>> rng = np.arange(1, 5, dtype=np.uint64)
        >>> greedy(np.array([[1.0, 3.0, 2.0]]), 0, rng)
        1
    """
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


@in_place
def random_action(q: NDArray[np.float64], s: int, rng: NDArray[np.uint64]) -> int:
    """An action that may be taken, all equally likely.

    Example:
        >>> rng = np.arange(1, 5, dtype=np.uint64)
        >>> random_action(np.array([[-np.inf, 3.0, -np.inf]]), 0, rng)  # the only one that may be taken
        1
    """
    action = int(random(rng) * q.shape[1])
    while q[s, action] == -math.inf:
        action = int(random(rng) * q.shape[1])
    return action


@in_place
def epsilon_greedy(q: NDArray[np.float64], s: int, epsilon: float, rng: NDArray[np.uint64]) -> int:
    """A random action with probability ε, else a greedy one (Sutton & Barto 2e, section 2.2).

    Example:
        >>> rng = np.arange(1, 5, dtype=np.uint64)
        >>> epsilon_greedy(np.array([[1.0, 3.0, 2.0]]), 0, 0.0, rng)
        1
    """
    if random(rng) < epsilon:
        return random_action(q, s, rng)
    return greedy(q, s, rng)


@in_place
def best_action(q: NDArray[np.float32], row: int) -> int:
    """argmax_a q(row, a), the first among equals.

    Example:
        >>> best_action(np.float32([[1, 3, 3]]), 0)
        1
    """
    best = 0
    for a in range(1, q.shape[1]):
        if q[row, a] > q[row, best]:
            best = a
    return best


@in_place
def exploration(fraction: float, initial: float, final: float, progress: float) -> float:
    """ε: a line from its initial to its final value within a fraction of training.

    Example:
        >>> [exploration(0.5, 1.0, 0.2, progress) for progress in (0.0, 0.25, 0.5, 1.0)]
        [1.0, 0.6, 0.2, 0.2]
    """
    return final if progress >= fraction else initial + (final - initial) * progress / fraction


@in_place
def expected_value(q: NDArray[np.float64], s: int, epsilon: float) -> float:
    """Σ_a π(a|s) q(s, a) for the ε-greedy policy π; ties share, which leaves the sum the same.

    Example:
        >>> expected_value(np.array([[1.0, 3.0]]), 0, 0.5)  # 0.5 · mean 2 + 0.5 · best 3
        2.5
    """
    total, allowed, best = 0.0, 0, -math.inf
    for a in range(q.shape[1]):
        if q[s, a] > -math.inf:
            total += q[s, a]
            allowed += 1
            best = max(best, q[s, a])
    return epsilon * total / allowed + (1.0 - epsilon) * best


@in_place
def policy_probability(q: NDArray[np.float64], s: int, a: int, epsilon: float) -> float:
    """π(a|s) of the ε-greedy policy; greedy actions share.

    Example:
        >>> q = np.array([[1.0, 3.0]])
        >>> policy_probability(q, 0, 0, 0.5), policy_probability(q, 0, 1, 0.5)
        (0.25, 0.75)
    """
    best, ties, allowed = greatest(q, s), 0, 0
    for b in range(q.shape[1]):
        ties += q[s, b] == best
        allowed += q[s, b] > -math.inf
    return (epsilon / allowed if q[s, a] > -math.inf else 0.0) + ((1.0 - epsilon) / ties if q[s, a] == best else 0.0)


def epsilon_greedy_probabilities(q: NDArray[np.float64], epsilon: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """π(a|s) of the ε-greedy policy; greedy actions share.

    Args:
        q: action values, shape [B, A].
        epsilon: probability of a random action, one number or one a row [B, 1].

    Returns:
        Probabilities, shape [B, A].

    Example:
        >>> epsilon_greedy_probabilities(np.array([[1.0, 3.0], [2.0, 2.0]]), 0.5).tolist()
        [[0.25, 0.75], [0.5, 0.5]]
    """
    best, allowed = q == q.max(axis=1, keepdims=True), q > -np.inf  # [B, A]
    share = epsilon * allowed / allowed.sum(axis=1, keepdims=True)
    return share + (1.0 - epsilon) * best / best.sum(axis=1, keepdims=True)


@in_place
def act_epsilon_greedy(memory: Any, s: int, progress: float) -> int:
    """The ε-greedy policy of a memory with q, epsilon and rng; ε by training progress, or by the visits of s.

    Example:
        >>> from rlplay.extend import ControlMemory, new_rate
        >>> rng = np.arange(1, 5, dtype=np.uint64)
        >>> q, never = np.array([[1.0, 3.0]]), new_rate(0.0, (1, 1))
        >>> act_epsilon_greedy(ControlMemory(q, new_rate(0.1, (1, 2)), 0.9, never, rng), 0, 0.0)
        1
    """
    return epsilon_greedy(memory.q, s, visited(memory.epsilon, s, 0, progress), memory.rng)


@in_place
def sampled(probabilities: NDArray[np.float64], s: int, rng: NDArray[np.uint64]) -> int:
    """An action drawn from a policy's row, shape [S, A].

    Example:
        >>> rng = np.arange(1, 5, dtype=np.uint64)
        >>> sampled(np.array([[0.0, 1.0]]), 0, rng)
        1
    """
    u, total, last = random(rng), 0.0, 0
    for a in range(probabilities.shape[1]):
        if probabilities[s, a] > 0.0:
            total, last = total + probabilities[s, a], a
            if u < total:
                return a
    return last


@in_place
def act_policy(memory: Any, s: int, progress: float) -> int:
    """An action drawn from the policy of a memory with policy [S, A] and rng.

    Example:
        >>> from typing import NamedTuple
        >>> class Memory(NamedTuple):
        ...     policy: NDArray[np.float64]
        ...     rng: NDArray[np.uint64]
        >>> act_policy.py_func(Memory(np.array([[0.0, 1.0]]), np.arange(1, 5, dtype=np.uint64)), 0, 0.0)
        1
    """
    return sampled(memory.policy, s, memory.rng)
