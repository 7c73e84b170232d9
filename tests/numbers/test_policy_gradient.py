"""Policy gradients, chapter 13: the short corridor in which all states look alike."""

from __future__ import annotations

import numpy as np
import pytest

from agents import Reinforce
from agents.figures.policy_gradient import value_of_right
from rlplay import make
from rlplay.reports.figures import compute, untracked


def test_the_best_chance_of_right():
    """Example 13.1: v(p) = -2 (2 - p) / (p (1 - p)), greatest at p = 2 - √2 = .586 with -11.66 (exact)."""
    for p in (0.05, 0.3, 0.586, 0.9):
        assert value_of_right(p) == pytest.approx(-2 * (2 - p) / (p * (1 - p)), abs=1e-4)
    chances = np.arange(0.5, 0.68, 0.01)
    best = max(chances, key=value_of_right)
    assert best == pytest.approx(2 - np.sqrt(2), abs=0.01)
    assert value_of_right(2 - np.sqrt(2)) == pytest.approx(-11.657, abs=1e-3)


def test_the_figure_of_the_short_corridor():
    """Figure 13.1: 2^-13 comes near the optimum in 1,000 episodes, 2^-14 is slower, none is above it."""
    rows = {row[0]: [float(number) for number in row[1:]] for row in compute("short-corridor", untracked, 20).rows}
    assert rows["best policy"] == [0.59, -11.66]
    assert -15 < rows["REINFORCE, α = 2^-13"][1] < -11.3
    assert rows["REINFORCE, α = 2^-14"][1] < rows["REINFORCE, α = 2^-13"][1]


@pytest.mark.slow
def test_reinforce_finds_the_best_chance():
    agent = Reinforce(make("rlplay/Corridor-v0", aliased=True), gamma=1.0, learning_rate=0.01, seed=0).learn(30_000)
    assert agent.probe(0).action_probabilities[0, 1] == pytest.approx(2 - np.sqrt(2), abs=0.1)


def test_expected_and_sample_updates():
    """Figure 8.7: t samples of b successors leave an error of √((b - 1) / (b t)); 2,000 runs, four deviations."""
    rows = compute("expected-or-sample", untracked, 2000).rows
    assert [row[0] for row in rows] == [2, 10, 100, 1000]
    assert rows[0][1] == "-"
    assert rows[0][3] == "0.500"
    for b, tenth, whole, formula in rows:
        assert float(whole) == pytest.approx(np.sqrt((b - 1) / b**2), rel=0.07)
        assert float(formula) == pytest.approx(np.sqrt((b - 1) / b**2), abs=6e-4)
        if b > 2:
            assert float(tenth) == pytest.approx(np.sqrt((b - 1) / b / (b // 10)), rel=0.07)
