"""A picture of a vector state space: two dimensions of it, the others as they are now, with values and regions."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.environments.make import reference

if TYPE_CHECKING:
    from rlplay.agent.base import Agent

_CELLS = 40  # a side
_WIDE = 100.0  # a bound beyond which a space does not say where its values lie


LAYERS = ("values", "receptive field", "visits")


class Plane:
    """Two directions through the state space, with coordinates across and up.

    Args:
        names: of the directions.
        mean: where the coordinates are 0, [D].
        scale: of each number, [D].
        directions: unit vectors in scaled numbers, [2, D].
    """

    def __init__(
        self, names: tuple[str, str], mean: NDArray[Any], scale: NDArray[Any], directions: NDArray[Any]
    ) -> None:
        self.names, self._mean, self._scale, self._directions = names, mean, scale, directions

    def coordinates(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Of states [N, D], [N, 2]."""
        return ((x - self._mean) / self._scale) @ self._directions.T

    def through(self, observation: NDArray[Any], across: NDArray[Any], up: NDArray[Any]) -> NDArray[np.float64]:
        """The states with these coordinates [N] that are otherwise like an observation [D], [N, D]."""
        here = self.coordinates(observation[None])[0]
        steps = np.column_stack([across - here[0], up - here[1]]) @ self._directions
        return observation + steps * self._scale


