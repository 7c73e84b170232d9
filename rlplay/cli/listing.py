"""``rlplay list``: agents, environments and runs, without importing any of them."""

from __future__ import annotations

import contextlib
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from rich.table import Table

from rlplay import registry
from rlplay.cli.common import RUNS, answer, console
from rlplay.errors import RlplayError, UsageError
from rlplay.models.names import LIBRARY
from rlplay.reports.numbers import number
from rlplay.reports.runs import runs
from rlplay.training.run_folder import RunFolder, read_evaluations

# Gymnasium's ids that come with its plain installation.
_GYMNASIUM = {
    "toy text": "FrozenLake-v1 FrozenLake8x8-v1 CliffWalking-v1 CliffWalkingSlippery-v1 Taxi-v4 Blackjack-v1",
    "classic control": "CartPole-v1 MountainCar-v0 MountainCarContinuous-v0 Acrobot-v1 Pendulum-v1",
}


def run(arguments: Namespace) -> int:
    """Print what is there."""
    if arguments.json:
        return answer(arguments, _data(arguments))
    out = console()
    if arguments.what in (None, "agents"):
        out.print(_table("agents", registry.AGENTS, registry.agent_ids()))
    if arguments.what in (None, "envs"):
        out.print(_table("environments", registry.ENVS, registry.env_ids()))
        if arguments.all:
            from rlplay.environments.names import known_env_ids

            out.print("[bold]every registered id[/]")
            out.print("  " + "  ".join(known_env_ids()))
        else:
            for kind, ids in _GYMNASIUM.items():
                out.print(f"  [bold]Gymnasium, {kind}[/]: {ids}")
            out.print("  and your own as package.module:Class; every id: rlplay list envs --all", style="dim")
    if arguments.what in (None, "models"):
        out.print(_table("models", registry.MODELS, registry.model_ids()))
        out.print(f"  [bold]scikit-learn's[/]: {'  '.join(sorted(LIBRARY))}")
    if arguments.what == "runs":
        _runs(_folder_of(arguments))
    return 0


def _data(arguments: Namespace) -> dict[str, Any]:
    """What is there, for programs."""
    found: dict[str, Any] = {}
    for kind, group, ids in (
        ("agents", registry.AGENTS, registry.agent_ids), ("envs", registry.ENVS, registry.env_ids),
        ("models", registry.MODELS, registry.model_ids),
    ):  # fmt: skip
        if arguments.what in (None, kind):
            found[kind] = [{"id": name, "summary": registry.summary(group, name)} for name in ids()]
    if arguments.what in (None, "envs"):
        found["gymnasium"] = [name for ids in _GYMNASIUM.values() for name in ids.split()]
        if arguments.all:
            from rlplay.environments.names import known_env_ids

            found["registered"] = known_env_ids()
    if arguments.what in (None, "models"):
        found["sklearn"] = sorted(LIBRARY)
    if arguments.what == "runs":
        found["runs"] = runs(_folder_of(arguments))
    return found


def _folder_of(arguments: Namespace) -> Path:
    """The folder of runs: the one that is named, which must be there, or the usual one."""
    named = arguments.log_folder
    if named is not None and not Path(named).is_dir():
        raise UsageError(f"{named} is no folder", "Name one that holds runs with -f, or leave it out")
    return Path(named or RUNS)


def _table(title: str, group: str, ids: list[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False, padding=(0, 2))
    for name in ids:
        table.add_row(f"[cyan]{name}[/]", registry.summary(group, name))
    return table


def run_folders(folder: Path) -> list[Path]:
    """The folders of all runs in a folder of runs."""
    return sorted(p for p in folder.glob("*/*_*") if p.is_dir() and p.name.rpartition("_")[2].isdigit())


def _runs(folder: Path) -> None:
    found = run_folders(folder)
    if not found:
        console().print(f"{folder} holds no runs", style="dim")
        return
    table = Table(box=None, padding=(0, 2))
    for column in ("run", "steps", "return", "best", "last written", "files"):
        table.add_column(column, justify="right" if column in ("steps", "return", "best") else "left", no_wrap=True)
    for path in found:
        files = sorted(path.glob("*.rlp"))
        written = max((p.stat().st_mtime for p in files), default=path.stat().st_mtime)
        date = time.strftime("%Y-%m-%d %H:%M", time.localtime(written))
        steps, last, best = progress_of(RunFolder(path))
        table.add_row(f"[cyan]{path}[/]", steps, last, best, date, ", ".join(p.name for p in files))
    console().print(table)


def progress_of(run: RunFolder) -> tuple[str, str, str]:
    """Timesteps done, the last return and the best evaluation, from what the run wrote; "-" for what is not there."""
    steps = last = best = "-"
    with contextlib.suppress(ValueError, KeyError, TypeError):  # in a damaged log what was read counts
        for row in run.rows():
            steps = f"{int(row['time/total_timesteps']):,}"
            if row["rollout/ep_rew_mean"]:
                last = number(float(row["rollout/ep_rew_mean"]))
    try:
        results = read_evaluations(run.path / "evaluations.npz").results.mean(axis=1)
        last, best = number(results[-1]), number(results.max())
    except RlplayError:
        pass
    return steps, last, best
