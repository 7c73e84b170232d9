"""``rlplay eval``: the returns of a saved agent, greedy and as it explores."""

from __future__ import annotations

from argparse import Namespace

from rich.table import Table

from rlplay.cli.common import console, load_agent, one
from rlplay.environments.make import reference
from rlplay.training.evaluation import evaluate


def run(arguments: Namespace) -> int:
    """Evaluate and print a table."""
    agent, path = load_agent(arguments)
    seed = one(arguments.seed, "--seed")
    table = Table(title=f"{agent.id} in {reference(agent.env)}, {agent.num_timesteps:,} {agent.timestep}s trained")
    for column in ("policy", "mean return", "95 % interval", "std", "min", "max", "mean length"):
        table.add_column(column, justify="left" if column == "policy" else "right")
    asked = "greedy" if arguments.deterministic else "own"
    for name, deterministic in (("greedy", True), ("own", False)):
        result = evaluate(agent, None, arguments.eval_episodes, deterministic=deterministic, seed=seed)
        low, high = result.interval
        table.add_row(
            f"[bold]{name}[/]" if name == asked else name,
            f"{result.mean:.4g}",
            f"{low:.4g} to {high:.4g}",
            f"{result.std:.3g}",
            f"{result.returns.min():.4g}",
            f"{result.returns.max():.4g}",
            f"{result.lengths.mean():.4g}",
        )
    console().print(table)
    console().print(f"{arguments.eval_episodes} episodes each, {path}", style="dim")
    return 0
