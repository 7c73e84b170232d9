"""Figures of the textbook, computed anew: lines or maps in panels, and the numbers as a table.

Plug-ins offer figures in their recipes: ``FIGURES = {"cliff-walking": ("package.module:function", "title")}``. The
function takes ``track`` (an iterator that shows progress) and ``runs`` (independent runs, with a default of its own)
and returns a `Figure`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.errors import UsageError, unknown
from rlplay.reports.pictures import check_picture
from rlplay.storage.files import atomic_writer

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6a51a3", "#444444")  # told apart by all
T = TypeVar("T")
Track = Callable[[Iterable[T]], Iterable[T]]


@dataclass(frozen=True)
class Line:
    """One curve: its name, x [N], y [N]; ``style`` is matplotlib's (``"-"``, ``"--"``, ``"o"``).

    Example:
        >>> Line("Q-learning", [0, 1], [0.0, 0.5]).style
        '-'
    """

    name: str
    x: Sequence[float] | NDArray[Any]
    y: Sequence[float] | NDArray[Any]
    style: str = "-"


@dataclass(frozen=True)
class Panel:
    """One plot of lines, or a map of values.

    Attributes:
        title: above it.
        lines: the curves.
        map: values [R, C] in place of curves, NaN where there is none.
        x_label, y_label: of the axes.
        log_x, log_y: whether an axis is drawn by its logarithm.
        y_range: least and greatest y shown.
        numbers: whether the numbers of a map are written into it.
        extent: x and y of a map's edges: left, right, bottom, top.

    Example:
        >>> panel = Panel("Return", [Line("Q-learning", [0, 1], [0.0, 0.5])], x_label="episode", log_x=True)
        >>> len(panel.lines), panel.map
        (1, None)
    """

    title: str
    lines: Sequence[Line] = ()
    map: NDArray[np.float64] | None = None
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    log_y: bool = False
    y_range: tuple[float, float] | None = None
    numbers: bool = False
    extent: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Figure:
    """A figure: panels side by side, and a table of its numbers.

    Attributes:
        title: what it shows.
        source: where the book has it.
        panels: at least one.
        columns: of the table.
        rows: of the table, texts and numbers.
        note: what to see in it, in a sentence.
        columns_of_panels: panels in a row; 0 for all.
        size: of a panel, in inches.

    Example:
        >>> panel = Panel("Return", [Line("Q-learning", [0, 1], [0.0, 0.5])])
        >>> figure = Figure("Cliff walking", "example 6.6", [panel], ["agent", "return"], [["Q-learning", 0.5]])
        >>> figure.panels[0].title, figure.rows
        ('Return', [['Q-learning', 0.5]])
    """

    title: str
    source: str
    panels: Sequence[Panel]
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    columns_of_panels: int = 0
    size: tuple[float, float] = (4.6, 3.8)


def figure_names() -> dict[str, str]:
    """All figures that plug-ins offer: names and titles, in the book's order."""
    return {name: title for name, (_, title) in registry.recipes("FIGURES").items()}


def compute(name: str, track: Track[Any], runs: int | None = None) -> Figure:
    """Compute a figure.

    Raises:
        UnknownNameError: no figure of that name.
        UsageError: fewer than one run.
    """
    known = registry.recipes("FIGURES")
    if name not in known:
        raise unknown("figure", name, known, "See `rlplay figure`")
    if runs is not None and runs < 1:
        raise UsageError(f"runs={runs} is not 1 or more")
    module, _, function = known[name][0].partition(":")
    make = getattr(importlib.import_module(module), function)
    return make(track) if runs is None else make(track, runs=runs)


def untracked(steps: Iterable[T]) -> Iterator[T]:
    """A ``track`` that shows nothing."""
    return iter(steps)


def draw(figure: Figure, path: Path) -> None:
    """Draw a figure into a file.

    Raises:
        UsageError: an ending that matplotlib does not know.
    """
    from matplotlib.figure import Figure as Canvas

    columns = figure.columns_of_panels or len(figure.panels)
    rows = -(-len(figure.panels) // columns)
    canvas = Canvas(figsize=(figure.size[0] * columns, figure.size[1] * rows + 0.7), dpi=130, layout="constrained")
    canvas.suptitle(figure.title, fontweight="bold", x=0.01, ha="left")
    grid = canvas.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(grid, figure.panels, strict=False):
        axes.set_title(panel.title, loc="left", fontsize=10)
        axes.set_xlabel(panel.x_label)
        axes.set_ylabel(panel.y_label)
        (_draw_map if panel.map is not None else _draw_lines)(canvas, axes, panel)
    for axes in grid[len(figure.panels) :]:
        axes.set_axis_off()
    canvas.supxlabel(figure.source, fontsize=7, color="#777777", x=0.99, ha="right")
    kind = check_picture(path)
    with atomic_writer(path) as file:
        canvas.savefig(file, format=kind)


def _draw_lines(canvas: Any, axes: Any, panel: Panel) -> None:
    for k, line in enumerate(panel.lines):
        marks = {"marker": "o", "markersize": 3.5} if "o" in line.style else {}
        style = line.style.replace("o", "") or "-"
        axes.plot(line.x, line.y, style, label=line.name, color=COLOURS[k % len(COLOURS)], linewidth=1.5, **marks)
    if panel.log_x:
        axes.set_xscale("log")
    if panel.log_y:
        axes.set_yscale("log")
    if panel.y_range:
        axes.set_ylim(*panel.y_range)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)
    if any(line.name for line in panel.lines):
        axes.legend(frameon=False, fontsize=8)


def _draw_map(canvas: Any, axes: Any, panel: Panel) -> None:
    assert panel.map is not None
    shown = axes.imshow(panel.map, cmap="viridis", aspect="auto", extent=panel.extent, interpolation="nearest")
    if panel.numbers:
        low, high = np.nanmin(panel.map), np.nanmax(panel.map)
        for (row, column), value in np.ndenumerate(panel.map):
            if np.isfinite(value):
                dark = value <= (low + high) / 2
                ink = "white" if dark else "black"
                axes.text(column, row, f"{value:.3g}", ha="center", va="center", color=ink, fontsize=7)
        axes.set_xticks([])
        axes.set_yticks([])
    else:
        canvas.colorbar(shown, ax=axes, shrink=0.85)
