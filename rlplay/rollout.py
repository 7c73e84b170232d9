"""The steps of the episodes since the last update, and what follows from them: returns and advantages."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled

# Places in the counters of a batch.
ROWS, CHOSEN = range(2)


class Batch(NamedTuple):
    """Room for at most N steps with observations of D numbers and actions of A.

    Attributes:
        obs: float32 [N, D].
        actions: float32 [N, A].
        rewards: float64 [N].
        ends: whether an episode ended with the step, bool [N].
        beyond: value of what came after an episode's end: 0 after a terminal state, float64 [N].
        returns: float64 [N], filled by `discounted_returns`.
        weights: float64 [N], room for advantages.
        action: the action that was chosen last, float32 [A].
        counters: the number of steps so far, and whether `action` has been chosen and not yet taken, int64 [2].
    """

    obs: NDArray[np.float32]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float64]
    ends: NDArray[np.bool_]
    beyond: NDArray[np.float64]
    returns: NDArray[np.float64]
    weights: NDArray[np.float64]
    action: NDArray[np.float32]
    counters: NDArray[np.int64]


def new_batch(rows: int, obs_size: int, action_size: int) -> Batch:
    """An empty batch."""
    return Batch(
        np.zeros((rows, obs_size), np.float32),
        np.zeros((rows, action_size), np.float32),
        np.zeros(rows),
        np.zeros(rows, np.bool_),
        np.zeros(rows),
        np.zeros(rows),
        np.zeros(rows),
        np.zeros(action_size, np.float32),
        np.zeros(2, np.int64),
    )


@compiled
def append(batch: Batch, obs: NDArray[np.float32], reward: float, ended: bool, beyond: float) -> int:
    """Add a step with the action chosen last; returns how many there are now."""
    row = batch.counters[ROWS]
    for i in range(obs.shape[0]):
        batch.obs[row, i] = obs[i]
    for i in range(batch.action.shape[0]):
        batch.actions[row, i] = batch.action[i]
    batch.rewards[row], batch.ends[row], batch.beyond[row] = reward, ended, beyond
    batch.counters[ROWS], batch.counters[CHOSEN] = row + 1, 0
    return row + 1


@compiled
def discounted_returns(
    rewards: NDArray[np.float64],
    ends: NDArray[np.bool_],
    beyond: NDArray[np.float64],
    gamma: float,
    returns: NDArray[np.float64],
) -> None:
    """G_t = R_{t+1} + γ G_{t+1} within each episode (Sutton & Barto 2e, equation 3.9); shapes [N].

    At an episode's end G_{t+1} is ``beyond``: 0 in a terminal state, the value of the last observation at a time limit.
    """
    after = 0.0
    for t in range(rewards.shape[0] - 1, -1, -1):
        if ends[t]:
            after = beyond[t]
        after = rewards[t] + gamma * after
        returns[t] = after


@compiled
def normalise(weights: NDArray[np.float64]) -> None:
    """Subtract the mean and divide by the standard deviation, in place; [N]."""
    mean = weights.mean()
    deviation = math.sqrt(((weights - mean) ** 2).mean()) + 1e-8
    for i in range(weights.shape[0]):
        weights[i] = (weights[i] - mean) / deviation
