"""What a step of an agent costs: its environment, its choice of an action, and what is left, which is learning."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from rlplay.environments.make import reference
from rlplay.environments.vector.make import make_vec
from rlplay.errors import RlplayError

ENVS = 64  # environments side by side
_SECONDS = 0.15  # that each part is measured for, at least


class StepCosts(NamedTuple):
    """Seconds a step; NaN for what cannot be measured.

    Attributes:
        environment: of one of `ENVS` environments side by side, with random actions.
        acting: of the agent's choice for one of as many observations, greedily.
        memory: bytes of what the agent keeps in its file: tables, networks, a replay buffer.
    """

    environment: float = math.nan
    acting: float = math.nan
    memory: int = 0


def step_costs(agent: Any) -> StepCosts:
    """Measure an agent's environment and its choices, in this process, on one thread.

    Args:
        agent: any agent with an environment that can be made again.

    Example:
        >>> from agents import QLearning
        >>> costs = step_costs(QLearning("FrozenLake-v1", seed=0).learn(1000))
        >>> 0 < costs.environment < 1, 0 < costs.acting < 1, costs.memory >= 16 * 4 * 8
        (True, True, True)
    """
    memory = sum(np.asarray(array).nbytes for array in agent.arrays().values())
    ref = reference(agent.env)
    try:
        envs = make_vec(ref.id, ENVS, dynamics="gymnasium" if ref.dynamics == "gymnasium" else "auto", **ref.kwargs)
    except (RlplayError, TypeError):
        return StepCosts(memory=memory)
    try:
        obs, _ = envs.reset(seed=0)
        envs.action_space.seed(0)
        actions = [envs.action_space.sample() for _ in range(4)]
        number = iter(range(10**9))
        environment = _seconds(lambda: envs.step(actions[next(number) % 4])) / ENVS
        try:
            with _one_thread():
                acting = _seconds(lambda: agent.predict(obs, deterministic=True)) / ENVS
        except RlplayError:  # it needs masks, or to be told where an episode stands
            acting = math.nan
    finally:
        envs.close()
    return StepCosts(environment, acting, memory)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Several threads wait for each other, up to a hundred times as long where other programs run."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 1
    try:
        with threadpool_limits(1):
            if torch:
                torch.set_num_threads(1)
            yield
    finally:
        if torch:
            torch.set_num_threads(threads)


def _seconds(call: Callable[[], object]) -> float:
    """Seconds a call: the fastest of five rounds after one that is not counted."""
    call()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < _SECONDS / 5:
        call()
        count += 1
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(count):
            call()
        rounds.append((time.perf_counter() - start) / count)
    return min(rounds)
