"""Chapters 6 and 7: learning from the next step, and from the next n."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import Figure, LearningRule, Line, NoEnvironment, Panel, Track, compiled, make, normal, stream

from ..double_q_learning import DoubleQLearning
from ..expected_sarsa import ExpectedSarsa
from ..monte_carlo import MonteCarlo
from ..q_learning import QLearning
from ..sarsa import Sarsa
from ..td_prediction import TDPrediction
from . import after_each_episode, play_episodes

_BOOK = "Sutton & Barto, 2nd edition, "
_WALK_5 = np.arange(1, 6) / 6  # true values of the walk of 5 states
_WALK_19 = np.arange(-9, 10) / 10


def walk_errors(cls: Any, runs: int, episodes: int, **settings: Any) -> NDArray[np.float64]:
    """RMS error over the 5 states after each episode, averaged over runs [episodes]."""
    env = make("rlplay/RandomWalk-v0")
    errors = np.zeros((runs, episodes))
    for run in range(runs):
        agent: Any = cls(env, policy="random", gamma=1.0, initial_value=0.5, seed=run, **settings)
        agent.v[[0, 6]] = 0.0

        def rms(agent: Any = agent) -> float:
            return float(np.sqrt(((agent.v[1:6] - _WALK_5) ** 2).mean()))

        errors[run] = after_each_episode(agent, episodes, rms)
    return errors.mean(axis=0)


def random_walk(track: Track[Any], runs: int = 100) -> Figure:
    """Example 6.2: TD and Monte Carlo on the random walk of 5 states."""
    values = []
    for episodes in (0, 1, 10, 100):
        agent = TDPrediction("rlplay/RandomWalk-v0", policy="random", alpha=0.1, gamma=1.0, initial_value=0.5, seed=3)
        if episodes:
            after_each_episode(agent, episodes, lambda: 0)
        values.append(Line(f"{episodes} episodes", range(1, 6), agent.v[1:6].copy(), "o-"))
    values.append(Line("true values", range(1, 6), _WALK_5, "--"))
    contenders: list[Any] = [(TDPrediction, "TD", a) for a in (0.15, 0.1, 0.05)]
    contenders += [(MonteCarlo, "MC", a) for a in (0.01, 0.02, 0.03, 0.04)]
    lines, rows = [], []
    for cls, name, alpha in track(contenders):
        more = {"visit": "every"} if name == "MC" else {}
        errors = walk_errors(cls, runs, 100, alpha=alpha, **more)
        lines.append(Line(f"{name}, α = {alpha}", range(1, 101), errors, "-" if name == "TD" else "--"))
        rows.append((f"{name}, α = {alpha}", f"{errors[9]:.3f}", f"{errors[99]:.3f}"))
    return Figure(
        "Random walk of 5 states", _BOOK + "example 6.2",
        [Panel("values learned by TD(0), α = 0.1", values, x_label="state", y_label="value"),
         Panel(f"RMS error, {runs} runs", lines, x_label="episodes", y_label="RMS error over states")],
        ("method", "RMS after 10 episodes", "after 100"), rows, "TD is better all along",
    )  # fmt: skip


def batch_errors(runs: int, episodes: int = 100) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """RMS errors of batch TD and batch Monte Carlo after each episode, averaged over runs.

    Batch TD(0) converges to the certainty-equivalence values, and batch Monte Carlo to the mean returns: both are
    computed directly (`agents.td_prediction.batch_td` shows that they agree).
    """
    rng = np.random.default_rng(0)
    errors = np.zeros((2, runs, episodes))
    for run in range(runs):
        moves, visits = np.zeros((7, 7)), np.zeros(7)
        returns = np.zeros(7)
        for episode in range(episodes):
            s, path = 3, [3]
            while 0 < s < 6:
                s += 1 if rng.random() < 0.5 else -1
                path.append(s)
            for here, there in pairwise(path):
                moves[here, there] += 1
                visits[here] += 1
                returns[here] += s == 6
            seen = np.flatnonzero(visits)
            law = moves[seen] / visits[seen, None]
            td, mc = np.full(7, 0.5), np.full(7, 0.5)
            td[seen] = np.linalg.solve(np.eye(len(seen)) - law[:, seen], law[:, 6])
            mc[seen] = returns[seen] / visits[seen]
            for k, v in enumerate((td, mc)):
                errors[k, run, episode] = np.sqrt(((v[1:6] - _WALK_5) ** 2).mean())
    td_error, mc_error = errors.mean(axis=1)
    return td_error, mc_error


def batch(track: Track[Any], runs: int = 100) -> Figure:
    """Figure 6.2: batch TD and batch Monte Carlo."""
    for _ in track([0]):
        td, mc = batch_errors(runs)
    lines = [Line("batch Monte Carlo", range(1, 101), mc), Line("batch TD", range(1, 101), td)]
    rows = [(name, f"{e[9]:.3f}", f"{e[99]:.3f}") for name, e in (("Monte Carlo", mc), ("TD", td))]
    panel = Panel(f"{runs} runs", lines, x_label="episodes", y_label="RMS error over states", y_range=(0, 0.26))
    return Figure(
        "Random walk, batch training", _BOOK + "figure 6.2", [panel],
        ("method", "RMS after 10 episodes", "after 100"), rows,
        "what fits the returns best so far is not what predicts best", size=(7, 4.2),
    )  # fmt: skip


def windy(track: Track[Any], runs: int = 20) -> Figure:
    """Example 6.5: Sarsa in the windy gridworld."""
    env, ends = make("rlplay/GridWorld-v0", map="windy"), []
    for seed in track(range(runs)):
        agent = Sarsa(env, alpha=0.5, gamma=1.0, epsilon=0.1, seed=seed)
        ends.append([row.timestep for row in play_episodes(agent, 170, 256)])
    steps = np.array(ends)
    lines = [Line(f"mean of {runs} runs", steps.mean(axis=0), np.arange(1, 171))]
    lines.append(Line("one run", steps[0], np.arange(1, 171)))
    late = np.diff(steps[:, -51:], axis=1).mean()
    rows = [("steps of 170 episodes", f"{steps[:, -1].mean():,.0f}"), ("steps an episode, last 50", f"{late:.1f}")]
    panel = Panel("Sarsa, α = 0.5, ε = 0.1", lines, x_label="time steps", y_label="episodes finished")
    return Figure(
        "Windy gridworld", _BOOK + "example 6.5", [panel], ("", "mean over runs"), rows,
        "the slope is the speed: the shortest way takes 15 steps", size=(7, 4.2),
    )  # fmt: skip


def cliff_returns(cls: Any, runs: int, episodes: int, alpha: float = 0.5) -> NDArray[np.float64]:
    """Returns of each episode on the cliff [runs, episodes], ε = 0.1."""
    env = make("CliffWalking-v1")
    return np.array([
        [row.episode_return for row in play_episodes(
            cls(env, alpha=alpha, gamma=1.0, epsilon=0.1, seed=seed), episodes)]
        for seed in range(runs)
    ])  # fmt: skip


def cliff_walking(track: Track[Any], runs: int = 100) -> Figure:
    """Example 6.6: Sarsa and Q-learning on the cliff, and Expected Sarsa beside them."""
    lines, rows = [], []
    for cls in track((Sarsa, QLearning, ExpectedSarsa)):
        returns = cliff_returns(cls, runs, 500)
        smooth = np.convolve(returns.mean(axis=0), np.ones(10) / 10, "valid")
        lines.append(Line(cls.__name__, np.arange(10, 501), smooth))
        last = returns[:, -100:]
        rows.append((cls.__name__, f"{last.mean():.1f}", f"{np.median(last):.0f}"))
    panel = Panel(f"α = 0.5, ε = 0.1, {runs} runs, mean of 10 episodes", lines, x_label="episodes",
                  y_label="return of an episode", y_range=(-100, 0))  # fmt: skip
    return Figure(
        "Cliff walking", _BOOK + "example 6.6", [panel], ("agent", "mean return, last 100 episodes", "median"), rows,
        "Q-learning learns the shortest way, and falls off it while it explores; Sarsa takes the safe one",
        size=(7, 4.2),
    )  # fmt: skip


def cliff_alphas(track: Track[Any], runs: int = 10) -> Figure:
    """Figure 6.3: interim and asymptotic performance on the cliff over step sizes."""
    alphas = np.arange(1, 11) / 10
    jobs = [(cls, alpha) for cls in (Sarsa, QLearning, ExpectedSarsa) for alpha in alphas]
    interim: dict[str, list[float]] = {}
    asymptotic: dict[str, list[float]] = {}
    for cls, alpha in track(jobs):
        returns = cliff_returns(cls, runs * 5, 100, float(alpha))
        interim.setdefault(cls.__name__, []).append(returns.mean())
        asymptotic.setdefault(cls.__name__, []).append(cliff_returns(cls, runs, 5000, float(alpha)).mean())
    panels = [
        Panel(title, [Line(name, alphas, values, "o-") for name, values in found.items()], x_label="α",
              y_label="return of an episode", y_range=(-160, 0))
        for title, found in (("first 100 episodes", interim), ("first 5,000 episodes", asymptotic))
    ]  # fmt: skip
    rows = [
        (name, f"{max(values):.1f}", f"{alphas[int(np.argmax(values))]:g}", f"{max(asymptotic[name]):.1f}",
         f"{alphas[int(np.argmax(asymptotic[name]))]:g}")
        for name, values in interim.items()
    ]  # fmt: skip
    return Figure(
        "Cliff walking over step sizes", _BOOK + "figure 6.3", panels,
        ("agent", "best, 100 episodes", "at α", "best, 5,000 episodes", "at α"), rows,
        "Expected Sarsa may take α = 1 on this deterministic cliff, Sarsa may not",
    )  # fmt: skip


@cache
def _bias_loop(rule: LearningRule) -> Callable[..., None]:
    act, learn = rule.act, rule.learn

    @compiled
    def run(
        memory: Any, runs: int, episodes: int, actions: int, rng: NDArray[np.uint64], lefts: NDArray[np.float64]
    ) -> None:
        for k in range(runs):
            a_state, b_state, end = 3 * k, 3 * k + 1, 3 * k + 2
            for episode in range(episodes):
                action = act(memory, a_state, 0.0)
                if action == 0:
                    lefts[episode] += 1.0
                    learn(memory, a_state, action, 0.0, b_state, -1, False, False, 0.0)
                    action = act(memory, b_state, 0.0)
                    learn(memory, b_state, action, -0.1 + normal(rng), end, -1, True, False, 0.0)
                else:
                    learn(memory, a_state, action, 0.0, end, -1, True, False, 0.0)

    return run


def left_share(cls: Any, runs: int, episodes: int = 300, actions: int = 10) -> NDArray[np.float64]:
    """Percentage of runs that take the wrong action in A, in each episode of example 6.7; α = ε = 0.1."""
    spaces = gym.spaces.Discrete(3 * runs), gym.spaces.Discrete(actions)
    agent: Any = cls(NoEnvironment(*spaces, ""), alpha=0.1, epsilon=0.1, gamma=1.0, seed=0)
    for table in {"q": agent.q, **{n: getattr(agent, n) for n in ("q1", "q2") if hasattr(agent, n)}}.values():
        table[0::3, 2:] = -np.inf  # in A only left and right
    lefts = np.zeros(episodes)
    _bias_loop(agent.rule)(agent.memory, runs, episodes, actions, stream(0, "rewards"), lefts)
    return 100 * lefts / runs


def maximization_bias(track: Track[Any], runs: int = 10_000) -> Figure:
    """Figure 6.5: Q-learning and Double Q-learning with maximization bias."""
    lines, rows = [], []
    for cls in track((QLearning, DoubleQLearning)):
        share = left_share(cls, runs)
        lines.append(Line(cls.__name__, np.arange(1, 301), share))
        rows.append((cls.__name__, f"{share.max():.0f} %", f"{share[-1]:.1f} %"))
    lines.append(Line("best with ε = 0.1", [1, 300], [5, 5], "--"))
    panel = Panel(f"{runs:,} runs", lines, x_label="episodes", y_label="% left actions from A", y_range=(0, 100))
    return Figure(
        "Maximization bias", _BOOK + "figure 6.5", [panel], ("agent", "most lefts", "lefts in episode 300"), rows,
        "the maximum of noisy values makes left look good", size=(7, 4.2),
    )  # fmt: skip


def n_step_errors(n: int, alpha: float, runs: int, episodes: int = 10) -> float:
    """RMS error of n-step TD over the 19 states, averaged over the first episodes and runs."""
    env, errors = make("rlplay/RandomWalk-v0", n_states=19), []
    for run in range(runs):
        agent = TDPrediction(env, policy="random", n_steps=n, alpha=alpha, gamma=1.0, seed=run)

        def rms(agent: TDPrediction = agent) -> float:
            return float(np.sqrt(((agent.v[1:20] - _WALK_19) ** 2).mean()))

        errors.append(np.mean(after_each_episode(agent, episodes, rms)))
    return float(np.mean(errors))


def n_steps(track: Track[Any], runs: int = 100) -> Figure:
    """Figure 7.2: n-step TD on the random walk of 19 states."""
    alphas = np.array([0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0])
    jobs = [(n, float(alpha)) for n in (1, 2, 4, 8, 16, 32, 64, 128) for alpha in alphas]
    found: dict[int, list[float]] = {}
    for n, alpha in track(jobs):
        found.setdefault(n, []).append(n_step_errors(n, alpha, runs))
    lines = [Line(f"n = {n}", alphas, values, "o-") for n, values in found.items()]
    rows = [(n, f"{min(values):.3f}", f"{alphas[int(np.argmin(values))]:g}") for n, values in found.items()]
    panel = Panel(f"first 10 episodes, {runs} runs", lines, x_label="α", y_label="RMS error over states",
                  y_range=(0.25, 0.55))  # fmt: skip
    return Figure(
        "Random walk of 19 states: n-step TD", _BOOK + "figure 7.2", [panel], ("n", "smallest RMS error", "at α"),
        rows, "the best lies between one step and the whole episode", size=(7, 4.4),
    )  # fmt: skip
