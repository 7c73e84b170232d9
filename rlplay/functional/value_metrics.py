"""What deep Q-learning says of its last update."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class ValueMetrics(NamedTuple):
    """Numbers of the last update, float64 [1] each.

    Attributes:
        loss: L.
        td_error: the mean of |δ|.
        q_mean: the mean of q̂(S, A).
        exploration_rate: ε now.
        learning_rate: of the update.
        grad_norm: length of the gradient before it was cut.
        n_updates: updates so far.

    Example:
        >>> from agents import DQN
        >>> type(DQN("CartPole-v1", buffer_size=100, seed=0).memory.metrics).__name__
        'ValueMetrics'
    """

    loss: Array
    td_error: Array
    q_mean: Array
    exploration_rate: Array
    learning_rate: Array
    grad_norm: Array
    n_updates: Array


__all__ = ["ValueMetrics"]
