"""An agent that learns in the window's own time: a step at a time, in two halves, and what each update changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent
from rlplay.compiled.pcg64 import random_seed
from rlplay.environments.interact import Position, interact
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
    """

    transition: Transition | None
    td_error: float
    moves: list[Move]
    moved: int
    changed: NDArray[np.float64] | None = None
    where: StateSlice | None = None


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
        can_stop_inside: whether a step can stop there at all.
    """

    can_stop_inside: ClassVar[bool] = True

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
                agent.statistics.finish(position.episode_return, position.length, agent.num_timesteps)
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


class NetworkLearning(Learning):
    """The same of an agent of networks, which takes its steps itself: act, step, learn from the replay or rollout.

    What a person does goes into the replay buffer as what was done. An update of networks has no single TD error and
    moves more numbers than one can look at, so neither is found out, and there is no stop inside it.

    Args:
        agent: of one environment.
        chosen: what a person has chosen.
        position: of the session; it follows the agent's, and stays at the end of an episode until the next step.
    """

    can_stop_inside = False

    def __init__(self, agent: Any, chosen: Callable[[], Any], position: Position) -> None:
        super().__init__(agent, chosen)
        self._shown, self._agent = position, agent
        agent.advance(0, "python")  # its episode begins
        own = agent.running_envs()[0].position
        position.obs, position.info, position.seed = own.obs, own.info, own.seed
        position.length, position.episode_return = own.length, own.episode_return

    def steps(self) -> Iterator[tuple[Transition, float | None]]:
        """Each step; the last one of an episode before the agent's next episode, which has begun by then."""
        agent, shown = self._agent, self._shown
        if agent.learns_from_others:
            agent.another = self.chosen
        own = agent.running_envs()[0].position
        while True:
            length, shown.seed, lessons = own.length, own.seed, agent.lessons
            agent.advance(1, "python")
            step = agent.last_step
            shown.length = length + 1
            shown.episode_return = (shown.episode_return if length else 0.0) + step.reward
            ended = step.terminated or step.truncated
            shown.obs, shown.info = (None, {}) if ended else (step.next_obs, step.info)
            self.update = Update(step, float("nan"), [], agent.lessons - lessons)
            yield step, float("nan")


def learning_of(agent: Agent, chosen: Callable[[], Any], position: Position) -> Learning:
    """How an agent learns in a session."""
    if hasattr(agent, "last_step"):
        return NetworkLearning(agent, chosen, position)
    if hasattr(agent, "fit_if_due"):
        return FittedLearning(agent, chosen)
    return Learning(agent, chosen)


def why_not_stepwise(agent: Agent) -> str:
    """Why an agent cannot learn a step at a time in the window, in words; empty where it can.

    Example:
        >>> from agents import DQN, QLearning
        >>> why_not_stepwise(QLearning("FrozenLake-v1")), why_not_stepwise(DQN("CartPole-v1", net_arch=[8]))
        ('', '')
        >>> why_not_stepwise(DQN("CartPole-v1", net_arch=[8], n_envs=2))
        'dqn plays 2 environments at once, and the window one: n_envs=1'
    """
    cls = type(agent)
    in_steps = agent.rule is not None or agent.timestep == "sweep" or "act" in vars(cls)
    if (in_steps and cls.busy is Agent.busy) or hasattr(agent, "fit_if_due"):
        return ""
    if (
        not hasattr(agent, "last_step") or agent.timestep != "step" or agent.remembers
    ):  # it collects and fits as a whole
        return f"{agent.id} does not learn step by step"
    count = len(agent.running_envs())
    return f"{agent.id} plays {count} environments at once, and the window one: n_envs=1" if count > 1 else ""


def why_not_taught(agent: Agent) -> str:
    """Why an agent that learns step by step cannot learn from what another does, in words; empty where it can."""
    if agent.learns_from_others:
        return ""
    return f"{agent.id} learns from its own actions only: play beside it in a play window"


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
