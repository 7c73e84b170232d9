"""``rlplay runs``: list, filter, compare, remove and export the runs in a folder."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from rich.table import Table

from rlplay.cli.common import RUNS, answer, console, without_spare
from rlplay.errors import UsageError, counted, unknown
from rlplay.reports.curves import Curve, draw
from rlplay.reports.numbers import interval, number
from rlplay.reports.pictures import check_picture
from rlplay.reports.runs import Row, columns_of, export, filtered, remove, require_column, runs
from rlplay.storage.files import require_writable
from rlplay.training.callbacks import short_number
from rlplay.training.run_folder import RunFolder, folder_name

_SPARE = ("written", "MB", "steps/s", "timesteps")  # columns of the list that a narrow terminal does without


def run(arguments: Namespace) -> int:
    """Do what the action says with the runs that the flags choose."""
    folder = arguments.log_folder or RUNS
    rows = runs(folder)
    if not rows:
        raise UsageError(f"{folder} holds no runs", "Train first, or name another folder with -f")
    for flag, given in (("algo", arguments.algo), ("env", arguments.env), ("seed", arguments.seed)):
        known = {str(row[flag]) for row in rows}
        for value in given or []:
            if str(value) not in known:
                raise UsageError(f"no run in {folder} has the {flag} {value}", unknown(flag, str(value), known).remedy)
    for flag, given in (("algo", arguments.algo), ("env", arguments.env), ("seed", arguments.seed)):
        if given:
            rows = [row for row in rows if row[flag] in given]
    rows = filtered(rows, arguments.where) if rows else rows
    if not rows:
        raise UsageError("no run is as the flags say", f"rlplay runs -f {folder} lists them all")
    if arguments.sort:
        rows = _sorted(rows, arguments.sort)
    return {"list": _list, "compare": _compare, "prune": _prune, "export": _export}[arguments.action](rows, arguments)


def _sorted(rows: list[Row], name: str) -> list[Row]:
    """The highest first; what has none last."""
    name = require_column(rows, name)
    told, none = [r for r in rows if r.get(name) is not None], [r for r in rows if r.get(name) is None]
    try:
        return sorted(told, key=lambda row: row[name], reverse=True) + none
    except TypeError:  # numbers and texts
        return sorted(told, key=lambda row: str(row[name]), reverse=True) + none


def _differing(rows: list[Row]) -> list[str]:
    """The hyperparameters in which runs of one agent differ."""
    found = []
    for name in columns_of(rows):
        values: dict[str, set[str]] = {}
        for row in rows:
            if name in row:
                values.setdefault(row["algo"], set()).add(str(row[name]))
        if name.startswith("params.") and any(len(one) > 1 for one in values.values()):
            found.append(name)
    return found


def _list(rows: list[Row], arguments: Namespace) -> int:
    if arguments.json:
        return answer(arguments, {"runs": rows})
    differing = _differing(rows)
    table = Table(box=None, padding=(0, 2))
    for name in ("run", "seed", "timesteps", "done", "last", "best", "steps/s", "MB", "written"):
        table.add_column(name, justify="left" if name in ("run", "written") else "right", no_wrap=True)
    for name in differing:
        table.add_column(name.removeprefix("params."), justify="right", no_wrap=True)
    for row in rows:
        scores = ("-" if row[name] is None else number(row[name]) for name in ("last", "best"))
        speed = "-" if row["steps_per_second"] is None else short_number(row["steps_per_second"])
        date = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["written"]))
        share = f"{row['timesteps'] / row['n_timesteps']:.0%}"
        params = (_short(row.get(name)) for name in differing)
        table.add_row(f"[cyan]{row['run']}[/]", str(row["seed"]), f"{row['timesteps']:,}", share, *scores, speed,
                      f"{row['megabytes']:.2f}", date, *params)  # fmt: skip
    out = console()
    gone = without_spare(table, out, [*_SPARE, *(name.removeprefix("params.") for name in reversed(differing))])
    out.print(table)
    if gone:
        out.print(f"no room here for {', '.join(gone)}: widen the terminal, or --json", style="dim")
    return 0


def _short(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
    return text if len(text) <= 24 else text[:23] + "…"


def _compare(rows: list[Row], arguments: Namespace) -> int:
    """The runs of one environment, those with the same agent and settings together: a table and a picture."""
    envs = sorted({row["env"] for row in rows})
    if len(envs) > 1:
        raise UsageError(f"these runs are in {len(envs)} environments: {', '.join(envs)}", "Choose one with --env")
    path = arguments.output or Path(f"runs-{folder_name(envs[0])}.png")
    check_picture(path)
    names = _differing(rows)
    groups: dict[str, list[Row]] = {}
    for row in (row for row in rows if row["last"] is not None):
        settings = [f"{n.removeprefix('params.')}={_short(row[n])}" for n in names if row.get(n) is not None]
        groups.setdefault(" ".join([row["algo"], *settings]), []).append(row)
    if not groups:
        raise UsageError("none of these runs has evaluations", "Train with --eval-freq")
    curves = [
        Curve.of(name, [RunFolder(Path(row["run"])) for row in group], [row["steps_per_second"] or 0 for row in group])
        for name, group in groups.items()
    ]
    table = Table(title=f"{envs[0]}: evaluations, greedy", title_justify="left", title_style="bold", box=None,
                  padding=(0, 2))  # fmt: skip
    for column in ("runs of", "seeds", "last", "95 %", "best"):
        table.add_column(column, justify="left" if column == "runs of" else "right")
    for curve in sorted(curves, key=lambda one: -one.last.mean()):
        table.add_row(curve.name, str(len(curve.last)), number(curve.last.mean()), interval(curve.interval(curve.last)),
                      number(curve.returns.max(axis=1).mean()))  # fmt: skip
    draw(curves, path, title=envs[0])
    if arguments.json:
        return answer(
            arguments, {"env": envs[0], "picture": str(path), "curves": [curve.as_data() for curve in curves]}
        )
    console().print(table)
    console().print(f"picture:  {path}")
    return 0


def _prune(rows: list[Row], arguments: Namespace) -> int:
    """Remove runs but for the best of each agent in each environment; without --yes only say which."""
    chosen = bool(arguments.algo or arguments.env or arguments.seed or arguments.where)
    if arguments.keep is None and not chosen:
        raise UsageError("prune would remove every run", "Choose some (--where 'best<100'), or add --keep K")
    kept: dict[tuple[str, str], int] = {}
    going = []
    for row in sorted(rows, key=lambda one: float("inf") if one["best"] is None else -one["best"]):
        group = row["algo"], row["env"]
        kept[group] = kept.get(group, 0) + 1
        if kept[group] > (arguments.keep or 0):
            going.append(row)
    size = sum(row["megabytes"] for row in going)
    out = console()
    if not arguments.yes:
        for row in going:
            out.print(row["run"])
        out.print(f"{len(going)} of {counted(len(rows), 'run')}, {size:.1f} MB, would be removed: add --yes")
        return 0
    gone, busy = remove(going)
    out.print(f"{counted(len(gone), 'run')} removed")
    for path in busy:
        out.print(f"{path} is being written and stays")
    return 0


def _export(rows: list[Row], arguments: Namespace) -> int:
    path = arguments.output or Path("runs.csv")
    require_writable(path, "-o")
    export(rows, path)
    read = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    console().print(f"{counted(len(rows), 'run')}:  {path}\nin Python:  pandas.{read}({str(path)!r})")
    return 0
