"""This machine's table: ours beside the libraries that people know, in turns, as ratios.

Seconds depend on the machine and on what else it does; both sides of a line take turns, so that ratios hold. One thread
each, where a side has threads. ``tests/benchmarks`` measures more, and longer.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from threadpoolctl import threadpool_limits

from rlplay import registry
from rlplay.environments.vector.make import make_vec
from rlplay.errors import MissingPackageError, missing
from rlplay.models.names import model_class
from rlplay.reports.model_comparison import data_sets, kind_of, pair, speeds

PARTS = ("agents", "environments", "models")
_ROUNDS = 3
_ENVS = 64

# Agent, environment, settings of both, steps of ours and of theirs in a round.
_AGENTS: list[tuple[str, str, dict[str, Any], int, int]] = [
    ("PPO", "CartPole-v1", {"n_envs": 8, "n_steps": 256}, 40_960, 2048),
    ("A2C", "CartPole-v1", {"n_envs": 8}, 80_000, 2000),
    ("PPO", "Pendulum-v1", {"n_envs": 8, "n_steps": 256}, 20_480, 2048),
    ("DQN", "CartPole-v1", {"learning_starts": 100, "batch_size": 64, "train_freq": 1}, 4000, 600),
]
_WORLDS = ("CartPole-v1", "Pendulum-v1", "FrozenLake-v1")
_MODELS = ("ridge", "k-means", "pca", "random-forest-classifier", "mlp")


class Line(NamedTuple):
    """One measurement.

    Attributes:
        part: one of `PARTS`.
        name: what is done.
        other: whose the other side is.
        ours, theirs: steps, rows or calls a second.
        ratio: the median over the rounds of ours over theirs.
    """

    part: str
    name: str
    other: str
    ours: float
    theirs: float
    ratio: float


def bench(parts: tuple[str, ...] = PARTS, rounds: int = _ROUNDS) -> Iterator[Line | MissingPackageError]:
    """Measure line by line; in place of what needs an absent package, the error that names its extra.

    Args:
        parts: some of `PARTS`.
        rounds: of each line, after one that is not counted.

    Example:
        >>> line = next(bench(("models",), rounds=1))
        >>> line.part, line.other, line.ratio > 0
        ('models', 'scikit-learn', True)
    """
    for part, lines in (("agents", _agents), ("environments", _environments), ("models", _models)):
        if part in parts:
            with threadpool_limits(1):
                yield from lines(rounds)


def _agents(rounds: int) -> Iterator[Line | MissingPackageError]:
    try:
        import stable_baselines3
        import torch
        from stable_baselines3.common.env_util import make_vec_env
    except ImportError:
        yield missing("agents beside Stable-Baselines3", "stable-baselines3", "sb3")
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, env_id, settings, mine, other in _AGENTS:
            ours = registry.agent_class(name.lower())(env_id, seed=0, **settings)
            own = {key: value for key, value in settings.items() if key != "n_envs"}
            envs = make_vec_env(env_id, n_envs=settings.get("n_envs", 1), seed=0)
            theirs = getattr(stable_baselines3, name)("MlpPolicy", envs, seed=0, device="cpu", **own)
            yield _line("agents", f"{name} learns {env_id}, steps/s", "Stable-Baselines3",
                        _rate(ours.learn, mine), _rate(theirs.learn, other), rounds)  # fmt: skip
    finally:
        torch.set_num_threads(threads)


def _environments(rounds: int) -> Iterator[Line]:
    for env_id in _WORLDS:
        sides = make_vec(env_id, _ENVS), gym.make_vec(env_id, _ENVS, vectorization_mode="sync")
        calls = [_stepping(env) for env in sides]
        yield _line("environments", f"{_ENVS} {env_id}, steps/s", "Gymnasium",
                    _rate(calls[0], 2000, _ENVS), _rate(calls[1], 60, _ENVS), rounds)  # fmt: skip
        for env in sides:
            env.close()


def _stepping(env: Any) -> Callable[[int], object]:
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(8)]

    def step(count: int) -> None:
        for k in range(count):
            env.step(actions[k % 8])

    return step


def _models(rounds: int) -> Iterator[Line | MissingPackageError]:
    for model_id in _MODELS:
        kind = kind_of(model_class(model_id)())
        ours, theirs = pair(model_id)
        x, y = list(data_sets(kind).values())[-1]
        yield from _model(model_id, "scikit-learn", ours, theirs, x, y, rounds)
    cls: Any = model_class("mlp")
    (x, y), *_ = data_sets("regressor").values()
    try:
        yield from _model("mlp", "torch", cls(random_state=0), cls(random_state=0, backend="torch"), x, y, rounds)
    except MissingPackageError as error:
        yield error


def _model(model_id: str, other: str, ours: Any, theirs: Any, x: Any, y: Any, rounds: int) -> Iterator[Line]:
    for what, found in speeds(ours, theirs, x, y, rounds).items():
        rows = 1 if what == "one row" else len(x)
        yield Line("models", f"{model_id}: {what}, rows/s", other, rows / found.ours, rows / found.theirs, found.ratio)


def _rate(call: Callable[[int], object], count: int, times: int = 1) -> Callable[[], float]:
    """Calls, or steps, a second."""

    def run() -> float:
        start = time.perf_counter()
        call(count)
        return count * times / (time.perf_counter() - start)

    return run


def _line(
    part: str, name: str, other: str, ours: Callable[[], float], theirs: Callable[[], float], rounds: int
) -> Line:
    """Both in turns, after a round that is not counted; medians."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for turn in range(rounds + 1):
            both = ours(), theirs()
            if turn:
                found.append(both)
    table = np.array(found)
    ratio = statistics.median((table[:, 0] / table[:, 1]).tolist())
    return Line(part, name, other, float(np.median(table[:, 0])), float(np.median(table[:, 1])), ratio)
