"""``rlplay eval``: the returns of a saved agent, greedy and as it explores."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any, get_args

from rich.table import Table

from rlplay.cli.common import answer, console, load_agent, one
from rlplay.environments.make import reference
from rlplay.errors import counted
from rlplay.functional.schedules import falls_with_visits, scheduled, tabulate
from rlplay.hyperparameters.fields import declared
from rlplay.hyperparameters.types import Exploration
from rlplay.reports.numbers import interval, number
from rlplay.training.evaluation import evaluate

if TYPE_CHECKING:
    from rlplay.agent.base import Agent


def run(arguments: Namespace) -> int:
    """Evaluate and print a table."""
    agent, path = load_agent(arguments)
    seed = one(arguments.seed, "--seed")
    table = Table(title=f"{agent.id} in {reference(agent.env)}, {agent.num_timesteps:,} {agent.timestep}s trained")
    played: list[dict[str, Any]] = []
    both = arguments.deterministic == arguments.stochastic
    for name, deterministic in (("greedy", True), (_own(agent), False)):
        if not both and deterministic != arguments.deterministic:
            continue
        result = evaluate(agent, None, arguments.eval_episodes, deterministic=deterministic, seed=seed)
        low, high = result.interval
        played.append({
            "policy": "greedy" if deterministic else "own", "deterministic": deterministic, "mean": result.mean,
            "interval": [low, high], "std": result.std, "min": result.returns.min(), "max": result.returns.max(),
            "mean_length": result.lengths.mean(), "success_rate": result.success_rate,
            "returns": result.returns, "lengths": result.lengths,
        })  # fmt: skip
        columns = {
            "policy": name, "mean return": number(result.mean), "95 % interval": interval(result.interval),
            "std": number(result.std, 3), "min": number(result.returns.min()), "max": number(result.returns.max()),
            "mean length": number(result.lengths.mean()),
        }  # fmt: skip
        if result.success_rate is not None:
            columns["success"] = f"{result.success_rate:.0%}"
        for column in columns if not table.columns else ():
            table.add_column(column, justify="left" if column == "policy" else "right")
        table.add_row(*columns.values())
    if arguments.json:
        return answer(arguments, {
            "agent": agent.id, "env": reference(agent.env).id, "env_kwargs": reference(agent.env).kwargs,
            "timesteps": agent.num_timesteps, "file": str(path), "episodes": arguments.eval_episodes, "played": played,
        })  # fmt: skip
    console().print(table)
    console().print(f"{counted(arguments.eval_episodes, 'episode')} each, {path}", style="dim")
    return 0


def _own(agent: Agent) -> str:
    """The policy that the agent learned with, with the exploration that it has come to."""
    field = declared(type(agent)).get("epsilon")
    if field is None or field.domain != get_args(Exploration)[1]:
        return "own"
    epsilon = agent.hyperparameters["epsilon"]
    if not falls_with_visits(epsilon):
        epsilon = f"{scheduled(tabulate(epsilon), agent.progress):.3g}"
    return f"own (epsilon {epsilon})"
