"""Worker processes that step environments: shared memory, timeouts, original tracebacks, no orphans.

A worker is a fresh Python process, so scripts need no ``if __name__ == "__main__"`` and nothing is forked in the middle
of threads. Observations, actions and rewards lie in a file that all processes map into their memory; the message of a
step is a few bytes. A worker that raises, hangs or is killed stops all of them, with an error that names the
environment; workers end when their owner does, however it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing import connection
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from rlplay.environments.vector.sequential import Maker, SequentialEnvs, SharedBuffers
from rlplay.errors import EnvironmentFault, SpaceError

_COMMAND = "from rlplay.environments.vector.workers import work; work()"
_STARTING = 120.0  # seconds that a worker may take to start and to make its environments
_CLOSING = 2.0  # seconds that a worker has to end by itself


class WorkerTraceback(Exception):  # noqa: N818 - shown as the cause of an error
    """The traceback of an exception in a worker, as text."""

    def __str__(self) -> str:
        return "\n" + self.args[0]


class WorkerPool:
    """Worker processes with an equal share of the environments each.

    Args:
        makers: one an environment.
        workers: how many processes.
        mode: what happens at an episode's end.
        timeout: seconds that a step or a reset of all environments may take; None for no limit.
        before: how many environments their owner plays itself and counts first, for what errors say.

    Attributes:
        buffers: what is shared.
        spaces: observation and action space of one environment.

    Raises:
        EnvironmentFault: a worker raised, did not answer in time or was killed; here and in every method.
    """

    def __init__(
        self, makers: Sequence[Maker], workers: int, mode: AutoresetMode, timeout: float | None, before: int = 0
    ) -> None:
        self.number, self.timeout, self.before = len(makers), timeout, before
        cuts = [len(makers) * w // workers for w in range(workers + 1)]
        self._shares = [range(a, b) for a, b in pairwise(cuts)]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._connections: list[connection.Connection] = []
        self._end = weakref.finalize(self, _end, self._processes, self._connections)
        self.buffers: SharedBuffers | None = None
        try:
            self._start()
            for share, channel in zip(self._shares, self._connections, strict=True):
                mine = [makers[i] for i in share]
                channel.send_bytes(cloudpickle.dumps((sys.path, mine, share.start, self.number, mode, before)))
            made = self._answers(_STARTING, "being made")
            self.spaces = made[0]
            for share, spaces in zip(self._shares, made, strict=True):
                if spaces != self.spaces:
                    raise SpaceError(f"environment {share.start} of {self.number} has other spaces than environment 0")
            self._share_buffers()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        """Start the processes and wait until each has connected."""
        key = secrets.token_bytes(32)
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
        with connection.Listener(authkey=key) as listener:
            for number in range(len(self._shares)):
                process = subprocess.Popen(
                    [sys.executable, "-c", _COMMAND], stdin=subprocess.PIPE, env={**environment, **os.environ}
                )
                assert process.stdin is not None
                self._processes.append(process)
                process.stdin.write(json.dumps([listener.address, key.hex(), number]).encode() + b"\n")
                process.stdin.flush()
                self._connections.append(_accept(listener, process))

    def _share_buffers(self) -> None:
        """Map a file into the memory of all processes; its name is gone as soon as they have it."""
        fast = Path("/dev/shm")
        size = SharedBuffers.size(self.spaces, self.number)
        with tempfile.NamedTemporaryFile(dir=fast if os.access(fast, os.W_OK) else None, delete=False) as file:
            file.truncate(size)
        try:
            self.buffers = SharedBuffers(self.spaces, self.number, _mapped(file.name))
            self._send("share", file.name)
            self._answers(_STARTING, "being made")
        finally:
            with contextlib.suppress(OSError):  # Windows keeps a file that is mapped
                os.unlink(file.name)

    def reset(
        self, seeds: NDArray[np.int64], chosen: NDArray[np.bool_], options: dict[str, Any] | None
    ) -> list[tuple[int, dict[str, Any]]]:
        """As `SequentialEnvs.reset`."""
        self._send("reset", seeds, chosen, options)
        return [info for infos in self._answers(self.timeout, "reset") for info in infos]

    def step(self) -> list[tuple[int, dict[str, Any]]]:
        """As `SequentialEnvs.step`."""
        self.begin_step()
        return self.end_step()

    def begin_step(self) -> None:
        """Have all environments step, without waiting."""
        self._send("step")

    def end_step(self) -> list[tuple[int, dict[str, Any]]]:
        """Wait for the step that was begun; returns the infos that are not empty."""
        return [info for infos in self._answers(self.timeout, "step") for info in infos]

    def resume(self, running: Sequence[tuple[int, list[Any] | None] | None]) -> None:
        """As `SequentialEnvs.resume`."""
        self._send("resume", running)
        self._answers(None, "resume")

    def call(self, name: str, *arguments: Any, **keywords: Any) -> list[Any]:
        """As `SequentialEnvs.call`."""
        self._send("call", name, *arguments, **keywords)
        return [result for results in self._answers(self.timeout, name) for result in results]

    def set_attr(self, name: str, values: Sequence[Any]) -> None:
        """As `SequentialEnvs.set_attr`."""
        self._send("set_attr", name, values)
        self._answers(self.timeout, name)

    def close(self) -> None:
        """End all workers: they close their environments, or are killed."""
        self._end()

    def _send(self, method: str, *arguments: Any, **keywords: Any) -> None:
        message = b"" if method == "step" else cloudpickle.dumps((method, arguments, keywords))
        for number, channel in enumerate(self._connections):
            try:
                channel.send_bytes(message)
            except OSError:
                raise self._lost(number) from None
        if not self._connections:
            raise EnvironmentFault("the environments are closed", "Make them again")

    def _answers(self, timeout: float | None, what: str) -> list[Any]:
        """The answer of each worker."""
        answers: dict[int, Any] = {}
        until = None if timeout is None else time.monotonic() + timeout
        waiting = dict(zip(self._connections, range(len(self._connections)), strict=True))
        while waiting:
            left = None if until is None else max(until - time.monotonic(), 0.0)
            ready = connection.wait(list(waiting), left)
            if not ready:
                raise self._late(next(iter(waiting.values())), timeout or 0.0, what)
            for channel in ready:
                number = waiting.pop(channel)  # type: ignore[call-overload]
                try:
                    message = channel.recv_bytes()  # type: ignore[union-attr]
                except (EOFError, OSError):
                    raise self._lost(number) from None
                answers[number] = pickle.loads(message) if message else []
        for number in sorted(answers):
            if isinstance(answers[number], _Fault):
                fault = answers[number]
                self.close()
                raise EnvironmentFault(fault.cause, fault.remedy) from WorkerTraceback(fault.text)
        return [answers[number] for number in sorted(answers)]

    def _busy_with(self, number: int) -> str:
        """The environment that a worker works on."""
        at = int(self.buffers.at[number]) if self.buffers is not None else -1
        share, before = self._shares[number], self.before
        several = f"one of the environments {before + share.start} to {before + share.stop - 1}"
        return f"{f'environment {before + at}' if at >= 0 else several} of {before + self.number}"

    def _late(self, number: int, timeout: float, what: str) -> EnvironmentFault:
        who = self._busy_with(number)
        self.close()
        return EnvironmentFault(
            f"{who} did not answer within {timeout:g} s ({what})", "Mend it, or give a longer timeout"
        )

    def _lost(self, number: int) -> EnvironmentFault:
        who, process = self._busy_with(number), self._processes[number]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_CLOSING)
        code = process.returncode
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        self.close()
        return EnvironmentFault(f"the worker process of {who} {how}", "Make the environments again")


class _Fault:
    """What a worker says of an exception."""

    def __init__(self, cause: str, remedy: str, text: str) -> None:
        self.cause, self.remedy, self.text = cause, remedy, text


def _packed(result: Any) -> bytes:
    """An answer as bytes: by the faster of two ways, or the one that knows more kinds."""
    try:
        return pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return bytes(cloudpickle.dumps(result))


def _mapped(file: str) -> NDArray[np.uint8]:
    """A file as memory."""
    return np.memmap(file, np.uint8, "r+").view(np.ndarray)


def _accept(listener: connection.Listener, process: subprocess.Popen[bytes]) -> connection.Connection:
    """The connection of a worker that was just started; notices when it ends in place of connecting."""
    accepted: list[connection.Connection] = []
    thread = threading.Thread(target=lambda: accepted.append(listener.accept()), daemon=True)
    thread.start()
    until = time.monotonic() + _STARTING
    while thread.is_alive():
        thread.join(0.05)
        if process.poll() is not None or time.monotonic() > until:
            raise EnvironmentFault(f"a worker process did not start (exit code {process.poll()})")
    return accepted[0]


def _end(processes: list[subprocess.Popen[bytes]], connections: list[connection.Connection]) -> None:
    """Ask the workers to end, wait a little, and kill the rest."""
    for channel in connections:
        with contextlib.suppress(OSError):
            channel.close()
    until = time.monotonic() + _CLOSING
    for process in processes:
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(max(until - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    connections.clear()
    processes.clear()


def work() -> None:
    """What a worker process runs: make the environments, then answer until the owner closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's business
    owner = os.dup(0)
    header = b""
    while not header.endswith(b"\n"):
        header += os.read(owner, 1)
    address, key, number = json.loads(header)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    threading.Thread(target=_exit_with, args=(owner,), daemon=True).start()
    with connection.Client(address, authkey=bytes.fromhex(key)) as channel:
        job, envs = channel.recv_bytes(), []

        def make_envs() -> Any:
            path, makers, first, total, mode, before = cloudpickle.loads(job)
            sys.path[:] = path
            envs.append(SequentialEnvs(makers, first, total, mode, number, before))
            return envs[0].spaces

        if _answer(channel, make_envs):
            with contextlib.suppress(EOFError, OSError):
                _serve(channel, envs[0])
            envs[0].close()


