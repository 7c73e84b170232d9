"""What callbacks write into a run's logs, as Stable-Baselines3's logger takes it: a name and a number."""

from __future__ import annotations

from typing import Any

from rlplay.errors import warn


class Logger:
    """Numbers by TensorBoard tags, which the next row of the logs takes.

    Attributes:
        name_to_value: the numbers since the last row.
        output_formats: what Stable-Baselines3's loggers write to; none.

    Example:
        >>> logger = Logger()
        >>> logger.record("rollout/height", 2.0)
        >>> logger.record_mean("rollout/width", 1), logger.record_mean("rollout/width", 2)
        (None, None)
        >>> logger.take()
        {'rollout/height': 2.0, 'rollout/width': 1.5}
    """

    def __init__(self) -> None:
        self.name_to_value: dict[str, Any] = {}
        self._counts: dict[str, int] = {}
        self.output_formats: list[Any] = []

    def record(self, key: str, value: Any, exclude: Any = None) -> None:
        """Note a number; a later one of the same name takes its place.

        Args:
            key: its tag, ``"rollout/height"``.
            value: the number.
            exclude: taken as in Stable-Baselines3, and of no effect: what is no number is in no log.
        """
        self.name_to_value[key] = value

    def record_mean(self, key: str, value: float | None, exclude: Any = None) -> None:
        """Note the mean of the numbers of a name since the last row."""
        if value is None:
            return
        count = self._counts.get(key, 0)
        self.name_to_value[key] = (self.name_to_value.get(key, 0.0) * count + value) / (count + 1)
        self._counts[key] = count + 1

    def dump(self, step: int = 0) -> None:
        """Stable-Baselines3 writes a row here; a run writes its rows by itself, where they are due."""

    def write(self, row: dict[str, float], timestep: int) -> None:
        """A row of the run; nothing is done with it here."""

    def take(self) -> dict[str, float]:
        """The numbers since the last call; what is no number is left out."""
        found = {}
        for key, value in self.name_to_value.items():
            try:
                found[key] = float(value)
            except (TypeError, ValueError):
                continue
        self.name_to_value, self._counts = {}, {}
        return found

    def get_dir(self) -> None:
        """The folder that Stable-Baselines3's loggers write to; None, since runs have folders."""

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
    """

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

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
