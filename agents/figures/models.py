"""Chapter 8: planning and learning with a model of the world."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Callback,
    Figure,
    FinishedEpisode,
    Line,
    Panel,
    TableEnv,
    Track,
    TransitionTable,
    compiled,
    make,
    random,
    stream,
    table_of,
)

from ..dyna_q import DynaQ
from ..dyna_q_plus import DynaQPlus
from ..prioritized_sweeping import PrioritizedSweeping
from ..real_time_dp import RealTimeDP
from ..value_iteration import ValueIteration
from . import play_episodes

_BOOK = "Sutton & Barto, 2nd edition, "
_GRID = "rlplay/GridWorld-v0"


def dyna_maze(track: Track[Any], runs: int = 30) -> Figure:
    """Figure 8.2: Dyna-Q in the maze with 0, 5 and 50 planning steps."""
    env = make(_GRID, map="dyna-maze")
    lines, rows = [], []
    for n in track((0, 5, 50)):
        lengths = np.array([
            [row.length for row in play_episodes(
                DynaQ(env, planning_steps=n, alpha=0.1, gamma=0.95, epsilon=0.1, seed=seed), 50)]
            for seed in range(runs)
        ])  # fmt: skip
        mean = lengths.mean(axis=0)
        lines.append(Line(f"{n} planning steps", np.arange(2, 51), mean[1:]))
        first = int((mean < 20).argmax()) + 1 if (mean < 20).any() else "-"
        rows.append((n, f"{mean[0]:,.0f}", f"{mean[1]:.0f}", f"{mean[-10:].mean():.1f}", first))
    panel = Panel(f"{runs} runs", lines, x_label="episodes", y_label="steps of an episode", y_range=(0, 800))
    return Figure(
        "Dyna maze", _BOOK + "figure 8.2", [panel],
        ("planning steps", "steps, episode 1", "episode 2", "last 10", "first episode below 20"), rows,
        "with 50 planning steps the third episode is nearly the best", size=(7, 4.2),
    )  # fmt: skip


class _Ends(Callback):
    """Keeps the timesteps at which episodes ended, over several calls of learn."""

    def __init__(self) -> None:
        self.timesteps: list[int] = []

    def on_episodes(self, rows: list[FinishedEpisode]) -> None:
        """Keep them."""
        self.timesteps += [row.timestep for row in rows]


def changing_maze(
    cls: Any, runs: int, before: str, after: str, change: int, total: int, **settings: Any
) -> NDArray[np.float64]:
    """Cumulative reward at each step, mean over runs [total + 1], where the maze changes at one step.

    Args:
        cls: the agent.
        runs: independent runs.
        before: map until step ``change``.
        after: map from there to step ``total``.
        change: step of the change.
        total: steps in all.
        settings: of the agent.
    """
    first, second, steps = make(_GRID, map=before), make(_GRID, map=after), np.arange(total + 1)
    rewards = np.zeros(total + 1)
    for seed in range(runs):
        agent: Any = cls(first, gamma=0.95, epsilon=0.1, seed=seed, **settings)
        ends = _Ends()
        for env, until in ((first, change), (second, total)):
            agent.set_env(env)
            agent.learn(until - agent.num_timesteps, ends, reset_num_timesteps=False)
        rewards += np.searchsorted(ends.timesteps, steps, side="right")  # each end paid 1
    return rewards / runs


def _changing(
    track: Track[Any], runs: int, maps: tuple[str, str], change: int, total: int, title: str, source: str, note: str,
    contenders: dict[str, tuple[Any, dict[str, Any]]],
) -> Figure:  # fmt: skip
    lines, rows = [], []
    for name, (cls, settings) in track(contenders.items()):
        mean = changing_maze(cls, runs, *maps, change, total, **settings)
        lines.append(Line(name, np.arange(total + 1), mean))
        rows.append((name, f"{mean[change]:.1f}", f"{mean[-1]:.1f}"))
    panel = Panel(f"{runs} runs; the world changes at step {change:,}", lines, x_label="time steps",
                  y_label="cumulative reward")  # fmt: skip
    return Figure(
        title, _BOOK + source, [panel], ("agent", f"reward after {change:,} steps", f"after {total:,}"), rows, note,
        size=(7, 4.2),
    )  # fmt: skip


def blocking_maze(track: Track[Any], runs: int = 30) -> Figure:
    """Figure 8.4: the way is blocked after 1,000 steps, and another opens."""
    settings = {"alpha": 1.0, "planning_steps": 10}
    return _changing(
        track, runs, ("blocking-maze", "blocking-maze-moved"), 1000, 3000, "Blocking maze", "figure 8.4",
        "both find the new way; Dyna-Q+ explores more, and finds both sooner",
        {"Dyna-Q+, κ = 0.0001": (DynaQPlus, {**settings, "kappa": 1e-4}), "Dyna-Q": (DynaQ, settings)},
    )  # fmt: skip


def shortcut_maze(track: Track[Any], runs: int = 10) -> Figure:
    """Figure 8.5: a shortcut opens after 3,000 steps."""
    settings = {"alpha": 1.0, "planning_steps": 50}
    return _changing(
        track, runs, ("shortcut-maze", "shortcut-maze-open"), 3000, 6000, "Shortcut maze", "figure 8.5",
        "only the agent that wonders what has changed finds the shortcut",
        {"Dyna-Q+, κ = 0.001": (DynaQPlus, {**settings, "kappa": 1e-3}), "Dyna-Q": (DynaQ, settings)},
    )  # fmt: skip


def enlarged_maze(factor: int) -> TableEnv:
    """The Dyna maze with every cell divided into factor x factor; start and goal are one cell each."""
    grid: Any = make(_GRID, map="dyna-maze", dynamics="gymnasium").unwrapped
    walls = np.kron(grid.state_grid(0) < 0, np.ones((factor, factor), bool))
    rows, columns = walls.shape
    start, goal = (3 * factor - 1, 0), (0, columns - 1)
    place = np.arange(rows * columns).reshape(rows, columns)
    following = np.empty((rows, columns, 4, 1), np.int64)
    for action, (down, right) in enumerate(((-1, 0), (0, 1), (1, 0), (0, -1))):
        to_row = np.clip(np.arange(rows)[:, None] + down, 0, rows - 1)
        to_column = np.clip(np.arange(columns) + right, 0, columns - 1)
        blocked = walls[to_row, to_column] | walls
        following[:, :, action, 0] = np.where(blocked, place, place[to_row, to_column])
    next_state = following.reshape(-1, 4, 1)
    next_state[place[goal]] = place[goal]
    ends = next_state == place[goal]
    reward = ends.astype(float)
    reward[place[goal]] = 0.0
    first = np.zeros(rows * columns)
    first[place[start]] = 1.0
    table = TransitionTable.of(np.ones(next_state.shape), next_state, reward, ends, first)
    return TableEnv(table, gym.spaces.Discrete(rows * columns), gym.spaces.Discrete(4))


def updates_until_best(cls: Any, factor: int, seed: int, **settings: Any) -> int:
    """Backups, real and planned, until the greedy way through an enlarged Dyna maze is within 1.2 of the shortest."""
    env = enlarged_maze(factor)
    shortest = round(1 + np.log(ValueIteration(env, gamma=0.95).learn(10_000).v @ env.table.start) / np.log(0.95))
    agent: Any = cls(env, gamma=0.95, epsilon=0.1, planning_steps=5, seed=seed, **settings)
    while True:
        agent.learn(10 * factor, reset_num_timesteps=False)
        if way_length(agent, env) <= 1.2 * shortest:
            return int(agent.queue.updates[0]) if hasattr(agent, "queue") else 6 * agent.num_timesteps


def way_length(agent: Any, env: TableEnv) -> float:
    """Steps of the greedy policy from the start to the end in a deterministic world; infinity where it circles."""
    s, arrays = int(env.table.start.argmax()), env.table.arrays
    for steps in range(1, env.table.n_states + 1):
        if agent.q[s].max() == 0.0:
            return np.inf
        a = int(agent.q[s].argmax())
        if arrays.terminated[s, a, 0]:
            return steps
        s = int(arrays.next_state[s, a, 0])
    return np.inf


def sweeping(track: Track[Any], runs: int = 5) -> Figure:
    """Example 8.4: prioritized sweeping and Dyna-Q in mazes of growing size."""
    factors, found = (1, 2, 3, 4, 5), {}
    for cls, settings in ((DynaQ, {"alpha": 1.0}), (PrioritizedSweeping, {})):
        found[cls.__name__] = [
            float(np.mean([updates_until_best(cls, factor, seed, **settings) for seed in range(runs)]))
            for factor in track(factors)
        ]
    cells = [47 * factor**2 for factor in factors]
    lines = [Line(name, cells, counts, "o-") for name, counts in found.items()]
    rows = [
        (n, f"{found['DynaQ'][k]:,.0f}", f"{found['PrioritizedSweeping'][k]:,.0f}",
         f"{found['DynaQ'][k] / found['PrioritizedSweeping'][k]:.1f}")
        for k, n in enumerate(cells)
    ]  # fmt: skip
    panel = Panel(
        f"{runs} runs, 5 planning steps",
        lines,
        x_label="states",
        y_label="backups until a good way",
        log_x=True,
        log_y=True,
    )
    return Figure(
        "Prioritized sweeping on mazes", _BOOK + "example 8.4", [panel],
        ("states", "Dyna-Q", "prioritized sweeping", "ratio"), rows,
        "until the greedy way is at most 1.2 times the shortest: the larger the maze, the more it saves",
        size=(7, 4.2),
    )  # fmt: skip


def expected_or_sample(track: Track[Any], runs: int = 2000) -> Figure:
    """Figure 8.7: expected and sample updates with b equally likely successors.

    The successors' values have deviation 1 (that of a sample, with b - 1), so t samples leave √((b - 1) / (b t)).
    """
    lines, rows, rng = [], [], np.random.default_rng(0)
    for b in track((2, 10, 100, 1000)):
        count = 2 * b
        values = rng.standard_normal((runs, b))
        values = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, ddof=1, keepdims=True)
        drawn = np.take_along_axis(values, rng.integers(b, size=(runs, count)), axis=1)
        estimates = np.cumsum(drawn, axis=1) / np.arange(1, count + 1)
        error = np.sqrt((estimates**2).mean(axis=0))
        lines.append(Line(f"sample updates, b = {b}", np.arange(1, count + 1) / b, error))
        rows.append(
            (
                b,
                f"{error[b // 10 - 1]:.3f}" if b >= 10 else "-",
                f"{error[b - 1]:.3f}",
                f"{np.sqrt((b - 1) / b**2):.3f}",
            )
        )
    lines.append(Line("expected updates", [0, 1, 1, 2], [1, 1, 0, 0], "--"))
    panel = Panel(f"{runs} runs", lines, x_label="computations, in units of b", y_label="RMS error of the value",
                  y_range=(0, 1.05))  # fmt: skip
    return Figure(
        "Expected and sample updates", _BOOK + "figure 8.7", [panel],
        ("b", "error of samples at a tenth of b", "at b", "at b by the formula"), rows,
        "for large b a few samples give most of what a whole expected update gives", size=(7, 4.2),
    )  # fmt: skip


@compiled
def _trajectory_task(
    following: NDArray[np.int64], reward: NDArray[np.float64], on_policy: bool, every: int, rng: NDArray[np.uint64],
    found: NDArray[np.float64],
) -> None:  # fmt: skip
    """Expected updates of a random task [S, 2, b], 0.1 to end, spread evenly or along ε-greedy episodes.

    After each ``every`` updates the greedy policy's value of state 0, by sweeps, goes into ``found``.
    """
    states, branches = following.shape[0], following.shape[2]
    q = np.zeros((states, 2))
    s, count = 0, 0
    for point in range(found.shape[0]):
        v, delta = np.zeros(states), 1.0
        while delta > 1e-3:
            delta = 0.0
            for i in range(states):
                a = 1 if q[i, 1] > q[i, 0] else 0
                total = 0.0
                for k in range(branches):
                    total += 0.9 * (reward[i, a, k] + v[following[i, a, k]]) / branches
                delta = max(delta, abs(total - v[i]))
                v[i] = total
        found[point] += v[0]
        for _ in range(every):
            if on_policy:
                a = int(random(rng) * 2) if random(rng) < 0.1 else (1 if q[s, 1] > q[s, 0] else 0)
                here = s
            else:
                here, a = (count // 2) % states, count % 2
            total = 0.0
            for k in range(branches):
                there = following[here, a, k]
                total += 0.9 * (reward[here, a, k] + max(q[there, 0], q[there, 1])) / branches
            q[here, a] = total
            count += 1
            if on_policy:
                s = 0 if random(rng) < 0.1 else following[here, a, int(random(rng) * branches)]


def trajectories(track: Track[Any], runs: int = 50) -> Figure:
    """Figure 8.8: updates along the policy's own trajectories, or spread evenly."""
    states, every, points = 1000, 400, 50
    lines, rows, rng = [], [], stream(0, "updates")
    jobs = [(b, on_policy) for b in (1, 3, 10) for on_policy in (True, False)]
    for b, on_policy in track(jobs):
        found = np.zeros(points)
        for task in range(runs):
            made = np.random.default_rng(task)
            following, reward = made.integers(states, size=(states, 2, b)), made.standard_normal((states, 2, b))
            _trajectory_task(following, reward, on_policy, every, rng, found)
        name = f"b = {b}, {'on-policy' if on_policy else 'uniform'}"
        lines.append(Line(name, np.arange(points) * every, found / runs, "-" if on_policy else "--"))
        rows.append((name, f"{found[1] / runs:.2f}", f"{found[5] / runs:.2f}", f"{found[-1] / runs:.2f}"))
    panel = Panel(f"{states:,} states, {runs} tasks", lines, x_label="expected updates", y_label="value of the start")
    return Figure(
        "Trajectory sampling", _BOOK + "figure 8.8", [panel],
        ("updates", f"value after {every:,}", f"after {5 * every:,}", f"after {(points - 1) * every:,}"), rows,
        "following the policy is faster at first; evenly spread updates end as well or better", size=(7, 4.4),
    )  # fmt: skip


