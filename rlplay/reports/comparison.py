"""A comparison of agents: what is known of each, and the tables that a terminal, a page and programs show of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import counted
from rlplay.reports.curves import Curve
from rlplay.reports.numbers import interval, number
from rlplay.reports.statistics import (
    first_reached,
    interquartile_mean,
    probabilities_of_improvement,
    probability_of_improvement,
    stratified_interval,
)
from rlplay.reports.step_costs import ENVS, StepCosts

MOST_NAMED = 5  # agents up to which a table of pairs has their names above its columns, and its intervals


@dataclass
class Contender:
    """An agent of a comparison.

    Attributes:
        curve: its evaluations.
        seeds: of its runs, in the order of the curve's rows.
        settings: its hyperparameters, in words.
        film: frames [H, W, 3] of an episode, uint8; none for none.
        film_words: what it shows, or why there is none.
        film_rate: frames a second.
        file_bytes: the size of its saved file, 0 where that is not known.
        costs: what a step costs in its environment and in choosing; None where that was not measured.
    """

    curve: Curve
    seeds: list[int]
    settings: str = ""
    film: list[NDArray[np.uint8]] = field(default_factory=list)
    film_words: str = ""
    film_rate: float = 25.0
    file_bytes: int = 0
    costs: StepCosts | None = None


class Failure(NamedTuple):
    """A run that has no curve.

    Attributes:
        agent: its name.
        seed: its seed; None for runs of several seeds.
        folder: where it is; empty for several.
        reason: why, in a line.
    """

    agent: str
    seed: int | None
    folder: str
    reason: str


@dataclass
class Comparison:
    """What is compared.

    Attributes:
        title: what is compared where.
        contenders: the agents.
        threshold: the return at which a task counts as solved; NaN where nothing tells one.
        threshold_words: where it comes from.
        episodes: of each evaluation.
        facts: versions and the processor, in words.
        command: what made it, as one types it.
        paired: whether differences on the same seeds are shown.
        failed: the runs that are not in it.
    """

    title: str
    contenders: list[Contender]
    threshold: float
    threshold_words: str
    episodes: int
    facts: str = ""
    command: str = ""
    paired: bool = False
    failed: list[Failure] = field(default_factory=list)

    @cached_property
    def ranked(self) -> list[Contender]:
        """The agents, the best last evaluation first."""
        return sorted(self.contenders, key=lambda one: -interquartile_mean(one.curve.last))

    @cached_property
    def pairs(self) -> dict[tuple[int, int], tuple[float, float, float]]:
        """The probability that a run of one agent ends better than one of another, and its interval, by their ranks.

        The interval is NaN where one of them has one run.
        """
        found = {}
        for i, one in enumerate(self.ranked):
            for j, other in enumerate(self.ranked[i + 1 :], i + 1):
                groups = [one.curve.last, other.curve.last]
                low, high = math.nan, math.nan
                if min(map(len, groups)) > 1:
                    low, high = stratified_interval(groups, probabilities_of_improvement)
                share = probability_of_improvement(*groups)
                found[i, j], found[j, i] = (share, low, high), (1 - share, 1 - high, 1 - low)
        return found


class Table(NamedTuple):
    """Rows of text under columns; the first column is words, the others are numbers."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


def seed_count(contenders: list[Contender]) -> str:
    """How many seeds the agents have, in words.

    Example:
        >>> curve = Curve("a", np.array([10]), np.array([[1.0]]), np.ones(1))
        >>> seed_count([Contender(curve, [0])]), seed_count([Contender(curve, [0]), Contender(curve, [0, 1, 2])])
        ('1 seed', '1 to 3 seeds')
    """
    counts = [len(one.seeds) for one in contenders]
    words = counted(max(counts), "seed")
    return words if min(counts) == max(counts) else f"{min(counts)} to {words}"


def results(comparison: Comparison) -> Table:
    """An agent a row: the last evaluation, the whole curve, how soon the threshold is reached, and the speed."""
    known, words = not math.isnan(comparison.threshold), comparison.threshold_words
    at = (
        f"the first evaluation of {number(comparison.threshold)} or more ({words}); median over the seeds where all "
        "reach it" if known else f"no threshold: {words}"
    )  # fmt: skip
    rows = []
    for one in comparison.ranked:
        curve = one.curve
        reached = first_reached(curve.timesteps, curve.returns, comparison.threshold)
        got = int(np.isfinite(reached).sum())
        soon = float(np.median(reached)) if got == len(reached) else math.nan
        seconds = float(np.median(reached / curve.speeds)) if got == len(reached) else math.nan
        whole = curve.returns.mean(axis=1)
        rows.append([
            curve.name, number(interquartile_mean(curve.last)), interval(curve.interval(curve.last)),
            number(interquartile_mean(curve.returns.max(axis=1))), number(interquartile_mean(whole)),
            interval(curve.interval(whole)), f"{got} of {len(reached)}" if known else "–", number(soon),
            number(seconds, 3), number(curve.speed, 3), number(one.file_bytes / 1e6, 2) if one.file_bytes else "–",
        ])  # fmt: skip
    return Table(
        f"Returns of greedy evaluations of {counted(comparison.episodes, 'episode')}; interquartile means over seeds, "
        f"with 95 % bootstrap intervals. {_unlike(comparison)}"
        f"Reached: {at}. Steps a second: learning alone, median.",
        ["agent", "last", "95 %", "best", "whole curve", "95 % (whole)", "reached", "after steps", "after seconds",
         "steps/s", "file, MB"],
        rows,
    )  # fmt: skip


