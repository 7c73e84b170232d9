"""Agents of networks that learn in the window's own time: an update halts after each gradient step, to be looked at."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rlplay.environments.interact import Position
from rlplay.networks.memory import IN, KIND, LINEAR, OUT, PARAMETERS
from rlplay.transition import Transition
from rlplay.viewer.learning import Learning, Move, Update
from rlplay.viewer.numbers import in_pairs, short

_MOST = 50  # moves of each network that are told


class NetworkLearning(Learning):
    """The same of an agent of networks, which takes its steps itself: act, step, learn from the replay or rollout.

    What a person does goes into the replay buffer as what was done. An update of networks is many gradient steps, of
    minibatches, and has no single TD error; inside, it halts after each gradient step.

    Args:
        agent: of one environment.
        chosen: what a person has chosen.
        position: of the session; it follows the agent's, and stays at the end of an episode until the next step.
    """

    stops = "stops after each gradient step: right goes on, space to the next update"

    def __init__(self, agent: Any, chosen: Callable[[], Any], position: Position) -> None:
        super().__init__(agent, chosen)
        self._shown, self._agent, self._own = position, agent, agent.running_envs()[0].position
        self._work: Halting | None = None  # the update that is halted in
        self._before = 0  # gradient steps of the update before
        agent.advance(0, "python")  # its episode begins
        own = self._own
        position.obs, position.info, position.seed = own.obs, own.info, own.seed
        position.length, position.episode_return = own.length, own.episode_return

    def steps(self) -> Iterator[tuple[Transition, float | None]]:
        """Each step; the last one of an episode before the agent's next episode, which has begun by then.

        Inside also before that, with None: after each gradient step of the update that comes with it.
        """
        agent, shown, halts = self._agent, self._shown, False
        if agent.learns_from_others:
            agent.another = self.chosen
        own = self._own
        while True:
            length, shown.seed, lessons = own.length, own.seed, agent.lessons
            gained = shown.episode_return if length else 0.0
            if self.inside != halts:
                halts = self.inside
                agent.stop_inside(self._halt if halts else None)
            weights = Weights(agent) if self.looking else None
            for update in self._gradient_steps() if halts else self._at_once():
                self._show(length, gained)
                self.update, self.half = update, True
                yield own.last_step, None
                self.half = False
            self._show(length, gained)
            told, moves = weights.moved() if weights is not None else ([], [])
            self.update = Update(own.last_step, math.nan, moves, agent.lessons - lessons, told=tuple(told))
            yield own.last_step, math.nan

    def _show(self, length: int, gained: float) -> None:
        """Put the session where the agent's last step led, which came after so many of a return so far."""
        shown, step = self._shown, self._own.last_step
        shown.length, shown.episode_return = length + 1, gained + step.reward
        ended = step.terminated or step.truncated
        shown.obs, shown.info = (None, {}) if ended else (step.next_obs, step.info)

    def _at_once(self) -> Iterator[Update]:
        """One step of the agent, with the whole update that may come with it."""
        self._agent.advance(1, "python")
        return iter(())

    def _gradient_steps(self) -> Iterator[Update]:
        """The same, halted after each gradient step."""
        agent, number, numbers = self._agent, 0, self._numbers()
        self._work = Halting(lambda: agent.advance(1, "python"))
        weights = Weights(agent)
        while self._work.go_on():
            number += 1
            of = f"; the update before had {self._before}" if self._before > 1 else ""
            written = {name: value for name, value in self._numbers().items() if value != numbers[name]}
            told, moves = weights.moved()
            lines = (f"gradient step {number} of this update{of}: right goes on", *in_pairs(written), *told)
            yield Update(self._own.last_step, math.nan, moves, number, told=lines)
            weights = Weights(agent)
        self._before = number or self._before

    def _halt(self) -> None:
        """A gradient step was taken."""
        if self.inside and self._work is not None:
            self._work.halt()

    def _numbers(self) -> dict[str, float]:
        """What updates log, as it is now; in the middle of an update also what was not written yet."""
        found = self._agent.memory.metrics._asdict()
        return {name: float(value[0]) for name, value in found.items() if name != "n_updates"}


