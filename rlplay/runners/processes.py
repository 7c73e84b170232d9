"""Worker processes on this machine, by loky: one thread each, machine code from the shared cache, no orphans."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from joblib.externals import loky

from rlplay.errors import RlplayError, warn
from rlplay.runners.runner import LOST_REMEDY, ONE_THREAD, was_interrupted

T = TypeVar("T")
R = TypeVar("R")
_MOST_LOSSES = 3  # workers that may be lost over one task
_SAVING = 60.0  # seconds that running calls have to save what they did


class ProcessRunner:
    """Worker processes that are started once and take one task after the other.

    Args:
        jobs: how many.

    Example:
        >>> runner = ProcessRunner(2)
        >>> sorted(runner.results(abs, [-1, 2, -3]))
        [(-3, 3), (-1, 1), (2, 2)]
        >>> runner.close()
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._pool: Any = None

    def results(
        self, function: Callable[[T], R], tasks: Iterable[T], lost: Callable[[T, str], R] | None = None
    ) -> Iterator[tuple[T, R]]:
        """Each task with its result, as they come.

        Nobody says which worker of a pool was lost: a task that was there each time has its last try alone, when all
        others are done.

        Raises:
            RlplayError: a task by which worker processes are lost again and again, where ``lost`` is not given.
        """
        source, again, suspects = iter(tasks), deque[tuple[T, int]](), deque[tuple[T, int]]()
        running: dict[Future[R], tuple[T, int]] = {}
        try:
            while True:
                alone = any(losses == _MOST_LOSSES - 1 for _, losses in running.values())
                while len(running) < (1 if alone else self.jobs):
                    given = again.popleft() if again else _next(source)
                    if given is None:
                        if running or not suspects:
                            break
                        given = suspects.popleft()
                    running[self._submit(function, given[0])] = given
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                    done, _ = wait(running)  # loky ends the others with the one that was lost
                    self._pool = None
                    _say_lost([running[f] for f in done if isinstance(f.exception(), BrokenProcessPool)])
                for future in done:
                    task, losses = running.pop(future)
                    if not isinstance(future.exception(), BrokenProcessPool):
                        result = future.result()
                        if was_interrupted(result):
                            again.append((task, losses))
                        else:
                            yield task, result
                    elif losses + 1 < _MOST_LOSSES:
                        (suspects if losses + 2 == _MOST_LOSSES else again).append((task, losses + 1))
                    elif lost is not None:
                        yield task, lost(task, f"its worker process was lost {_MOST_LOSSES} times")
                    else:
                        raise RlplayError(
                            f"a worker process was lost {_MOST_LOSSES} times over {_name(task)}", LOST_REMEDY
                        )
        except BaseException:
            self._stop(running)
            raise

    def _submit(self, function: Callable[[T], R], task: T) -> Future[R]:
        for _ in range(2):
            if self._pool is None:
                self._pool = loky.ProcessPoolExecutor(
                    self.jobs, env=ONE_THREAD, initializer=_begin_worker, initargs=(os.getpid(),)
                )
            try:
                return self._pool.submit(function, task)
            except (BrokenProcessPool, RuntimeError):  # lost while nobody waited for it
                self._pool = None
        raise RlplayError("no worker processes can be started", "Leave out --jobs")

    def _stop(self, running: dict[Future[R], tuple[T, int]]) -> None:
        """Ask the running calls to save and to end, and wait for them; a second Ctrl-C does not."""
        if self._pool is None:
            return
        for process in list(self._pool._processes):
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGTERM)
        try:
            wait(running, timeout=_SAVING)
        finally:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None


def _name(task: object) -> str:
    return str(getattr(task, "name", task))


def _say_lost(tasks: list[tuple[T, int]]) -> None:
    """Say whose worker was lost, of those that are tried again."""
    if names := [_name(task) for task, losses in tasks if losses + 1 < _MOST_LOSSES]:
        begin = "begins" if len(names) == 1 else "begin"
        warn(f"a worker process was lost (killed, or out of memory): {', '.join(names)} {begin} again where saved")


def _next(source: Iterator[T]) -> tuple[T, int] | None:
    for task in source:
        return task, 0
    return None


def _begin_worker(owner: int) -> None:
    """Ctrl-C is the owner's business; when the owner is gone, save and end."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()


def _end_with(owner: int) -> None:
    while os.getppid() == owner:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_SAVING)
    os._exit(1)
