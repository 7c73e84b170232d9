"""The native training loop: a learning rule and an environment's dynamics joined into one compiled function.

The loop is a closure over the functions of both, so that everything is inlined; `rlplay.compiled.cache` keeps its
machine code on disk, one entry a pair. It runs in chunks: everything it carries lives in arrays, so chunks of any
size, progress bars, checkpoints and resume cost nothing and change nothing.

The stepwise driver (`rlplay.environments.interact` with `Agent.act` and `Agent.update`) calls the same functions in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place
from rlplay.compiled.pcg64 import random_seed, reseed
from rlplay.training.statistics import is_kept


@in_place
def nothing(memory: Any) -> None:
    """The ``begin`` of a rule that carries nothing from step to step."""


@dataclass(frozen=True)
class Rule:
    """A learning rule as compiled functions over an agent's memory (a tuple of arrays and scalars).

    Attributes:
        act: ``act(memory, s, progress) -> a``.
        learn: ``learn(memory, s, a, r, s_next, a_next, terminated, truncated, progress) -> td_error``; ``a_next`` is
            -1 where there is none.
        begin: ``begin(memory)``, between two episodes (clears traces).
        on_policy: whether the next action is chosen before the update (Sarsa) and then taken.
    """

    act: Callable[..., int]
    learn: Callable[..., float]
    begin: Callable[..., None] = nothing
    on_policy: bool = False


@in_place
def _number(parameters: Any, state: int) -> int:
    return state


class Dynamics(NamedTuple):
    """An environment as compiled functions over its parameters.

    What stands for a state is a number; or an observation, an array that lies in the parameters, then ``rooms`` says
    where, and no function returns one: to return an array costs two atomic operations on its reference count.

    Attributes:
        reset: ``reset(parameters, rng) -> state``; with rooms it fills the first one.
        step: ``step(parameters, state, action, rng) -> (next_state, reward, terminated)``; with rooms
            ``step(parameters, action, rng) -> (reward, terminated)``, which fills the second one.
        stand: ``stand(parameters, number) -> state``, where a chunk goes on in the middle of an episode.
        settle: ``settle(parameters, next_state) -> state``, at the end of a step; with rooms ``settle(parameters)``,
            which takes the second one over into the first.
        numbered_actions: whether actions are numbers, which can be chosen a step ahead; else they are arrays.
        rooms: ``rooms(parameters) -> (obs, next_obs)``, in place of ``stand``; None where states are numbers.
    """

    reset: Callable[..., Any]
    step: Callable[..., tuple[Any, ...]]
    stand: Callable[..., Any] = _number
    settle: Callable[..., Any] = _number
    numbered_actions: bool = True
    rooms: Callable[..., tuple[Any, Any]] | None = None


# Places in the clock, an int64 array that the loop carries.
TIMESTEP, EPISODES, STATE, LENGTH, SEED, NEXT_ACTION, LOGGED = range(7)
LOG_ROWS = 16384


@dataclass
class EpisodeLog:
    """Room for the episodes that end within a chunk; the chunk ends early when it is full."""

    episode: NDArray[np.int64] = field(default_factory=lambda: np.zeros(LOG_ROWS, np.int64))
    returns: NDArray[np.float64] = field(default_factory=lambda: np.zeros(LOG_ROWS))
    length: NDArray[np.int64] = field(default_factory=lambda: np.zeros(LOG_ROWS, np.int64))
    timestep: NDArray[np.int64] = field(default_factory=lambda: np.zeros(LOG_ROWS, np.int64))

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The columns as the loop takes them."""
        return self.episode, self.returns, self.length, self.timestep


@cache
def training_loop(dynamics: Dynamics, rule: Rule) -> Callable[..., int]:
    """The compiled loop of a rule in an environment.

    The result is ``loop(parameters, env_rng, seeds, memory, clock, score, log, steps, time_limit, horizon)`` and
    returns the number of steps done. ``clock`` holds the places above, ``score`` the return of the running episode
    and the sum of all finished ones.
    """
    env_reset, env_step, env_stand, env_settle, numbered_actions, rooms = dynamics
    in_rooms = rooms is not None  # known when compiled, as numbered_actions is: only one branch is ever there
    act, learn, begin, on_policy = rule.act, rule.learn, rule.begin, rule.on_policy

    @compiled
    def loop(
        parameters: Any,
        env_rng: NDArray[np.uint64],
        seeds: NDArray[np.uint64],
        memory: Any,
        clock: NDArray[np.int64],
        score: NDArray[np.float64],
        log: Any,
        steps: int,
        time_limit: int,
        horizon: float,
    ) -> int:
        log_episode, log_return, log_length, log_timestep = log
        t, episodes, length, next_action = clock[0], clock[1], clock[3], clock[5]
        episode_return, total_return = score[0], score[1]
        running = clock[2] >= 0
        if in_rooms:
            s, s_next = rooms(parameters)  # type: ignore[misc]
        else:
            s = env_stand(parameters, clock[2])
        done, logged = 0, 0
        while done < steps and logged < log_episode.shape[0]:
            if not running:
                clock[4] = random_seed(seeds)
                reseed(env_rng, clock[4])
                if in_rooms:
                    env_reset(parameters, env_rng)
                else:
                    s = env_reset(parameters, env_rng)
                running, length, episode_return, next_action = True, 0, 0.0, -1
            progress = t / horizon
            if numbered_actions:
                a = next_action if next_action >= 0 else act(memory, s, progress)
            else:
                a = act(memory, s, progress)
            if in_rooms:
                r, terminated = env_step(parameters, a, env_rng)
            else:
                s_next, r, terminated = env_step(parameters, s, a, env_rng)
            length += 1
            truncated = 0 < time_limit <= length
            if numbered_actions:
                next_action = act(memory, s_next, progress) if on_policy and not terminated else -1
            learn(memory, s, a, r, s_next, next_action, terminated, truncated, progress)
            done, t, episode_return = done + 1, t + 1, episode_return + r
            if in_rooms:
                env_settle(parameters)
            else:
                s = env_settle(parameters, s_next)
            if terminated or truncated:
                if is_kept(episodes):
                    log_episode[logged], log_return[logged] = episodes, episode_return
                    log_length[logged], log_timestep[logged] = length, t
                    logged += 1
                episodes, total_return, running, next_action = episodes + 1, total_return + episode_return, False, -1
                begin(memory)
        clock[0], clock[1], clock[3], clock[5], clock[6] = t, episodes, length, next_action, logged
        if in_rooms:
            clock[2] = 0 if running else -1
        else:
            clock[2] = s if running else -1
        score[0], score[1] = episode_return, total_return
        return done

    return loop


@cache
def evaluation_loop(dynamics: Dynamics) -> Callable[..., None]:
    """The compiled loop that plays a fixed policy: one action a state, nothing learned.

    The result is ``loop(parameters, policy, env_rng, seeds, time_limit, returns, lengths)``; it fills ``returns`` and
    ``lengths``, one entry an episode.
    """
    env_reset, env_step = dynamics.reset, dynamics.step

    @compiled
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
