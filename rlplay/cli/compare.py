"""``rlplay compare``: agents on the same seeds, trained now or saved; tables, a page for a browser, a picture."""

from __future__ import annotations

import math
import os
import platform
import sys
from argparse import Namespace
from importlib import metadata
from pathlib import Path

import gymnasium as gym
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rlplay.cli import train
from rlplay.cli.common import answer, console, fits, processor_name, quoted, without_spare
from rlplay.cli.contenders import Compared, contenders_of, saved, trained
from rlplay.errors import UsageError
from rlplay.reports import comparison as tables
from rlplay.reports.comparison import MOST_NAMED, Comparison, Contender, Failure, seed_count
from rlplay.reports.comparison_page import write_comparison
from rlplay.reports.curves import Curve, draw, value_range
from rlplay.reports.pictures import check_picture
from rlplay.reports.replay_page import check_page
from rlplay.training.run_folder import folder_name

_PACKAGES = ("gymnasium", "numpy", "torch", "stable-baselines3")
_SPARE = ("file, MB", "95 % (whole)", "whole curve", "after seconds", "best", "memory, MB", "update, %", "steps/s",
          "whole", "after steps")  # columns that a narrow terminal does without  # fmt: skip


def run(arguments: Namespace) -> int:
    """Train every agent on every seed, or take saved runs; compare their evaluations.

    Returns:
        1 where a run failed: the others are compared.
    """
    given = arguments.output
    if given is not None and _is_page(given):
        check_page(given)
    elif given is not None and not given.suffix:
        raise UsageError(f"-o {given} has no ending", f"Name a page, {given}.html, or a picture: .png, .svg, .pdf")
    else:
        check_picture(given or Path("compare.png"))
    compared = (saved if arguments.runs else trained)(arguments)
    found, failed = contenders_of(compared, arguments, film=given is None or _is_page(given))
    comparison = _comparison(compared, found, failed, arguments)
    name = f"compare-{folder_name(compared.env_id)}"
    files = [given] if given else [Path(f"{name}.html"), Path(f"{name}.png")]
    for path in files:
        if _is_page(path):
            write_comparison(comparison, path)
        else:
            draw([one.curve for one in found], path, title=comparison.title)
    _print(comparison, console())
    for path in files:
        console().print(f"{'page:   ' if _is_page(path) else 'picture:'}  {path}", markup=False)
    if arguments.json:
        shown = {"results": tables.results, "costs": tables.costs, "improvement": tables.improvements}
        if comparison.paired:
            shown["differences"] = tables.differences
        made = {key: table(comparison) for key, table in shown.items()}
        answer(arguments, {
            "env": compared.env_id, "env_kwargs": compared.env_kwargs, "threshold": comparison.threshold,
            "episodes": comparison.episodes, "files": [str(path) for path in files],
            "agents": [{**c.curve.as_data(), "seeds": c.seeds, "settings": c.settings} for c in found],
            "failed": [one._asdict() for one in failed],
            **{key: [dict(zip(t.columns, row, strict=True)) for row in t.rows] for key, t in made.items()},
        })  # fmt: skip
    return 1 if failed else 0


def _is_page(path: Path) -> bool:
    return path.suffix.lower() in (".html", ".htm")


def _print(comparison: Comparison, out: Console) -> None:
    """The tables, as wide as the terminal."""
    _print_table(tables.results(comparison), comparison.title, out)
    if any(contender.costs for contender in comparison.contenders):
        _print_table(tables.costs(comparison), "what a step costs", out)
    if len(comparison.contenders) > 1:
        better = tables.improvements(comparison)
        if len(comparison.contenders) > MOST_NAMED or not fits(_rich(better, "", out), out):
            better = tables.matrix(comparison)
        _print_table(better, "which is better", out)
        if comparison.paired:
            _print_table(tables.differences(comparison), "on the same seeds", out)
    if comparison.failed:
        _print_table(tables.failures(comparison), "failed", out)


def _print_table(made: tables.Table, title: str, out: Console) -> None:
    table = _rich(made, title, out)
    if gone := without_spare(table, out, [name for name in _SPARE if name in made.columns]):
        table.caption = f"{escape(made.caption)} No room here for {', '.join(gone)}: see the page."
    out.print(table)
    out.print()


def _rich(made: tables.Table, title: str, out: Console) -> Table:
    """A table of texts, none of which is markup."""
    table = Table(title=escape(title), title_justify="left", title_style="bold", caption=escape(made.caption) or None,
                  caption_justify="left", box=None, padding=(0, 2), collapse_padding=True, pad_edge=False)  # fmt: skip
    words = made.columns[-1] == "folder"
    for i, column in enumerate(made.columns):
        table.add_column(escape(column), justify="right" if i and not words else "left", no_wrap=bool(i and not words),
                         overflow="fold")  # fmt: skip
    for row in made.rows:
        table.add_row(*map(escape, row))
    return table


def _comparison(
    compared: Compared, contenders: list[Contender], failed: list[Failure], arguments: Namespace
) -> Comparison:
    curves = [one.curve for one in contenders]
    threshold, words = threshold_of(compared.env_id, curves)
    versions = ", ".join(f"{name} {version}" for name in ("rlplay", *_PACKAGES) if (version := _version(name)))
    names = ", ".join(curve.name for curve in curves) if len(curves) <= MOST_NAMED else f"{len(curves)} agents"
    kwargs = ", ".join(f"{name}={value}" for name, value in compared.env_kwargs.items())
    return Comparison(
        f"{names} in {compared.env_id}{f' ({kwargs})' if kwargs else ''}, {seed_count(contenders)}",
        contenders, threshold, words, arguments.eval_episodes or train.EVAL_EPISODES,
        f"Python {platform.python_version()}, {versions}; {processor_name()}, {os.cpu_count()} processors",
        quoted(["rlplay", *sys.argv[1:]]), bool(arguments.paired), failed,
    )  # fmt: skip


def threshold_of(env_id: str, curves: list[Curve]) -> tuple[float, str]:
    """The return at which the environment counts as solved, and where it comes from; NaN where nothing tells one."""
    try:
        threshold = gym.spec(env_id).reward_threshold
    except gym.error.Error:
        threshold = None
    if threshold is not None:
        return float(threshold), "the environment's own threshold"
    shown = value_range(curves)  # a return of an episode that was cut says where it was cut
    low = shown[0] if shown else min(float(curve.returns[:, 0].min()) for curve in curves)
    best = shown[1] if shown else max(float(curve.centre.max()) for curve in curves)
    if not low < best:
        return math.nan, "the environment has none, and no evaluation is better than the lowest"
    lowest = "lowest evaluation" if shown else "lowest first evaluation"
    return low + 0.9 * (best - low), f"nine tenths of the way from the {lowest} to the best one"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
