"""An agent that learns in the window's own time: a step at a time, in two halves, and what each update changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent
from rlplay.compiled.pcg64 import random_seed
from rlplay.environments.interact import interact
from rlplay.transition import Transition

if TYPE_CHECKING:
    from rlplay.viewer.slices import StateSlice

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
        changed: how much the values of the slice of the state space moved that was drawn last, [R, C]; None without.
        where: that slice.
        told: what else is known of it, in words.
    """

    transition: Transition | None
    td_error: float
    moves: list[Move]
    moved: int
    changed: NDArray[np.float64] | None = None
    where: StateSlice | None = None
    told: tuple[str, ...] = ()


class Learning:
    """The steps of an agent that learns, the same to the bit as those of `learn`, unless a person acts for it.

    Args:
        agent: it learns where it stands.
        chosen: what a person has chosen in place of the agent's action; None where the agent acts.

    Attributes:
        inside: whether each step stops before it is learned from, or within that.
        looking: whether what updates change is found out, which takes time.
        half: whether it stands there now.
        update: the last update that was looked at.
        can_stop_inside: whether a step can stop there at all.
        stops: where it stops, in words.
    """

    can_stop_inside: ClassVar[bool] = True
    stops: ClassVar[str] = "stops inside each update: right goes on"

    def __init__(self, agent: Agent, chosen: Callable[[], Any]) -> None:
        self.agent, self.chosen = agent, chosen
        self.inside = self.looking = self.half = False
        self.update: Update | None = None
        self._slice: StateSlice | None = None

    def watch(self, found: StateSlice) -> None:
        """Told which slice of the state space is drawn: of the next update it is found out what moved there."""
        self._slice = found

    def between_steps(self) -> bool:
        """Learn without a step, where the agent has that to do; returns whether it had."""
        return False

    def finish(self) -> bool:
        """The target is reached: learn from what is left. Returns whether nothing is left."""
        return True

    def _values(self) -> NDArray[np.float64] | None:
        """The values of the slice that is drawn, as far as the agent has any."""
        if not self.looking or self._slice is None or self.agent.remembers:
            return None
        probe = self.agent.probe(self._slice.points)
        values = probe.value
        if values is None and probe.action_values is not None:
            values = probe.action_values.max(axis=1)
        return None if values is None else np.array(values, np.float64).reshape(self._slice.values.shape)

    def _changed(self, before: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        after = self._values()
        return None if before is None or after is None else after - before

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
            before, values = (_learned(agent) if self.looking else None), self._values()
            agent.see_mask(transition.next_obs, transition.info, transition.terminated)
            td_error = agent.update(transition)
            if transition.terminated or transition.truncated:
                agent.statistics.finish(position.episode_return, position.length, agent.num_timesteps, transition.info)
            if before is not None:
                found = _difference(transition, td_error, before, _learned(agent, copy=False))
                self.update = found._replace(changed=self._changed(values), where=self._slice)
            self._after_step()
            yield transition, td_error

    def _after_step(self) -> None:
        """A step was learned from."""


class FittedLearning(Learning):
    """The same of an agent that fits all it has gathered every so often: an iteration of a fit counts as a step.

    Its updates are what an iteration moved on the slice that is drawn, by the leaves of a tree where it has any.
    """

    can_stop_inside = False

    def __init__(self, agent: Any, chosen: Callable[[], Any]) -> None:
        super().__init__(agent, chosen)
        self._agent, self._concluded = agent, False

    def between_steps(self) -> bool:
        """One iteration of a fit that is due."""
        if not self._agent.busy:
            return False
        before = self._values()
        self._agent.advance(1, "python")
        changed, where = self._changed(before), self._slice
        moves = []
        if changed is not None and where is not None:
            regions = self._agent.state_partition(where.points)[0].reshape(changed.shape)
            moves = _leaves(changed, where, regions, before)
        self.update = Update(None, float("nan"), moves, len(moves), changed, where)
        return True

    def finish(self) -> bool:
        """Fit what came after the last fit."""
        if not self._concluded:
            self._concluded = True
            self._agent.conclude()
        return not self._agent.busy

    def _after_step(self) -> None:
        self._agent.fit_if_due()


def _leaves(changed: NDArray[np.float64], where: StateSlice, regions: NDArray[np.int64], before: Any) -> list[Move]:
    """Of each region of a slice whose mean value moved: its place and that value before and after, most first."""
    found, names = [], where.plane.names
    across, up = (np.linspace(where.low[k], where.high[k], changed.shape[1 - k]) for k in (0, 1))
    for region in np.unique(regions[regions >= 0]):
        inside = regions == region
        if not np.abs(changed[inside]).max() > 0:
            continue
        rows, columns = np.nonzero(inside)
        spans = [(names[0], across[columns.min()], across[columns.max()]), (names[1], up[rows.min()], up[rows.max()])]
        words = ", ".join(f"{name} {low:.3g} to {high:.3g}" for name, low, high in spans)
        old = float(before[inside].mean())
        found.append(Move(f"leaf at {words}", (), old, old + float(changed[inside].mean())))
    return sorted(found, key=lambda move: -abs(move.after - move.before))[:_MOST_MOVES]


def _learned(agent: Agent, *, copy: bool = True) -> dict[str, NDArray[Any]]:
    """What is learned, by name: arrays of floats that are not too large; no data."""
    found = {}
    for name, array in agent.arrays().items():
        if array.dtype.kind == "f" and 0 < array.size <= _LARGEST and not name.endswith("samples"):
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
