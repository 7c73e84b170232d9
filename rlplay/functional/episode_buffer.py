"""The steps of an episode as arrays for compiled code: all of them, or the last few as a ring."""

from __future__ import annotations

from typing import NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.environments.make import reference
from rlplay.errors import EnvironmentFault

LONGEST_EPISODE = 2**14  # steps that are kept of an episode where the environment has no time limit


class Steps(NamedTuple):
    """Room for N steps, a power of two; step t stands in place t mod N, which is ``t & (N - 1)``.

    Attributes:
        state: S of each step, int64 [N].
        action: A of each step, int64 [N].
        reward: the R that followed, float64 [N].
        behaviour: b(A|S), the probability with which A was chosen, float64 [N].
        length: steps of the episode so far, int64 [1].
        overflow: 1 once an episode had more steps than there is room for, int64 [1].
    """

    state: NDArray[np.int64]
    action: NDArray[np.int64]
    reward: NDArray[np.float64]
    behaviour: NDArray[np.float64]
    length: NDArray[np.int64]
    overflow: NDArray[np.int64]


def new_steps(size: int) -> Steps:
    """No steps yet, with room for at least so many."""
    size = 1 << (size - 1).bit_length()
    whole = np.zeros(size, np.int64)
    return Steps(whole, whole.copy(), np.zeros(size), np.ones(size), *np.zeros((2, 1), np.int64))


def longest_episode(env: gym.Env[object, object]) -> int:
    """The steps that an episode of an environment can have: its time limit, or `LONGEST_EPISODE`."""
    return (env.spec.max_episode_steps if env.spec else None) or LONGEST_EPISODE


def require_end(steps: Steps, env: gym.Env[object, object], owner: str) -> None:
    """Stop where an episode is longer than the steps that are kept.

    Raises:
        EnvironmentFault: names environment, steps and the way out.
    """
    if steps.overflow[0]:
        raise EnvironmentFault(
            f"an episode of {reference(env)} has not ended after {len(steps.state):,} steps, and {owner} learns only "
            "at the end",
            "Make it with max_episode_steps, raise epsilon, or take an agent that learns at each step (Sarsa)",
        )


@in_place
def keep(steps: Steps, s: int, a: int, r: float) -> int:
    """Keep a step in the ring; returns its number t."""
    t = steps.length[0]
    place = t & (steps.state.shape[0] - 1)
    steps.state[place], steps.action[place], steps.reward[place] = s, a, r
    steps.length[0] = t + 1
    return t


@in_place
def keep_whole(steps: Steps, s: int, a: int, r: float) -> int:
    """Keep a step where the whole episode is kept; its number t, or -1 where there is no room left."""
    t = keep(steps, s, a, r)
    if t < steps.state.shape[0]:
        return t
    steps.overflow[0] = 1
    return -1
