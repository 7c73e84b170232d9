"""Learning curves of several runs: their evaluations side by side, and a picture with intervals over the seeds.

Curves are interquartile means over the seeds (`rlplay.reports.statistics`); of three seeds or fewer that is the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import UsageError, counted, warn
from rlplay.reports.pictures import check_picture, in_picture
from rlplay.reports.statistics import interquartile_mean, interquartile_means, stratified_interval
from rlplay.storage.files import atomic_writer
from rlplay.training.run_folder import RunFolder, read_evaluations

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6a51a3", "#444444")  # told apart by all
CUT_AFTER = 10_000  # steps after which an evaluation cuts an episode that does not end
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True)
class Curve:
    """One agent's evaluations over S seeds at T timesteps.

    Attributes:
        name: id of the agent.
        timesteps: int64 [T]; where a curve is drawn along episodes or seconds (float64) these.
        returns: mean return of each evaluation, float64 [S, T].
        speeds: timesteps a second of learning, float64 [S].
        cut: whether an episode of an evaluation was cut because it did not end, bool [S, T]; None for nowhere.
    """

    name: str
    timesteps: NDArray[Any]
    returns: NDArray[np.float64]
    speeds: NDArray[np.float64]
    cut: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, name: str, runs: list[RunFolder], speeds: list[float]) -> Self:
        """The curve of finished runs, at the timesteps that all of them have.

        Evaluations that are not finite are left out, which is said.

        Raises:
            UsageError: a run has no evaluations.
        """
        found: list[dict[int, tuple[float, bool]]] = []
        for run in runs:
            path = run.path / "evaluations.npz"
            if not path.is_file():
                raise UsageError(f"{run.path} has no evaluations", "Train it with --eval-freq")
            saved = read_evaluations(path)
            cut = np.any(saved.ep_lengths >= CUT_AFTER, axis=1).tolist()
            rows = zip(saved.timesteps.tolist(), saved.results.mean(axis=1).tolist(), cut, strict=True)
            found.append({timestep: (mean, ended) for timestep, mean, ended in rows if np.isfinite(mean)})
            if lost := len(saved.timesteps) - len(found[-1]):
                warn(f"{path}: {counted(lost, 'evaluation')} whose returns are not finite left out")
        common = sorted(set.intersection(*(set(one) for one in found)))
        if not all(found):
            raise UsageError(f"no evaluation of a run of {name} is finite", "Leave it out")
        if not common:
            raise UsageError(
                f"the runs of {name} were evaluated at different timesteps",
                "Choose runs of one length: --where n_timesteps=..., or draw each with rlplay plot --each",
            )
        say_cut(name, common[-1], max(max(one) for one in found))
        table = np.array([[one[t] for t in common] for one in found])
        return cls(name, np.array(common), table[:, :, 0], np.array(speeds), table[:, :, 1] > 0)

    @property
    def last(self) -> NDArray[np.float64]:
        """The last evaluation of each seed, [S]."""
        return self.returns[:, -1]

    @property
    def speed(self) -> float:
        """The median timesteps a second over the seeds of which it is known; NaN for none."""
        known = self.speeds[(self.speeds > 0) & np.isfinite(self.speeds)]
        return float(np.median(known)) if len(known) else np.nan

    @cached_property
    def centre(self) -> NDArray[np.float64]:
        """The interquartile mean over the seeds at each timestep, [T]."""
        return np.array([interquartile_mean(column) for column in self.returns.T])

    @staticmethod
    def interval(values: NDArray[np.float64]) -> tuple[float, float]:
        """95 % bootstrap interval of an interquartile mean over seeds; of one seed there is none: NaN."""
        if len(values) < 2:
            return np.nan, np.nan
        return stratified_interval([values], interquartile_means)

    @cached_property
    def intervals(self) -> NDArray[np.float64]:
        """The interval at each timestep, [T, 2]."""
        return np.array([self.interval(column) for column in self.returns.T])

    def as_data(self) -> dict[str, Any]:
        """The curve for programs: numbers as they stand on a page, and every evaluation.

        Example:
            >>> Curve("a", np.array([10, 20]), np.array([[1.0, 5.0]]), np.ones(1)).as_data()["last"]
            5.0
        """
        return {
            "name": self.name, "timesteps": self.timesteps.tolist(), "returns": self.returns.tolist(),
            "centre": self.centre.tolist(), "intervals": self.intervals.tolist(),
            "last": interquartile_mean(self.last), "last_interval": list(self.interval(self.last)),
            "steps_per_second": self.speeds.tolist(),
        }  # fmt: skip


def say_cut(name: str, end: float, longest: float, unit: str = "timesteps") -> None:
    """Say so where the runs of a curve do not end together: it ends with the shortest."""
    if longest > end:
        warn(f"{name}: the curve ends at {end:,.0f} {unit} with its shortest run; its longest has {longest:,.0f}")


def value_range(curves: list[Curve]) -> tuple[float, float] | None:
    """The returns that the axis must show where some evaluations were cut; None where it shows all.

    A policy that walks in circles is cut after thousands of steps: its return says where it was cut, and would make
    all others one line.

    Example:
        >>> cut = np.array([[True, False, False]])
        >>> value_range([Curve("sarsa", np.arange(3), np.array([[-10_000.0, -17.0, -13.0]]), np.ones(1), cut)])
        (-17.0, -13.0)
    """
    if not any(curve.cut is not None and curve.cut.any() for curve in curves):
        return None
    ended = [curve.returns[~curve.cut] if curve.cut is not None else curve.returns.ravel() for curve in curves]
    values = np.concatenate(ended)
    return (float(values.min()), float(values.max())) if values.size else None


def draw(
    curves: list[Curve], path: Path, title: str, quantity: str = "return, greedy evaluation", axis: str = "timesteps"
) -> None:
    """Draw means with their intervals over seeds, each seed as a thin line.

    Args:
        curves: what is drawn.
        path: of the picture; its ending says its kind.
        title: above it.
        quantity: beside the vertical axis.
        axis: below the horizontal one.

    Raises:
        UsageError: an ending that matplotlib does not know.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 5), dpi=140, layout="constrained")
    axes = figure.add_subplot()
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        axes.fill_between(curve.timesteps, *curve.intervals.T, color=colour, alpha=0.18, linewidth=0)
        for seed in curve.returns:
            axes.plot(curve.timesteps, seed, color=colour, alpha=0.35, linewidth=0.8)
        style: dict[str, Any] = {
            "color": colour,
            "marker": _MARKS[(number + number // len(COLOURS)) % len(_MARKS)],
            "markersize": 4.5,
            "linewidth": 2.2,
        }
        every = max(len(curve.timesteps) // 10, 1)
        axes.plot(curve.timesteps, curve.centre, label=in_picture(curve.name), markevery=every, **style)
    axes.set_title(in_picture(title), loc="left", fontweight="bold")
    axes.set_xlabel(axis)
    axes.set_ylabel(in_picture(quantity))
    if axis == "timesteps":
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value else "0")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)
    if shown := value_range(curves):
        margin = 0.1 * (shown[1] - shown[0] or 1.0)
        axes.set_ylim(shown[0] - margin, shown[1] + margin)
        axes.set_ylabel(f"{in_picture(quantity)} (off the axis: cut after {CUT_AFTER:,} steps)")
    alone = all(len(curve.returns) == 1 for curve in curves)
    words = "one run each" if alone else "interquartile mean, 95 % interval over seeds"
    axes.legend(frameon=False, title=words, alignment="left", loc="best")
    kind = check_picture(path)
    with atomic_writer(path) as file:
        figure.savefig(file, format=kind)
