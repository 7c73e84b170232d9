"""The progress bar of a fit that takes long."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from typing import Any

_PATIENCE = 3.0  # seconds after which a fit shows its progress


class Progress(AbstractContextManager["Progress"]):
    """A bar on the error stream.

    Args:
        name: what is fitted.
        epochs: how many epochs there are at most.
        verbose: True for a bar at once, False for none, None for a bar after three seconds at a terminal.

    Example:
        >>> with Progress("model", 2, verbose=False) as progress:
        ...     progress(1, 0.5)
    """

    def __init__(self, name: str, epochs: int, verbose: bool | None) -> None:
        self._name, self._epochs, self._start = name, epochs, time.perf_counter()
        self._bar: Any = None
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self._wanted = terminal if verbose is None else bool(verbose)
        self._patience = 0.0 if verbose else _PATIENCE

    def __call__(self, epoch: int, value: float) -> None:
        """Show that an epoch is done, and its mean loss."""
        if not self._wanted or time.perf_counter() - self._start < self._patience:
            return
        if self._bar is None:
            self._bar = self._new_bar()
            self._task = self._bar.add_task(self._name, total=self._epochs, value=value)
        self._bar.update(self._task, completed=epoch, value=value)

    def _new_bar(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        bar = Bar(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs"),
                  TextColumn("loss {task.fields[value]:.4g}"), TimeRemainingColumn(),
                  console=Console(stderr=True))  # fmt: skip
        bar.start()
        return bar

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