def _unlike(comparison: Comparison) -> str:
    """What is not alike between the agents, in sentences."""
    contenders, words = comparison.contenders, []
    alone = [one.curve.name for one in contenders if len(one.seeds) == 1]
    if alone:
        of_whom = f" of {', '.join(alone)}" if len(alone) < len(contenders) else ""
        words.append(f"One seed says nothing of the spread: no intervals{of_whom}. ")
    elif len({len(one.seeds) for one in contenders}) > 1:
        words.append(f"The agents have {seed_count(contenders)}. ")
    ends = {int(one.curve.timesteps[-1]) for one in contenders}
    if len(ends) > 1:
        words.append(f"They end at {min(ends):,} to {max(ends):,} timesteps, so that their last ones are not alike. ")
    if comparison.failed:
        words.append("What failed is not in it. ")
    return "".join(words)


def improvements(comparison: Comparison) -> Table:
    """The probability that a run of the row's agent ends better than one of the column's, with its interval."""
    rows = []
    for i, one in enumerate(comparison.ranked):
        cells = [one.curve.name]
        for j in range(len(comparison.ranked)):
            share, low, high = comparison.pairs.get((i, j), (math.nan, math.nan, math.nan))
            around = "" if math.isnan(low) else f" ({low:.2f} to {high:.2f})"
            cells.append("" if i == j else f"{share:.2f}{around}")
        rows.append(cells)
    return Table(f"{_BETTER}; with 95 % bootstrap intervals.", ["", *(one.curve.name for one in comparison.ranked)],
                 rows)  # fmt: skip


_BETTER = (
    "Probability that a run of the row's agent ends with a higher return than one of the column's, equal ones "
    "counted half"
)


def matrix(comparison: Comparison) -> Table:
    """`improvements` for many agents: their ranks above the columns, and no intervals."""
    rows = []
    for i, one in enumerate(comparison.ranked):
        shares = [comparison.pairs.get((i, j)) for j in range(len(comparison.ranked))]
        rows.append(
            [f"{i + 1} {one.curve.name}", *("" if share is None else f"{share[0] * 100:.0f}" for share in shares)]
        )
    return Table(f"{_BETTER}, in per cent. Columns are the rows' agents, by their numbers.",
                 ["", *(str(i + 1) for i in range(len(rows)))], rows)  # fmt: skip


def improvement_of_pairs(comparison: Comparison) -> Table:
    """The probabilities of improvement, a pair a row, the better agent first."""
    ranked, rows = comparison.ranked, []
    for i in range(len(ranked)):
        for j in range(i + 1, len(ranked)):
            share, *around = comparison.pairs[i, j]
            limits = "–" if math.isnan(around[0]) else f"{around[0]:.2f} to {around[1]:.2f}"
            rows.append([f"{ranked[i].curve.name} over {ranked[j].curve.name}", f"{share:.2f}", limits])
    return Table("", ["pair", "probability", "95 %"], rows)


def costs(comparison: Comparison) -> Table:
    """Microseconds of a step of each agent: environment, inference, update; and its memory."""
    rows = []
    for one in comparison.contenders:
        whole = 1e6 / one.curve.speed
        found = one.costs or StepCosts()
        environment, acting = found.environment * 1e6, found.acting * 1e6
        left = max(whole - environment - acting, 0.0)
        rows.append([
            one.curve.name, number(one.curve.speed, 3), number(whole, 3), number(environment, 3),
            number(acting, 3), number(left, 3), number(left / whole * 100, 2),
            number(found.memory / 1e6, 3) if found.memory else "–",
        ])  # fmt: skip
    return Table(
        f"Microseconds a step of learning. Environment and inference were measured after training, {ENVS} at a time, "
        "on one thread; update is what is left, with everything else that learning does. Where one native loop does "
        "it all, inference from outside costs more than within, and what is left is a lower bound. Memory: tables, "
        "networks and replay buffer.",
        ["agent", "steps/s", "whole", "environment", "inference", "update", "update, %", "memory, MB"],
        rows,
    )


def differences(comparison: Comparison) -> Table:
    """Differences of the last evaluation on the same seeds, pair by pair."""
    rows = []
    for i, one in enumerate(comparison.ranked):
        for other in comparison.ranked[i + 1 :]:
            shared = [seed for seed in one.seeds if seed in other.seeds]
            gaps = np.array(
                [one.curve.last[one.seeds.index(s)] - other.curve.last[other.seeds.index(s)] for s in shared]
            )
            if not len(gaps):
                rows.append([f"{one.curve.name} - {other.curve.name}", "0", "–", "–", "–"])
                continue
            around = (math.nan, math.nan)
            if len(gaps) > 1:
                around = stratified_interval([gaps], lambda x: x.mean(axis=(1, 2)))
            mean = round(float(gaps.mean()), 12)  # equal ones differ by nothing
            rows.append([
                f"{one.curve.name} - {other.curve.name}", str(len(gaps)), number(mean), interval(around),
                f"{int((gaps > 0).sum())} of {len(gaps)}",
            ])  # fmt: skip
    return Table(
        "Differences of the last evaluations, seed by seed: the mean with its 95 % bootstrap interval.",
        ["pair", "seeds", "mean difference", "95 %", "first is better"],
        rows,
    )


def failures(comparison: Comparison) -> Table:
    """The runs that are not in the comparison, and why."""
    rows = [
        [one.agent, "all" if one.seed is None else str(one.seed), one.reason, one.folder] for one in comparison.failed
    ]
    return Table("", ["agent", "seed", "why", "folder"], rows)
