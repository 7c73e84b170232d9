"""Chapter 4: dynamic programming, sweep by sweep."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlplay.extend import Figure, Line, Panel, Track, make

from ..policy_evaluation import PolicyEvaluation
from ..policy_iteration import IMPROVEMENTS, PolicyIteration
from ..value_iteration import ValueIteration

_BOOK = "Sutton & Barto, 2nd edition, "


def gridworld(track: Track[Any], runs: int = 1) -> Figure:
    """Figure 4.1: policy evaluation of the random policy in a small gridworld."""
    panels, rows = [], []
    for k in track([0, 1, 2, 3, 10, 1000]):
        agent = PolicyEvaluation(
            make("rlplay/GridWorld-v0", map="corners"), policy="random", gamma=1.0, in_place=False, theta=1e-12
        )
        if k:
            agent.learn(k)
        grid = agent.v.reshape(4, 4)
        panels.append(Panel(f"k = {k if k < 1000 else '∞'}", map=grid, numbers=True))
        rows.append((panels[-1].title, *(f"{v:.1f}" for v in grid[0])))
    return Figure(
        "Gridworld: the random policy's values, sweep by sweep", _BOOK + "figure 4.1", panels,
        ("sweeps", "row 0", "", "", ""), rows, "after 3 sweeps the greedy policy is the best one already",
        columns_of_panels=3, size=(3, 2.8),
    )  # fmt: skip


def car_rental(track: Track[Any], runs: int = 1) -> Figure:
    """Figure 4.2: the policies of policy iteration for Jack's car rental, and the final values."""
    agent = PolicyIteration("rlplay/CarRental-v0", gamma=0.9, theta=1e-4)
    n, edges = 21, (-0.5, 20.5, -0.5, 20.5)
    moved = np.full((n, n), 0.0)  # the book's first policy moves nothing
    policies = [moved]
    agent.policy[:] = np.eye(11)[np.full(n * n, 5)]
    for _ in track(range(4)):
        done = int(agent.counts[IMPROVEMENTS])
        while agent.counts[IMPROVEMENTS] == done and not agent.converged:
            agent.learn(1, reset_num_timesteps=False)
        policies.append((agent.policy.argmax(axis=1) - 5.0).reshape(n, n))
    agent.learn(10_000, reset_num_timesteps=False)
    panels = [
        Panel(f"π{k}: cars moved", map=policy[::-1], extent=edges, x_label="cars at second", y_label="cars at first")
        for k, policy in enumerate(policies)
    ]
    values = agent.v.reshape(n, n)
    panels.append(Panel("values of the last", map=values[::-1], extent=edges, x_label="cars at second", y_label=""))
    rows = [(f"π{k}", int(p.min()), int(p.max()), int((p != 0).sum())) for k, p in enumerate(policies)]
    return Figure(
        "Jack's car rental: policy iteration", _BOOK + "figure 4.2", panels,
        ("policy", "least", "most cars moved", "states that move cars"), rows,
        f"values go from {values.min():.0f} to {values.max():.0f}", columns_of_panels=3, size=(3.8, 3.2),
    )  # fmt: skip


def gambler(track: Track[Any], runs: int = 1) -> Figure:
    """Figure 4.3: value iteration for the gambler's problem, p = 0.4."""
    agent = ValueIteration("rlplay/Gambler-v0", gamma=1.0)
    capital, lines = np.arange(1, 100), []
    for sweep in track([1, 2, 3, 32]):
        agent.learn(sweep - agent.num_timesteps, reset_num_timesteps=False)
        lines.append(Line(f"sweep {sweep}", capital, agent.v[1:100].copy()))
    agent.learn(10_000, reset_num_timesteps=False)
    lines.append(Line("final", capital, agent.v[1:100], "--"))
    q = agent.q_values()[1:100]
    smallest = (q >= q.max(axis=1, keepdims=True) - 1e-9).argmax(axis=1)  # of the stakes that are equally good
    rows = [(c, f"{agent.v[c]:.4f}", int(smallest[c - 1])) for c in (25, 50, 75, 51, 99)]
    return Figure(
        "The gambler's problem, heads with probability 0.4", _BOOK + "figure 4.3",
        [Panel("value estimates", lines, x_label="capital", y_label="probability to win"),
         Panel("a best policy: the smallest stake", [Line("", capital, smallest)], x_label="capital", y_label="stake")],
        ("capital", "value", "smallest best stake"), rows, "there is a whole family of best policies",
    )  # fmt: skip
