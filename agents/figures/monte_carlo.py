"""Chapter 5: blackjack, and what importance sampling costs."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import Figure, Line, Panel, TableEnv, Track, TransitionTable, make, with_first_states

from ..monte_carlo import MonteCarlo
from ..off_policy_monte_carlo import OffPolicyMonteCarlo
from . import play_episodes

_BOOK = "Sutton & Barto, 2nd edition, "
_EDGES = (0.5, 10.5, 11.5, 21.5)


def _grid(values: NDArray[Any], usable: int) -> NDArray[np.float64]:
    """Values of player's sums 21 (top) to 12 by the dealer's cards 1 to 10, [10, 10]."""
    sums, dealer = np.arange(21, 11, -1)[:, None], np.arange(1, 11)
    return np.asarray(values[(sums * 11 + dealer) * 2 + usable], np.float64)


def _panel(title: str, values: NDArray[Any], usable: int) -> Panel:
    return Panel(title, map=_grid(values, usable), extent=_EDGES, x_label="dealer shows", y_label="player's sum")


def blackjack_values(track: Track[Any], runs: int = 1) -> Figure:
    """Figure 5.1: Monte Carlo prediction of sticking on 20 or 21."""
    agent = MonteCarlo(make("Blackjack-v1", sab=False), policy="stick-on-20", gamma=1.0, seed=0)
    panels, rows = [], []
    for episodes in track([10_000, 490_000]):
        play_episodes(agent, episodes, 64)
        count = f"{agent.statistics.episodes:,} episodes"
        for usable, words in ((1, "usable ace"), (0, "no usable ace")):
            panels.append(_panel(f"{count}, {words}", agent.v.copy(), usable))
        rows.append((count, *(f"{agent.v[(20 * 11 + d) * 2]:.3f}" for d in (1, 2, 7, 10))))
    return Figure(
        "Blackjack: the value of sticking on 20 or 21", _BOOK + "figure 5.1", panels,
        ("", "20 against ace", "2", "7", "10"), rows, "states with a usable ace are rarer, and less certain",
        columns_of_panels=2, size=(4, 3),
    )  # fmt: skip


def blackjack_optimal(track: Track[Any], runs: int = 1) -> Figure:
    """Figure 5.2: the best policy by Monte Carlo with exploring starts."""
    agent = MonteCarlo(make("Blackjack-v1", sab=False), exploring_starts=True, gamma=1.0, seed=0)
    for _ in track(range(10)):
        play_episodes(agent, 500_000)
    hits, value = agent.q.argmax(axis=1).astype(float), agent.q.max(axis=1)
    panels = []
    for usable, words in ((1, "usable ace"), (0, "no usable ace")):
        panels += [_panel(f"hit (1), stick (0), {words}", hits, usable), _panel(f"value, {words}", value, usable)]
    rows = []
    for usable, words in ((1, "usable ace"), (0, "no usable ace")):
        grid = _grid(hits, usable)[::-1]  # sums 12 to 21
        rows.append((words, *(12 + int((grid[:, d - 1] == 0).argmax()) for d in range(1, 11))))
    return Figure(
        "Blackjack: the best policy, by exploring starts", _BOOK + "figure 5.2", panels,
        ("stick from, against", "A", *map(str, range(2, 11))), rows, "", columns_of_panels=2, size=(4, 3),
    )  # fmt: skip


def importance_sampling(track: Track[Any], runs: int = 100) -> Figure:
    """Figure 5.3: ordinary and weighted importance sampling of one blackjack state."""
    start = np.zeros(704)
    state = (13 * 11 + 2) * 2 + 1
    start[state] = 1.0
    env = with_first_states(make("Blackjack-v1", sab=False), start)
    points = np.unique(np.logspace(0, 4, 30).astype(int))
    lines, rows = [], []
    errors = {kind: np.zeros((runs, len(points))) for kind in ("ordinary", "weighted")}
    for run in track(range(runs)):
        for kind, error in errors.items():
            agent = OffPolicyMonteCarlo(
                env, policy="stick-on-20", behaviour="random", importance_sampling=kind, gamma=1.0, seed=run
            )
            for k, episodes in enumerate(points):
                play_episodes(agent, int(episodes) - agent.statistics.episodes, 2)
                error[run, k] = (agent.v[state] + 0.27720) ** 2
    for kind, error in errors.items():
        lines.append(Line(f"{kind} importance sampling", points, error.mean(axis=0)))
        rows.append(
            (kind, *(f"{error.mean(axis=0)[np.searchsorted(points, n)]:.4f}" for n in (1, 10, 100, 1000, 10_000)))
        )
    panel = Panel(
        f"mean of {runs} runs", lines, x_label="episodes", y_label="mean squared error", log_x=True, y_range=(0, 5)
    )
    return Figure(
        "Blackjack, one state: importance sampling", _BOOK + "figure 5.3", [panel],
        ("episodes", "1", "10", "100", "1,000", "10,000"), rows,
        "weighted averages are far better at first, and both end close", size=(7, 4.2),
    )  # fmt: skip


def infinite_variance(track: Track[Any], runs: int = 10) -> Figure:
    """Figure 5.4: ordinary importance sampling that never settles, since its variance is infinite."""
    p = np.array([[[0.1, 0.9], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]])
    following = np.array([[[1, 0], [1, 1]], [[1, 1], [1, 1]]])
    reward = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    ends = np.array([[[True, False], [True, True]], [[True, True], [True, True]]])
    table = TransitionTable.of(p, following, reward, ends, np.array([1.0, 0.0]))
    env = TableEnv(table, gym.spaces.Discrete(2), gym.spaces.Discrete(2))
    points = np.unique(np.logspace(0, 6, 150).astype(int))
    lines, last = [], []
    for run in track(range(runs)):
        agent = OffPolicyMonteCarlo(
            env, policy=[0, 0], behaviour="random", importance_sampling="ordinary", gamma=1.0, seed=run
        )
        estimates = []
        for n in points:
            play_episodes(agent, int(n) - agent.statistics.episodes, max(int(n) // 4, 1))
            estimates.append(agent.v[0])
        lines.append(Line("", points, estimates))
        last.append(agent.v[0])
    panel = Panel(f"{runs} runs", lines, x_label="episodes", y_label="estimate of v(s) = 1", log_x=True, y_range=(0, 3))
    rows = [(run, f"{value:.3f}") for run, value in enumerate(last)]
    return Figure(
        "Ordinary importance sampling with infinite variance", _BOOK + "figure 5.4", [panel],
        ("run", "estimate after 1,000,000 episodes"), rows, "the true value is 1; no run settles there", size=(7, 4.2),
    )  # fmt: skip
