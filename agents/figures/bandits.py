"""Chapter 2: the 10-armed testbed. Each run is a problem of its own, a context with a row of its own in the tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import Figure, LearningRule, Line, Panel, Track, compiled, make, normal, stream

from ..epsilon_greedy import EpsilonGreedy
from ..gradient_bandit import GradientBandit
from ..thompson_sampling import ThompsonSampling
from ..ucb import UCB

_BOOK = "Sutton & Barto, 2nd edition, "


@cache
def _testbed(rule: LearningRule) -> Callable[..., None]:
    act, learn = rule.act, rule.learn

    @compiled
    def run(
        memory: Any, means: NDArray[np.float64], steps: int, drift: float, rng: NDArray[np.uint64],
        rewards: NDArray[np.float64], optimal: NDArray[np.float64],
    ) -> None:  # fmt: skip
        for s in range(means.shape[0]):
            for t in range(steps):
                a = act(memory, s, 0.0)
                r = means[s, a] + normal(rng)
                best = means[s, 0]
                for b in range(1, means.shape[1]):
                    best = max(best, means[s, b])
                rewards[t] += r
                optimal[t] += means[s, a] == best
                learn(memory, s, a, r, s, -1, False, False, 0.0)
                if drift > 0.0:
                    for b in range(means.shape[1]):
                        means[s, b] += drift * normal(rng)

    return run


def play_testbed(
    cls: Any, runs: int = 2000, steps: int = 1000, *, mean: float = 0.0, drift: float = 0.0, seed: int = 0,
    **hyperparameters: Any,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Mean reward and share of optimal actions at each step over the runs, [T] and [T].

    Args:
        cls: a bandit agent.
        runs: problems of 10 actions, each played once.
        steps: steps a run.
        mean: mean of the actions' means.
        drift: deviation by which each mean walks a step; then all begin at ``mean``.
        seed: of problems, rewards and agent.
        hyperparameters: of the agent.
    """
    first = {"means": np.full((runs, 10), mean)} if drift else {"problems": runs, "mean": mean, "problem_seed": seed}
    env: Any = make("rlplay/Bandit-v0", dynamics="gymnasium", **first)
    agent = cls(env, seed=seed, **hyperparameters)
    rewards, optimal, means = np.zeros(steps), np.zeros(steps), env.unwrapped.means.copy()
    assert agent.rule is not None
    _testbed(agent.rule)(agent.memory, means, steps, drift, stream(seed, "rewards"), rewards, optimal)
    return rewards / runs, 100 * optimal / runs


