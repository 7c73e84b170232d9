"""Environments of one run in actors of a Ray cluster, for environments that are slow to step; the same bits.

The agent stays whole in its own process: it chooses all actions, hands each actor its share, and learns from what
comes back (central inference, as in SEED RL, Espeholt et al. 2020). So nothing is stale, whatever the agent: rollouts
of PPO and PQN, replay buffers of the others. Between two updates actors may go ahead: `rlplay.agent.policy_copies`.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from rlplay.environments.vector.sequential import Maker, SequentialEnvs, SharedBuffers
from rlplay.errors import EnvironmentFault, RlplayError, UsageError, missing

_ANSWER = 5.0  # seconds that a cluster has to answer
_OBJECTS = 200 * 2**20  # bytes of a local cluster's object store: what is sent is small


def connect(address: str | None, processors: int | None = None) -> Any:
    """The package ray, connected to a cluster; one on this machine without an address.

    Raises:
        MissingPackageError: ray is not installed.
        UsageError: nothing answers at the address.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # silences a warning about GPUs
    try:
        import ray
    except ImportError as error:
        raise missing("actors of Ray", "ray", "ray") from error
    if ray.is_initialized():
        return ray
    logging.getLogger("ray").setLevel(logging.ERROR)  # it speaks of its tokens before it reads its own level
    if address is not None:
        _require_answer(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    try:
        if address is None:
            ray.init(num_cpus=processors, object_store_memory=_OBJECTS, include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except Exception as error:  # ConnectionError, RuntimeError, ValueError, or gRPC's
        words = " ".join(str(error).split())[:200]
        raise _no_cluster(address, f"{type(error).__name__}: {words}") from error
    return ray


def _require_answer(address: str) -> None:
    """Whether somebody answers at ``HOST:PORT``, also ``ray://HOST:PORT``; Ray itself tries for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        return  # "auto" and what else Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str | None, why: str) -> UsageError:
    return UsageError(
        f"no Ray cluster at {address or 'this machine'}: {why}",
        "Start one with `ray start --head` and give its address, or leave out --ray-address",
    )


class RayPool:
    """Actors with an equal share of the environments each; the face of `WorkerPool`.

    Args:
        makers: one an environment.
        workers: how many actors.
        mode: what happens at an episode's end.
        timeout: seconds that a step or a reset of all environments may take; None for no limit.
        before: how many environments their owner plays itself and counts first, for what errors say.
        actor: what the actors are, `Actor` or a class that can do more.

    Attributes:
        buffers: what came from the actors, and the actions for them.
        spaces: observation and action space of one environment.

    Raises:
        EnvironmentFault: an environment failed, or an actor was lost or late; here and in every method.
        MissingPackageError, UsageError: as `connect`.
    """

    def __init__(
        self, makers: Sequence[Maker], workers: int, mode: AutoresetMode, timeout: float | None, before: int = 0,
        actor: type[Actor] | None = None,
    ) -> None:  # fmt: skip
        self._ray, self.number, self.timeout = connect(os.environ.get("RAY_ADDRESS")), len(makers), timeout
        cuts = [len(makers) * w // workers for w in range(workers + 1)]
        self._shares = [slice(a, b) for a, b in pairwise(cuts)]
        made = self._ray.remote(actor or Actor).options(num_cpus=_CPUS)
        here = [path for path in sys.path if path]
        self._actors = [
            made.remote(here, list(makers[share]), share.start, self.number, mode, number, before)
            for number, share in enumerate(self._shares)
        ]
        self._pending: list[Any] = []
        try:
            self.spaces = self.answers(self.ask("spaces"))[0]
        except BaseException:
            self.close()
            raise
        self.buffers = SharedBuffers(self.spaces, self.number)

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """Have every actor do something, without waiting; `answers` takes what is returned."""
        return [getattr(one, method).remote(*arguments) for one in self._actors]

    def shared(self, value: Any) -> Any:
        """A value that is sent once to each machine, as an argument for `ask`."""
        return self._ray.put(value)

    def answers(self, refs: list[Any]) -> list[Any]:
        """What all actors returned, when they have."""
        try:
            return list(self._ray.get(refs, timeout=self.timeout))
        except self._ray.exceptions.GetTimeoutError:
            self.close()
            raise EnvironmentFault(
                f"the environments on Ray did not answer within {self.timeout:g} s",
                "Start enough processors (ray status), or take fewer workers",
            ) from None
        except self._ray.exceptions.RayTaskError as error:
            self.close()
            cause = error.cause if isinstance(error.cause, RlplayError) else None
            said = cause.cause if cause else f"{type(error.cause).__name__}: {error.cause}"
            raise EnvironmentFault(said, cause.remedy if cause else "") from error
        except self._ray.exceptions.RayError as error:
            self.close()
            words = " ".join(str(error).split())[:200]
            raise EnvironmentFault(f"an actor with environments was lost: {words}", "Resume the run") from error

    def _take(self, refs: list[Any]) -> list[tuple[int, dict[str, Any]]]:
        """Wait for all actors, and lay what they gave side by side; the infos that are not empty."""
        infos = []
        for share, (rows, told) in zip(self._shares, self.answers(refs), strict=True):
            for array, part in zip(shown(self.buffers), rows, strict=True):
                array[share] = part
            infos += told
        return infos

    def reset(
        self, seeds: NDArray[np.int64], chosen: NDArray[np.bool_], options: dict[str, Any] | None
    ) -> list[tuple[int, dict[str, Any]]]:
        """As `SequentialEnvs.reset`."""
        return self._take(self.ask("do", "reset", seeds, chosen, options))

    def step(self) -> list[tuple[int, dict[str, Any]]]:
        """As `SequentialEnvs.step`."""
        self.begin_step()
        return self.end_step()

    def begin_step(self) -> None:
        """Have all environments step, without waiting."""
        parts = [[array[share].copy() for array in self.buffers.actions.arrays] for share in self._shares]
        self._pending = [one.step.remote(part) for one, part in zip(self._actors, parts, strict=True)]

    def end_step(self) -> list[tuple[int, dict[str, Any]]]:
        """Wait for the step that was begun; returns the infos that are not empty."""
        return self._take(self._pending)

    def resume(self, running: Sequence[tuple[int, list[Any] | None] | None]) -> None:
        """As `SequentialEnvs.resume`."""
        self._take(self.ask("do", "resume", running))

    def close(self) -> None:
        """End the actors."""
        for one in self._actors:
            self._ray.kill(one)
        self._actors = []


_CPUS = 0.01  # of a processor, that an actor asks for: slow environments mostly wait


def shown(buffers: SharedBuffers) -> list[NDArray[Any]]:
    """What environments write, N rows each."""
    return [*buffers.obs.arrays, buffers.rewards, buffers.terminated, buffers.truncated, buffers.over]


class Actor:
    """A share of the environments."""

    def __init__(
        self, path: list[str], makers: list[Maker], first: int, total: int, mode: AutoresetMode, number: int,
        before: int,
    ) -> None:  # fmt: skip
        sys.path.extend(one for one in path if one not in sys.path)
        self._envs = SequentialEnvs(makers, first, total, mode, number, before)
        self._envs.buffers = SharedBuffers(self._envs.spaces, total)
        self._share = slice(first, first + len(makers))

    def spaces(self) -> Any:
        """Observation and action space of one of them."""
        return self._envs.spaces

    def do(self, method: str, *arguments: Any) -> Any:
        """A method of `SequentialEnvs`: what its environments show then, and the infos that are not empty."""
        infos = getattr(self._envs, method)(*arguments) or []
        assert self._envs.buffers is not None
        return [array[self._share].copy() for array in shown(self._envs.buffers)], infos

    def step(self, actions: list[NDArray[Any]]) -> Any:
        """A step of each with its action, as `do`."""
        assert self._envs.buffers is not None
        for array, part in zip(self._envs.buffers.actions.arrays, actions, strict=True):
            array[self._share] = part
        return self.do("step")
