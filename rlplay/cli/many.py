"""Several runs at once: what ``--jobs`` and ``--runner`` do in ``train``, ``compare`` and ``figure``."""

from __future__ import annotations

import sys
import time
from argparse import Namespace

from rlplay.cli.common import RUNS, console, quoted
from rlplay.errors import counted, warn_once
from rlplay.reports.numbers import number
from rlplay.runners.batch import Batch, Request
from rlplay.runners.job import Job, Outcome
from rlplay.runners.live import LiveTable
from rlplay.runners.make import new_runner
from rlplay.runners.runner import Runner
from rlplay.training.callbacks import short_number


def runner_of(arguments: Namespace, calls: int) -> Runner:
    """The runner that the flags name, with no more jobs than there are calls."""
    jobs = arguments.jobs if arguments.jobs is None else max(min(arguments.jobs, calls), 1)
    return new_runner(arguments.runner or "local", jobs, arguments.ray_address)


class Teller(LiveTable):
    """The live table; where there is no terminal a line a run.

    Attributes:
        tells_failures: whether it says what failed; not where the command ends with that.
    """

    tells_failures = True

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A run ended."""
        super().ended(job, outcome)
        for text in outcome.warnings:
            warn_once(text)
        if outcome.error and (outcome.no_room or not self.tells_failures):
            return  # it ends the command, which says so
        if outcome.error:
            words = f"rlplay: {outcome.folder} failed: {outcome.error}\n  {outcome.remedy}".rstrip()
            console(stderr=True).print(words, markup=False)
        elif not self._console.is_terminal:
            score = "" if outcome.score is None else f", return evaluated {number(outcome.score)}"
            speed = short_number(outcome.steps_per_second)
            words = f"{self.done} of {self.total}: {outcome.folder}, {speed} steps/s{score}"
            self._console.print(words, markup=False)


def finish(requests: list[Request], arguments: Namespace) -> list[Outcome]:
    """Do all runs, or go on with those that an interrupted command of the same runs left; their outcomes in order."""
    out, start = console(), time.perf_counter()
    alone = (arguments.jobs or 1) == 1 and arguments.runner != "ray"
    workers = ("auto" if arguments.workers is None else arguments.workers) if alone else 0
    batch = Batch(arguments.log_folder or RUNS, requests, quoted(["rlplay", *sys.argv[1:]]), workers)
    with batch.held():
        before = len(batch.outcomes)
        if batch.jobs:
            left = len(requests) - before
            out.print(f"going on: {before} of {counted(len(requests), 'run')} done, {left} left")
        runner = runner_of(arguments, len(requests) - before)
        places = f"{runner.jobs} at once" if arguments.runner != "ray" else f"Ray, {runner.jobs} at once"
        out.print(f"{counted(len(requests), 'run')}, {places}, in {batch.log_folder}", style="dim")
        try:
            with Teller(len(requests), before, out) as table:
                batch.finish(runner, table)
        except KeyboardInterrupt:
            done = len(batch.outcomes)
            out.print(f"interrupted: {done} of {counted(len(requests), 'run')} done, the others are saved. Go on with:")
            out.print(f"  {batch.command}")
            raise
        finally:
            runner.close()
        outcomes = [batch.outcomes[request.key] for request in requests]
    done = sum(outcome.timesteps for outcome in outcomes)
    failed = f", {batch.failed} failed (the same command tries them again)" if batch.failed else ""
    runs, steps = counted(len(requests), "run"), counted(done, "timestep")
    out.print(f"{runs}{failed}, {steps} in {time.perf_counter() - start:.1f} s")
    return outcomes