def _serve(channel: connection.Connection, envs: SequentialEnvs) -> None:
    """Answer one message after the other."""
    while True:
        message = channel.recv_bytes()
        method, arguments, keywords = cloudpickle.loads(message) if message else ("step", (), {})
        if method == "share":
            envs.buffers = SharedBuffers(envs.spaces, envs.total, _mapped(arguments[0]))
            channel.send_bytes(b"")
        elif not _answer(channel, lambda: getattr(envs, method)(*arguments, **keywords)):  # noqa: B023 - called at once
            return


def _answer(channel: connection.Connection, do: Callable[[], Any]) -> bool:
    """Send what a call returns, or what it raised; whether it went well."""
    try:
        result = do()
        channel.send_bytes(_packed(result) if result else b"")
        return True
    except Exception as error:
        origin = error.__cause__ or error
        text = "".join(traceback.format_exception(origin))
        fault = error if isinstance(error, EnvironmentFault) else EnvironmentFault(f"{type(error).__name__}: {error}")
        channel.send_bytes(cloudpickle.dumps(_Fault(fault.cause, fault.remedy, text)))
        return False


def _exit_with(owner: int) -> None:
    """End this process when its owner is gone, also in the middle of a step."""
    while os.read(owner, 1):
        pass
    time.sleep(_CLOSING)  # the owner closed the connection in order: the environments are being closed
    os._exit(1)
