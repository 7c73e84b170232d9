"""Training: a run in short chunks (`Agent.chunk_seconds`), by one of two drivers, with callbacks between the chunks.

A chunk never crosses a step at which a callback is due, so what callbacks see does not depend on the machine's speed.
Ctrl-C ends the run after the chunk, at a whole step, so that what is saved then is consistent; a second one aborts.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from rlplay.approximation.encodings import Active
from rlplay.approximation.native_features import INDEXED_DYNAMICS, Indexed, NativeFeatures, feature_dynamics
from rlplay.compiled.cache import compile_report
from rlplay.compiled.native import NativeEnv
from rlplay.compiled.pcg64 import random_seed
from rlplay.compiled.table import TABLE_DYNAMICS, TableEnv
from rlplay.compiled.training_loop import (
    EPISODES,
    LENGTH,
    LOGGED,
    NEXT_ACTION,
    SEED,
    STATE,
    TIMESTEP,
    Dynamics,
    training_loop,
)
from rlplay.environments.interact import interact
from rlplay.environments.make import reference
from rlplay.errors import EnvironmentFault, UsageError
from rlplay.training.callbacks import NEVER, Callback, ProgressBar, as_callbacks
from rlplay.training.statistics import FinishedEpisode
from rlplay.transition import Transition

if TYPE_CHECKING:
    from rlplay.agent.base import Agent, Engine

_ROWS_A_RUN = 100  # log rows of a run by default


def train(
    agent: Agent,
    total_timesteps: int,
    callback: Any = None,
    *,
    log_interval: int | None = None,
    progress_bar: bool = False,
    reset_num_timesteps: bool = True,
    engine: Engine = "auto",
    schedule_timesteps: int | None = None,
) -> None:
    """Train an agent; see `rlplay.agent.base.Agent.learn`."""
    total = 0 if total_timesteps == 0 and agent.busy else _positive("total_timesteps", total_timesteps)
    if log_interval is not None:
        log_interval = _positive("log_interval", log_interval)
    if reset_num_timesteps:
        agent.num_timesteps = 0
        agent.horizon = 0
        agent.give_up_episode()
    if schedule_timesteps is not None:
        agent.horizon = _positive("schedule_timesteps", schedule_timesteps)
    elif not agent.horizon:
        agent.horizon = total
    callbacks = as_callbacks(callback)
    if progress_bar:
        callbacks.append(ProgressBar())
    chosen = choose_engine(agent, engine, callbacks)
    Run(agent, agent.num_timesteps + total, callbacks, chosen, log_interval).go()


def choose_engine(agent: Agent, engine: Engine, callbacks: list[Callback]) -> Engine:
    """The driver that runs: what was asked for, or the faster one that can.

    Raises:
        UsageError: the compiled driver was asked for and cannot run; says why.
    """
    if engine not in ("auto", "python", "compiled"):
        raise UsageError(f"engine={engine!r} is not auto, python or compiled")
    why_not = agent.why_not_compiled()
    if not why_not and any(c.every_step for c in callbacks):
        why_not = "a callback asks for every step"
    if engine == "compiled" and why_not:
        raise UsageError(f"the compiled engine cannot run: {why_not}", "Take engine='auto' or 'python'")
    return "python" if why_not or engine == "python" else "compiled"


def why_not_compiled(agent: Agent) -> str:
    """Why a rule cannot run in the native loop; empty where it can."""
    if agent.rule is None:
        return f"{type(agent).__name__} has no compiled rule"
    if not isinstance(agent.env, TableEnv | NativeEnv):
        name = reference(agent.env).id or "an environment given as an instance"
        return f"{name} has no compiled dynamics (give an id whose environment has a native twin or a transition table)"
    if agent.features is not None and not agent.features.compiles:
        return f"{type(agent.features.estimator).__name__} has no compiled row function"
    if isinstance(agent.env, TableEnv) and agent.features is not None:
        return f"{reference(agent.env).id} has numbered states and {type(agent).__name__} takes vectors"
    return ""


class Run:
    """One call of learn: the chunks, the clock and the callbacks."""

    def __init__(
        self, agent: Agent, target: int, callbacks: list[Callback], engine: Engine, log_interval: int | None
    ) -> None:
        self.agent, self.target, self.callbacks, self.engine = agent, target, callbacks, engine
        self.first_timestep = agent.num_timesteps
        self.compile_seconds, self.learn_seconds = 0.0, 0.0
        self.compiled, self.timed_timesteps = 0, 0
        self._report = compile_report()
        self._log_episodes = log_interval
        # A resumed run has rows at the same steps as an undisturbed one.
        self._log_steps = max((target - agent.num_timesteps) // _ROWS_A_RUN, agent.horizon // _ROWS_A_RUN, 1)
        if not callbacks:
            self._log_steps = NEVER  # nobody asks for rows
        self._next_log = self._after_log()
        self._every_step = any(c.every_step for c in callbacks)

    @property
    def steps_per_second(self) -> float:
        """Timesteps of this run over the seconds spent learning (neither compiling nor in callbacks)."""
        return self.timed_timesteps / self.learn_seconds if self.learn_seconds > 0 else 0.0

    def go(self) -> None:
        """Run to the target, until a callback says stop, or until Ctrl-C."""
        with interruptible() as interrupted:
            going = True
            for callback in self.callbacks:
                callback.run, callback.agent = self, self.agent
                going = callback.on_training_start() is not False and going
            try:
                size = 1
                while going and (self.agent.num_timesteps < self.target or self.agent.busy) and not interrupted:
                    size, going = self._chunk(size)
            finally:
                for callback in self.callbacks:
                    callback.on_training_end()
            if interrupted:
                raise KeyboardInterrupt

    def _chunk(self, size: int) -> tuple[int, bool]:
        now = self.agent.num_timesteps
        due = min([self.target, *(c.next_due(now) for c in self.callbacks)])
        if self._log_episodes is None:
            due = min(due, self._next_log)
        wanted = 1 if self._every_step else max(min(size, due - now), 1)
        start, was_busy = time.perf_counter(), self.agent.busy
        done = self.agent.advance(wanted, self.engine)
        seconds = time.perf_counter() - start
        report = compile_report()
        if report == self._report:
            self.learn_seconds += seconds
            self.timed_timesteps += done
        else:  # numba compiled, or loaded machine code: kept apart from the speed of learning
            self.compile_seconds += seconds
            self.compiled += report["compiled"] - self._report["compiled"]
            self._report, seconds = report, self.agent.chunk_seconds / 4
        going = done > 0 or was_busy or self.agent.busy
        rows = self.agent.statistics.take_new()
        for callback in self.callbacks:
            callback.on_episodes(rows)
        # In the order of the list: a row holds what was evaluated before it, a checkpoint comes after its row.
        log_is_due = self._log_is_due() or not going or self.agent.num_timesteps >= self.target
        log_is_due = log_is_due and not self.agent.busy
        for callback in self.callbacks:
            going = callback.on_step() is not False and going
            if log_is_due or not going:
                callback.on_log()
        if log_is_due:
            self._next_log = self._after_log()
        growth = min(max(self.agent.chunk_seconds / max(seconds, 1e-9), 0.25), 4.0)
        return (max(int(size * growth), 1) if done >= size or growth < 1 else size), going

    def _log_is_due(self) -> bool:
        if self._log_episodes is not None:
            return self.agent.statistics.episodes >= self._next_log
        return self.agent.num_timesteps >= self._next_log

    def _after_log(self) -> int:
        if self._log_episodes is not None:
            return self.agent.statistics.episodes + self._log_episodes
        return (self.agent.num_timesteps // self._log_steps + 1) * self._log_steps


def learn_stepwise(agent: Agent) -> Iterator[tuple[Transition, float]]:
    """The stepwise driver: Transitions from `interact`, each handed to the agent's rule; yields it and its TD error."""
    position = agent.position
    for transition in interact(agent.env, agent.act, lambda: random_seed(agent.seeds), position):
        td_error = agent.update(transition)
        if transition.terminated or transition.truncated:
            agent.statistics.finish(position.episode_return, position.length, agent.num_timesteps)
        yield transition, td_error


