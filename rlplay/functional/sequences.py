"""Sequences of a rollout for networks with a memory: in which states they begin, and how minibatches are made of them.

The rows of a rollout are cut into windows of as many steps; a sequence is a window of one environment. A minibatch has
whole sequences, time-major, and begins each in the state that was kept when its window was played. An episode that ends
within a sequence cuts it: the next row begins with a state of 0. Nothing is padded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.functional.rollout import copy_row, count_up, shuffle
from rlplay.functional.vector_step import Decorator
from rlplay.networks.recurrent import RecurrentKernel


@compiled
def shuffle_sequences(
    order: NDArray[np.int64], n_envs: int, steps: int, batch_size: int, rng: NDArray[np.uint64]
) -> None:  # fmt: skip
    """A random order of the sequences of a rollout, as rows of minibatches one after the other, in place.

    Args:
        order: is filled with all rows, [M].
        n_envs: environments N.
        steps: of a sequence.
        batch_size: rows of a minibatch, a multiple of ``steps``.
        rng: draws the order.

    Example:
        >>> order = np.zeros(8, np.int64)
        >>> shuffle_sequences(order, 2, 2, 4, np.arange(1, 5, dtype=np.uint64))
        >>> sorted(order.tolist()), ((order[2:4] - order[:2]) == 2).tolist()  # 2 sequences: a step later, 2 rows later
        ([0, 1, 2, 3, 4, 5, 6, 7], [True, True])
    """
    sequences, at_once, k = np.empty(order.shape[0] // steps, np.int64), batch_size // steps, 0
    count_up(sequences)
    shuffle(sequences, rng)
    for first in range(0, sequences.shape[0], at_once):
        last = min(first + at_once, sequences.shape[0])
        for t in range(steps):
            for s in range(first, last):
                window, env = sequences[s] // n_envs, sequences[s] % n_envs
                order[k] = (window * steps + t) * n_envs + env
                k += 1


@cache
def taking_up(kernel: RecurrentKernel, decorator: Decorator) -> Callable[..., None]:
    """``take_up(net, ends, rows, steps)``: a network stands where sequences of a rollout begin, before its `forward`.

    ``ends`` are the rollout's [M], ``rows`` those of the sequences, time-major [T * N], ``steps`` T.

    Example:
        >>> from agents import A2C
        >>> from rlplay.functional.vector_step import plain
        >>> agent = A2C("CartPole-v1", n_envs=1, n_steps=3, recurrent="gru", recurrent_size=4, net_arch=[4], seed=0)
        >>> ends = np.array([False, True, False])
        >>> taking_up(agent.step_kernel, plain)(agent.memory.policy, ends, np.arange(3), 3)
        >>> agent.memory.policy.core.starts.tolist()
        [False, False, True]
    """
    begin = kernel.begin

    @decorator
    def take_up(net: Any, ends: NDArray[np.bool_], rows: NDArray[np.int64], steps: int) -> None:
        n, n_envs, size = rows.shape[0] // steps, net.kept.shape[1], net.kept.shape[2]
        states, starts = np.zeros((n, size), np.float32), np.zeros(rows.shape[0], np.bool_)
        for i in range(n):
            window, env = rows[i] // n_envs // net.window, rows[i] % n_envs
            copy_row(net.kept[window], env, states, i)
        for k in range(n, rows.shape[0]):
            starts[k] = ends[rows[k] - n_envs]
        begin(net, states, starts, steps)

    return take_up


__all__ = ["shuffle_sequences", "taking_up"]