def _compared(
    track: Track[Any], runs: int, steps: int, title: str, source: str, note: str,
    contenders: dict[str, tuple[Any, dict[str, Any]]], **bed: Any,
) -> Figure:  # fmt: skip
    rewards, optimal, rows = [], [], []
    last = max(steps // 10, 1)
    for name, (cls, settings) in track(contenders.items()):
        reward, best = play_testbed(cls, runs, steps, **bed, **settings)
        rewards.append(Line(name, np.arange(1, steps + 1), reward))
        optimal.append(Line(name, np.arange(1, steps + 1), best))
        rows.append((name, f"{reward[-last:].mean():.3f}", f"{best[-last:].mean():.1f} %"))
    panels = [
        Panel("average reward", rewards, x_label="steps", y_label="reward"),
        Panel("optimal action", optimal, x_label="steps", y_label="% of runs", y_range=(0, 100)),
    ]
    columns = ("agent", f"reward, last {last} steps", "optimal action")
    return Figure(title, _BOOK + source, panels, columns, rows, note)


def epsilon(track: Track[Any], runs: int = 2000) -> Figure:
    """Figure 2.2: ε-greedy action values."""
    contenders = {f"ε = {e}": (EpsilonGreedy, {"epsilon": e}) for e in (0.0, 0.01, 0.1)}
    return _compared(
        track, runs, 1000, "10-armed testbed: ε-greedy with sample averages", "figure 2.2",
        "greedy is stuck with the first good action; ε = 0.01 is slower than 0.1 and better in the end", contenders,
    )  # fmt: skip


def optimistic(track: Track[Any], runs: int = 2000) -> Figure:
    """Figure 2.3: optimistic initial values."""
    contenders: dict[str, Any] = {
        "optimistic, greedy: Q₁ = 5, ε = 0": (EpsilonGreedy, {"initial_value": 5.0, "epsilon": 0.0, "alpha": 0.1}),
        "realistic, ε-greedy: Q₁ = 0, ε = 0.1": (EpsilonGreedy, {"epsilon": 0.1, "alpha": 0.1}),
    }
    return _compared(
        track, runs, 1000, "10-armed testbed: optimistic initial values", "figure 2.3",
        "disappointed by everything it tries, the optimist explores, once", contenders,
    )  # fmt: skip


def ucb(track: Track[Any], runs: int = 2000) -> Figure:
    """Figure 2.4: upper confidence bounds, and Thompson sampling beside them."""
    contenders: dict[str, Any] = {
        "UCB, c = 2": (UCB, {"c": 2.0}),
        "ε-greedy, ε = 0.1": (EpsilonGreedy, {"epsilon": 0.1}),
        "Thompson sampling (not in the book)": (ThompsonSampling, {}),
    }
    return _compared(
        track, runs, 1000, "10-armed testbed: upper confidence bounds", "figure 2.4",
        "the spike of UCB at step 11: every action was tried once, and the best of them is taken", contenders,
    )  # fmt: skip


def gradient(track: Track[Any], runs: int = 2000) -> Figure:
    """Figure 2.5: gradient bandits with and without a baseline."""
    contenders: dict[str, Any] = {
        f"α = {alpha}, {'with' if baseline else 'without'} baseline": (
            GradientBandit,
            {"alpha": alpha, "baseline": baseline},
        )
        for baseline in (True, False)
        for alpha in (0.1, 0.4)
    }
    return _compared(
        track, runs, 1000, "10-armed testbed, means around 4: gradient bandits", "figure 2.5",
        "without a baseline every reward of about 4 pushes up whatever was done", contenders, mean=4.0,
    )  # fmt: skip


def parameters(track: Track[Any], runs: int = 1000) -> Figure:
    """Figure 2.6: a parameter study of all four."""
    powers = {k: 2.0**k for k in range(-7, 3)}
    study: dict[str, tuple[Any, str, range, dict[str, Any]]] = {
        "ε-greedy (ε)": (EpsilonGreedy, "epsilon", range(-7, -1), {}),
        "gradient bandit (α)": (GradientBandit, "alpha", range(-5, 1), {}),
        "UCB (c)": (UCB, "c", range(-4, 3), {}),
        "optimistic, greedy, α = 0.1 (Q₀)": (EpsilonGreedy, "initial_value", range(-2, 3),
                                             {"epsilon": 0.0, "alpha": 0.1}),
    }  # fmt: skip
    jobs = [(name, k) for name, (_, _, ks, _) in study.items() for k in ks]
    found: dict[str, list[float]] = {name: [] for name in study}
    for name, k in track(jobs):
        cls, parameter, _, settings = study[name]
        given: dict[str, Any] = {parameter: powers[k], **settings}
        found[name].append(play_testbed(cls, runs, 1000, **given)[0].mean())
    lines = [Line(name, [powers[k] for k in study[name][2]], found[name], "o-") for name in study]
    rows = [
        (name, f"{max(values):.3f}", f"{powers[list(study[name][2])[int(np.argmax(values))]]:g}")
        for name, values in found.items()
    ]
    panel = Panel("over parameters", lines, x_label="ε, α, c or Q₀", y_label="mean reward of 1000 steps", log_x=True)
    return Figure(
        "10-armed testbed: a parameter study", _BOOK + "figure 2.6", [panel], ("agent", "best mean reward", "at"),
        rows, "an inverted U for each; UCB has the highest peak", size=(7, 4.4),
    )  # fmt: skip


def drifting(track: Track[Any], runs: int = 300) -> Figure:
    """Exercise 2.5: a drifting bandit, where averages of everything are too slow."""
    contenders: dict[str, Any] = {
        "sample average": (EpsilonGreedy, {"epsilon": 0.1}),
        "constant α = 0.1": (EpsilonGreedy, {"epsilon": 0.1, "alpha": 0.1}),
    }
    return _compared(
        track, runs, 10_000, "Drifting bandit: means walk by 0.01 a step", "exercise 2.5",
        "a constant step size forgets, and follows", contenders, drift=0.01,
    )  # fmt: skip
