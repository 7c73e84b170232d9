"""Some environments of a run in worker processes, which step while the run's own process steps the others.

Each looks like the one it stands for. An agent hands the actions out (`RemoteEnvs.begin_step`), plays its own share,
then takes what each remote environment gave by its ``step``: seeds, checks, masks and records stay where they are, and
the run has the bits that it has without workers. The run's own process plays too because waiting costs more than a few
steps: a process that sleeps needs some 0.1 ms to wake, and finds its caches cold.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import cloudpickle
import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from rlplay.environments.bonus import novelty_of
from rlplay.environments.interact import Position
from rlplay.environments.make import make_anew, reference, remake
from rlplay.environments.masks import MaskSource
from rlplay.environments.reference import EnvReference
from rlplay.environments.running_moments import layers_with_moments
from rlplay.environments.vector.ray_pool import Actor, RayPool, shown
from rlplay.environments.vector.workers import WorkerPool
from rlplay.errors import EnvironmentFault, RlplayError, UsageError
from rlplay.spaces.observations import observation_digest

_TIMEOUT = 600.0  # seconds that a step of all environments may take
_HANDING = 600e-6  # seconds that a step of all of them costs beside it, for each worker: waking it, cold caches
_STARTING = 2.0  # seconds that workers take to start
_MEASURED = 0.1  # seconds for which an environment is measured


class PlayedStep(NamedTuple):
    """A step of the remote environments, R of them, that was taken before it was asked for.

    Attributes:
        actions: that were taken, as `SpaceBuffers` has them, [R, ...] each.
        rows: what came, as `rlplay.environments.vector.ray_pool.shown` lists it, [R, ...] each.
        infos: those that are not empty, with the environment's number.
        resets: seed, first observation and info of each episode that began after the step, by environment.

    Example:
        >>> step = PlayedStep([np.zeros(2, np.int64)], [np.zeros((2, 4)), np.ones(2)], [(1, {"lives": 3})], {})
        >>> step.rows[1].tolist(), dict(step.infos)
        ([1.0, 1.0], {1: {'lives': 3}})
    """

    actions: list[NDArray[Any]]
    rows: list[NDArray[Any]]
    infos: list[tuple[int, dict[str, Any]]]
    resets: dict[int, tuple[int, Any, dict[str, Any]]]


class Ahead(Protocol):
    """Whoever has steps taken ahead of the agent."""

    def next_step(self, actions: list[NDArray[Any]]) -> PlayedStep | None:
        """The next step, if it was taken with these actions; None: it is to be taken now."""


class RemoteEnv(gym.Env[Any, Any]):
    """One of the environments of `RemoteEnvs`, as its owner sees it."""

    is_remote = True  # its errors are those of a worker, which has said where they were

    def __init__(self, envs: RemoteEnvs, number: int, local: gym.Env[Any, Any]) -> None:
        self.observation_space, self.action_space = local.observation_space, local.action_space
        self.metadata, self.spec = local.metadata, local.spec
        self._envs, self._number = envs, number

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode there."""
        return self._envs.reset_one(self._number, seed, options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """What the step gave for which the actions were handed out."""
        return self._envs.taken(self._number)


class RemoteEnvs:
    """Copies of the last environments of a run in worker processes, an equal share for each process and the run's own.

    Args:
        local: the environments of a run.
        positions: where the run stands in them; the copies are brought there.
        workers: how many processes besides the run's own.
        actor: what the actors of a Ray cluster are; None for processes on this machine.

    Attributes:
        pool: the processes, or the actors.
        ahead: who has steps taken ahead; None: each is taken when its actions are there.
        first: the number of the first environment that is played by a worker.
        envs: the environments of the run: its own, then what stands for the others.

    Raises:
        UsageError: they cannot be made again in another process; says why.
        EnvironmentFault: a worker failed; here and in every method.
    """

    def __init__(
        self, local: Sequence[gym.Env[Any, Any]], positions: Sequence[Position], workers: int,
        *, actor: type[Actor] | None = None,
    ) -> None:  # fmt: skip
        if reason := why_not_remote(local[0]):
            raise UsageError(f"workers={workers}: {reason}", "Leave workers out: one process plays them all")
        ref = reference(local[0])  # the others were made from it
        workers = min(workers, len(local) - 1)
        self.first = -(-len(local) // (workers + 1))
        played, self._positions = local[self.first :], positions[self.first :]
        makers = [partial(again, ref, gym.registry.get(ref.id))] * len(played)
        self.pool: WorkerPool | RayPool
        if actor is None:
            self.pool = WorkerPool(makers, workers, AutoresetMode.DISABLED, _TIMEOUT, before=self.first)
        else:
            self.pool = RayPool(makers, workers, AutoresetMode.DISABLED, _TIMEOUT, self.first, actor)
        assert self.pool.buffers is not None
        self._buffers = self.pool.buffers
        self._count = len(played)
        self.envs = [*local[: self.first], *(RemoteEnv(self, i, env) for i, env in enumerate(played))]
        self._infos: dict[int, dict[str, Any]] = {}
        self._is_stepping = False
        self.ahead: Ahead | None = None
        self._played: PlayedStep | None = None
        try:
            self.stand_where_the_run_does()
        except BaseException:
            self.close()
            raise

    def stand_where_the_run_does(self) -> None:
        """Bring the copies to where the run stands, by the seed and the actions of each episode."""
        self.pool.resume([None if p.obs is None else (p.seed, p.actions) for p in self._positions])
        for i, position in enumerate(self._positions):
            if position.obs is None:
                continue
            if observation_digest(self._buffers.obs.get(i)) != observation_digest(position.obs):
                raise UsageError(
                    f"workers: environment {self.first + i} did not come by seed and actions to where the run stands",
                    "Leave workers out, or seed all of its randomness in reset(seed=...)",
                )

    def begin_step(self, actions: Sequence[Any]) -> None:
        """Hand out the actions: those of all environments are given, the workers' ones are taken."""
        for i, action in enumerate(actions[self.first :]):
            self._buffers.actions.put(i, action)
        self._played = None if self.ahead is None else self.ahead.next_step(self._buffers.actions.arrays)
        if self._played is None:
            self.pool.begin_step()
        self._is_stepping = True

    def taken(self, i: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """What an environment gave; the first of a step waits for all."""
        if self._is_stepping:
            self._is_stepping = False
            self._infos = dict(self.pool.end_step() if self._played is None else self._take(self._played))
        buffers = self._buffers
        ended = bool(buffers.terminated[i]), bool(buffers.truncated[i])
        return buffers.obs.get(i), float(buffers.rewards[i]), *ended, self._infos.pop(i, {})

    def _take(self, step: PlayedStep) -> list[tuple[int, dict[str, Any]]]:
        for array, rows in zip(shown(self._buffers), step.rows, strict=True):
            array[:] = rows
        return step.infos

    def reset_one(self, i: int, seed: int | None, options: dict[str, Any] | None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in one of them."""
        if self._played is not None:
            begun = self._played.resets.get(i)
            if begun is None or begun[0] != seed:
                raise EnvironmentFault(
                    f"environment {self.first + i} is reset with seed {seed}, which its actor did not foresee",
                    "Resume the run, or leave workers out",
                )
            return begun[1], begun[2]
        chosen = np.arange(self._count) == i
        infos = dict(self.pool.reset(np.where(chosen, -1 if seed is None else seed, -1), chosen, options))
        return self._buffers.obs.get(i), infos.get(i, {})

    def close(self) -> None:
        """End the workers."""
        self.pool.close()


def why_not_remote(env: gym.Env[Any, Any]) -> str:
    """Why an environment cannot be played in another process; empty where it can.

    Example:
        >>> from rlplay.environments.make import make
        >>> why_not_remote(make("Acrobot-v1", dynamics="gymnasium"))
        ''
        >>> why_not_remote(make("FrozenLake-v1", bonus="count"))
        'its bonus learns from what all of them see'
    """
    if novelty_of(env) is not None:
        return "its bonus learns from what all of them see"
    if learning := layers_with_moments(env):
        return f"its wrapper {next(iter(learning.values())).__class__.__name__} learns from each step, here"
    if MaskSource(env).method is not None:
        return "its action masks are asked of the environment itself (put them into info['action_mask'])"
    ref = reference(env)
    if ref.obstacle:
        return ref.obstacle
    try:
        cloudpickle.dumps(ref)
    except Exception as error:  # whatever its arguments or its function hold
        return f"it cannot be sent to another process: {type(error).__name__}: {' '.join(str(error).split())}"
    return ""


def worthwhile_workers(env: gym.Env[Any, Any], count: int, timesteps: int) -> tuple[int, float]:
    """How many worker processes pay for so many environments of a kind and timesteps, and how long a step takes.

    Another environment of the kind is measured for a tenth of a second. Workers pay where they save more than waking
    them costs, and in all more than their start.

    Example:
        >>> from rlplay.environments.make import make
        >>> worthwhile_workers(make("Acrobot-v1", dynamics="gymnasium"), 1, 10**6)[0]
        0
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(processors, count) - 1
    if workers < 1 or why_not_remote(env):
        return 0, 0.0
    try:
        seconds = _seconds_a_step(make_anew(env, "workers need environments made anew"))
    except RlplayError:
        return 0, 0.0
    saved = seconds * (1.0 - 1.0 / (workers + 1)) - _HANDING * workers / count
    pays = saved > 0.0 and saved * timesteps > _STARTING
    return (workers if pays else 0), seconds


def _seconds_a_step(env: gym.Env[Any, Any]) -> float:
    env.reset(seed=0)
    env.action_space.seed(0)
    start, steps, masks = time.perf_counter(), 0, MaskSource(env)
    info: dict[str, Any] = {}
    while time.perf_counter() - start < _MEASURED:
        _, _, terminated, truncated, info = env.step(masks.sample(info))
        if terminated or truncated:
            _, info = env.reset()
        steps += 1
    seconds = (time.perf_counter() - start) / steps
    env.close()
    return seconds


def again(ref: EnvReference, spec: EnvSpec | None) -> gym.Env[Any, Any]:
    """One environment, in a process that may not know its id yet.

    Example:
        >>> from rlplay.environments.make import make
        >>> again(reference(make("CartPole-v1", dynamics="gymnasium")), None).action_space
        Discrete(2)
    """
    if spec is not None and ref.id not in gym.registry:
        gym.registry[ref.id] = spec
    return remake(ref, dynamics="auto" if ref.dynamics.startswith("native") else "gymnasium")


__all__ = ["again", "why_not_remote", "worthwhile_workers"]
