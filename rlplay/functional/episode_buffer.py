"""The steps of an episode as arrays for compiled code: all of them, or the last few as a ring."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.storage.ranges import COUNT, Ranges, numbers_below


class EpisodeBuffer(NamedTuple):
    """At most N steps, a power of two; step t stands in place t mod N, which is ``t & (N - 1)``.

    Attributes:
        state: S of each step, int64 [N].
        action: A of each step, int64 [N].
        reward: the R that followed, float64 [N].
        behaviour: b(A|S), the probability with which A was chosen, float64 [N].
        length: steps of the episode so far, int64 [1].
        overflow: 1 once an episode had more steps than N, int64 [1].

    Example:
        >>> steps = new_episode_buffer(4)
        >>> steps.reward.tolist(), steps.length.tolist()
        ([0.0, 0.0, 0.0, 0.0], [0])
    """

    state: NDArray[np.int64]
    action: NDArray[np.int64]
    reward: NDArray[np.float64]
    behaviour: NDArray[np.float64]
    length: NDArray[np.int64]
    overflow: NDArray[np.int64]


def new_episode_buffer(size: int) -> EpisodeBuffer:
    """No steps yet; N is at least so many.

    Example:
        >>> len(new_episode_buffer(5).state)  # the next power of two
        8
    """
    size = 1 << (size - 1).bit_length()
    whole = np.zeros(size, np.int64)
    return EpisodeBuffer(whole, whole.copy(), np.zeros(size), np.ones(size), *np.zeros((2, 1), np.int64))


def episode_ranges(n_states: int, n_actions: int) -> Ranges:
    """What whole numbers the steps of an episode hold.

    Example:
        >>> episode_ranges(16, 4)["action"]
        (0, 3)
    """
    return {
        "state": numbers_below(n_states), "action": numbers_below(n_actions), "length": COUNT, "overflow": (0, 1),
    }  # fmt: skip


@in_place
def keep_step(steps: EpisodeBuffer, s: int, a: int, r: float) -> int:
    """Keep a step in the ring; returns its number t.

    Example:
        >>> steps = new_episode_buffer(2)
        >>> [keep_step(steps, s, 0, 1.0) for s in (7, 8, 9)]
        [0, 1, 2]
        >>> steps.state.tolist()  # step 2 took the place of step 0
        [9, 8]
    """
    t = steps.length[0]
    place = t & (steps.state.shape[0] - 1)
    steps.state[place], steps.action[place], steps.reward[place] = s, a, r
    steps.length[0] = t + 1
    return t


@in_place
def keep_whole_step(steps: EpisodeBuffer, s: int, a: int, r: float) -> int:
    """Keep a step where the whole episode is kept; its number t, or -1 where the buffer is full.

    Example:
        >>> steps = new_episode_buffer(2)
        >>> [keep_whole_step(steps, s, 0, 1.0) for s in (7, 8, 9)]
        [0, 1, -1]
        >>> steps.overflow.tolist()
        [1]
    """
    t = keep_step(steps, s, a, r)
    if t < steps.state.shape[0]:
        return t
    steps.overflow[0] = 1
    return -1


@in_place
def steps_due(t: int, n: int, ended: bool) -> tuple[int, int]:
    """The steps ``range(first, stop)`` that learn after step t: the one whose n rewards are there, at an end all left.

    A step has its n rewards n - 1 steps later; before the first one has them, the range is empty.

    Example:
        >>> steps_due(4, 3, False), steps_due(1, 3, False), steps_due(4, 3, True)
        ((2, 3), (0, 0), (2, 5))
    """
    first = max(t - n + 1, 0)
    if ended:
        return first, t + 1
    return first, first + (1 if t + 1 >= n else 0)


@in_place
def discounted_return(rewards: NDArray[np.float64], first: int, last: int, following: float, gamma: float) -> float:
    """G = R_{first+1} + γ R_{first+2} + ... + γᵏ following, from the rewards of steps ``first`` to ``last`` of a ring.

    Args:
        rewards: R that followed each step, float64 [N], step t in place ``t & (N - 1)``.
        first: the first step, whose return it is.
        last: the last step that counts.
        following: the value of what comes after it.
        gamma: discount.

    Example:
        >>> discounted_return(np.array([1.0, 2.0]), 0, 1, 4.0, 0.5)  # 1 + 0.5 · 2 + 0.25 · 4
        3.0
    """
    g, ring = following, rewards.shape[0] - 1
    for t in range(last, first - 1, -1):
        g = rewards[t & ring] + gamma * g
    return g
