"""Who finishes jobs: this process, worker processes on this machine, or a Ray cluster; a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
LOST_REMEDY = "It may need more memory than there is: take fewer --jobs"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
ONE_THREAD = dict.fromkeys(_THREADS, "1")  # what the environment of a worker says


class Runner(Protocol):
    """Calls a function with each of many tasks.

    Attributes:
        jobs: how many calls go on at once.
    """

    jobs: int

    def results(
        self, function: Callable[[T], R], tasks: Iterable[T], lost: Callable[[T, str], R] | None = None
    ) -> Iterator[tuple[T, R]]:
        """Each task with its result, as they come; a task is taken when there is a place for it.

        A task whose worker is lost, or is asked to end by somebody else, is begun again. Ctrl-C asks the running
        calls to save and to end, waits for them, and is raised again.

        Args:
            function: what is called.
            tasks: with what, one after the other.
            lost: the result of a task over which workers are lost again and again, from what happened in words; by
                default that is raised as an `RlplayError`.
        """

    def close(self) -> None:
        """End the workers."""


def was_interrupted(result: Any) -> bool:
    """Whether a call was asked to end before it was done: by Ctrl-C, or by its node that goes down."""
    return bool(getattr(result, "interrupted", False))


class OneByOne:
    """Calls the function in this process, one task after the other.

    Example:
        >>> list(OneByOne().results(abs, [-1, 2]))
        [(-1, 1), (2, 2)]
    """

    jobs = 1

    def results(
        self, function: Callable[[T], R], tasks: Iterable[T], lost: Callable[[T, str], R] | None = None
    ) -> Iterator[tuple[T, R]]:
        """Each task with its result."""
        for task in tasks:
            result = function(task)
            if was_interrupted(result):
                raise KeyboardInterrupt
            yield task, result

    def close(self) -> None:
        """Nothing to end."""