class Halting:
    """A function that halts where it calls `halt`: it has a thread of its own, and one of both threads runs at a time.

    Args:
        function: what runs.

    Example:
        >>> seen = []
        >>> work = Halting(lambda: [seen.append(1), work.halt(), seen.append(2)])
        >>> work.go_on(), seen.copy(), work.go_on(), seen
        (True, [1], False, [1, 2])
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function, self._over = function, False
        self._error: BaseException | None = None
        self._go, self._came = threading.Semaphore(0), threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    def go_on(self) -> bool:
        """Run it to where it halts, or to its end; returns whether it halted. What it raises is raised here."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        else:
            self._go.release()
        try:
            self._came.acquire()
        except BaseException:  # Ctrl-C: the other thread may not run beside this one
            self._came.acquire()
            raise
        if self._error is not None:
            raise self._error
        return not self._over

    def halt(self) -> None:
        """Called by the function: it waits here until it is to go on."""
        self._came.release()
        self._go.acquire()

    def _run(self) -> None:
        try:
            self._function()
        except BaseException as error:  # for whoever waits
            self._error = error
        self._over = True
        self._came.release()


class Weights:
    """The weights of an agent's networks, as they are when it is made.

    Example:
        >>> from agents import PPO
        >>> agent = PPO("CartPole-v1", net_arch=[4], n_steps=8, batch_size=8, n_epochs=1, seed=0)
        >>> weights = Weights(agent)
        >>> agent = agent.learn(8)
        >>> told, moves = weights.moved()
        >>> told[1].split(",")[0], moves[0].array.split()[0] in ("policy", "value")
        ('value: 25 of 25 weights moved', True)
    """

    def __init__(self, agent: Any) -> None:
        self._agent = agent
        self._kept = {name: array.copy() for name, array in agent.parameters().items()}

    def moved(self) -> tuple[list[str], list[Move]]:
        """What moved since then: a line a network, and the weights that moved most, the largest move first."""
        told: list[str] = []
        moves: list[Move] = []
        nets = self._agent.nets()
        for name, now in self._agent.parameters().items():
            before = self._kept[name]
            sizes = np.abs(now - before)
            count = int(np.count_nonzero(sizes))
            if not count:
                continue
            told.append(f"{name}: {count:,} of {now.size:,} weights moved, by up to {short(sizes.max())}")
            for at in np.argsort(-sizes, kind="stable")[: min(_MOST, count)]:
                array, place = place_of(nets[name], int(at))
                moves.append(Move(f"{name} {array}", place, float(before[at]), float(now[at])))
        return told, sorted(moves, key=lambda move: -abs(move.after - move.before))


def place_of(net: Any, at: int) -> tuple[str, tuple[int, ...]]:
    """The layer of a weight, counted from 1, and its place there: from which unit to which; of a bias, to which.

    Of an ensemble the member comes first; of torch's networks all that is known is which of all weights it is.

    Example:
        >>> from agents import SAC
        >>> nets = SAC("Pendulum-v1", net_arch=[4], buffer_size=1000, seed=0).memory.nets
        >>> place_of(nets.actor, 5), place_of(nets.actor, 12), place_of(nets.critics, 25 + 16)
        (('layer 1', (1, 1)), ('layer 1 bias', (0,)), ('2 layer 1 bias', (0,)))
    """
    whole = getattr(net, "net", net)  # of an ensemble
    layers, member = getattr(whole, "layers", None), ""
    if not isinstance(layers, np.ndarray):
        return "weight", (at,)
    if whole is not net:
        layers = net.tables[0]
        number, at = divmod(at, len(whole.parameters) // len(net.tables))
        member = f"{number + 1} "
    begins = layers[:, PARAMETERS]
    rows = np.flatnonzero(np.append(begins[1:] > begins[:-1], True))  # those with parameters, among activations
    place = int(np.searchsorted(begins[rows], at, "right")) - 1
    row, name = layers[rows[place]], f"{member}layer {place + 1}"
    rest, n_in, n_out = at - int(row[PARAMETERS]), int(row[IN]), int(row[OUT])
    if row[KIND] != LINEAR:
        return f"{name} weight", (rest,)
    return (name, divmod(rest, n_out)) if rest < n_in * n_out else (f"{name} bias", (rest - n_in * n_out,))
