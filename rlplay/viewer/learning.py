"""An agent that learns in the window's own time: a step at a time, in two halves, and what each update changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent
from rlplay.compiled.pcg64 import random_seed
from rlplay.environments.interact import interact
from rlplay.transition import Transition

_LARGEST = 200_000  # numbers of an array that is compared before and after an update
_MOST_MOVES = 200


class Move(NamedTuple):
    """One learned number that an update moved.

    Attributes:
        array: the name of its array.
        place: where in it.
        before, after: its values.
    """

    array: str
    place: tuple[int, ...]
    before: float
    after: float


class Update(NamedTuple):
    """What one update did.

    Attributes:
        transition: the step that was learned from.
        td_error: its TD error; NaN where there is none.
        moves: the learned numbers that moved, the largest move first; at most 200.
        moved: how many moved.
    """

    transition: Transition
    td_error: float
    moves: list[Move]
    moved: int


class Learning:
    """The steps of an agent that learns, the same to the bit as those of `learn`, unless a person acts for it.

    Args:
        agent: it learns where it stands.
        chosen: what a person has chosen in place of the agent's action; None where the agent acts.

    Attributes:
        inside: whether each step stops between what was seen and what is learned from it.
        looking: whether what updates change is found out, which takes time.
        half: whether it stands there now.
        update: the last update that was looked at.
    """

    def __init__(self, agent: Agent, chosen: Callable[[], Any]) -> None:
        self.agent, self.chosen = agent, chosen
        self.inside = self.looking = self.half = False
        self.update: Update | None = None

    def steps(self) -> Iterator[tuple[Transition, float | None]]:
        """Each step with its TD error; before that once with None, where it stops inside."""
        agent, position, started = self.agent, self.agent.position, False

        def act(observation: Any) -> Any:
            nonlocal started
            if not started or position.length == 0:  # later ones are seen before the update
                agent.see_mask(observation, position.info)
                started = True
            action = self.chosen()
            return agent.act(observation) if action is None else action

        for transition in interact(agent.env, act, lambda: random_seed(agent.seeds), position):
            if self.inside:
                self.half = True
                yield transition, None
                self.half = False
            before = _learned(agent) if self.looking else None
            agent.see_mask(transition.next_obs, transition.info, transition.terminated)
            td_error = agent.update(transition)
            if transition.terminated or transition.truncated:
                agent.statistics.finish(position.episode_return, position.length, agent.num_timesteps)
            if before is not None:
                self.update = _difference(transition, td_error, before, _learned(agent, copy=False))
            yield transition, td_error


def why_not_taught(agent: Agent) -> str:
    """Why an agent that learns step by step cannot learn from what another does, in words; empty where it can."""
    if agent.learns_from_others:
        return ""
    return f"{agent.id} learns from its own actions only: play beside it in a play window"


def _learned(agent: Agent, *, copy: bool = True) -> dict[str, NDArray[Any]]:
    """What is learned, by name: arrays of floats that are not too large."""
    found = {}
    for name, array in agent.arrays().items():
        if array.dtype.kind == "f" and 0 < array.size <= _LARGEST:
            found[name] = array.copy() if copy else array
    return found


def _difference(
    transition: Transition, td_error: float, before: dict[str, NDArray[Any]], after: dict[str, NDArray[Any]]
) -> Update:
    moves, count = [], 0
    for name, old in before.items():
        new = after.get(name)
        if new is None or new.shape != old.shape:
            continue
        places = np.argwhere(old != new)
        count += len(places)
        if len(places) > _MOST_MOVES:
            sizes = np.abs(new[tuple(places.T)] - old[tuple(places.T)])
            places = places[np.argsort(-sizes, kind="stable")[:_MOST_MOVES]]
        moves += [Move(name, tuple(map(int, at)), float(old[tuple(at)]), float(new[tuple(at)])) for at in places]
    moves.sort(key=lambda move: -abs(move.after - move.before))
    return Update(transition, td_error, moves[:_MOST_MOVES], count)
