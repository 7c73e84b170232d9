"""Values of all states laid out for people: a grid of cells, each with its value and its best action."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.environments.make import reference
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.viewer.cell_marks import wall_states

if TYPE_CHECKING:
    from rlplay.agent.base import Agent

_MOST_CELLS = 10_000


@dataclass(frozen=True)
class ValueMap:
    """A map of values.

    Attributes:
        values: value of the state in each cell, NaN where there is none, shape [R, C].
        best: best action in each cell, -1 where none stands out, shape [R, C].
        here: row and column of the current state, None where it has no cell.
        states: the number of the state in each cell, -1 for none, shape [R, C].
    """

    values: NDArray[np.float64]
    best: NDArray[np.int64]
    here: tuple[int, int] | None
    states: NDArray[np.int64]


def action_names(env: gym.Env[Any, Any]) -> list[str]:
    """The names of a finite environment's actions: its own, the plug-ins', or numbers."""
    meanings = getattr(env.unwrapped, "get_action_meanings", None)
    if meanings:
        return [str(name) for name in meanings()]
    named = registry.recipes("ACTION_NAMES").get(reference(env).id)
    return list(named) if named else [str(a) for a in range(FiniteSpace(env.action_space).n)]


def state_grid(env: gym.Env[Any, Any], observation: Any) -> NDArray[np.int64]:
    """The number of the state in each cell, -1 for none.

    From the environment's own ``state_grid(observation)``, the plug-ins' data, or all states in rows of equal length.
    """
    own = getattr(env.unwrapped, "state_grid", None)
    if own:
        return np.asarray(own(observation))
    known = registry.recipes("STATE_GRIDS").get(reference(env).id)
    if known:
        return np.asarray(known(env, observation))
    n = FiniteSpace(env.observation_space).n
    columns = math.ceil(math.sqrt(n * 1.6))
    grid = np.full(math.ceil(n / columns) * columns, -1)
    grid[:n] = np.arange(n)
    return grid.reshape(-1, columns)


def value_map(agent: Agent, env: gym.Env[Any, Any], observation: Any) -> ValueMap | None:
    """The map of an agent's values, or None where the observations are not finite or too many."""
    space = env.observation_space
    if not is_finite(space) or observation is None:
        return None
    grid = state_grid(env, observation)
    if grid.size > _MOST_CELLS:
        return None
    numbering, filled = FiniteSpace(space), grid >= 0
    probe = agent.probe(_batch(numbering, grid[filled]))
    if probe.value is None and probe.action_values is None:
        return None
    values, best = np.full(grid.shape, np.nan), np.full(grid.shape, -1)
    scores = probe.action_values if probe.action_values is not None else probe.action_probabilities
    values[filled] = probe.value if probe.value is not None else probe.action_values.max(axis=1)  # type: ignore[union-attr]
    if scores is not None:
        stands_out = scores.max(axis=1) > scores.min(axis=1)
        best[filled] = np.where(stands_out, scores.argmax(axis=1), -1)
    walls = np.isin(grid, wall_states(env))  # a wall that a person put there has no value
    values[walls], best[walls] = np.nan, -1
    place = np.argwhere(grid == numbering.index(observation))
    return ValueMap(values, best, (int(place[0][0]), int(place[0][1])) if len(place) else None, grid)


def _batch(numbering: FiniteSpace, states: NDArray[np.int64]) -> Any:
    """Observations of numbered states in the form in which agents take batches."""
    if numbering.plain:
        return states
    values = [numbering.value(int(s)) for s in states]
    if isinstance(values[0], tuple):
        return tuple(np.array(column) for column in zip(*values, strict=True))
    if isinstance(values[0], dict):
        return {key: np.array([value[key] for value in values]) for key in values[0]}
    return np.array(values)
