"""A picture of a vector state space: two dimensions of it, the others as they are now, with values and regions."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.making import reference

if TYPE_CHECKING:
    from rlplay.agent import Agent

_CELLS = 40  # a side
_WIDE = 100.0  # a bound beyond which a space does not say where its values lie


@dataclass(frozen=True)
class StateSlice:
    """Values over two dimensions of the state space; rows run upwards.

    Attributes:
        values: value of each point, float64 [R, C].
        best: best action at each point, -1 where the agent does not say, int64 [R, C].
        regions: what the agent puts together (clusters, leaves), -1 for nothing, int64 [R, C].
        regions_are: what the regions are, in words; empty where there are none.
        names: the two dimensions, across and up.
        low: smallest value of each, [2].
        high: largest value of each, [2].
    """

    values: NDArray[np.float64]
    best: NDArray[np.int64]
    regions: NDArray[np.int64]
    regions_are: str
    names: tuple[str, str]
    low: tuple[float, float]
    high: tuple[float, float]

    def place(self, observation: Any, dimensions: tuple[int, int]) -> tuple[float, float]:
        """Where an observation lies, as shares of the width and height; within the picture."""
        x = np.ravel(observation)
        shares = [
            (float(x[d]) - low) / (high - low) for d, low, high in zip(dimensions, self.low, self.high, strict=True)
        ]
        return min(max(shares[0], 0.0), 1.0), min(max(shares[1], 0.0), 1.0)


def dimension_names(env: gym.Env[Any, Any]) -> list[str]:
    """The names of an observation's numbers: the plug-ins', or ``s[0]``, ``s[1]``, ..."""
    shape = env.observation_space.shape or ()
    named = registry.recipes("OBSERVATION_NAMES").get(reference(env).id)
    return list(named) if named else [f"s[{i}]" for i in range(int(np.prod(shape)))]


def dimension_pairs(env: gym.Env[Any, Any]) -> list[tuple[int, int]]:
    """All pairs of dimensions, the one that tells most (by the plug-ins) first."""
    pairs = list(itertools.combinations(range(len(dimension_names(env))), 2))
    first = registry.recipes("FIRST_SLICE").get(reference(env).id)
    return sorted(pairs, key=lambda pair: pair != first) if first else pairs


def can_be_sliced(env: gym.Env[Any, Any]) -> bool:
    """Whether observations are vectors of at least two numbers, and not pictures."""
    space = env.observation_space
    return isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and 2 <= space.shape[0] <= 64


class Slicer:
    """Computes slices, at most a few a second, and remembers the range of what it has seen.

    Args:
        seconds: least time between two computations of the same picture.
    """

    def __init__(self, seconds: float = 0.2) -> None:
        self.seconds = seconds
        self._env_id, self._computed = 0, 0.0
        self._key: tuple[tuple[int, int], int] | None = None
        self._low = self._high = np.zeros(0)
        self._last: StateSlice | None = None

    def slice(
        self, agent: Agent, env: gym.Env[Any, Any], observation: Any, dimensions: tuple[int, int]
    ) -> StateSlice | None:
        """The slice through an observation; None where the agent has neither values nor preferences."""
        if self._env_id != id(env):
            self._env_id, self._last = id(env), None
            self._low, self._high = _bounds(agent, env, np.ravel(observation))
        self._low, self._high = np.minimum(self._low, observation), np.maximum(self._high, observation)
        key, now = (dimensions, id(agent)), time.monotonic()
        if self._last is None or key != self._key or now - self._computed >= self.seconds:
            self._last = self._compute(agent, env, np.array(observation), dimensions)
            self._key, self._computed = key, time.monotonic()
        return self._last

    def _compute(
        self, agent: Agent, env: gym.Env[Any, Any], observation: NDArray[Any], dimensions: tuple[int, int]
    ) -> StateSlice | None:
        i, j = dimensions
        margin = 0.04 * (self._high - self._low) + 1e-6
        low, high = self._low - margin, self._high + margin
        points = np.tile(observation, (_CELLS * _CELLS, 1))
        up, across = np.meshgrid(
            np.linspace(low[j], high[j], _CELLS), np.linspace(low[i], high[i], _CELLS), indexing="ij"
        )
        points[:, i], points[:, j] = across.ravel(), up.ravel()
        probe, shape = agent.probe(points), (_CELLS, _CELLS)
        scores = probe.action_values if probe.action_values is not None else probe.action_probabilities
        if probe.value is not None:
            values = probe.value
        elif scores is not None:
            values = scores.max(axis=1)
        else:
            return None
        best = scores.argmax(axis=1) if scores is not None else np.full(len(points), -1)
        regions, words = agent.regions(points)
        names = dimension_names(env)
        return StateSlice(
            values.reshape(shape), best.reshape(shape), regions.reshape(shape), words, (names[i], names[j]),
            (float(low[i]), float(low[j])), (float(high[i]), float(high[j])),
        )  # fmt: skip


def _bounds(agent: Agent, env: gym.Env[Any, Any], observation: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where values lie: as the agent saw them while learning, else within the space's bounds, else around now."""
    seen, space = agent.seen(), env.observation_space
    if seen is not None and len(seen) > 10:
        low, high = np.quantile(seen, [0.01, 0.99], axis=0)
        return low.astype(float), high.astype(float)
    assert isinstance(space, gym.spaces.Box)
    around = np.maximum(np.abs(observation), 1.0)
    low = np.where(space.low > -_WIDE, space.low, observation - around)
    high = np.where(space.high < _WIDE, space.high, observation + around)
    return low.astype(float), high.astype(float)