def racetrack(track: Track[Any], runs: int = 5) -> Figure:
    """Exercise 5.12 and section 8.7: the racetrack by value iteration, and by real-time dynamic programming."""
    env = make("rlplay/Racetrack-v0")
    table = table_of(env)
    best = ValueIteration(env, gamma=1.0).learn(10_000)
    value = float(table.start @ best.v)
    sweeps, states = best.num_timesteps, int((~table.final()).sum())
    lines, rows = [], [("value iteration", f"{sweeps * states:,}", "100 %", f"{value:.2f}")]
    for seed in track(range(runs)):
        agent = RealTimeDP(env, gamma=1.0, seed=seed)
        curve = [(row.timestep, row.length) for row in play_episodes(agent, 4000)]
        lines.append(Line(f"RTDP, seed {seed}", [t for t, _ in curve], _smooth([n for _, n in curve])))
        met = float((agent.v[~table.final()] != 0).mean())
        mean = float(np.mean([n for _, n in curve[-1000:]]))
        rows.append((f"RTDP, seed {seed}", f"{agent.num_timesteps:,}", f"{100 * met:.0f} %", f"{-mean:.2f}"))
    lines.append(Line("the best policy", [1, lines[0].x[-1]], [-value, -value], "--"))
    panel = Panel("steps of a race, mean of 50", lines, x_label="backups", y_label="steps", log_x=True, y_range=(0, 60))
    return Figure(
        "Racetrack: real-time dynamic programming", _BOOK + "section 8.7, track of figure 5.5", [panel],
        ("method", "backups", "states backed up", "value of the start"), rows,
        "RTDP races like the best policy without ever having looked at most states", size=(7, 4.4),
    )  # fmt: skip


def _smooth(values: list[int]) -> NDArray[np.float64]:
    """The mean of the last 50 at each place."""
    sums = np.cumsum(np.insert(np.asarray(values, float), 0, 0))
    n = np.arange(1, len(values) + 1)
    return (sums[n] - sums[np.maximum(n - 50, 0)]) / np.minimum(n, 50)
