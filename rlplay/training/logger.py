"""What callbacks write into a run's logs, as Stable-Baselines3's logger takes it: a name and a number."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rlplay.errors import warn

NUMBERS = (int, float, np.integer, np.floating)


def nothing() -> None:
    """Nothing is done."""


def _bare(cls: Any) -> Any:
    return cls.__new__(cls)


class Logger:
    """Numbers by TensorBoard tags, which the next row of the logs takes.

    Args:
        metrics: what gives the numbers of the last update; None for none.

    Attributes:
        noted: what was recorded since the last row.
        dumps: whether a callback has asked for the row that is written now.
        listens: whether it takes the rows of a run.
        tensorboard: the folder of TensorBoard's events, while a run writes some.

    Example:
        >>> logger = Logger()
        >>> logger.record("rollout/height", 2.0)
        >>> logger.record_mean("rollout/width", 1), logger.record_mean("rollout/width", 2)
        (None, None)
        >>> logger.take()
        {'rollout/height': 2.0, 'rollout/width': 1.5}
    """

    listens = False

    def __init__(self, metrics: Callable[[], dict[str, float]] | None = None) -> None:
        self._metrics, self._write_row = metrics, nothing
        self.dumps = False
        self.noted: dict[str, Any] = {}
        self.name_to_count: dict[str, int] = {}
        self.tensorboard: Path | None = None
        self._folder: Path | None = None
        self._events: Any = None
        self._formats: list[Any] = []

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """Where Stable-Baselines3 is in use its own logger's, so that ``isinstance(model.logger, Logger)`` says yes."""
        theirs = sys.modules.get("stable_baselines3.common.logger")
        return type(self) if theirs is None else theirs.Logger

    @property
    def name_to_value(self) -> dict[str, Any]:
        """The numbers of the last update, and what was recorded since the last row; 0 for what is in neither."""
        return defaultdict(float, {**(self._metrics() if self._metrics else {}), **self.noted})

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A copy is outside of the run."""
        of_run: dict[str, Any] = {"_write_row": nothing, "tensorboard": None, "_events": None, "_formats": []}
        return _bare, (type(self),), {**vars(self), **of_run}

    def rows_by(self, write_row: Callable[[], None] | None) -> None:
        """A run writes its rows by this from now on; None at its end."""
        self._write_row = write_row or nothing

    @property
    def output_formats(self) -> list[Any]:
        """What Stable-Baselines3's loggers write to: its TensorBoard writer while a run writes events, else nothing."""
        if self.tensorboard is not None and not self._formats:
            try:
                from stable_baselines3.common.logger import TensorBoardOutputFormat
            except ImportError:
                return []
            with tempfile.TemporaryDirectory() as folder:  # it begins a file, and there is one already
                found = TensorBoardOutputFormat(folder)
                found.writer.file_writer.event_writer.close()
            found.writer.log_dir, found.writer.file_writer.event_writer = str(self.tensorboard), self._events
            self._formats = [found]
        return self._formats

    def open_tensorboard(self, folder: Path, events: Any) -> None:
        """A run writes events to this folder from now on, by an ``EventFileWriter`` of TensorBoard."""
        self.tensorboard, self._folder, self._events = folder, folder, events

    def write_pictures(self, timestep: int) -> None:
        """What callbacks recorded that is no number, figures, pictures, films and texts, into TensorBoard's events."""
        found = {key: value for key, value in self.noted.items() if not isinstance(value, NUMBERS)}
        if found and self.output_formats:
            self.output_formats[0].write(found, dict.fromkeys(found, ()), timestep)

    def close_tensorboard(self) -> None:
        """The run is over."""
        self.tensorboard, self._events, self._formats = None, None, []

    def record(self, key: str, value: Any, exclude: Any = None) -> None:
        """Note a number; a later one of the same name takes its place.

        Args:
            key: its tag, ``"rollout/height"``.
            value: the number; what is none, a ``Figure`` of Stable-Baselines3 for example, is for TensorBoard alone.
            exclude: taken as in Stable-Baselines3, and of no effect.
        """
        if getattr(value, "shape", None) == (1,):  # of the one environment there is
            value = value[0].item()
        self.noted[key] = value

    def record_mean(self, key: str, value: float | None, exclude: Any = None) -> None:
        """Note the mean of the numbers of a name since the last row."""
        if value is None:
            return
        count = self.name_to_count.get(key, 0)
        self.noted[key] = (self.noted.get(key, 0.0) * count + value) / (count + 1)
        self.name_to_count[key] = count + 1

    def dump(self, step: int = 0) -> None:
        """Write a row now, beside those that a run writes by itself; the step is the run's."""
        self.dumps = True
        try:
            self._write_row()
        finally:
            self.dumps = False

    def write(self, row: dict[str, float], timestep: int) -> None:
        """A row of the run; nothing is done with it here."""

    def take(self) -> dict[str, float]:
        """The numbers since the last call; what is no number is left out."""
        found = {}
        for key, value in self.noted.items():
            try:
                found[key] = float(value)
            except (TypeError, ValueError):
                continue
        self.noted, self.name_to_count = {}, {}
        return found

    def get_dir(self) -> str:
        """A folder for what callbacks write: that of TensorBoard's events, else a temporary one, as there."""
        self._folder = self._folder or Path(tempfile.mkdtemp(prefix="rlplay-"))
        return str(self._folder)

    @property
    def dir(self) -> str:
        """The same."""
        return self.get_dir()

    def info(self, *words: Any) -> None:
        """Say something."""
        print(*words)

    debug = log = info

    def warn(self, *words: Any) -> None:
        """Say something that is amiss."""
        warn(" ".join(map(str, words)))

    error = warn

    def close(self) -> None:
        """Nothing is open."""


class Forwarding(Logger):
    """A logger that gives what it is told, and the rows of the run, to one of Stable-Baselines3.

    Args:
        inner: what has ``record`` and ``dump``.
        metrics: as of `Logger`.
    """

    listens = True

    def __init__(self, inner: Any, metrics: Callable[[], dict[str, float]] | None = None) -> None:
        super().__init__(metrics)
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def record(self, key: str, value: Any, exclude: Any = None) -> None:
        """Note a number for the next row; what is none is for the other logger alone."""
        if isinstance(value, NUMBERS) or getattr(value, "shape", None) == (1,):
            super().record(key, value)
        else:
            self.inner.record(key, value, exclude)

    @property
    def output_formats(self) -> list[Any]:
        """What the other logger writes to."""
        return list(self.inner.output_formats)

    def write(self, row: dict[str, float], timestep: int) -> None:
        """A row of the run."""
        for key, value in row.items():
            self.inner.record(key, value)
        self.inner.dump(timestep)

    def get_dir(self) -> Any:
        """The folder that it writes to."""
        return self.inner.get_dir()

    def close(self) -> None:
        """Close its files."""
        self.inner.close()
