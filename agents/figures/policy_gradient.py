"""Chapter 13: policy gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import Figure, Line, Panel, TableArrays, Track, compiled, make, random, step_table, stream, table_of

from ..policy_evaluation import PolicyEvaluation

_BOOK = "Sutton & Barto, 2nd edition, "
_CORRIDOR, _LIMIT = "rlplay/Corridor-v0", 1000


@compiled
def _reinforce(
    table: TableArrays, alpha: float, limit: int, rng: NDArray[np.uint64], found: NDArray[np.float64]
) -> float:
    """REINFORCE, box on page 328, where all states look alike; adds each episode's return to ``found`` [E].

    The policy is the soft-max of two preferences, one an action, and begins with 0.95 left. Returns the probability of
    right at the end.
    """
    theta, right = np.array([math.log(19.0), 0.0]), 0.05
    actions = np.zeros(limit, np.int64)
    for episode in range(found.shape[0]):
        s, length, terminated = 0, 0, False
        while not terminated and length < limit:
            actions[length] = 1 if random(rng) < right else 0
            s, _, terminated = step_table(table, s, actions[length], rng)
            length += 1
        found[episode] -= length
        for t in range(length):
            g = float(t - length)  # the return from step t on: -1 a step, no discount
            right = 1.0 / (1.0 + math.exp(theta[0] - theta[1]))
            gradient = (1.0 if actions[t] == 1 else 0.0) - right  # of ln π(A) by the preference for right
            theta[1] += alpha * g * gradient
            theta[0] -= alpha * g * gradient
        right = 1.0 / (1.0 + math.exp(theta[0] - theta[1]))
    return right


def value_of_right(p: float) -> float:
    """The value of the first state where right is taken with probability p everywhere, by policy evaluation."""
    agent = PolicyEvaluation(_CORRIDOR, policy=[[1 - p, p]] * 4, gamma=1.0, theta=1e-9)
    return float(agent.learn(100_000).v[0])


def short_corridor(track: Track[Any], runs: int = 100) -> Figure:
    """Example 13.1 and figure 13.1: the short corridor where all states look alike, and REINFORCE in it."""
    chances = np.linspace(0.05, 0.95, 37)
    values = np.array([value_of_right(p) for p in chances])
    best = 2 - math.sqrt(2)
    optimum = value_of_right(best)
    rows: list[tuple[Any, ...]] = [("best policy", f"{best:.2f}", f"{optimum:.2f}")]
    table, episodes, lines = table_of(make(_CORRIDOR)), 1000, []
    for power in track((-12, -13, -14)):
        found, right, rng = np.zeros(episodes), 0.0, stream(0, "episodes")
        for _ in range(runs):
            right += _reinforce(table.arrays, 2.0**power, _LIMIT, rng, found) / runs
        lines.append(Line(f"α = 2^{power}", np.arange(1, episodes + 1), found / runs))
        rows.append((f"REINFORCE, α = 2^{power}", f"{right:.2f}", f"{found[-100:].mean() / runs:.2f}"))
    lines.append(Line("the best policy", [1, episodes], [optimum, optimum], "--"))
    panels = [
        Panel("value of the start", [Line("", chances, values), Line("best", [best], [optimum], "o")],
              x_label="probability of right", y_label="value", y_range=(-100, 0)),
        Panel(f"REINFORCE, {runs} runs", lines, x_label="episode", y_label="return of an episode", y_range=(-90, 0)),
    ]  # fmt: skip
    return Figure(
        "The short corridor: the best policy is random", _BOOK + "example 13.1 and figure 13.1", panels,
        ("policy", "probability of right", "value, or mean return of the last 100 episodes"), rows,
        "2^-13 comes near the best chance; with 2^-12 some runs get stuck at one action", size=(5.2, 3.8),
    )  # fmt: skip
