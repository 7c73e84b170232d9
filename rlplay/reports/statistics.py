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
    return float(interquartile_means(_tables(scores))[0])


def interquartile_means(tables: Scores) -> Scores:
    """The interquartile mean of each of R tables [R, S, M]; [R]."""
    ordered = np.sort(tables.reshape(len(tables), -1), axis=1)
    cut = int(ordered.shape[1] * 0.25)
    return np.asarray(ordered[:, cut : ordered.shape[1] - cut].mean(axis=1))


def stratified_interval(
    groups: list[Scores], statistic: Callable[..., Scores], confidence: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic of one or several groups of runs; the same on every call.

    In each resample the runs of each task are drawn with replacement among themselves, and each group for itself.

    Args:
        groups: scores [S, M] or [S] each.
        statistic: takes R resamples [R, S, M] of each group, in their order, and gives [R].
        confidence: between 0 and 1.
        resamples: how many.

    Example:
        >>> low, high = stratified_interval([np.arange(20.0)], interquartile_means)
        >>> 5.0 < low < 9.5 < high < 14.0
        True
    """
    rng, drawn = np.random.default_rng(0), []
    for group in groups:
        table = _tables(group)
        rows = rng.integers(len(group), size=(resamples, *table.shape[1:]))
        drawn.append(np.take_along_axis(table, rows, axis=1))
    low, high = np.quantile(statistic(*drawn), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def probability_of_improvement(first: Scores, second: Scores) -> float:
    """The probability that a run of the first is better than one of the second, equal ones counted half; mean of tasks.

    The Mann-Whitney statistic over the number of pairs.

    Example:
        >>> probability_of_improvement(np.array([1.0, 3.0]), np.array([2.0, 3.0]))
        0.375
    """
    return float(probabilities_of_improvement(_tables(first), _tables(second))[0])


def probabilities_of_improvement(first: Scores, second: Scores) -> Scores:
    """The probability of improvement in each of R pairs of tables, [R, S, M] and [R, N, M]; [R]."""
    ahead = np.zeros(len(first))
    for run in range(first.shape[1]):  # one after the other, for the memory
        one = first[:, run, None, :]
        ahead += ((one > second) + 0.5 * (one == second)).mean(axis=(1, 2))
    return ahead / first.shape[1]


def _tables(scores: Scores) -> Scores:
    """Scores [S, M] or [S] as one table, [1, S, M]."""
    return np.asarray(scores, np.float64).reshape(1, len(scores), -1)


def first_reached(timesteps: NDArray[np.int64], returns: Scores, threshold: float) -> Scores:
    """The first of T timesteps at which each of S runs had the threshold or more, NaN where none; [S].

    Example:
        >>> first_reached(np.array([10, 20]), np.array([[1.0, 5.0], [1.0, 2.0]]), 4.0).tolist()
        [20.0, nan]
    """
    reached = returns >= threshold
    return np.where(reached.any(axis=1), timesteps[reached.argmax(axis=1)].astype(np.float64), np.nan)
