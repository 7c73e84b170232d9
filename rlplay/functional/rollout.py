"""The steps since the last update, and what follows from them: returns and advantages."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place


class Rollout(NamedTuple):
    """Room for T steps in each of N environments, M = T N rows: row t N + i is step t of environment i.

    Attributes:
        obs: as the networks see them, float32 [M, D].
        actions: float32 [M, A].
        masks: what is added to the outputs, 0 or `FORBIDDEN`, float32 [M, K]; [0, K] where nothing is masked.
        log_probs: of the actions when they were taken, float64 [M].
        rewards: float64 [M].
        ends: whether an episode ended with the step, bool [M].
        beyond: value of what came after the end of an episode or of the rollout: 0 after a terminal state, float64 [M].
        values: of the observations, float64 [M].
        advantages, returns: float64 [M].
        counters: rows so far, int64 [1].
    """

    obs: NDArray[np.float32]
    actions: NDArray[np.float32]
    masks: NDArray[np.float32]
    log_probs: NDArray[np.float64]
    rewards: NDArray[np.float64]
    ends: NDArray[np.bool_]
    beyond: NDArray[np.float64]
    values: NDArray[np.float64]
    advantages: NDArray[np.float64]
    returns: NDArray[np.float64]
    counters: NDArray[np.int64]


FORBIDDEN = -1e8  # what is added to the logit of an action that may not be taken (Huang & Ontanon 2022)


def new_rollout(rows: int, obs_size: int, action_size: int, outputs: int, masked: bool) -> Rollout:
    """An empty rollout of M rows."""
    return Rollout(
        np.zeros((rows, obs_size), np.float32),
        np.zeros((rows, action_size), np.float32),
        np.zeros((rows if masked else 0, outputs), np.float32),
        np.zeros(rows),
        np.zeros(rows),
        np.zeros(rows, np.bool_),
        np.zeros(rows),
        np.zeros(rows),
        np.zeros(rows),
        np.zeros(rows),
        np.zeros(1, np.int64),
    )


@in_place
def generalised_advantages(rollout: Rollout, n_envs: int, gamma: float, lambda_: float) -> None:
    """Generalised advantage estimation over a whole rollout; fills advantages and returns.

    δ_t = R_{t+1} + γ v(S_{t+1}) - v(S_t)        A_t = δ_t + γ λ A_{t+1}        G_t = A_t + v(S_t)

    with A_{t+1} = 0 at an episode's end, and v(S_{t+1}) = 0 in a terminal state only: a time limit is none.

    Source: Schulman et al. 2016, equations 11 to 16.
    """
    rows = rollout.rewards.shape[0]
    for row in range(rows - 1, -1, -1):
        ends = rollout.ends[row]
        last = row + n_envs >= rows
        following = rollout.beyond[row] if ends or last else rollout.values[row + n_envs]
        later = 0.0 if ends or last else rollout.advantages[row + n_envs]
        delta = rollout.rewards[row] + gamma * following - rollout.values[row]
        rollout.advantages[row] = delta + gamma * lambda_ * later
        rollout.returns[row] = rollout.advantages[row] + rollout.values[row]


@in_place
def standardise(weights: NDArray[np.float64]) -> None:
    """Subtract the mean and divide by the deviation of a sample (N - 1), in place; [N]. One number stays as it is."""
    n, mean, total = weights.shape[0], 0.0, 0.0
    if n < 2:
        return
    for i in range(n):
        mean += weights[i] / n
    for i in range(n):
        total += (weights[i] - mean) ** 2
    scale = 1.0 / (math.sqrt(total / (n - 1)) + 1e-8)
    for i in range(n):
        weights[i] = (weights[i] - mean) * scale


@in_place
def explained_variance(values: NDArray[np.float64], returns: NDArray[np.float64]) -> float:
    """1 - Var(G - v) / Var(G): 1 for perfect values, 0 for none; NaN where returns do not vary."""
    n, mean, gap = returns.shape[0], 0.0, 0.0
    for i in range(n):
        mean += returns[i] / n
        gap += (returns[i] - values[i]) / n
    variance, left = 0.0, 0.0
    for i in range(n):
        variance += (returns[i] - mean) ** 2
        left += (returns[i] - values[i] - gap) ** 2
    return 1.0 - left / variance if variance > 0.0 else math.nan
