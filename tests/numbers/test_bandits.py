"""The 10-armed testbed (Sutton & Barto, chapter 2): mean reward over steps 901 to 1000 and share of optimal actions.

Each number is the mean over four seeds of 2,000 runs; about four standard deviations are allowed.
"""

from __future__ import annotations

import numpy as np
import pytest

from agents import UCB, EpsilonGreedy, GradientBandit, ThompsonSampling
from agents.figures.bandits import parameters, play_testbed
from rlplay.reports.figures import untracked


@pytest.mark.parametrize(
    ("cls", "settings", "reward", "optimal"),
    [
        (EpsilonGreedy, {"epsilon": 0.0}, 1.03, 35),
        (EpsilonGreedy, {"epsilon": 0.1}, 1.364, 80),
        (EpsilonGreedy, {"epsilon": 0.01}, 1.314, 60),
        (EpsilonGreedy, {"epsilon": 0.0, "initial_value": 5.0, "alpha": 0.1}, 1.50, 86),
        (UCB, {"c": 2.0}, 1.494, 86),
        (GradientBandit, {"alpha": 0.1, "mean": 4.0}, 5.51, 85),
        (GradientBandit, {"alpha": 0.1, "mean": 4.0, "baseline": False}, None, 49.5),
    ],
)
def test_the_testbed(cls, settings, reward, optimal):
    found = [play_testbed(cls, seed=seed, **settings) for seed in range(4)]
    if reward is not None:
        assert np.mean([r[-100:].mean() for r, _ in found]) == pytest.approx(reward, abs=0.035)
    assert np.mean([best[-100:].mean() for _, best in found]) == pytest.approx(optimal, abs=2.5)


def test_ucb_has_its_spike_at_step_11():
    _, best = play_testbed(UCB, c=2.0)
    assert best[10] > best[9] + 20
    assert best[10] > best[11] + 5


def test_thompson_sampling_beats_epsilon_greedy():
    mine, theirs = (play_testbed(cls)[0].mean() for cls in (ThompsonSampling, EpsilonGreedy))
    assert mine > theirs + 0.1


def test_peaks_over_parameters_rank_as_in_the_book():
    figure = parameters(untracked, runs=1000)
    peaks = {row[0].split(" ")[0]: float(row[1]) for row in figure.rows}
    expected = {"UCB": 1.496, "optimistic,": 1.455, "gradient": 1.41, "ε-greedy": 1.33}
    assert sorted(peaks, key=peaks.get, reverse=True) == list(expected)
    for name, value in expected.items():
        assert peaks[name] == pytest.approx(value, abs=0.04)
