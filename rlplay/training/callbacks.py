"""Callbacks: what happens between the chunks of a run. Evaluation, checkpoints, stopping, the progress bar.

A callback is a `Callback` or a plain function of the agent; either stops the run by returning False. In the compiled
driver callbacks run once a chunk and at the steps they ask for (`Callback.next_due`); one that sets ``every_step``
selects the stepwise driver.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rlplay.environments.make import require_anew
from rlplay.errors import CheckpointError, RlplayError, UsageError, warn
from rlplay.storage import checkpoint
from rlplay.storage.files import as_path, make_folder, write_atomically
from rlplay.training.checks import whole_number
from rlplay.training.evaluation import Evaluation, check_env, evaluate
from rlplay.training.learner import Learner
from rlplay.training.run_folder import read_evaluations
from rlplay.training.statistics import FinishedEpisode

NEVER = 2**62  # a timestep that no run reaches


class RunClock(Protocol):
    """What callbacks know of the running training.

    Attributes:
        target: the timestep at which it ends.
        first_timestep: the one at which it began.
        learn_seconds: spent learning.
        compile_seconds: spent on compiling, or on loading compiled code.
        compiled: how many functions were compiled.
        converged: whether the agent has nothing left to learn.
    """

    target: int
    first_timestep: int
    learn_seconds: float
    compile_seconds: float
    compiled: int
    converged: bool

    @property
    def steps_per_second(self) -> float:
        """Timesteps of this run over the seconds spent learning."""


class Callback:
    """Base of all callbacks; override what you need.

    Attributes:
        every_step: ask for a call after every step (stepwise driver).
        agent: the agent that learns; set before `on_training_start`.
        run: the running training; set before `on_training_start`.

    Example:
        >>> from agents import QLearning
        >>> class StopAt100(Callback):
        ...     def next_due(self, timestep):
        ...         return 100
        ...     def on_step(self):
        ...         return self.agent.num_timesteps < 100
        >>> QLearning("FrozenLake-v1", seed=0).learn(1000, StopAt100()).num_timesteps
        100
    """

    every_step = False
    agent: Learner
    run: RunClock

    def next_due(self, timestep: int) -> int:
        """The next timestep at which `on_step` must be called; chunks end there."""
        return NEVER

    def on_training_start(self) -> bool | None:
        """Before the first step; False stops."""

    def on_step(self) -> bool | None:
        """After each chunk (each step with ``every_step``); False stops the run."""

    def on_episodes(self, rows: list[FinishedEpisode]) -> None:
        """Episodes that ended in the chunk and were kept (see `rlplay.training.statistics.is_kept`)."""

    def on_log(self) -> None:
        """When a log row is due."""

    def on_training_end(self) -> None:
        """After the last step, also after an error or Ctrl-C."""


def stops(answer: Any) -> bool:
    """Whether what a callback returned stops the run: False, Python's or NumPy's.

    Example:
        >>> stops(np.float64(1.0) < 0), stops(False), stops(None)
        (True, True, False)
    """
    return isinstance(answer, bool | np.bool_) and not answer


class _Every:
    """Multiples of a number of timesteps, each reached once, also by agents that take several steps at a time."""

    def __init__(self, freq: int) -> None:
        self.freq, self._reached = freq, 0

    def begin(self, agent: Learner) -> None:
        """Start after the last multiple that a resumed run had reached."""
        self._reached = agent.num_timesteps // self.freq - (agent.busy and agent.num_timesteps % self.freq == 0)

    def reached(self, timestep: int) -> bool:
        """Whether a multiple was reached or passed since the last time."""
        number = timestep // self.freq
        found, self._reached = number > self._reached, max(number, self._reached)
        return found


_NEXT = "Give stop_at=475.0 to stop at a mean return, and learn a list of callbacks for more"
_EVAL_WAYS = {
    "callback_on_new_best": _NEXT,
    "callback_after_eval": _NEXT,
    "render": "Watch the run in a window of its own: rlplay watch RUN --follow",
}
_WHOLE = "Leave it out: an agent's file holds its replay buffer and its normalisation"


def _refuse_others(owner: str, others: dict[str, Any], ways: dict[str, str]) -> None:
    """Refuse arguments of another library's callback of the same name, with what stands in their place."""
    for name in others:
        way = ways.get(name, f"Leave it out; help(rlplay.{owner}) lists what it takes")
        raise UsageError(f"{owner} takes no {name}", way)


