"""``rlplay bench``: this machine's table of ours beside Stable-Baselines3, Gymnasium, scikit-learn and torch."""

from __future__ import annotations

import os
import platform
import time
from argparse import Namespace
from contextlib import nullcontext

from rich.table import Table

from rlplay.cli.common import answer, console, processor_name
from rlplay.errors import MissingPackageError, unknown
from rlplay.reports.bench import PARTS, Line, bench
from rlplay.reports.numbers import number

_CAPTION = "Both sides of a line take turns, one thread each; the ratio is the median round's."


def run(arguments: Namespace) -> int:
    """Measure, line by line, and print the table."""
    if strange := [part for part in arguments.parts if part not in PARTS]:
        raise unknown("part", strange[0], PARTS)
    out, start = console(), time.perf_counter()
    machine = f"{processor_name()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    out.print(machine)
    if (busy := _load()) > 0.5:
        out.print(f"other programs run (load {busy:.1f}): speeds are too low, and ratios vary", style="yellow")
    table = Table(box=None, padding=(0, 2), caption=_CAPTION, caption_justify="left")
    for column in ("what", "ours", "beside", "theirs", "times as fast"):
        table.add_column(column, justify="left" if column in ("what", "beside") else "right", no_wrap=True)
    lines: list[Line] = []
    with out.status("measuring") if out.is_terminal else nullcontext() as status:
        for line in bench(tuple(arguments.parts or PARTS), arguments.rounds):
            if isinstance(line, MissingPackageError):
                out.print(f"left out: {line}", style="dim")
                continue
            if status is not None:
                status.update(f"measured: {line.name}")
            lines.append(line)
            table.add_row(line.name, number(line.ours, 3), line.other, number(line.theirs, 3), f"{line.ratio:.3g}")
    out.print(table)
    out.print(f"{time.perf_counter() - start:.0f} s; more, and longer: docs/benchmarks.md", style="dim")
    if arguments.json:
        return answer(arguments, {"machine": machine, "lines": [line._asdict() for line in lines]})
    return 0


def _load() -> float:
    """The load of the last minute, as the system has it; 0 where it does not say."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows
        return 0.0
