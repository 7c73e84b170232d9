"""The steps since the last update, and what follows from them: returns, advantages, minibatches."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place
from rlplay.compiled.pcg64 import random

FORBIDDEN = -1e8  # what is added to the logit of an action that may not be taken (Huang & Ontanon 2022)


class Rollout(NamedTuple):
    """T steps in each of N environments, M = T N rows: row t N + i is step t of environment i.

    Attributes:
        obs: as the networks see them, float32 [M, D].
        actions: float32 [M, A].
        masks: what is added to the outputs, 0 or `FORBIDDEN`, float32 [M, K]; [0, K] where nothing is masked.
        log_probs: of the actions when they were taken, float64 [M].
        rewards: float64 [M].
        ends: whether an episode ended with the step, bool [M].
        bootstrap_values: v of what came after the end of an episode or of the rollout: 0 after a terminal state,
            float64 [M].
        values: v of the observations, float64 [M].
        advantages, returns: float64 [M].
        filled: rows so far, int64 [1].

    Example:
        >>> rollout = new_rollout(4, 3, 1, 2, False)  # 4 steps, 3 numbers an observation, 1 an action, 2 outputs
        >>> rollout.obs.shape, rollout.masks.shape
        ((4, 3), (0, 2))
    """

    obs: NDArray[np.float32]
    actions: NDArray[np.float32]
    masks: NDArray[np.float32]
    log_probs: NDArray[np.float64]
    rewards: NDArray[np.float64]
    ends: NDArray[np.bool_]
    bootstrap_values: NDArray[np.float64]
    values: NDArray[np.float64]
    advantages: NDArray[np.float64]
    returns: NDArray[np.float64]
    filled: NDArray[np.int64]


def new_rollout(rows: int, obs_size: int, action_size: int, outputs: int, masked: bool) -> Rollout:
    """An empty rollout of M rows.

    Example:
        >>> rollout = new_rollout(4, 3, 1, 2, True)  # 4 steps, 3 numbers an observation, 1 an action, 2 outputs
        >>> rollout.obs.shape, rollout.actions.shape, rollout.masks.shape
        ((4, 3), (4, 1), (4, 2))
    """
    return Rollout(
        obs=np.zeros((rows, obs_size), np.float32),
        actions=np.zeros((rows, action_size), np.float32),
        masks=np.zeros((rows if masked else 0, outputs), np.float32),
        log_probs=np.zeros(rows),
        rewards=np.zeros(rows),
        ends=np.zeros(rows, np.bool_),
        bootstrap_values=np.zeros(rows),
        values=np.zeros(rows),
        advantages=np.zeros(rows),
        returns=np.zeros(rows),
        filled=np.zeros(1, np.int64),
    )


@compiled
def first_rows(rollout: Rollout, rows: int) -> Rollout:
    """The first rows of a rollout."""
    return Rollout(
        rollout.obs[:rows], rollout.actions[:rows], rollout.masks[:rows], rollout.log_probs[:rows],
        rollout.rewards[:rows], rollout.ends[:rows], rollout.bootstrap_values[:rows], rollout.values[:rows],
        rollout.advantages[:rows], rollout.returns[:rows], rollout.filled,
    )  # fmt: skip


@in_place
def generalised_advantages(rollout: Rollout, n_envs: int, gamma: float, lambda_: float) -> None:
    """Generalised advantage estimation over a whole rollout; fills advantages and returns.

    δ_t = R_{t+1} + γ v(S_{t+1}) - v(S_t)        A_t = δ_t + γ λ A_{t+1}        G_t = A_t + v(S_t)

    with A_{t+1} = 0 at an episode's end, and v(S_{t+1}) = 0 in a terminal state only: a time limit is none.

    Source: Schulman et al. 2016, equations 11 to 16.

    Example:
        >>> rollout = new_rollout(2, 1, 1, 2, False)
        >>> rollout.rewards[:], rollout.ends[:], rollout.values[:] = 1.0, [False, True], [0.5, 0.5]
        >>> generalised_advantages(rollout, 1, 1.0, 0.5)
        >>> rollout.advantages.tolist()  # 1 + 0.5 - 0.5 + 0.5 · 0.5, and 1 - 0.5
        [1.25, 0.5]
    """
    rows = rollout.rewards.shape[0]
    for row in range(rows - 1, -1, -1):
        ends = rollout.ends[row]
        last = row + n_envs >= rows
        following = rollout.bootstrap_values[row] if ends or last else rollout.values[row + n_envs]
        later = 0.0 if ends or last else rollout.advantages[row + n_envs]
        delta = rollout.rewards[row] + gamma * following - rollout.values[row]
        rollout.advantages[row] = delta + gamma * lambda_ * later
        rollout.returns[row] = rollout.advantages[row] + rollout.values[row]


class Minibatch(NamedTuple):
    """B rows of a rollout, and what an update computes of them.

    Attributes:
        obs: float32 [B, D].
        actions: float32 [B, A].
        masks: float32 [B, K]; [0, K] where nothing is masked.
        old_log_probs: of the actions when they were taken, float64 [B].
        advantages, returns: float64 [B].
        old_values: v when the rollout was full, float64 [B].
        log_probs, entropies: of the policy as it is now, float64 [B].
        weights: of the gradients of the log-probabilities, float64 [B].
        output_gradient: of the loss at the policy's outputs, float32 [B, K].
        value_gradient: of the loss at the value's output, float32 [B, 1].

    Example:
        >>> new_minibatch(new_rollout(4, 3, 1, 2, False), 2, 2).output_gradient.shape
        (2, 2)
    """

    obs: NDArray[np.float32]
    actions: NDArray[np.float32]
    masks: NDArray[np.float32]
    old_log_probs: NDArray[np.float64]
    advantages: NDArray[np.float64]
    returns: NDArray[np.float64]
    old_values: NDArray[np.float64]
    log_probs: NDArray[np.float64]
    entropies: NDArray[np.float64]
    weights: NDArray[np.float64]
    output_gradient: NDArray[np.float32]
    value_gradient: NDArray[np.float32]


@in_place
def copy_row(source: NDArray[np.float32], row: int, target: NDArray[np.float32], to: int) -> None:
    """A row of a matrix into a row of another one as wide.

    Example:
        >>> target = np.zeros((2, 2), np.float32)
        >>> copy_row(np.float32([[1, 2]]), 0, target, 1)
        >>> target.tolist()
        [[0.0, 0.0], [1.0, 2.0]]
    """
    for j in range(target.shape[1]):
        target[to, j] = source[row, j]


@in_place
def forbid(outputs: NDArray[np.float32], masks: NDArray[np.float32]) -> None:
    """Add masks (0 or `FORBIDDEN`) to outputs, in place, [N, K].

    Example:
        >>> outputs = np.float32([[1, 2]])
        >>> forbid(outputs, np.float32([[0, FORBIDDEN]]))
        >>> outputs.tolist()
        [[1.0, -100000000.0]]
    """
    for i in range(outputs.shape[0]):
        for j in range(outputs.shape[1]):
            outputs[i, j] += masks[i, j]


@in_place
def mean(values: NDArray[np.float64]) -> float:
    """The mean of numbers, [N].

    Example:
        >>> mean(np.array([1.0, 2.0]))
        1.5
    """
    total = 0.0
    for i in range(values.shape[0]):
        total += values[i]
    return total / values.shape[0]


@in_place
def all_true(flags: NDArray[np.bool_]) -> bool:
    """Whether every flag is set, [N].

    Example:
        >>> all_true(np.array([True, False]))
        False
    """
    missing = 0
    for i in range(flags.shape[0]):
        missing += not flags[i]
    return missing == 0


@compiled
def new_minibatch(rollout: Rollout, size: int, outputs: int) -> Minibatch:
    """A minibatch of B rows, not filled.

    Example:
        >>> batch = new_minibatch(new_rollout(4, 3, 1, 2, False), 2, 2)
        >>> batch.obs.shape, batch.advantages.shape
        ((2, 3), (2,))
    """
    return Minibatch(
        np.empty((size, rollout.obs.shape[1]), np.float32), np.empty((size, rollout.actions.shape[1]), np.float32),
        np.empty((size if rollout.masks.shape[0] > 0 else 0, outputs), np.float32),
        np.empty(size), np.empty(size), np.empty(size), np.empty(size), np.empty(size), np.empty(size), np.empty(size),
        np.empty((size, outputs), np.float32), np.empty((size, 1), np.float32),
    )  # fmt: skip


@compiled
def gather(rollout: Rollout, rows: NDArray[np.int64], batch: Minibatch) -> Minibatch:
    """The rows of a rollout [n] in a minibatch of room for at least n; returns its first n rows.

    Example:
        >>> rollout = new_rollout(4, 3, 1, 2, False)
        >>> rollout.returns[:] = [1.0, 2.0, 3.0, 4.0]
        >>> gather(rollout, np.array([3, 0]), new_minibatch(rollout, 3, 2)).returns.tolist()
        [4.0, 1.0]
    """
    n, masked = rows.shape[0], rollout.masks.shape[0] > 0
    for i in range(n):
        row = rows[i]
        copy_row(rollout.obs, row, batch.obs, i)
        copy_row(rollout.actions, row, batch.actions, i)
        if masked:
            copy_row(rollout.masks, row, batch.masks, i)
        batch.old_log_probs[i], batch.old_values[i] = rollout.log_probs[row], rollout.values[row]
        batch.advantages[i], batch.returns[i] = rollout.advantages[row], rollout.returns[row]
    return Minibatch(
        batch.obs[:n], batch.actions[:n], batch.masks[:n], batch.old_log_probs[:n], batch.advantages[:n],
        batch.returns[:n], batch.old_values[:n], batch.log_probs[:n], batch.entropies[:n], batch.weights[:n],
        batch.output_gradient[:n], batch.value_gradient[:n],
    )  # fmt: skip


@in_place
def count_up(order: NDArray[np.int64]) -> None:
    """0, 1, 2, ... in place.

    Example:
        >>> order = np.zeros(3, np.int64)
        >>> count_up(order)
        >>> order.tolist()
        [0, 1, 2]
    """
    for i in range(order.shape[0]):
        order[i] = i


@in_place
def shuffle(order: NDArray[np.int64], rng: NDArray[np.uint64]) -> None:
    """A random order of the rows, in place (Fisher and Yates).

    Example:
        >>> order = np.arange(4)
        >>> shuffle(order, np.arange(1, 5, dtype=np.uint64))
        >>> sorted(order.tolist())
        [0, 1, 2, 3]
    """
    for i in range(order.shape[0] - 1, 0, -1):
        j = int(random(rng) * (i + 1))
        order[i], order[j] = order[j], order[i]


@in_place
def standardise(weights: NDArray[np.float64]) -> None:
    """Subtract the mean and divide by the deviation of a sample (N - 1), in place; [N]. One number stays as it is.

    Example:
        >>> weights = np.array([1.0, 2.0, 3.0])
        >>> standardise(weights)
        >>> weights.round(3).tolist()
        [-1.0, 0.0, 1.0]
    """
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
    """1 - Var(G - v) / Var(G): 1 for perfect values, 0 for none; NaN where returns do not vary.

    Example:
        >>> returns = np.array([1.0, 2.0, 3.0])
        >>> explained_variance(returns, returns), explained_variance(np.zeros(3), returns)
        (1.0, 0.0)
    """
    n, mean, gap = returns.shape[0], 0.0, 0.0
    for i in range(n):
        mean += returns[i] / n
        gap += (returns[i] - values[i]) / n
    variance, left = 0.0, 0.0
    for i in range(n):
        variance += (returns[i] - mean) ** 2
        left += (returns[i] - values[i] - gap) ** 2
    return 1.0 - left / variance if variance > 0.0 else math.nan
