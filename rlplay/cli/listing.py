"""``rlplay list``: agents, environments and runs, without importing any of them."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from rich.table import Table

from rlplay import registry
from rlplay.cli.common import console
from rlplay.models.names import LIBRARY

# Gymnasium's ids that come with its plain installation.
_GYMNASIUM = {
    "toy text": "FrozenLake-v1 FrozenLake8x8-v1 CliffWalking-v1 CliffWalkingSlippery-v1 Taxi-v4 Blackjack-v1",
    "classic control": "CartPole-v1 MountainCar-v0 MountainCarContinuous-v0 Acrobot-v1 Pendulum-v1",
}


def run(arguments: Namespace) -> int:
    """Print what is there."""
    out = console()
    if arguments.what in (None, "agents"):
        out.print(_table("agents", registry.AGENTS, registry.agent_ids()))
    if arguments.what in (None, "envs"):
        out.print(_table("environments", registry.ENVS, registry.env_ids()))
        if arguments.all:
            from rlplay.environments.make import known_env_ids

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
        _runs(arguments.log_folder)
    return 0


def _table(title: str, group: str, ids: list[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False, padding=(0, 2))
    for name in ids:
        table.add_row(f"[cyan]{name}[/]", registry.summary(group, name))
    return table


def _runs(folder: Path) -> None:
    runs = sorted(p for p in folder.glob("*/*_*") if p.is_dir() and p.name.rpartition("_")[2].isdigit())
    if not runs:
        console().print(f"{folder} holds no runs", style="dim")
    for path in runs:
        console().print(f"  [cyan]{path}[/]  {', '.join(sorted(p.name for p in path.glob('*.rlp')))}")
