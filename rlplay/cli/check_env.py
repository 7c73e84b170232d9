"""``rlplay check-env``: what an environment does well, what may surprise, and what breaks the contract."""

from __future__ import annotations

from argparse import Namespace

from rlplay.cli.common import console, environment_arguments
from rlplay.environments.checker import examine_env
from rlplay.errors import UsageError
from rlplay.seeding import check_seed

_MARKS = {
    "ok": "[green]ok     [/]",
    "warning": "[yellow]warning[/]",
    "failed": "[red]FAILED [/]",
    "skipped": "[dim]skipped[/]",
}


def run(arguments: Namespace) -> int:
    """Print one line a check; 1 where one failed."""
    if arguments.steps < 1:
        raise UsageError(f"--steps {arguments.steps} is not 1 or more")
    check_seed(arguments.seed)
    out, counts = console(), dict.fromkeys(_MARKS, 0)
    kwargs = environment_arguments(arguments)
    for finding in examine_env(arguments.env, steps=arguments.steps, seed=arguments.seed, **kwargs):
        counts[finding.verdict] += 1
        out.print(f"{_MARKS[finding.verdict]} {finding.check:32s}", end="")
        out.print(finding.words, markup=False)
    counted = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    out.print(f"{arguments.env}: {', '.join(counted)}")
    return 1 if counts["failed"] else 0
