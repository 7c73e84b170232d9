"""Training: a run in short chunks (`Agent.chunk_seconds`), by one of two drivers, with callbacks between the chunks.

A chunk never crosses a step at which a callback is due, so what callbacks see does not depend on the machine's speed.
Ctrl-C ends the run after the chunk, at a whole step, so that what is saved then is consistent; a second one aborts.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rlplay.compiled.cache import compile_report
from rlplay.compiled.kept import ANOTHER_FOLDER, why_not_kept
from rlplay.compiled.numba_internals import CompileErrors, is_compiling, why_not_compiled
from rlplay.environments.changes import forget, note, say_changes
from rlplay.environments.left_alone import leave, left_alone, looks_of
from rlplay.environments.make import reference
from rlplay.errors import UsageError, warn, warn_once
from rlplay.functional.schedules import rate_at_end
from rlplay.training.callbacks import NEVER, Callback, ProgressBar, stops
from rlplay.training.checks import whole_number
from rlplay.training.given_callbacks import as_callbacks
from rlplay.training.learner import Engine, Learner
from rlplay.training.logs import row_of

_ROWS_A_RUN = 100  # log rows of a run by default


def train(
    agent: Learner,
    total_timesteps: int,
    callback: Any = None,
    *,
    log_interval: int | None = None,
    progress_bar: bool = False,
    reset_num_timesteps: bool = True,
    engine: Engine = "auto",
    schedule_timesteps: int | None = None,
) -> None:
    """Train an agent; see `rlplay.Agent.learn`."""
    total = 0 if total_timesteps == 0 and agent.busy else whole_number("total_timesteps", total_timesteps)
    if log_interval is not None:
        log_interval = whole_number("log_interval", log_interval)
    if reset_num_timesteps:
        agent.num_timesteps = 0
        agent.horizon = 0
        agent.statistics.forget_recent()
        agent.give_up_episode()
    elif not left_alone(agent.running_envs()):
        agent.give_up_episode()
        warn_once(
            f"{reference(agent.env)} was reset or stepped since {type(agent).__name__} last learned in it: that "
            "episode is given up, and another begins. Play in one of its own: rlplay.make, evaluate(agent)"
        )
    if schedule_timesteps is not None:
        agent.horizon = whole_number("schedule_timesteps", schedule_timesteps)
    else:  # what goes on beyond the horizon would stand at the schedules' end, as often as not at a rate of 0
        agent.horizon = max(agent.horizon, agent.num_timesteps + total)
    _say_zero_rates(agent, agent.num_timesteps + total)
    say_changes(agent.env)
    callbacks = as_callbacks(callback)
    if progress_bar:
        callbacks.append(ProgressBar())
    chosen = choose_engine(agent, engine, callbacks)
    forget(agent.env)
    looks = looks_of(agent.running_envs())
    try:
        Run(agent, agent.num_timesteps + total, callbacks, chosen, log_interval).go()
    finally:
        leave(agent.running_envs(), looks)
        note(agent.env)


def _say_zero_rates(agent: Learner, target: int) -> None:
    """Say so where a learning rate stands at 0 before the run is over: then nothing more is learned."""
    for name in ("learning_rate", "alpha", "actor_alpha"):
        value = agent.hyperparameters.get(name)
        if agent.horizon < target and value is not None and rate_at_end(value) == 0.0:
            warn(
                f"{name}={value} is 0 from timestep {agent.horizon:,} on, and the run goes to {target:,}: after that "
                f"nothing is learned. Give schedule_timesteps={target} or another {name}"
            )


def choose_engine(agent: Learner, engine: Engine, callbacks: list[Callback]) -> Engine:
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


class Run:
    """One call of learn: the chunks, the clock and the callbacks."""

    def __init__(
        self, agent: Learner, target: int, callbacks: list[Callback], engine: Engine, log_interval: int | None
    ) -> None:
        self.agent, self.target, self.callbacks, self.engine = agent, target, callbacks, engine
        self.first_timestep, self._begun = agent.num_timesteps, time.perf_counter()
        self._lessons = 0 if agent.num_timesteps else agent.lessons  # a run that goes on may have learned before
        self.compile_seconds, self.learn_seconds = 0.0, 0.0
        self.compiled, self.timed_timesteps = 0, 0
        self._report = compile_report()
        size = agent.rollout_timesteps
        self._log_episodes = log_interval if size is None else None
        # A resumed run has rows at the same steps as an undisturbed one.
        self._log_steps = max((target - agent.num_timesteps) // _ROWS_A_RUN, agent.horizon // _ROWS_A_RUN, 1)
        if log_interval and size:
            self._log_steps = log_interval * size
        if not (callbacks or agent.logger.listens):
            self._log_steps = NEVER  # nobody asks for rows
        self._next_log = self._after_log()
        self.converged = False  # whether the agent has nothing left to learn
        counted = engine == "python" and self._log_episodes is not None  # native code sees episodes in groups
        self._every_step = counted or any(c.every_step for c in callbacks)

    @property
    def steps_per_second(self) -> float:
        """Timesteps of this run over the seconds spent learning (neither compiling nor in callbacks)."""
        return self.timed_timesteps / self.learn_seconds if self.learn_seconds > 0 else 0.0

    def go(self) -> None:
        """Run to the target, until a callback says stop, or until Ctrl-C."""
        left, ahead = (end - self.agent.num_timesteps for end in (self.target, max(self.target, self.agent.horizon)))
        foreseen = left > 0 and self.agent.lessons == self._lessons and ahead < self.agent.least_steps_to_learn()
        if foreseen:
            warn(
                f"{type(self.agent).__name__} will have learned nothing in these {left:,} {self.agent.timestep}s: "
                f"{self.agent.waits_for()}"
            )
        with interruptible() as interrupted:
            going = True
            for callback in self.callbacks:
                callback.run, callback.agent = self, self.agent
                going = not stops(callback.on_training_start()) and going
            self.agent.logger.rows_by(self._write_row)
            try:
                size = 1
                while going and (self.agent.num_timesteps < self.target or self.agent.busy) and not interrupted:
                    size, going = self._chunk(size)
            finally:
                for callback in self.callbacks:
                    callback.on_training_end()
                self.agent.logger.rows_by(None)
            if interrupted:
                raise KeyboardInterrupt
            if not foreseen:
                self._say_nothing_learned()

    def _chunk(self, size: int) -> tuple[int, bool]:
        now = self.agent.num_timesteps
        due = min([self.target, *(c.next_due(now) for c in self.callbacks)])
        if self._log_episodes is None:
            due = min(due, self._next_log)
        wanted = 1 if self._every_step else max(min(size, due - now), 1)
        start, was_busy = time.perf_counter(), self.agent.busy
        try:
            done = self.agent.advance(wanted, self.engine)
        except CompileErrors as error:
            raise UsageError(
                why_not_compiled(error),
                "Write it in arrays and numbers, or take its decorator (@in_place, @compiled) away: "
                "then it runs in Python",
            ) from None
        if self._is_over():
            self.agent.conclude()
        seconds = time.perf_counter() - start
        report = compile_report()
        if report == self._report:
            self.learn_seconds += seconds
            self.timed_timesteps += done
        else:  # numba compiled, or loaded machine code: kept apart from the speed of learning
            self.compile_seconds += seconds
            self.compiled += report["compiled"] - self._report["compiled"]
            self._report, seconds = report, self.agent.chunk_seconds / 4
            if self.compiled and (why := why_not_kept()):
                warn_once(f"what is compiled is compiled again in each process: {why}. {ANOTHER_FOLDER}")
        going = done > 0 or was_busy or self.agent.busy
        self.converged = not going
        rows = self.agent.statistics.take_new()
        for callback in self.callbacks:
            callback.on_episodes(rows)
        # In the order of the list: a row holds what was evaluated before it, a checkpoint comes after its row.
        log_is_due = self._log_is_due() or not going or self.agent.num_timesteps >= self.target
        log_is_due = log_is_due and not self.agent.busy
        for callback in self.callbacks:
            going = not stops(callback.on_step()) and going
            if log_is_due or not going:
                callback.on_log()
        if log_is_due:
            self._hand_to_logger()
            self._next_log = self._after_log()
        growth = min(max(self.agent.chunk_seconds / max(seconds, 1e-9), 0.25), 4.0)
        return (max(int(size * growth), 1) if done >= size or growth < 1 else size), going

    def _write_row(self) -> None:
        """A callback asks for a row now."""
        for callback in self.callbacks:
            callback.on_log()
        self._hand_to_logger()

    def _hand_to_logger(self) -> None:
        """A row was written: give it to a logger of the user's, and forget what callbacks noted for it."""
        logger = self.agent.logger
        row = row_of(self.agent, self, time.perf_counter() - self._begun, None)
        logger.take()
        logger.write({tag: value for tag, value in row.items() if value is not None}, self.agent.num_timesteps)

    def _is_over(self) -> bool:
        """Whether all timesteps are done, of this call and of the longer run that it may be a part of."""
        return self.agent.num_timesteps >= max(self.target, self.agent.horizon)

    def _say_nothing_learned(self) -> None:
        done = self.agent.num_timesteps - self.first_timestep
        if done and self._is_over() and self.agent.lessons == self._lessons:
            warn(
                f"{type(self.agent).__name__} learned nothing in these {done:,} {self.agent.timestep}s: "
                f"{self.agent.waits_for()}"
            )

    def _log_is_due(self) -> bool:
        if self._log_episodes is not None:
            return self.agent.statistics.episodes >= self._next_log
        return self.agent.num_timesteps >= self._next_log

    def _after_log(self) -> int:
        if self._log_episodes is not None:
            return self.agent.statistics.episodes + self._log_episodes
        return (self.agent.num_timesteps // self._log_steps + 1) * self._log_steps


_A_WHILE = 1.0  # seconds


def _say_waiting() -> None:
    end = "as soon as this is compiled" if is_compiling() else "at the end of this step"
    print(f"rlplay: stopping {end}; Ctrl-C once more stops at once", file=sys.stderr, flush=True)


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM in a list in place of raising at any line; the second one raises at once.

    Where nothing has stopped a while after Ctrl-C, it is said what is waited for.
    """
    caught: list[int] = []
    said = threading.Timer(_A_WHILE, _say_waiting)
    said.daemon = True
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def handle(number: int, frame: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        if number == signal.SIGINT:
            said.start()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        said.cancel()
        for number, handler in previous.items():
            signal.signal(number, handler)
