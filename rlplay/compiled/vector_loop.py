"""The native loop over several environments at once, for agents that choose for all of them and then learn.

As in `rlplay.compiled.training_loop` everything is inlined into one function, it runs in chunks, and all that it
carries lies in arrays: row i of each belongs to environment i.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.by_reference import by_reference
from rlplay.compiled.cache import as_these, without_gil
from rlplay.compiled.native import NativeDynamics
from rlplay.compiled.pcg64 import random_seed, reseed
from rlplay.compiled.training_loop import EpisodeLog, log_episode


class VectorState(NamedTuple):
    """N environments of one kind.

    Attributes:
        parameters: of the environment, float64 [P].
        state: float64 [N, S].
        rng: the state of each generator, uint64 [N, 4].
        seeds: the streams of seeds, uint64 [N, 4].
        seed: of each running episode, int64 [N].
        length: steps of each running episode, int64 [N].
        score: return of each running episode, float64 [N].
        low, high: bounds of continuous actions, float32 [A].
        action: room for one, float32 [A].
    """

    parameters: NDArray[np.float64]
    state: NDArray[np.float64]
    rng: NDArray[np.uint64]
    seeds: NDArray[np.uint64]
    seed: NDArray[np.int64]
    length: NDArray[np.int64]
    score: NDArray[np.float64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    action: NDArray[np.float32]


class StepBuffer(NamedTuple):
    """What N environments gave in a step.

    Attributes:
        obs: observations from which the next step is taken, [N, D]: float32, or float64 where float32 does not hold
            them and they are scaled.
        final: last observations of episodes that ended, [N, D].
        rewards: float64 [N].
        terminated, truncated: bool [N].

    Example:
        >>> step_buffer = new_step_buffer(3, 4, np.float32)  # 3 environments, 4 numbers an observation
        >>> step_buffer.obs.shape, step_buffer.rewards.shape
        ((3, 4), (3,))
    """

    obs: NDArray[Any]
    final: NDArray[Any]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


class VectorRun(NamedTuple):
    """What the loop carries from chunk to chunk, an array [1] each.

    Attributes:
        timestep: steps of the run in all environments together, int64.
        episodes: episodes that have ended, int64.
        total_return: the sum of their returns, float64.
    """

    timestep: NDArray[np.int64]
    episodes: NDArray[np.int64]
    total_return: NDArray[np.float64]


def new_step_buffer(n: int, obs_size: int, dtype: Any = np.float32) -> StepBuffer:
    """Room for a step of N environments, with observations of a dtype."""
    return StepBuffer(
        np.zeros((n, obs_size), dtype), np.zeros((n, obs_size), dtype), np.zeros(n), np.zeros(n, np.bool_),
        np.zeros(n, np.bool_),
    )  # fmt: skip


@cache
def vector_training_loop(
    native: NativeDynamics, choose: Callable[..., None], finish: Callable[..., bool]
) -> Callable[..., int]:
    """The compiled loop: ``loop(envs, step_buffer, memory, run, log, rounds, limit, horizon)`` -> rounds done.

    ``choose(memory)`` writes ``memory.actions`` [N, A]; ``finish(memory, step_buffer, progress)`` learns from the step.
    """
    native_reset, native_step, native_observe, continuous = native
    joined = as_these(native_reset, native_step, native_observe)

    @joined
    def begin(envs: VectorState, step_buffer: StepBuffer, i: int) -> None:
        envs.seed[i] = random_seed(envs.seeds[i])
        reseed(envs.rng[i], envs.seed[i])
        native_reset(envs.parameters, envs.state[i], envs.rng[i])
        native_observe(envs.parameters, envs.state[i], step_buffer.obs[i])
        envs.length[i], envs.score[i] = 0, 0.0

    @joined
    def bounded(envs: VectorState, actions: NDArray[np.float32], i: int) -> tuple[float, bool]:
        for j in range(envs.action.shape[0]):
            envs.action[j] = min(max(actions[i, j], envs.low[j]), envs.high[j])
        return native_step(envs.parameters, envs.state[i], envs.action, envs.rng[i])

    @joined
    def numbered(envs: VectorState, actions: NDArray[np.float32], i: int) -> tuple[float, bool]:
        return native_step(envs.parameters, envs.state[i], int(actions[i, 0]), envs.rng[i])

    move = bounded if continuous else numbered

    @joined
    def step(envs: VectorState, step_buffer: StepBuffer, actions: NDArray[np.float32], i: int, limit: int) -> bool:
        """One step of one environment; whether its episode ended."""
        step_buffer.rewards[i], terminated = move(envs, actions, i)
        native_observe(envs.parameters, envs.state[i], step_buffer.obs[i])
        envs.length[i] += 1
        envs.score[i] += step_buffer.rewards[i]
        step_buffer.terminated[i], step_buffer.truncated[i] = terminated, 0 < limit <= envs.length[i]
        return terminated or step_buffer.truncated[i]

    @without_gil
    def loop(
        envs: VectorState, step_buffer: StepBuffer, memory: Any, run: VectorRun, log: EpisodeLog, rounds: int,
        limit: int, horizon: float,
    ) -> int:  # fmt: skip
        envs, step_buffer, memory = by_reference(envs), by_reference(step_buffer), by_reference(memory)
        run, log = by_reference(run), by_reference(log)
        n, done, most = step_buffer.obs.shape[0], 0, log.episode.shape[0]
        while done < rounds and log.rows[0] + n <= most:
            choose(memory)
            for i in range(n):
                if step(envs, step_buffer, memory.actions, i, limit):
                    for j in range(step_buffer.obs.shape[1]):
                        step_buffer.final[i, j] = step_buffer.obs[i, j]
                    log_episode(log, run.episodes[0], envs.score[i], envs.length[i], run.timestep[0] + i + 1)
                    run.episodes[0] += 1
                    run.total_return[0] += envs.score[i]
                    begin(envs, step_buffer, i)
            run.timestep[0] += n
            done += 1
            if not finish(memory, step_buffer, run.timestep[0] / horizon):
                break
        return done

    return loop
