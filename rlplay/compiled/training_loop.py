"""The native training loop: a learning rule and an environment's dynamics joined into one compiled function.

The loop is a closure over the functions of both, so that everything is inlined; `rlplay.compiled.cache` keeps its
machine code on disk, one entry a pair. It runs in chunks: everything it carries lives in arrays, so chunks of any
size, progress bars, checkpoints and resume cost nothing and change nothing.

The stepwise driver (`rlplay.training.drivers`) calls the same functions in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place, without_gil
from rlplay.compiled.pcg64 import random_seed, reseed


@in_place
def nothing(memory: Any) -> None:
    """The ``begin`` of a rule that carries nothing from step to step."""


@dataclass(frozen=True)
class LearningRule:
    """A learning rule as compiled functions over an agent's memory (a tuple of arrays and scalars).

    Attributes:
        act: ``act(memory, s, progress) -> a``.
        learn: ``learn(memory, s, a, r, s_next, a_next, terminated, truncated, progress) -> td_error``; ``a_next`` is
            -1 where there is none.
        begin: ``begin(memory)``, between two episodes (clears traces).
        on_policy: whether the next action is chosen before the update (Sarsa) and then taken.

    Example:
        >>> from rlplay.extend import act_epsilon_greedy
        >>> from agents.q_learning import learn
        >>> LearningRule(act_epsilon_greedy, learn).on_policy
        False
    """

    act: Callable[..., Any]
    learn: Callable[..., float]
    begin: Callable[..., None] = nothing
    on_policy: bool = False


@in_place
def _number(parameters: Any, state: int) -> int:
    return state


class Dynamics(NamedTuple):
    """An environment as compiled functions over its parameters.

    A state is a number; or an observation, an array that lies in the parameters. Then ``buffers`` says where, and no
    function returns one: to return an array costs two atomic operations on its reference count.

    Attributes:
        reset: ``reset(parameters, rng) -> state``; with buffers it fills the first one.
        step: ``step(parameters, state, action, rng) -> (next_state, reward, terminated)``; with buffers
            ``step(parameters, action, rng) -> (reward, terminated)``, which fills the second one.
        resume_state: ``resume_state(parameters, number) -> state``, where a chunk goes on in the middle of an episode.
        advance_state: ``advance_state(parameters, next_state) -> state``, at the end of a step; with buffers
            ``advance_state(parameters)``, which copies the second one into the first.
        numbered_actions: whether actions are numbers, which can be chosen a step ahead; else they are arrays.
        buffers: ``buffers(parameters) -> (obs, next_obs)``, in place of ``resume_state``; None for numbers.
    """

    reset: Callable[..., Any]
    step: Callable[..., tuple[Any, ...]]
    resume_state: Callable[..., Any] = _number
    advance_state: Callable[..., Any] = _number
    numbered_actions: bool = True
    buffers: Callable[..., tuple[Any, Any]] | None = None


LOG_ROWS = 16384


class EpisodeLog(NamedTuple):
    """The episodes that end within a chunk; the chunk ends early when it is full.

    Attributes:
        episode: number of each, int64 [N].
        returns: its undiscounted return, float64 [N].
        length: its steps, int64 [N].
        timestep: the one at which it ended, int64 [N].
        rows: how many there are, int64 [1].

    Example:
        >>> log = new_episode_log()
        >>> log_episode(log, 0, 1.0, 12, 12)
        >>> int(log.rows[0]), float(log.returns[0]), int(log.length[0])
        (1, 1.0, 12)
    """

    episode: NDArray[np.int64]
    returns: NDArray[np.float64]
    length: NDArray[np.int64]
    timestep: NDArray[np.int64]
    rows: NDArray[np.int64]


def new_episode_log() -> EpisodeLog:
    """An empty log."""
    whole = np.zeros((3, LOG_ROWS), np.int64)
    return EpisodeLog(whole[0], np.zeros(LOG_ROWS), whole[1], whole[2], np.zeros(1, np.int64))


@in_place
def is_logged(episode: int) -> bool:
    """Whether an episode is kept as a row: all of the first 10,000, then a tenth, then a hundredth, and so on.

    At millions of episodes a second a row each would fill the disk; counts and sums stay exact.
    """
    stride = 1
    while episode >= 10_000 * stride:
        stride *= 10
    return episode % stride == 0


@in_place
def log_episode(log: EpisodeLog, episode: int, episode_return: float, length: int, timestep: int) -> None:
    """Add a row, where the episode is one that is kept."""
    if is_logged(episode):
        row = log.rows[0]
        log.episode[row], log.returns[row] = episode, episode_return
        log.length[row], log.timestep[row] = length, timestep
        log.rows[0] = row + 1


class RunState(NamedTuple):
    """What the loop carries from chunk to chunk, an array [1] each.

    Attributes:
        timestep: steps of the run, int64.
        episodes: episodes that have ended, int64.
        state: of the environment: its number, or 0; -1 between two episodes, int64.
        length: steps of the running episode, int64.
        seed: of the running episode, int64.
        next_action: chosen already, or -1, int64.
        episode_return: of the running episode, float64.
        total_return: of all that have ended, float64.
    """

    timestep: NDArray[np.int64]
    episodes: NDArray[np.int64]
    state: NDArray[np.int64]
    length: NDArray[np.int64]
    seed: NDArray[np.int64]
    next_action: NDArray[np.int64]
    episode_return: NDArray[np.float64]
    total_return: NDArray[np.float64]


@cache
def training_loop(dynamics: Dynamics, rule: LearningRule) -> Callable[..., int]:
    """The compiled loop of a rule in an environment.

    The result is ``loop(parameters, env_rng, seeds, memory, run, log, steps, time_limit, horizon)`` and returns the
    number of steps done; ``run`` is a `RunState`.
    """
    env_reset, env_step, resume_state, advance_state, numbered_actions, buffers = dynamics
    in_buffers = buffers is not None  # known when compiled, as numbered_actions is: only one branch is ever there
    act, learn, begin, on_policy = rule.act, rule.learn, rule.begin, rule.on_policy

    @without_gil
    def loop(
        parameters: Any,
        env_rng: NDArray[np.uint64],
        seeds: NDArray[np.uint64],
        memory: Any,
        run: RunState,
        log: EpisodeLog,
        steps: int,
        time_limit: int,
        horizon: float,
    ) -> int:
        t, episodes, length, next_action = run.timestep[0], run.episodes[0], run.length[0], run.next_action[0]
        episode_return, total_return = run.episode_return[0], run.total_return[0]
        running = run.state[0] >= 0
        if in_buffers:
            s, s_next = buffers(parameters)  # type: ignore[misc]
        else:
            s = resume_state(parameters, run.state[0])
        done, most = 0, log.episode.shape[0]
        while done < steps and log.rows[0] < most:
            if not running:
                run.seed[0] = random_seed(seeds)
                reseed(env_rng, run.seed[0])
                if in_buffers:
                    env_reset(parameters, env_rng)
                else:
                    s = env_reset(parameters, env_rng)
                running, length, episode_return, next_action = True, 0, 0.0, -1
            progress = t / horizon
            if numbered_actions:
                a = next_action if next_action >= 0 else act(memory, s, progress)
            else:
                a = act(memory, s, progress)
            if in_buffers:
                r, terminated = env_step(parameters, a, env_rng)
            else:
                s_next, r, terminated = env_step(parameters, s, a, env_rng)
            length += 1
            truncated = 0 < time_limit <= length
            if numbered_actions:
                next_action = act(memory, s_next, progress) if on_policy and not terminated else -1
            learn(memory, s, a, r, s_next, next_action, terminated, truncated, progress)
            done, t, episode_return = done + 1, t + 1, episode_return + r
            if in_buffers:
                advance_state(parameters)
            else:
                s = advance_state(parameters, s_next)
            if terminated or truncated:
                log_episode(log, episodes, episode_return, length, t)
                episodes, total_return, running, next_action = episodes + 1, total_return + episode_return, False, -1
                begin(memory)
        run.timestep[0], run.episodes[0], run.length[0], run.next_action[0] = t, episodes, length, next_action
        if in_buffers:
            run.state[0] = 0 if running else -1
        else:
            run.state[0] = s if running else -1
        run.episode_return[0], run.total_return[0] = episode_return, total_return
        return done

    return loop


@cache
def evaluation_loop(dynamics: Dynamics) -> Callable[..., None]:
    """The compiled loop that plays a fixed policy: one action a state, nothing learned.

    The result is ``loop(parameters, policy, env_rng, seeds, time_limit, returns, lengths)``; it fills ``returns`` and
    ``lengths``, one entry an episode.
    """
    env_reset, env_step = dynamics.reset, dynamics.step

    @without_gil
    def loop(
        parameters: Any,
        policy: NDArray[np.int64],
        env_rng: NDArray[np.uint64],
        seeds: NDArray[np.uint64],
        time_limit: int,
        returns: NDArray[np.float64],
        lengths: NDArray[np.int64],
    ) -> None:
        for episode in range(returns.shape[0]):
            reseed(env_rng, random_seed(seeds))
            s, terminated = env_reset(parameters, env_rng), False
            while not terminated and lengths[episode] < time_limit:
                s, r, terminated = env_step(parameters, s, policy[s], env_rng)
                returns[episode] += r
                lengths[episode] += 1

    return loop