class EvalCallback(Callback):
    """Evaluate every so many timesteps, keep the best agent, and log as RL Zoo's ``evaluations.npz``.

    Args:
        eval_env: where to evaluate; by default the agent's environment made anew.
        eval_freq: timesteps between evaluations.
        n_eval_episodes: episodes an evaluation.
        best_model_save_path: folder for ``best_model.rlp``.
        log_path: folder for ``evaluations.npz`` (timesteps [N], results [N, E], ep_lengths [N, E], and
            successes [N, E] where ``info["is_success"]`` says so).
        deterministic: whether the agent acts greedily.
        stop_at: stop once the mean return reaches this.

    Example:
        >>> from agents import QLearning
        >>> callback = EvalCallback(eval_freq=100, n_eval_episodes=3)
        >>> agent = QLearning("FrozenLake-v1", seed=0).learn(200, callback)
        >>> callback.timesteps, callback.evaluations[0].returns.shape
        ([100, 200], (3,))
    """

    def __init__(
        self,
        eval_env: Any = None,
        *more: Any,
        eval_freq: int = 10_000,
        n_eval_episodes: int = 10,
        best_model_save_path: str | Path | None = None,
        log_path: str | Path | None = None,
        deterministic: bool = True,
        stop_at: float | None = None,
        **others: Any,
    ) -> None:
        _refuse_others("EvalCallback", others, _EVAL_WAYS)
        if more:
            raise UsageError(
                f"EvalCallback takes one argument without a name, the environment, and was given {1 + len(more)}",
                "Write EvalCallback(env, eval_freq=10_000, n_eval_episodes=10); in place of callback_on_new_best, "
                "stop_at=475.0 stops at a mean return, and learn takes a list of callbacks",
            )
        self.eval_env, self.eval_freq = check_env(eval_env, "EvalCallback"), whole_number("eval_freq", eval_freq)
        self.n_eval_episodes = whole_number("n_eval_episodes", n_eval_episodes)
        self.best_model_save_path = as_path(best_model_save_path) if best_model_save_path else None
        self.log_path = as_path(log_path) if log_path else None
        if stop_at is not None and not isinstance(stop_at, int | float | np.integer | np.floating):
            raise UsageError(f"stop_at={stop_at!r} is not a number: the mean return at which training stops")
        self.deterministic, self.stop_at = deterministic, stop_at
        self._schedule = _Every(self.eval_freq)
        self.timesteps: list[int] = []
        self.evaluations: list[Evaluation] = []
        self.best_mean_reward = -np.inf

    def next_due(self, timestep: int) -> int:
        """The next multiple of ``eval_freq``."""
        return (timestep // self.eval_freq + 1) * self.eval_freq

    def on_training_start(self) -> None:
        """Read the evaluations of the run that is resumed; refuse an environment that cannot be made again."""
        self._schedule.begin(self.agent)
        if self.eval_env is None:
            require_anew(self.agent.env, "EvalCallback plays in the agent's environment made anew; give eval_env, or")
        path = None
        if self.best_model_save_path:
            make_folder(self.best_model_save_path, "best_model_save_path")
        if self.log_path:
            make_folder(self.log_path, "log_path")
            path = self.log_path / "evaluations.npz"
        if path and path.exists() and self.agent.num_timesteps:
            saved = read_evaluations(path)
            if saved.results.shape[1] != self.n_eval_episodes:
                raise UsageError(
                    f"{path} has evaluations of {saved.results.shape[1]} episodes, not of {self.n_eval_episodes}",
                    "Take the same number, or another log_path",
                )
            rows = [k for k, t in enumerate(saved.timesteps) if t <= self.agent.num_timesteps]
            ends = [None if saved.successes is None else saved.successes[k].astype(bool) for k in rows]
            self.timesteps = [int(saved.timesteps[k]) for k in rows]
            self.evaluations = [
                Evaluation(saved.results[k], saved.ep_lengths[k], end) for k, end in zip(rows, ends, strict=True)
            ]
            self.best_mean_reward = max((e.mean for e in self.evaluations), default=-np.inf)
            self._check_best()

    def _check_best(self) -> None:
        """Where the best agent so far is not there to be kept, keep the best from here on."""
        best = self.best_model_save_path / "best_model.rlp" if self.best_model_save_path else None
        if best is None or not self.evaluations:
            return
        try:
            checkpoint.read(best)
        except RlplayError:
            self.best_mean_reward = -np.inf
            warn(f"{best} is missing or damaged: the best agent from here on is kept")

    def on_step(self) -> bool:
        """Evaluate when due, and where an agent has converged."""
        now = self.agent.num_timesteps
        due = self._schedule.reached(now) or (self.run.converged and self.timesteps[-1:] != [now])
        if self.agent.busy or not due:
            return True
        result = evaluate(self.agent, self.eval_env, self.n_eval_episodes, deterministic=self.deterministic)
        self.timesteps.append(now)
        self.evaluations.append(result)
        if result.success_rate is not None:
            self.agent.logger.record("eval/success_rate", result.success_rate)
        if self.log_path:
            self._log()
        if result.mean > self.best_mean_reward:
            self.best_mean_reward = result.mean
            if self.best_model_save_path:
                save_or_warn(self.agent, self.best_model_save_path / "best_model.rlp")
        return self.stop_at is None or result.mean < self.stop_at

    def _log(self) -> None:
        assert self.log_path
        buffer, successes = io.BytesIO(), [e.successes for e in self.evaluations]
        arrays: dict[str, Any] = {
            "timesteps": np.array(self.timesteps),
            "results": np.array([e.returns for e in self.evaluations]),
            "ep_lengths": np.array([e.lengths for e in self.evaluations]),
        }
        if all(one is not None for one in successes):
            arrays["successes"] = np.array(successes)
        np.savez(buffer, **arrays)
        write_atomically(self.log_path / "evaluations.npz", buffer.getvalue())


class CheckpointCallback(Callback):
    """Save ``<prefix>_<n>_steps.rlp`` every so many timesteps, and one rolling file by the clock.

    Args:
        save_freq: timesteps between numbered checkpoints; None for none.
        save_path: their folder.
        name_prefix: their prefix.
        keep: how many numbered checkpoints stay; None for all.
        rolling: a file that is rewritten every ``rolling_seconds`` and at the end, for resuming after a kill.
        rolling_seconds: seconds between two rewrites.

    Example:
        >>> import tempfile
        >>> from agents import QLearning
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     agent = QLearning("FrozenLake-v1", seed=0).learn(200, CheckpointCallback(100, folder))
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['rl_model_100_steps.rlp', 'rl_model_200_steps.rlp']
    """

    def __init__(
        self,
        save_freq: int | None,
        save_path: str | Path,
        name_prefix: str = "rl_model",
        *,
        keep: int | None = None,
        rolling: Path | None = None,
        rolling_seconds: float = 30.0,
        **others: Any,
    ) -> None:
        _refuse_others("CheckpointCallback", others, {"save_replay_buffer": _WHOLE, "save_vecnormalize": _WHOLE})
        self.save_freq = whole_number("save_freq", save_freq) if save_freq is not None else None
        self.save_path, self.name_prefix = as_path(save_path), name_prefix
        self.keep = whole_number("keep", keep) if keep is not None else None
        self.rolling, self.rolling_seconds = rolling, rolling_seconds
        self._last_roll = -np.inf
        self._schedule = _Every(self.save_freq) if self.save_freq is not None else None

    def next_due(self, timestep: int) -> int:
        """The next multiple of ``save_freq``."""
        return NEVER if self.save_freq is None else (timestep // self.save_freq + 1) * self.save_freq

    def on_training_start(self) -> None:
        """Save the rolling file at once, so that a run can be resumed from its first moment."""
        if self._schedule is not None:
            make_folder(self.save_path, "save_path")
            self._schedule.begin(self.agent)
        if self.rolling:
            self.agent.save(self.rolling)  # an unwritable folder is said before training starts
            self._last_roll = time.monotonic()

    def on_step(self) -> None:
        """Save what is due."""
        now = self.agent.num_timesteps
        if self._schedule is not None and not self.agent.busy and self._schedule.reached(now):
            save_or_warn(self.agent, self.save_path / f"{self.name_prefix}_{now}_steps.rlp")
            self._prune()
        if self.rolling and time.monotonic() - self._last_roll >= self.rolling_seconds:
            save_or_warn(self.agent, self.rolling)
            self._last_roll = time.monotonic()

    def on_training_end(self) -> None:
        """Save the rolling file a last time."""
        if self.rolling:
            save_or_warn(self.agent, self.rolling)

    def _prune(self) -> None:
        if self.keep is None:
            return
        numbered = {}
        for path in self.save_path.glob(f"{self.name_prefix}_*_steps.rlp"):
            count = path.stem.removeprefix(f"{self.name_prefix}_").removesuffix("_steps")
            if count.isdigit():
                numbered[int(count)] = path
        for timestep in sorted(numbered)[: -self.keep]:
            numbered[timestep].unlink(missing_ok=True)


class ProgressBar(Callback):
    """A progress bar on standard error with steps, steps/s, time left and the mean return."""

    def on_training_start(self) -> None:
        """Draw the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        unit = f"{self.agent.timestep}s"
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn(f"{{task.fields[steps]}} {unit}  {{task.fields[speed]}} {unit}/s"),
            TimeRemainingColumn(),
            TextColumn("return {task.fields[mean]}"),
            console=Console(stderr=True),
            transient=False,
        )
        self._progress.start()
        total = self.run.target - self.run.first_timestep
        self._task = self._progress.add_task(self.agent.id, total=total, steps="0", speed="-", mean="-")

    def on_step(self) -> None:
        """Move the bar."""
        mean = self.agent.statistics.mean_return
        self._progress.update(
            self._task,
            completed=self.agent.num_timesteps - self.run.first_timestep,
            steps=f"{self.agent.num_timesteps:,}",
            speed=short_number(self.run.steps_per_second),
            description=f"{self.agent.id} {self.agent.activity}".rstrip(),
            mean="-" if np.isnan(mean) else f"{mean:.2f}",
        )

    def on_training_end(self) -> None:
        """Leave the bar as it stands."""
        self.on_step()
        self._progress.stop()


def save_or_warn(agent: Learner, path: Path) -> None:
    """Save, or keep the old file and warn: a full disk must not end the training, nor hide why it ended."""
    ending = sys.exc_info()[1] is not None
    try:
        agent.save(path)
    except CheckpointError as error:
        if not ending:
            raise
        warn(f"{path} stays as it is: {error.cause.partition('.tmp: ')[2] or error.cause}")
    except OSError as error:
        warn(f"{path} could not be saved, the old file is kept and training goes on: {error}")


def short_number(number: float) -> str:
    """A number for people: 950, 12.3k, 4.56M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
