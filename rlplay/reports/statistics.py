"""Statistics of few runs, as rliable defines them: interquartile mean, bootstrap, probability of improvement.

Scores are float64 [S, M]: S runs (seeds) of each of M tasks.

Source: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 34: section
4.2 (stratified bootstrap intervals), 4.3 (interquartile mean, probability of improvement).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
RESAMPLES = 2000  # as in rliable's examples for interquartile means


def interquartile_mean(scores: Scores) -> float:
    """The mean of the middle half of all runs: the lowest and the highest quarter, rounded down, are left out.

    Example:
        >>> interquartile_mean(np.array([0.0, 1.0, 2.0, 100.0]))
        1.5
        >>> interquartile_mean(np.array([0.0, 1.0, 5.0]))  # a quarter of three is no run
        2.0
    """
    ordered = np.sort(np.ravel(scores))
    cut = int(len(ordered) * 0.25)
    return float(ordered[cut : len(ordered) - cut].mean())


def stratified_interval(
    groups: list[Scores], statistic: Callable[..., float], confidence: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic of one or several groups of runs; the same on every call.

    In each resample the runs of each task are drawn with replacement among themselves, and each group for itself.

    Args:
        groups: scores [S, M] or [S] each.
        statistic: takes the groups in their order.
        confidence: between 0 and 1.
        resamples: how many.

    Example:
        >>> low, high = stratified_interval([np.arange(20.0)], interquartile_mean)
        >>> 5.0 < low < 9.5 < high < 14.0
        True
    """
    rng, drawn = np.random.default_rng(0), []
    for group in groups:
        table = np.asarray(group, np.float64).reshape(1, len(group), -1)
        rows = rng.integers(len(group), size=(resamples, *table.shape[1:]))
        drawn.append(np.take_along_axis(table, rows, axis=1))
    found = np.array([statistic(*(tables[i] for tables in drawn)) for i in range(resamples)])
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def probability_of_improvement(first: Scores, second: Scores) -> float:
    """The probability that a run of the first is better than one of the second, equal ones counted half; mean of tasks.

    The Mann-Whitney statistic over the number of pairs.

    Example:
        >>> probability_of_improvement(np.array([1.0, 3.0]), np.array([2.0, 3.0]))
        0.375
    """
    tables = [np.asarray(one, np.float64).reshape(len(one), -1) for one in (first, second)]
    ahead = tables[0][:, None, :] - tables[1][None, :, :]
    return float(((ahead > 0) + 0.5 * (ahead == 0)).mean())


def first_reached(timesteps: NDArray[np.int64], returns: Scores, threshold: float) -> Scores:
    """The first of T timesteps at which each of S runs had the threshold or more, NaN where none; [S].

    Example:
        >>> first_reached(np.array([10, 20]), np.array([[1.0, 5.0], [1.0, 2.0]]), 4.0).tolist()
        [20.0, nan]
    """
    reached = returns >= threshold
    return np.where(reached.any(axis=1), timesteps[reached.argmax(axis=1)].astype(np.float64), np.nan)