@dataclass(frozen=True)
class StateSlice:
    """Values over two directions of the state space; rows run upwards.

    Attributes:
        values: value of each point, or what another layer shows, float64 [R, C].
        best: best action at each point, -1 where the agent does not say, int64 [R, C].
        regions: what the agent puts together (clusters, leaves, tiles), -1 for nothing, int64 [R, C].
        regions_are: what the regions are, in words; empty where there are none.
        shows: what ``values`` are, in words.
        plane: the two directions.
        low: smallest value of each, [2].
        high: largest value of each, [2].
        points: the observations of all points, [R * C, D].
        centres: where clusters lie, as shares of width and height, [K, 2], and where they lay before the last refit.
    """

    values: NDArray[np.float64]
    best: NDArray[np.int64]
    regions: NDArray[np.int64]
    regions_are: str
    shows: str
    plane: Plane
    low: tuple[float, float]
    high: tuple[float, float]
    points: NDArray[Any]
    centres: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def place(self, observation: Any) -> tuple[float, float]:
        """Where an observation lies, as shares of the width and height; within the picture."""
        share = self.shares(np.ravel(observation)[None].astype(np.float64)).clip(0.0, 1.0)[0]
        return float(share[0]), float(share[1])

    def shares(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Where states [N, D] lie, [N, 2]."""
        low, high = np.array(self.low), np.array(self.high)
        return (self.plane.coordinates(x) - low) / (high - low)


def dimension_names(env: gym.Env[Any, Any]) -> list[str]:
    """The names of an observation's numbers: the plug-ins', or ``s[0]``, ``s[1]``, ...

    Example:
        >>> from rlplay import make
        >>> dimension_names(make("CartPole-v1"))[2], dimension_names(make("CartPole-v1", frame_stack=2))[2:5]
        ('pole angle', ['pole angle, 1 before', 'pole velocity, 1 before', 'cart position'])
    """
    shape = env.observation_space.shape or ()
    size = int(np.prod(shape))
    named, stack = registry.recipes("OBSERVATION_NAMES").get(reference(env).id), stack_size(env)
    if not named or len(named) * stack != size:
        return [f"s[{i}]" for i in range(size)]
    ages = [f", {stack - 1 - k} before" if k + 1 < stack else "" for k in range(stack)]
    return [name + age for age in ages for name in named]


def stack_size(env: gym.Env[Any, Any]) -> int:
    """How many observations make one, by a wrapper that stacks them; 1 without."""
    at: Any = env
    while isinstance(at, gym.Wrapper):
        if isinstance(size := getattr(at, "stack_size", None), int):
            return size
        at = at.env
    return 1


def planes(agent: Agent, env: gym.Env[Any, Any]) -> list[Plane]:
    """All pairs of numbers, the one that tells most (by the plug-ins) first; last the plane of two principal axes."""
    names = dimension_names(env)
    pairs = list(itertools.combinations(range(len(names)), 2))
    first = registry.recipes("FIRST_SLICE").get(reference(env).id)
    pairs = sorted(pairs, key=lambda pair: pair != first) if first else pairs
    unit, d = np.eye(len(names)), len(names)
    found = [Plane((names[i], names[j]), np.zeros(d), np.ones(d), unit[[i, j]]) for i, j in pairs]
    seen = agent.seen()
    if d > 2 and seen is not None and len(seen) > 10:
        mean, spread = seen.mean(axis=0).astype(np.float64), seen.std(axis=0).astype(np.float64)
        spread = np.where(spread > 0, spread, 1.0)
        scaled = (seen.astype(np.float64) - mean) / spread
        variances, axes = np.linalg.eigh(scaled.T @ scaled)  # rising
        axes = axes.T[:-3:-1]
        axes *= np.sign(axes[[0, 1], np.abs(axes).argmax(axis=1)])[:, None]
        words = [f"axis {k} ({variances[-k] / max(variances.sum(), 1e-300):.0%} of the variance)" for k in (1, 2)]
        found.append(Plane((words[0], words[1]), mean, spread, axes))
    return found


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
        self._key: tuple[int, str, int] | None = None
        self._low = self._high = np.zeros(0)
        self._last: StateSlice | None = None
        self._planes: list[Plane] = []

    def slice(
        self, agent: Agent, env: gym.Env[Any, Any], observation: Any, number: int, layer: str = "values"
    ) -> StateSlice | None:
        """The slice through an observation, the ``number``-th plane; None where the agent has no values."""
        if self._env_id != id(env):
            self._env_id, self._last, self._planes = id(env), None, planes(agent, env)
            self._low, self._high = _bounds(agent, env, np.ravel(observation))
        self._low, self._high = np.minimum(self._low, observation), np.maximum(self._high, observation)
        key, now = (number, layer, id(agent)), time.monotonic()
        if self._last is None or key != self._key or now - self._computed >= self.seconds:
            if key != self._key:
                self._planes = planes(agent, env)
            plane = self._planes[number % len(self._planes)]
            self._last = self._compute(agent, np.array(observation), plane, layer)
            self._key, self._computed = key, time.monotonic()
        return self._last

    def _compute(self, agent: Agent, observation: NDArray[Any], plane: Plane, layer: str) -> StateSlice | None:
        seen = agent.seen()
        if seen is not None and len(seen) > 10:
            around = plane.coordinates(np.concatenate([seen, observation[None]]).astype(np.float64))
            low, high = np.quantile(around, [0.005, 0.995], axis=0)
            here = plane.coordinates(observation[None])[0]
            low, high = np.minimum(low, here), np.maximum(high, here)
        else:
            corners = plane.coordinates(np.stack([self._low, self._high]).astype(np.float64))
            low, high = corners.min(axis=0), corners.max(axis=0)
        margin = 0.04 * (high - low) + 1e-6
        low, high = low - margin, high + margin
        up, across = np.meshgrid(
            np.linspace(low[1], high[1], _CELLS), np.linspace(low[0], high[0], _CELLS), indexing="ij"
        )
        points = plane.through(observation.astype(np.float64), across.ravel(), up.ravel()).astype(observation.dtype)
        probe, shape = agent.probe(points), (_CELLS, _CELLS)
        scores = probe.action_values if probe.action_values is not None else probe.action_probabilities
        values, shows = None, "values over the state space"
        if layer == "receptive field":
            values, shows = agent.similarity(points, observation), "where what is learned here counts too"
        elif layer == "visits" and seen is not None:
            values, shows = _visits(plane.coordinates(seen.astype(np.float64)), low, high), "where it was (logarithm)"
        if values is None:
            values, shows = probe.value, "values over the state space"
        if values is None and scores is not None:
            values = scores.max(axis=1)
        if values is None and probe.action_mean is not None:
            values, shows = probe.action_mean[:, 0], "the action over the state space"
        if values is None:
            return None
        best = scores.argmax(axis=1) if scores is not None else np.full(len(points), -1)
        regions, words = agent.state_partition(points)
        found = StateSlice(
            values.reshape(shape), best.reshape(shape), regions.reshape(shape), words, shows, plane,
            (float(low[0]), float(low[1])), (float(high[0]), float(high[1])), points,
        )  # fmt: skip
        centres = agent.encoder.centres()
        if centres is None:
            return found
        now, before = centres
        return replace(found, centres=(found.shares(now), found.shares(before)))


def _visits(places: NDArray[np.float64], low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float64]:
    """How often each cell was visited, as log(1 + n), rows upwards, [R C]."""
    edges = [np.linspace(low[k], high[k], _CELLS + 1) for k in (1, 0)]
    counts, _, _ = np.histogram2d(places[:, 1], places[:, 0], bins=edges)
    return np.log1p(counts).ravel()


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