def advance_stepwise(agent: Agent, timesteps: int) -> int:
    """A number of steps of the stepwise driver."""
    return sum(1 for _ in islice(learn_stepwise(agent), timesteps))


def _native_world(agent: Agent) -> tuple[Dynamics, Any]:
    """The environment of an agent as the native loop takes it, behind its feature map where it has one."""
    env, features = agent.env, agent.features
    if isinstance(env, TableEnv):
        if agent.numbered:
            return TABLE_DYNAMICS, env.table.arrays
        here, there = (Active(np.zeros(1, np.int64), np.ones(1)) for _ in range(2))
        return INDEXED_DYNAMICS, Indexed(env.table.arrays, np.array([max(env.state, 0), 0]), here, there)
    assert isinstance(env, NativeEnv)
    assert features is not None
    assert features.row is not None
    rooms = (None, None) if agent.numbered else (features.new_active(), features.new_active())
    mapped = NativeFeatures(
        env.world, features.codes, features.samples, features.counts, features.shift, features.scale,
        np.zeros(features.view.size), *rooms,
    )  # fmt: skip
    return feature_dynamics(env.dynamics, features.row, agent.numbered), mapped


def advance_compiled(agent: Agent, timesteps: int) -> int:
    """The compiled driver: the same steps in one native call."""
    env, rule, position, log = agent.env, agent.rule, agent.position, agent.episode_log
    assert isinstance(env, TableEnv | NativeEnv)
    assert rule is not None
    statistics = agent.statistics
    state = -1 if position.obs is None else env.state if isinstance(env, TableEnv) else 0
    clock = np.array(
        [agent.num_timesteps, statistics.episodes, state, position.length, position.seed, agent._next_action, 0]
    )
    score = np.array([position.episode_return, statistics.total_return])
    dynamics, parameters = _native_world(agent)
    done = training_loop(dynamics, rule)(
        parameters, env.rng, agent.seeds, agent.memory, clock, score, log.arrays(),
        timesteps, env.max_episode_steps, float(max(agent.horizon, 1)),
    )  # fmt: skip
    agent.num_timesteps, agent._next_action = int(clock[TIMESTEP]), int(clock[NEXT_ACTION])
    statistics.episodes, statistics.total_return = int(clock[EPISODES]), float(score[1])
    for row in range(int(clock[LOGGED])):
        statistics.keep(
            FinishedEpisode(
                int(log.episode[row]), float(log.returns[row]), int(log.length[row]), int(log.timestep[row])
            )
        )
    if isinstance(env, NativeEnv) and not (np.isfinite(score).all() and np.isfinite(env.world.obs).all()):
        raise EnvironmentFault(
            f"{reference(env)} gave numbers that are not finite within the {done:,} steps before timestep "
            f"{agent.num_timesteps:,}: observation {env.world.obs}, return {score[0]:g}",
            "Everything saved before is unharmed; engine='python' finds the step",
        )
    running = int(clock[STATE]) >= 0
    env.elapsed = int(clock[LENGTH])
    if isinstance(env, TableEnv):
        env.state = int(clock[STATE]) if agent.numbered or not running else int(parameters.state[0])
    position.seed, position.length, position.episode_return = int(clock[SEED]), int(clock[LENGTH]), float(score[0])
    if timesteps:
        position.obs = env.observation() if running else None
        position.actions = None
    return int(done)


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM in a list in place of raising at any line; the second one raises at once."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def handle(number: int, frame: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _positive(name: str, value: Any) -> int:
    whole = isinstance(value, int | float | np.integer) and not isinstance(value, bool)
    if not whole or not math.isfinite(value) or value < 1 or value != int(value):
        raise UsageError(f"{name}={value!r} is not a whole number of 1 or more")
    return int(value)
