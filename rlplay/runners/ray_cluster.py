"""A Ray cluster as runner: a task whose node is lost goes on from its last checkpoint on another node.

The nodes must see the run folders under the same path, as on any cluster with a shared file system.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from rlplay.environments.vector.ray_pool import connect
from rlplay.errors import RlplayError, one_line
from rlplay.runners.runner import ONE_THREAD, was_interrupted

T = TypeVar("T")
R = TypeVar("R")
_SAVING = 60.0  # seconds that running calls have to save what they did


class RayRunner:
    """Tasks on a Ray cluster, one processor each.

    Args:
        jobs: tasks at once; the processors of the cluster by default.
        address: of the cluster; None starts one on this machine.

    Raises:
        MissingPackageError, UsageError: as `connect`.
    """

    def __init__(self, jobs: int | None = None, address: str | None = None) -> None:
        self._ray = connect(address, jobs if address is None else None)
        self._given = jobs
        self.jobs = jobs or self._processors()

    def _processors(self) -> int:
        return max(int(self._ray.cluster_resources().get("CPU", 1)), 1)

    def results(
        self, function: Callable[[T], R], tasks: Iterable[T], lost: Callable[[T, str], R] | None = None
    ) -> Iterator[tuple[T, R]]:
        """Each task with its result, as they come; lost ones are begun again on another node."""
        ray, source = self._ray, iter(tasks)
        here = [path for path in sys.path if path]
        call = ray.remote(_call).options(
            num_cpus=1, max_retries=-1, retry_exceptions=False, runtime_env={"env_vars": ONE_THREAD}
        )
        running: dict[Any, T] = {}
        try:
            while True:
                while len(running) < self.jobs:
                    given = next(source, _NOTHING)
                    if given is _NOTHING:
                        break
                    running[call.remote(function, given, here)] = given
                if not running:
                    return
                done, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
                if not self._given:
                    self.jobs = self._processors()  # nodes come and go
                for ref in done:
                    task = running.pop(ref)
                    try:
                        result = ray.get(ref)
                    except ray.exceptions.RayError as error:
                        words = f"Ray lost {getattr(task, 'name', task)}: {one_line(error)}"
                        if lost is None:
                            raise RlplayError(words) from error
                        result = lost(task, words)
                    if was_interrupted(result):  # its node goes down
                        running[call.remote(function, task, here)] = task
                    else:
                        yield task, result
        except BaseException:
            self._stop(running)
            raise

    def _stop(self, running: dict[Any, T]) -> None:
        """Ask the running calls to save and to end, and wait for them."""
        for ref in running:
            with contextlib.suppress(Exception):
                self._ray.cancel(ref, force=False)
        with contextlib.suppress(Exception):
            self._ray.wait(list(running), num_returns=len(running), timeout=_SAVING)
        self.close()

    def close(self) -> None:
        """Leave the cluster; one of this process ends."""
        self._ray.shutdown()


_NOTHING: Any = object()


def _call(function: Callable[[T], R], task: T, path: list[str]) -> R:
    """One task, in a worker that imports from where its driver does."""
    sys.path.extend(one for one in path if one not in sys.path)
    return function(task)
