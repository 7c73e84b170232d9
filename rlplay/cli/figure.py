"""``rlplay figure``: figures of the textbook, computed anew, as a picture and a table."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from rlplay.cli import many
from rlplay.cli.common import console
from rlplay.errors import UsageError
from rlplay.reports.figures import Figure, compute, draw, figure_names, untracked
from rlplay.reports.pictures import check_picture


def run(arguments: Namespace) -> int:
    """Compute the figures that are named, or list them."""
    known, out = figure_names(), console()
    names = list(known) if arguments.names == ["all"] else arguments.names
    if not names:
        table = Table(title="figures", title_justify="left", title_style="bold", box=None, show_header=False)
        for name, title in known.items():
            table.add_row(f"[cyan]{name}[/]", title)
        out.print(table)
        out.print("  rlplay figure NAME, or rlplay figure all", style="dim")
        return 0
    folder = arguments.output or Path("figures")
    if len(names) > 1 and folder.suffix:
        raise UsageError(f"-o {folder} is one file for {len(names)} figures", "Give a folder")
    check_picture(folder if folder.suffix else folder / f"{names[0]}.png")
    start = time.perf_counter()
    several = arguments.jobs or arguments.runner
    if several and len(names) == 1:
        raise UsageError("--jobs and --runner are for several figures and one is named", "Name several, or all")
    for name, (figure, seconds) in (_at_once if several else _one_by_one)(names, arguments):
        path = folder if folder.suffix else folder / f"{name}.png"
        draw(figure, path)
        out.print(_table(figure, seconds))
        out.print(f"picture:  {path}\n")
    if len(names) > 1:
        out.print(f"{len(names)} figures in {time.perf_counter() - start:.0f} s")
    return 0


def _one_by_one(names: list[str], arguments: Namespace) -> Iterator[tuple[str, tuple[Figure, float]]]:
    for name in names:
        began = time.perf_counter()
        yield name, (_computed(name, arguments.runs), time.perf_counter() - began)


def _at_once(names: list[str], arguments: Namespace) -> Iterator[tuple[str, tuple[Figure, float]]]:
    runner = many.runner_of(arguments, len(names))
    try:
        yield from runner.results(partial(_alone, runs=arguments.runs), names)
    finally:
        runner.close()


def _alone(name: str, runs: int | None) -> tuple[Figure, float]:
    """A figure in a worker process, with the seconds that it took."""
    began = time.perf_counter()
    return compute(name, untracked, runs), time.perf_counter() - began


def _computed(name: str, runs: int | None) -> Figure:
    """Compute with a progress bar on the terminal."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(), TimeRemainingColumn(), transient=True, disable=not sys.stderr.isatty(),
        console=console(stderr=True),
    )  # fmt: skip

    def track(steps: Iterable[Any]) -> Iterator[Any]:
        listed = list(steps)
        task = bar.add_task(name, total=len(listed))
        for step in listed:
            yield step
            bar.advance(task)
        bar.remove_task(task)

    with bar:
        return compute(name, track, runs)


def _table(figure: Figure, seconds: float) -> Table:
    caption = f"{figure.note}\n{figure.source}; {seconds:.1f} s".lstrip()
    table = Table(title=figure.title, title_justify="left", caption=caption, caption_justify="left")
    for k, column in enumerate(figure.columns):
        table.add_column(column, justify="left" if k == 0 else "right")
    for row in figure.rows:
        table.add_row(*(str(value) for value in row))
    return table
