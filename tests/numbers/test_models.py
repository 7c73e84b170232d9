"""Planning and learning with a model: Sutton & Barto, chapter 8."""

from __future__ import annotations

import numpy as np
import pytest

from agents import DynaQ, DynaQPlus, PrioritizedSweeping
from agents.figures import play_episodes
from agents.figures.models import changing_maze, updates_until_best
from rlplay import evaluate, make

GRID = "rlplay/GridWorld-v0"


def test_dyna_maze_figure_8_2():
    """Mean over 20 runs: without planning about 25 episodes to a good way, with 50 planning steps about 3."""
    env = make(GRID, map="dyna-maze")
    lengths = {
        n: np.mean([[row.length for row in play_episodes(DynaQ(env, planning_steps=n, gamma=0.95, seed=s), 50)]
                    for s in range(20)], axis=0)
        for n in (0, 5, 50)
    }  # fmt: skip
    assert lengths[50][2] < 30
    assert 2 < (lengths[5] < 30).argmax() < 8
    assert (lengths[0] < 30).argmax() > 12
    assert lengths[50][-10:].mean() == pytest.approx(17, abs=2)  # 14 steps and ε = .1


@pytest.mark.parametrize("cls", [DynaQ, PrioritizedSweeping])
def test_the_shortest_way_takes_14_steps(cls):
    agent = cls(make(GRID, map="dyna-maze"), gamma=0.95, epsilon=0.4, seed=0).learn(20_000)
    assert evaluate(agent, n_eval_episodes=1).lengths.tolist() == [14]


def test_dyna_q_plus_finds_the_shortcut_and_dyna_q_does_not():
    """Figure 8.5: after the change a goal in about 10 steps through the shortcut, in about 17 without."""
    slopes = {}
    for cls, more in ((DynaQPlus, {"kappa": 1e-3}), (DynaQ, {})):
        settings = {"alpha": 1.0, "planning_steps": 50, **more}
        rewards = changing_maze(cls, 10, "shortcut-maze", "shortcut-maze-open", 3000, 6000, **settings)
        slopes[cls] = (rewards[6000] - rewards[5000]) / 1000
    assert slopes[DynaQPlus] > 0.075
    assert slopes[DynaQ] < 0.062


@pytest.mark.slow
def test_dyna_q_plus_finds_the_new_way_sooner():
    """Figure 8.4."""
    found = [
        changing_maze(cls, 20, "blocking-maze", "blocking-maze-moved", 1000, 3000, alpha=1.0, planning_steps=10, **more)
        for cls, more in ((DynaQPlus, {"kappa": 1e-4}), (DynaQ, {}))
    ]
    assert found[0][3000] > found[1][3000] + 20


@pytest.mark.slow
def test_prioritized_sweeping_needs_a_fifth_of_the_backups():
    """Example 8.4, the maze and its enlargement by 2, mean over 3 runs."""
    for factor in (1, 2):
        counts = [np.mean([updates_until_best(cls, factor, seed, **more) for seed in range(3)])
                  for cls, more in ((DynaQ, {"alpha": 1.0}), (PrioritizedSweeping, {}))]  # fmt: skip
        assert counts[1] < counts[0] / 5
