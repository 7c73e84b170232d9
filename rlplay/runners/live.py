"""A live table of runs, read from what they write: any runner, any machine that sees the folders."""

from __future__ import annotations

import csv
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from rlplay.errors import counted
from rlplay.runners.job import Job, Outcome
from rlplay.training.callbacks import short_number
from rlplay.training.run_folder import RunFolder

_SHOWN = 12  # runs that are shown, the running ones first
_WIDE = 70  # columns of a terminal on which there is room between the columns
_TAIL = 4096  # bytes at a log's end that hold its last row


@dataclass
class Progress:
    """Where a run stands, as its log says.

    Attributes:
        timesteps: done.
        speed: timesteps a second of learning.
        score: mean return of the last evaluation, or of the last episodes; None for none.
    """

    timesteps: int = 0
    speed: float = 0.0
    score: float | None = None


def progress_of(folder: Path) -> Progress:
    """Where a run stands: the last whole row of its ``progress.csv``.

    Example:
        >>> progress_of(Path("no/such/run"))
        Progress(timesteps=0, speed=0.0, score=None)
    """
    try:
        with open(RunFolder(folder).progress, "rb") as file:
            names = file.readline().decode().strip().split(",")
            start = file.tell()
            file.seek(max(start, file.seek(0, 2) - _TAIL))
            rows = [row for row in csv.reader(file.read().decode().splitlines()) if len(row) == len(names)]
            row = dict(zip(names, rows[-1], strict=True))
            score = row["eval/mean_reward"] or row["rollout/ep_rew_mean"]
            return Progress(int(row["time/total_timesteps"]), float(row["time/fps"]), float(score) if score else None)
    except (OSError, ValueError, IndexError, KeyError):
        return Progress()


class LiveTable:
    """The runs of a batch on a terminal: those that run, those that ended last, and how many are left.

    Args:
        total: how many runs there are.
        done: how many were done before.
        console: where to; nothing is shown where it is no terminal.
    """

    def __init__(self, total: int, done: int, console: Console) -> None:
        self.total, self.done, self._console = total, done, console
        self._before, self._failed = done, 0
        self._running: dict[str, Job] = {}
        self._ended: deque[tuple[Job, Outcome]] = deque(maxlen=_SHOWN)
        self._start = time.monotonic()
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> LiveTable:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def began(self, job: Job) -> None:
        """A run began."""
        self._running[str(job.folder)] = job

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A run ended."""
        self._running.pop(str(job.folder), None)
        self._ended.append((job, outcome))
        self.done += 1
        self._failed += bool(outcome.error)

    def render(self) -> Table:
        """The table as it is now."""
        failed = f", [red]{self._failed} failed[/]" if self._failed else ""
        done = f"{self.done} of {counted(self.total, 'run')}"
        table = Table(title=f"{done}{failed}{self._time_left()}", title_justify="left",
                      title_style="bold", box=None, padding=(0, 2 if self._console.width >= _WIDE else 1))  # fmt: skip
        for column in ("run", "seed", "done", "steps/s", "score", "left"):  # names are folded before a number is cut
            table.add_column(column, justify="left" if column == "run" else "right", no_wrap=column != "run",
                             overflow="fold")  # fmt: skip
        running = list(self._running.values())
        for job, outcome in list(self._ended)[-max(_SHOWN - len(running), 0) or _SHOWN :]:
            state = "[red]failed[/]" if outcome.error else "[green]done[/]"
            self._row(table, job, Progress(outcome.timesteps, outcome.steps_per_second, outcome.score), state)
        for job in running[:_SHOWN]:
            now = progress_of(job.folder)
            left = (job.asked["n_timesteps"] - now.timesteps) / now.speed if now.speed else None
            self._row(table, job, now, "-" if left is None else _duration(left))
        return table

    def _row(self, table: Table, job: Job, now: Progress, state: str) -> None:
        share = now.timesteps / job.asked["n_timesteps"]
        score = "-" if now.score is None else f"{now.score:.4g}"
        speed = short_number(now.speed) if now.speed else "-"
        name = f"[cyan]{job.asked['algo']}[/] {job.asked['env']}"
        table.add_row(name, str(job.asked["seed"]), f"{share:.0%}", speed, score, state)

    def _time_left(self) -> str:
        now = self.done - self._before
        if not now or self.done >= self.total:
            return ""
        return f", {_duration((time.monotonic() - self._start) / now * (self.total - self.done))} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
