"""``rlplay compare``: several agents on the same seeds; a table, and a picture of curves with intervals."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
from rich.table import Table

from rlplay.cli import many, train
from rlplay.cli.common import console, one
from rlplay.errors import UsageError
from rlplay.reports.curves import Curve, draw
from rlplay.reports.pictures import check_picture
from rlplay.runners.batch import Request
from rlplay.runners.job import Outcome
from rlplay.training.run_folder import RunFolder, folder_name

_SEEDS = [0, 1, 2]
_EVALUATIONS = 20  # of a run, by default


def run(arguments: Namespace) -> int:
    """Train every agent on every seed, then compare their evaluations."""
    env_id = one(arguments.env, "--env")
    if not arguments.algo or env_id is None:
        raise UsageError(
            "compare needs --algo and --env",
            "For example: rlplay compare --algo reinforce sb3/a2c --env CartPole-v1 --seed 0 1 2 -n 100000",
        )
    if arguments.watch or arguments.lock_step or arguments.resume or arguments.trained_agent:
        raise UsageError("compare trains anew, without a window", "Leave out --watch, --lock-step, --resume and -i")
    arguments.seed = arguments.seed or _SEEDS
    if arguments.n_timesteps is None:
        arguments.n_timesteps = train.DEFAULT_TIMESTEPS
    if arguments.eval_freq is None:
        arguments.eval_freq = max(arguments.n_timesteps // _EVALUATIONS, 1)
    if arguments.eval_freq < 1:
        raise UsageError("compare needs evaluations", "Leave out --eval-freq -1")
    check_picture(arguments.output or Path("compare.png"))
    requests = train.rehearse(arguments, [env_id])
    curves = []
    if arguments.jobs or arguments.runner:
        found = _runs(many.finish(requests, arguments), requests)
    else:
        found = train.grid(arguments, env_id)
    for algo, runs in found.items():
        curves.append(Curve.of(algo, [finished for finished, _ in runs], [speed for _, speed in runs]))
    out = console()
    out.print(_table(curves, env_id, len(arguments.seed), arguments.eval_episodes or train.EVAL_EPISODES))
    path = arguments.output or Path(f"compare-{folder_name(env_id)}.png")
    draw(curves, path, title=f"{env_id}, {len(arguments.seed)} seeds")
    out.print(f"picture:  {path}")
    return 0


def _runs(outcomes: list[Outcome], requests: list[Request]) -> dict[str, list[tuple[RunFolder, float]]]:
    """The run folders and speeds by agent.

    Raises:
        UsageError: a run failed.
    """
    found: dict[str, list[tuple[RunFolder, float]]] = {}
    for outcome, request in zip(outcomes, requests, strict=True):
        if outcome.error:
            raise UsageError(f"{outcome.folder} failed: {outcome.error}", outcome.remedy)
        run = RunFolder(outcome.folder), outcome.steps_per_second
        found.setdefault(request.asked["algo"], []).append(run)
    return found


def _table(curves: list[Curve], env_id: str, seeds: int, episodes: int) -> Table:
    table = Table(
        title=f"{env_id}: {seeds} seeds, evaluations of {episodes} episodes, greedy",
        caption="returns, mean over seeds: of the last evaluation with its 95 % bootstrap interval, of the best, "
        "of the whole curve; steps/s: median, learning alone",
    )
    for column in ("agent", "last", "95 %", "best", "mean", "steps/s"):
        table.add_column(column, justify="left" if column == "agent" else "right")
    for curve in sorted(curves, key=lambda c: -c.last.mean()):
        low, high = curve.interval(curve.last)
        table.add_row(
            curve.name,
            f"{curve.last.mean():.4g}",
            f"{low:.4g} to {high:.4g}",
            f"{curve.returns.max(axis=1).mean():.4g}",
            f"{curve.returns.mean():.4g}",
            f"{np.median(curve.speeds):,.0f}",
        )
    return table
