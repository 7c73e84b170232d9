"""``rlplay plot``: learning curves of saved runs, RL Zoo's and Stable-Baselines3's logs, as text and as a picture."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from rich.table import Table

from rlplay.cli.common import RUNS, answer, console
from rlplay.errors import UsageError, warn
from rlplay.reports.curves import draw
from rlplay.reports.logs import AXES, EPISODES, EVALUATIONS, WINDOW, curves_of, read_runs
from rlplay.reports.numbers import interval, number
from rlplay.reports.pictures import check_picture
from rlplay.reports.statistics import interquartile_mean
from rlplay.reports.text_chart import MARKS, text_chart
from rlplay.storage.files import as_path

_WORDS = {EVALUATIONS: "return, evaluation", EPISODES: f"return while learning, mean of {WINDOW} episodes"}
_CAPTION = "interquartile means over the runs (letters), 95 % bootstrap intervals (dots); of one run there are none"
_MARGIN, _WIDEST = 14, 100  # columns of the labels; of the chart


def run(arguments: Namespace) -> int:
    """Read, print, draw."""
    paths = [as_path(path) for path in arguments.paths] or [RUNS]
    if arguments.output is not None:
        check_picture(arguments.output)
    runs = read_runs(paths)
    if not runs:
        raise UsageError(
            f"no logs that can be read in {', '.join(map(str, paths))}",
            "Looked for: evaluations.npz, *.monitor.csv, progress.csv, events.out.tfevents.*",
        )
    quantity, curves = curves_of(runs, arguments.quantity, each=arguments.each, axis=arguments.axis)
    words = _WORDS.get(quantity, quantity)
    path = arguments.output or Path("plot.png")
    out = console()
    if len(curves) > len(MARKS):
        warn(f"the text shows {len(MARKS)} of {len(curves)} curves; the picture has all")
    out.print(f"[bold]{words}[/]")
    width = min(max((out.width if out.is_terminal else _WIDEST) - _MARGIN, 20), _WIDEST)
    for line in text_chart(curves, width):
        out.print(line, markup=False, no_wrap=True)
    table = Table(box=None, padding=(0, 2), caption=_CAPTION, caption_justify="left")
    for column in ("", "runs", "count", AXES[arguments.axis], "last", "95 %", "highest"):
        table.add_column(column, justify="left" if column in ("", "runs") else "right", no_wrap=True)
    digits = 2 if arguments.axis == "time" else 0
    for i, curve in enumerate(curves):
        table.add_row(MARKS[i] if i < len(MARKS) else "", curve.name, str(len(curve.last)),
                      f"{curve.timesteps[-1]:,.{digits}f}", number(interquartile_mean(curve.last)),
                      interval(curve.interval(curve.last)),
                      number(interquartile_mean(curve.returns.max(axis=1))))  # fmt: skip
    out.print(table)
    title = ", ".join(dict.fromkeys(curve.name for curve in curves[:4]))
    draw(curves, path, title, quantity=words, axis=AXES[arguments.axis])
    out.print(f"picture:  {path}")
    if arguments.json:
        return answer(
            arguments,
            {
                "quantity": quantity,
                "axis": AXES[arguments.axis],
                "picture": str(path),
                "curves": [c.as_data() for c in curves],
            },
        )
    return 0
